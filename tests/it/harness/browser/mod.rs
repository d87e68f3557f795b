//! A person in front of real Chromium, with authenticators that the browser itself simulates. Actions are
//! named after what the person does; [`inspection`] looks at what they see.

mod authenticators;
mod inspection;

use serde_json::json;
use thirtyfour::{
    By, ChromiumLikeCapabilities, DesiredCapabilities, Key, WebDriver, WebElement,
    manager::BrowserKind,
};

use super::{
    cookies::SESSION,
    gateway::{Gateway, install_crypto_provider},
    scanner,
    waiting::{SOON, within},
};

/// One browser, started for one test; [`close`](Self::close) ends it.
pub struct Browser {
    driver: WebDriver,
    origin: String,
    authenticator: String,
}

/// Chromium completes a conditional request (autofill) by itself when a passkey exists, so no journey
/// could show that a click is what signs in. This leaves such requests waiting, as a person who does not
/// touch the field leaves them.
const NOBODY_TOUCHES_THE_FIELD: &str = "
    const get = navigator.credentials.get.bind(navigator.credentials);
    navigator.credentials.get = options => options?.mediation === 'conditional'
        ? new Promise((_, fail) => options.signal?.addEventListener('abort', () => fail(options.signal.reason)))
        : get(options);
";

impl Browser {
    /// A new browser whose owner ignores what autofill offers.
    pub async fn open(gateway: &Gateway) -> Self {
        let browser = Self::with_autofill(gateway).await;
        let script = json!({"source": NOBODY_TOUCHES_THE_FIELD});
        browser
            .devtools("Page.addScriptToEvaluateOnNewDocument", script)
            .await;
        browser
    }

    /// A new browser whose owner takes what autofill offers.
    pub async fn with_autofill(gateway: &Gateway) -> Self {
        install_crypto_provider();
        let mut chromium = DesiredCapabilities::chrome();
        for argument in [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--host-resolver-rules=MAP localhost 127.0.0.1, MAP *.localhost 127.0.0.1",
        ] {
            chromium.add_arg(argument).unwrap();
        }
        if let Ok(binary) = std::env::var("CHROMIUM") {
            chromium.set_binary(&binary).unwrap();
        }
        let driver = std::env::var("CHROMEDRIVER").unwrap_or_else(|_| "chromedriver".to_owned());
        let driver = WebDriver::managed(chromium)
            .driver_binary(BrowserKind::Chrome, driver)
            .offline()
            .await
            .expect("Chromium and ChromeDriver: tests/run installs them");
        let authenticator = authenticators::add_platform(&driver).await;
        Self {
            driver,
            origin: gateway.origin.clone(),
            authenticator,
        }
    }

    pub async fn close(self) {
        self.driver.quit().await.expect("the browser ends");
    }

    /// From now on no page runs a script.
    pub async fn without_javascript(&self) {
        self.devtools(
            "Emulation.setScriptExecutionDisabled",
            json!({"value": true}),
        )
        .await;
    }

    /// Types an address into the browser.
    pub async fn visit(&self, path: &str) {
        self.visit_link(&format!("{}{path}", self.origin)).await;
    }

    /// Follows a link from a mail.
    pub async fn visit_link(&self, link: &str) {
        self.driver.goto(link).await.expect("the page loads");
    }

    /// Presses the button, link or disclosure that says `words` in the page's main part.
    pub async fn press(&self, words: &str) {
        // What only screen readers are told follows the visible text.
        let text = xpath_text(words);
        let says = format!("normalize-space(.)={text} or normalize-space(text()[1])={text}");
        let control = format!("*[self::button or self::a or self::summary][{says}]");
        let control = format!("//main//{control} | //body[not(.//main)]//{control}");
        let pressed = self.retry(|| async {
            let control = self.usable(By::XPath(control.as_str())).await?;
            control.click().await.ok()
        });
        if pressed.await.is_none() {
            panic!("nothing here says {words:?}: {}", self.describe().await);
        }
    }

    /// Types into the visible field of this name.
    pub async fn type_into(&self, name: &str, text: &str) {
        let selector = format!("input[name='{name}'], textarea[name='{name}']");
        let typed = self.retry(|| async {
            let field = self.usable(By::Css(selector.as_str())).await?;
            field.clear().await.ok()?;
            field.send_keys(text).await.ok()
        });
        if typed.await.is_none() {
            panic!("no visible field {name:?}: {}", self.describe().await);
        }
    }

    /// Chooses a file in the field of this name.
    pub async fn choose_file(&self, name: &str, file: &std::path::Path) {
        let selector = format!("input[type='file'][name='{name}']");
        let chosen = self.retry(|| async {
            let field = self.usable(By::Css(selector.as_str())).await?;
            field.send_keys(file.to_str()?).await.ok()
        });
        if chosen.await.is_none() {
            panic!("no field for a file {name:?}: {}", self.describe().await);
        }
    }

    /// Chooses what says `words` in the list of this name.
    pub async fn pick(&self, name: &str, words: &str) {
        let text = xpath_text(words);
        let option = format!("//select[@name='{name}']/option[normalize-space(.)={text}]");
        let chosen = self.retry(|| async {
            let option = self.usable(By::XPath(option.as_str())).await?;
            option.click().await.ok()
        });
        if chosen.await.is_none() {
            panic!(
                "{name:?} does not offer {words:?}: {}",
                self.describe().await
            );
        }
    }

    /// The link that the page shows to be handed over.
    pub async fn handed_over_link(&self) -> String {
        let field = self.retry(|| async { self.usable(By::Id("link")).await });
        let field = field.await.expect("a link on this page");
        field.prop("value").await.unwrap().expect("it has a value")
    }

    /// Goes from control to control with the tab key until one says `words`, and presses Enter there. Where the
    /// focus is must be seen.
    pub async fn press_by_keyboard(&self, words: &str) {
        let found = self.tab_until(|element| async move {
            let said = element.text().await.unwrap_or_default();
            said.lines().next().is_some_and(|line| line.trim() == words)
        });
        let control = found.await;
        let control = control.unwrap_or_else(|| panic!("the tab key does not reach {words:?}"));
        let outline = control.css_value("outline-style").await.unwrap();
        assert_ne!(outline, "none", "nobody sees the focus on {words:?}");
        control.send_keys(Key::Enter).await.unwrap();
    }

    /// Goes to the field of this name in the same way, and types.
    pub async fn type_by_keyboard(&self, name: &str, text: &str) {
        let found = self.tab_until(|element| async move {
            element.attr("name").await.ok().flatten().as_deref() == Some(name)
        });
        let field = found.await;
        let field = field.unwrap_or_else(|| panic!("the tab key does not reach {name:?}"));
        field.send_keys(text).await.unwrap();
    }

    /// The first element with the focus that is the one; none on this page has more than thirty controls.
    async fn tab_until<F: Future<Output = bool>>(
        &self,
        is_it: impl Fn(WebElement) -> F,
    ) -> Option<WebElement> {
        for _ in 0..30 {
            let element = self.driver.active_element().await.ok()?;
            if is_it(element.clone()).await {
                return Some(element);
            }
            let tab = self.driver.action_chain().send_keys(Key::Tab);
            tab.perform().await.ok()?;
        }
        None
    }

    /// Waits until the page shows `words`.
    pub async fn sees(&self, words: &str) {
        let seen = || async { self.text().await.contains(words).then_some(()) };
        if self.retry(seen).await.is_none() {
            panic!("the page does not say {words:?}: {}", self.describe().await);
        }
    }

    /// Waits until the address is `path`, whatever its query.
    pub async fn arrives_at(&self, path: &str) {
        let arrived = || async { (self.path().await == path).then_some(()) };
        if self.retry(arrived).await.is_none() {
            panic!("not at {path}: {}", self.describe().await);
        }
    }

    /// The host of the address.
    pub async fn host(&self) -> String {
        let url = self.driver.current_url().await.unwrap();
        url.host_str().unwrap_or_default().to_owned()
    }

    /// The path of the address.
    pub async fn path(&self) -> String {
        self.driver.current_url().await.unwrap().path().to_owned()
    }

    /// What the page shows large, in order: codes and numbers to type elsewhere.
    pub async fn big_codes(&self) -> Vec<String> {
        let mut shown = Vec::new();
        for code in self.driver.find_all(By::Css(".big-code")).await.unwrap() {
            shown.push(code.text().await.unwrap());
        }
        shown
    }

    /// What a phone's camera reads off the screen.
    pub async fn scanned(&self) -> String {
        let attribute = async |selector: &str, name: &str| {
            let element = self
                .driver
                .find(By::Css(selector))
                .await
                .expect("a picture");
            element.attr(name).await.unwrap().expect("it is drawn")
        };
        let size = attribute("svg.qr", "viewBox").await;
        let size = size.rsplit(' ').next().unwrap().parse().unwrap();
        scanner::scan(size, &attribute("svg.qr path", "d").await)
    }

    /// Presses the browser's own button for the page before.
    pub async fn go_back(&self) {
        self.driver.back().await.expect("there is a page before");
    }

    /// The backup codes that the page shows.
    pub async fn backup_codes_shown(&self) -> Vec<String> {
        let mut codes = Vec::new();
        for item in self.driver.find_all(By::Css(".codes li")).await.unwrap() {
            codes.push(item.text().await.unwrap());
        }
        codes
    }

    /// Whether the browser has a session cookie.
    pub async fn has_session_cookie(&self) -> bool {
        self.driver.get_named_cookie(SESSION).await.is_ok()
    }

    /// The first control that people could use now. One that vanishes while it is looked at, because the
    /// next page is coming, is none.
    async fn usable(&self, by: By) -> Option<WebElement> {
        for control in self.driver.find_all(by).await.ok()? {
            if control.is_displayed().await.ok()? && control.is_enabled().await.ok()? {
                return Some(control);
            }
        }
        None
    }

    /// Tries until it works, or `None` when it has not soon.
    async fn retry<T, F: Future<Output = Option<T>>>(
        &self,
        attempt: impl FnMut() -> F,
    ) -> Option<T> {
        tokio::time::timeout(SOON, within(SOON * 2, "an action", attempt))
            .await
            .ok()
    }

    async fn text(&self) -> String {
        // Between two pages there is no body for a moment.
        match self.driver.find(By::Tag("body")).await {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    async fn describe(&self) -> String {
        let url = self.driver.current_url().await.map(|url| url.to_string());
        format!("{}\n{}", url.unwrap_or_default(), self.text().await)
    }

    async fn devtools(&self, method: &str, parameters: serde_json::Value) -> serde_json::Value {
        self.driver
            .cdp()
            .send_raw(method, parameters)
            .await
            .expect("Chromium knows the command")
    }
}

/// What people do on the gateway's pages, in the words of the pages.
impl Browser {
    pub async fn sign_in_with_passkey(&self) {
        self.press("Sign in with passkey").await;
    }

    pub async fn ask_for_sign_in_link(&self, address: &str) {
        self.press("Can't use passkey?").await;
        self.send_address(address).await;
    }

    /// On a page that lists ways back.
    pub async fn choose(&self, way: &str) {
        let way = xpath_text(way);
        let link = format!("//main//a[.//strong[normalize-space(.)={way}]]");
        let chosen = self.retry(|| async {
            let link = self.usable(By::XPath(link.as_str())).await?;
            link.click().await.ok()
        });
        if chosen.await.is_none() {
            panic!("no way back is called {way}: {}", self.describe().await);
        }
    }

    /// After a passkey failed, when the email form is open already.
    pub async fn send_address(&self, address: &str) {
        self.type_into("email", address).await;
        self.press("Send link").await;
    }

    /// On the page of an invitation, of a restricted session, or of one more passkey.
    pub async fn save_passkey(&self) {
        self.press("Create a passkey").await;
        self.sees("Passkey saved to this device").await;
    }

    /// The same in a recovery, where new passkeys wait.
    pub async fn save_passkey_that_waits(&self) {
        self.press("Create a passkey").await;
        self.sees("It opens everything from").await;
    }

    pub async fn enrol(&self, link: &str) {
        self.visit_link(link).await;
        self.save_passkey().await;
        self.press("Later").await;
        self.arrives_at("/").await;
    }

    pub async fn sign_out(&self) {
        self.visit("/.gatehouse/sign-out").await;
        self.press("Sign out").await;
        self.sees("Signed out").await;
    }

    /// The passkey was cancelled, locked or missing, and the page says so without blaming anybody.
    pub async fn notices_that_it_did_not_work(&self) {
        self.sees("The passkey was not used").await;
    }

    /// Opens the email part of the sign-in page, unless autofill was faster and the page is gone.
    pub async fn show_email_field(&self) {
        if let Ok(disclosure) = self.driver.find(By::Tag("summary")).await {
            disclosure.click().await.ok();
        }
    }

    /// After a sign-in by mail, when a passkey is asked for.
    pub async fn continue_with_limited_access(&self) {
        self.sees("Save a passkey to go on").await;
        self.press("Continue with limited access").await;
    }

    pub async fn rename_passkey(&self, label: &str) {
        self.press("Rename").await;
        self.type_into("label", label).await;
        self.press("Save").await;
    }

    pub async fn step_up(&self) {
        self.arrives_at("/.gatehouse/step-up").await;
        self.press("Confirm with passkey").await;
    }
}

fn xpath_text(words: &str) -> String {
    // XPath 1.0 has no escapes: a text with an apostrophe goes into quotation marks.
    if words.contains('\'') {
        format!("\"{words}\"")
    } else {
        format!("'{words}'")
    }
}
