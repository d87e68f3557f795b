//! What came back: an answer, and as much reading of a page as a form needs.

use reqwest::{StatusCode, Version, header::HeaderMap};

use super::cookies::{SESSION, set_cookie_lines};

/// An answer, read to its end.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub version: Version,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// Where the request went, to tell own redirects from foreign ones.
    pub origin: String,
}

impl Reply {
    pub async fn read(response: reqwest::Response, origin: &str) -> Self {
        Self::try_read(response, origin)
            .await
            .expect("a whole answer")
    }

    /// `None` when the answer breaks off.
    pub async fn try_read(response: reqwest::Response, origin: &str) -> Option<Self> {
        Some(Self {
            status: response.status(),
            version: response.version(),
            headers: response.headers().clone(),
            body: response.bytes().await.ok()?.to_vec(),
            origin: origin.to_owned(),
        })
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// One field's value, empty when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("an ASCII field"))
    }

    /// The target of a redirect without this gateway's own origin.
    pub fn location(&self) -> String {
        let location = self.header("location");
        location
            .strip_prefix(&self.origin)
            .unwrap_or(location)
            .to_owned()
    }

    /// Whether it is a redirect to `path` (with any query).
    pub fn leads_to(&self, path: &str) -> bool {
        let location = self.location();
        self.status.is_redirection() && location.split('?').next() == Some(path)
    }

    /// The line that sets the session cookie, if there is one.
    pub fn session_cookie(&self) -> Option<String> {
        set_cookie_lines(&self.headers)
            .into_iter()
            .find(|line| line.starts_with(&format!("{SESSION}=")))
    }

    /// The token that every form and script of a page sends back.
    pub fn form_token(&self) -> String {
        let page = self.text();
        attribute_of(&page, "name=\"form_token\"", "value")
            .or_else(|| attribute_of(&page, "data-form-token=", "data-form-token"))
            .unwrap_or_else(|| panic!("no form token on this page ({}): {page}", self.status))
    }

    /// What the page shows large, in order: codes and numbers to type elsewhere.
    pub fn big_codes(&self) -> Vec<String> {
        let page = self.text();
        let shown = page.split("class=\"big-code").skip(1);
        shown
            .filter_map(|rest| Some(rest.split_once('>')?.1.split_once('<')?.0.to_owned()))
            .collect()
    }

    /// What a phone's camera reads off the page.
    pub fn scanned(&self) -> String {
        let page = self.text();
        let (_, picture) = page.split_once("class=\"qr\"").expect("a picture");
        let attribute = |name: &str| {
            let (_, value) = picture.split_once(&format!(" {name}=\""))?;
            Some(value.split_once('"')?.0.to_owned())
        };
        let path = attribute("d").expect("it is drawn");
        let size = attribute("viewBox").expect("it has a size");
        let size = size.rsplit(' ').next().unwrap().parse().unwrap();
        super::scanner::scan(size, &path)
    }

    /// The value of an input.
    pub fn input(&self, name: &str) -> Option<String> {
        attribute_of(&self.text(), &format!("name=\"{name}\""), "value")
    }
}

/// The attribute of the first tag that contains `mark`.
fn attribute_of(page: &str, mark: &str, attribute: &str) -> Option<String> {
    let tag = page
        .split('<')
        .find(|tag| tag.split('>').next().is_some_and(|tag| tag.contains(mark)))?;
    let value = tag
        .split_once(&format!(" {attribute}=\""))?
        .1
        .split('"')
        .next()?;
    Some(value.replace("&#38;", "&").replace("&amp;", "&"))
}
