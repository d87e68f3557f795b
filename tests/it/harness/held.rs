//! Sending forms that meet a challenge, and what browsers do with the page that asks about them afterwards.

use reqwest::{
    Body, Method, RequestBuilder,
    header::{ACCEPT, CONTENT_TYPE, ORIGIN, REFERER},
};

use super::{page::Reply, person::Person};

pub const FORM: &str = "application/x-www-form-urlencoded";

/// What a button of the page goes to, and what it sends.
#[derive(Clone, Debug)]
pub struct Button {
    pub action: String,
    pub body: String,
}

impl Person {
    /// A form of the page `/form` of this host, sent to `path`.
    pub async fn send_off(&self, path: &str, kind: &str, body: impl Into<Body>) -> Reply {
        let request = self.form(path).header("Sec-Fetch-Site", "same-origin");
        let request = request.header(ORIGIN, &self.origin);
        self.send(request.header(CONTENT_TYPE, kind).body(body))
            .await
    }

    /// A form as browsers send it, but for the word on where it comes from.
    pub fn form(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
            .header(ACCEPT, "text/html,*/*;q=0.8")
            .header("Sec-Fetch-Mode", "navigate")
            .header("Sec-Fetch-Dest", "document")
            .header(REFERER, format!("{}/form?step=2", self.origin))
    }

    /// What `fetch` of the page `/form` of this host sends.
    pub async fn fetch_json(&self, path: &str, body: &str) -> Reply {
        let request = self
            .request(Method::POST, path)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json")
            .header("Sec-Fetch-Mode", "cors")
            .header("Sec-Fetch-Dest", "empty")
            .header("Sec-Fetch-Site", "same-origin")
            .header("X-CSRF-Token", "from-the-page")
            .header(ORIGIN, &self.origin)
            .header(REFERER, format!("{}/form?step=2", self.origin));
        self.send(request.body(body.to_owned())).await
    }

    /// Presses *Send now*.
    pub async fn press_send(&self, page: &Reply) -> Reply {
        self.press(&Button::on(page)).await
    }

    /// Presses a button with this address and these fields.
    pub async fn press(&self, button: &Button) -> Reply {
        self.send(self.pressed(button, "same-origin")).await
    }

    /// The same, said to come from such a site. Our pages send no referrer, and so no origin.
    pub fn pressed(&self, button: &Button, site: &str) -> RequestBuilder {
        self.request(Method::POST, &button.action)
            .header(ACCEPT, "text/html,*/*;q=0.8")
            .header("Sec-Fetch-Mode", "navigate")
            .header("Sec-Fetch-Dest", "document")
            .header("Sec-Fetch-Site", site)
            .header(ORIGIN, "null")
            .header(CONTENT_TYPE, "text/plain")
            .body(button.body.clone())
    }
}

impl Button {
    /// *Send now*, as the page has it.
    pub fn on(page: &Reply) -> Self {
        let text = page.text();
        let (_, form) = text
            .split_once("<form method=\"post\" action=\"")
            .unwrap_or_else(|| panic!("no button here ({}): {text}", page.status));
        let (action, form) = form.split_once('"').unwrap();
        assert!(form.starts_with(" enctype=\"text/plain\""), "{text}");
        let held = page.input("gatehouse-held").expect("it says what to send");
        let token = page.form_token();
        Self {
            action: action.replace("&#38;", "&").replace("&amp;", "&"),
            body: format!("gatehouse-held={held}\r\nform_token={token}\r\n"),
        }
    }
}

/// Where the page is that a challenge will lead to in the end.
pub fn kept_at(challenge: &Reply) -> String {
    let location = challenge.location();
    let location = if location.is_empty() {
        let told = challenge.json();
        told["location"].as_str().expect("a way on").to_owned()
    } else {
        location
    };
    let url = url::Url::parse("http://localhost")
        .unwrap()
        .join(&location)
        .unwrap();
    let mut parameters = url.query_pairs();
    let return_to = parameters.find(|(name, _)| name == "return_to");
    let (_, path) = return_to.unwrap_or_else(|| panic!("nothing to return to: {location}"));
    assert!(path.starts_with("/.gatehouse/resume?held="), "{path}");
    path.into_owned()
}
