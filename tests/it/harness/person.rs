//! Somebody in front of a browser, without the browser: cookies are kept, forms are read from pages before
//! they are sent, passkeys come from a software authenticator. Actions are named after what a person does.

use std::{sync::Mutex, time::Duration};

use reqwest::{
    Client, ClientBuilder, Method, RequestBuilder,
    header::{ACCEPT, CONTENT_TYPE, COOKIE, ORIGIN},
    redirect::Policy,
};
use serde_json::{Value as Json, json};

use super::{
    authenticator::Authenticator,
    cookies::{CookieJar, SESSION},
    gateway::{AUTH_HOST, Gateway},
    page::Reply,
};

/// One person, one browser, one phone.
pub struct Person {
    pub origin: String,
    pub phone: Authenticator,
    client: Client,
    cookies: Mutex<CookieJar>,
}

/// What a browser speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    /// By prior knowledge without TLS, by ALPN with it.
    Http2,
}

/// A passkey exchange that a page has begun.
#[derive(Clone, Debug)]
pub struct Ceremony {
    pub form_token: String,
    pub public_key: Json,
    pub state: Json,
}

impl Person {
    pub fn new(gateway: &Gateway, protocol: Protocol) -> Self {
        let mut client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .resolve("localhost", gateway.address)
            .resolve(AUTH_HOST, gateway.address);
        client = match (protocol, &gateway.certificates) {
            (Protocol::Http1, _) => client.http1_only(),
            (Protocol::Http2, Some(_)) => client,
            (Protocol::Http2, None) => client.http2_prior_knowledge(),
        };
        if let Some(certificates) = &gateway.certificates {
            client = client.tls_certs_only([certificates.root()]);
        }
        Self::with(client, gateway.origin.clone())
    }

    /// The same browser's other half: what it has and does at another host of the gateway.
    pub fn at(gateway: &Gateway, host: &str) -> Self {
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .resolve(host, gateway.address)
            .http1_only();
        let port = gateway.origin.rsplit(':').next().unwrap_or_default();
        Self::with(client, format!("http://{host}:{port}"))
    }

    fn with(client: ClientBuilder, origin: String) -> Self {
        Self {
            origin,
            phone: Authenticator::phone(),
            client: client.build().unwrap(),
            cookies: Mutex::default(),
        }
    }

    /// Types an address into the browser, or follows a link.
    pub async fn open(&self, path: &str) -> Reply {
        self.send(navigation(self.request(Method::GET, path))).await
    }

    /// What a page's own script gets from `fetch`.
    pub async fn fetch(&self, method: Method, path: &str) -> Reply {
        let request = self
            .request(method, path)
            .header(ACCEPT, "application/json")
            .header("Sec-Fetch-Mode", "cors");
        self.send(self.sent_by_own_page(request)).await
    }

    /// Sends a form of `page` to `action`.
    pub async fn submit(&self, page: &Reply, action: &str, fields: &[(&str, &str)]) -> Reply {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .append_pair("form_token", &page.form_token())
            .finish();
        self.send_form(action, form).await
    }

    /// The same towards a gateway that may die meanwhile: `None` when there is no answer.
    pub async fn try_submit(
        &self,
        page: &Reply,
        action: &str,
        fields: &[(&str, &str)],
    ) -> Option<Reply> {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .append_pair("form_token", &page.form_token())
            .finish();
        let request = navigation(self.request(Method::POST, action))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form);
        let response = self.sent_by_own_page(request).send().await.ok()?;
        Reply::try_read(response, &self.origin).await
    }

    /// Sends a form as it stands, with whatever token it has or lacks.
    pub async fn send_form(&self, action: &str, form: String) -> Reply {
        let request = navigation(self.request(Method::POST, action))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form);
        self.send(self.sent_by_own_page(request)).await
    }

    /// What a page's own script sends with its form token.
    pub async fn post_json(&self, form_token: &str, path: &str, body: &Json) -> Reply {
        let request = self
            .request(Method::POST, path)
            .header(ACCEPT, "application/json")
            .header("Sec-Fetch-Mode", "cors")
            .header("X-Gatehouse-Form", form_token)
            .json(body);
        self.send(self.sent_by_own_page(request)).await
    }

    /// A request of this browser, with its cookies.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self
            .client
            .request(method, format!("{}{path}", self.origin));
        match self.cookies.lock().unwrap().header() {
            Some(cookies) => request.header(COOKIE, cookies),
            None => request,
        }
    }

    /// Sends a request and keeps the cookies that come back.
    pub async fn send(&self, request: RequestBuilder) -> Reply {
        let response = request.send().await.expect("an answer");
        let reply = Reply::read(response, &self.origin).await;
        self.cookies.lock().unwrap().take_from(&reply.headers);
        reply
    }

    fn sent_by_own_page(&self, request: RequestBuilder) -> RequestBuilder {
        request
            .header(ORIGIN, &self.origin)
            .header("Sec-Fetch-Site", "same-origin")
    }
}

/// Sign-in by mail.
impl Person {
    /// Opens the sign-in page and sends its email form.
    pub async fn ask_for_mail(&self, address: &str, return_to: &str) -> Reply {
        let page = self.open(&sign_in_page(return_to)).await;
        let fields = [("email", address), ("return_to", return_to)];
        self.submit(&page, "/.gatehouse/sign-in/email", &fields)
            .await
    }

    /// Types a code into the page that waits for it.
    pub async fn enter_code(&self, code: &str) -> Reply {
        let page = self.open("/.gatehouse/sign-in/code").await;
        self.submit(&page, "/.gatehouse/sign-in/code", &[("code", code)])
            .await
    }

    /// Clicks the link in a mail. The page that opens has changed nothing yet.
    pub async fn open_link(&self, link: &str) -> Reply {
        self.open(
            link.strip_prefix(&self.origin)
                .expect("a link to this gateway"),
        )
        .await
    }

    /// Presses the button of the page that a link opened.
    pub async fn confirm_link(&self, page: &Reply) -> Reply {
        let token = page
            .input("token")
            .unwrap_or_else(|| panic!("no button here: {}", page.text()));
        self.submit(page, "/.gatehouse/sign-in/link", &[("token", &token)])
            .await
    }
}

/// Passkeys.
impl Person {
    /// Saves a passkey: with an invitation, or within the session at hand.
    pub async fn enrol(&mut self, invitation: Option<&str>, return_to: &str) -> Reply {
        let ceremony = self.begin_enrolment(invitation).await;
        let credential = self
            .phone
            .create(&ceremony.public_key, &self.origin)
            .expect("a new passkey");
        self.finish_enrolment(&ceremony, invitation, credential, return_to)
            .await
    }

    pub async fn begin_enrolment(&self, invitation: Option<&str>) -> Ceremony {
        let page = match invitation {
            Some(token) => format!("/.gatehouse/enrol?invitation={token}"),
            None => "/.gatehouse/enrol".to_owned(),
        };
        self.begin(
            &page,
            "/.gatehouse/enrol/start",
            &json!({"invitation": invitation}),
        )
        .await
    }

    pub async fn finish_enrolment(
        &self,
        ceremony: &Ceremony,
        invitation: Option<&str>,
        credential: Json,
        return_to: &str,
    ) -> Reply {
        let answer = json!({
            "state": ceremony.state,
            "credential": credential,
            "invitation": invitation,
            "return_to": return_to,
        });
        self.post_json(&ceremony.form_token, "/.gatehouse/enrol/finish", &answer)
            .await
    }

    /// Presses *Sign in with passkey* and unlocks the phone.
    pub async fn sign_in(&mut self, return_to: &str) -> Reply {
        let ceremony = self.begin_sign_in(return_to).await;
        let credential = self
            .phone
            .get(&ceremony.public_key, &self.origin)
            .expect("a passkey for this place");
        self.finish_sign_in(&ceremony, credential, return_to).await
    }

    pub async fn begin_sign_in(&self, return_to: &str) -> Ceremony {
        self.begin(
            &sign_in_page(return_to),
            "/.gatehouse/sign-in/passkey/start",
            &json!({}),
        )
        .await
    }

    pub async fn finish_sign_in(
        &self,
        ceremony: &Ceremony,
        credential: Json,
        return_to: &str,
    ) -> Reply {
        self.finish(
            ceremony,
            "/.gatehouse/sign-in/passkey/finish",
            credential,
            return_to,
        )
        .await
    }

    /// Proves the passkey again.
    pub async fn step_up(&mut self, return_to: &str) -> Reply {
        let ceremony = self.begin_step_up().await;
        let credential = self
            .phone
            .get(&ceremony.public_key, &self.origin)
            .expect("this account's passkey");
        self.finish_step_up(&ceremony, credential, return_to).await
    }

    pub async fn begin_step_up(&self) -> Ceremony {
        self.begin(
            "/.gatehouse/step-up",
            "/.gatehouse/step-up/start",
            &json!({}),
        )
        .await
    }

    pub async fn finish_step_up(
        &self,
        ceremony: &Ceremony,
        credential: Json,
        return_to: &str,
    ) -> Reply {
        self.finish(
            ceremony,
            "/.gatehouse/step-up/finish",
            credential,
            return_to,
        )
        .await
    }

    async fn begin(&self, page: &str, start: &str, body: &Json) -> Ceremony {
        let form_token = self.open(page).await.form_token();
        let started = self.post_json(&form_token, start, body).await;
        assert_eq!(started.status, 200, "{start}: {}", started.text());
        let started = started.json();
        Ceremony {
            form_token,
            public_key: started["publicKey"].clone(),
            state: started["state"].clone(),
        }
    }

    async fn finish(
        &self,
        ceremony: &Ceremony,
        path: &str,
        credential: Json,
        return_to: &str,
    ) -> Reply {
        let answer =
            json!({"state": ceremony.state, "credential": credential, "return_to": return_to});
        self.post_json(&ceremony.form_token, path, &answer).await
    }
}

/// Backup codes.
impl Person {
    /// Presses the button that makes backup codes, in a session fresh enough for it. Gives the codes.
    pub async fn make_backup_codes(&self) -> Vec<String> {
        let page = self.open("/.gatehouse/account/backup-codes").await;
        codes_on(&self.press_make_backup_codes(&page).await)
    }

    /// Presses that button on a page that was opened before.
    pub async fn press_make_backup_codes(&self, page: &Reply) -> Reply {
        let older = page.input("older").unwrap_or_default();
        let fields = [("older", older.as_str()), ("return_to", "/notes/7")];
        self.submit(page, "/.gatehouse/account/backup-codes", &fields)
            .await
    }

    /// Types a name and a backup code.
    pub async fn enter_backup_code(&self, name: &str, code: &str) -> Reply {
        let page = self.open("/.gatehouse/recover/code").await;
        let fields = [("name", name), ("code", code), ("return_to", "/notes/7")];
        self.submit(&page, "/.gatehouse/recover/code", &fields)
            .await
    }
}

/// The session.
impl Person {
    /// `none`, `restricted` or `full`, as the gateway tells the page's scripts.
    pub async fn session_kind(&self) -> String {
        let told = self.fetch(Method::GET, "/.gatehouse/session").await.json();
        told["kind"].as_str().expect("a kind").to_owned()
    }

    /// Presses a button of the account page that goes to `action`.
    pub async fn press_on_account_page(&self, action: &str) -> Reply {
        let page = self.open("/.gatehouse/account").await;
        self.submit(&page, action, &[]).await
    }

    /// The session cookie's value.
    pub fn session_cookie(&self) -> Option<String> {
        self.cookies
            .lock()
            .unwrap()
            .value(SESSION)
            .map(str::to_owned)
    }

    /// Puts a cookie into the browser by hand.
    pub fn keep_cookie(&self, name: &str, value: &str) {
        self.cookies.lock().unwrap().set(name, value);
    }

    /// The browser's cookies as it sends them.
    pub fn cookie_header(&self) -> String {
        self.cookies.lock().unwrap().header().unwrap_or_default()
    }
}

/// What browsers say of a request that loads a page.
fn navigation(request: RequestBuilder) -> RequestBuilder {
    request
        .header(ACCEPT, "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
        .header("Sec-Fetch-Mode", "navigate")
        .header("Sec-Fetch-Dest", "document")
}

/// The sign-in page of somebody who wants to go to `return_to`.
pub fn sign_in_page(return_to: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("return_to", return_to)
        .finish();
    format!("/.gatehouse/sign-in?{query}")
}

/// The backup codes that a page shows.
pub fn codes_on(page: &Reply) -> Vec<String> {
    let text = page.text();
    let (_, list) = text.split_once("<ol class=\"codes\">").unwrap_or_default();
    let (list, _) = list.split_once("</ol>").unwrap_or_default();
    list.split("<li data-line>")
        .skip(1)
        .map(|item| item.split('<').next().unwrap_or_default().to_owned())
        .collect()
}
