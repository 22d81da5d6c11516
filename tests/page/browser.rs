//! A browser, and a person's actions in it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use base64::Engine as _;
use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::elements::Element;
use fantoccini::error::{CmdError, ErrorStatus};
use fantoccini::key::Key;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{GUARD, pictures};

/// A running browser. It ends when this is dropped.
pub(super) struct Browser {
    pub(super) client: Client,
    driver: Child,
    _profile: TempDir,
}

/// A command of the browser's own protocol.
#[derive(Debug)]
struct Own(&'static str, Value);

impl WebDriverCompatibleCommand for Own {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({ "cmd": self.0, "params": self.1 }).to_string()))
    }
}

/// Tells whether an element could not be acted on because it was gone, hidden or covered at that moment.
fn was_away(failure: &CmdError) -> bool {
    let CmdError::Standard(failure) = failure else { return false };
    matches!(
        failure.error,
        ErrorStatus::ElementNotInteractable
            | ErrorStatus::ElementClickIntercepted
            | ErrorStatus::NoSuchElement
            | ErrorStatus::StaleElementReference
    )
}

impl Browser {
    /// Starts a new browser with a desktop's width and this language.
    pub(super) async fn start(language: &str) -> Self {
        // The driver takes a port that is free in one address family. Another process may have it in the other one.
        let (driver, port) = (0..5).find_map(|_| Self::drive()).expect("chromedriver cannot listen");
        let profile = tempfile::tempdir().unwrap();
        let folder = format!("--user-data-dir={}", profile.path().display());
        let languages = format!("--accept-lang={language}");
        let flags = [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            &folder,
            &languages,
        ];
        let options = json!({
            "goog:chromeOptions": { "args": flags, "binary": concat!(env!("CARGO_MANIFEST_DIR"), "/tests/page/headless-shell") },
            "goog:loggingPrefs": { "browser": "ALL" },
            "unhandledPromptBehavior": "ignore",
            "timeouts": { "script": 30_000 },
        });
        let Value::Object(options) = options else { unreachable!() };
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(options.into_iter().collect::<Capabilities>());
        let client = builder.connect(&format!("http://127.0.0.1:{port}")).await.unwrap();
        let browser = Self { client, driver, _profile: profile };
        browser.show(1280, 900, false).await;
        browser
    }

    /// Starts a driver. Returns the port that it listens at.
    fn drive() -> Option<(Child, u16)> {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is needed: `tests/run` installs it, and chromium-headless-shell");
        let mut said = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = said.find_map(|line| {
            line.split("started successfully on port ").nth(1)?.trim_end_matches('.').parse().ok()
        });
        if port.is_none() {
            driver.wait().unwrap();
        }
        Some((driver, port?))
    }

    /// Changes the size, and the light or dark colour scheme.
    pub(super) async fn show(&self, width: u32, height: u32, dark: bool) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.own("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.own("Emulation.setEmulatedMedia", media).await;
    }

    /// Moves the browser to a time zone.
    pub(super) async fn travel(&self, zone: &str) {
        self.own("Emulation.setTimezoneOverride", json!({ "timezoneId": zone })).await;
    }

    async fn own(&self, command: &'static str, params: Value) -> Value {
        self.client.issue_cmd(Own(command, params)).await.unwrap()
    }

    pub(super) async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// Clicks on an element once it can be seen, and not on one in a dialog that is closed or being replaced.
    pub(super) async fn click(&self, selector: &str) {
        self.act_on(selector, Element::click).await;
    }

    pub(super) async fn fill(&self, selector: &str, text: &str) {
        self.act_on(selector, async |element| element.send_keys(text).await).await;
    }

    /// Acts on an element, again if the page took the element away at that moment.
    async fn act_on(&self, selector: &str, act: impl AsyncFn(&Element) -> Result<(), CmdError>) {
        let began = Instant::now();
        loop {
            self.wait(&format!("document.querySelector({selector:?}).checkVisibility()")).await;
            let done = match self.client.find(Locator::Css(selector)).await {
                Ok(element) => act(&element).await,
                Err(missing) => Err(missing),
            };
            match done {
                Ok(()) => return,
                Err(failure) if began.elapsed() > GUARD || !was_away(&failure) => {
                    panic!("{selector}: {failure}")
                }
                Err(_) => {}
            }
        }
    }

    /// Presses a key this many times.
    pub(super) async fn press(&self, key: Key, times: usize) {
        for _ in 0..times {
            let value = char::from(key);
            let keys = KeyActions::new("keys".to_owned())
                .then(KeyAction::Down { value })
                .then(KeyAction::Up { value });
            self.client.perform_actions(keys).await.unwrap();
        }
    }

    /// Returns the value of an expression.
    pub(super) async fn value(&self, expression: &str) -> Value {
        self.client.execute(&format!("return {expression}"), Vec::new()).await.unwrap()
    }

    /// Returns the text of an element.
    pub(super) async fn text(&self, selector: &str) -> String {
        let text = self.value(&format!("document.querySelector({selector:?})?.innerText ?? ''")).await;
        text.as_str().unwrap().to_owned()
    }

    /// Returns the number in an element's text.
    pub(super) async fn number(&self, selector: &str) -> u64 {
        let text = self.text(selector).await;
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        digits.parse().unwrap_or_else(|_| panic!("{selector}: {text:?}"))
    }

    /// Waits until an expression is true. The page evaluates it after each change.
    #[track_caller]
    pub(super) fn wait<'a>(&'a self, expression: &str) -> impl Future<Output = ()> + use<'a> {
        let caller = std::panic::Location::caller();
        let script = format!(
            "const done = arguments[arguments.length - 1];
            const good = () => {{ try {{ return Boolean({expression}); }} catch {{ return false; }} }};
            if (good()) return done(true);
            const watcher = new MutationObserver(() => {{ if (good()) finish(true); }});
            const end = setTimeout(() => finish(good()), 500);
            function finish(came) {{ watcher.disconnect(); clearTimeout(end); done(came); }}
            watcher.observe(document, {{ subtree: true, childList: true, attributes: true, characterData: true }});"
        );
        let expression = expression.to_owned();
        async move {
            let began = Instant::now();
            // A page that is being left returns an error. The next page is asked then.
            while self.client.execute_async(&script, Vec::new()).await.ok() != Some(json!(true)) {
                if began.elapsed() > GUARD {
                    let page = self.client.source().await.unwrap_or_default();
                    panic!("{caller}: never came true: {expression}\n{page}");
                }
            }
        }
    }

    /// Waits until an element has this text.
    #[track_caller]
    pub(super) fn wait_text<'a>(&'a self, selector: &str, text: &str) -> impl Future<Output = ()> + use<'a> {
        self.wait(&format!("document.querySelector({selector:?}).innerText.includes({text:?})"))
    }

    /// Saves a picture of the whole page, for people.
    pub(super) async fn picture(&self, name: &str) {
        let taken = self.own("Page.captureScreenshot", json!({ "captureBeyondViewport": true })).await;
        let bytes = base64::prelude::BASE64_STANDARD.decode(taken["data"].as_str().unwrap()).unwrap();
        std::fs::write(pictures().join(format!("{name}.png")), bytes).unwrap();
    }

    /// Checks that the page is not wider than the window, and that each control has a name.
    pub(super) async fn fits(&self) {
        let wide = "document.scrollingElement.scrollWidth <= document.documentElement.clientWidth";
        assert_eq!(self.value(wide).await, json!(true), "{}", self.client.current_url().await.unwrap());
        let nameless = "[...document.querySelectorAll('a, button, summary')]
            .filter((one) => !(one.innerText || one.getAttribute('aria-label') || '').trim() && !one.querySelector('img')).length";
        assert_eq!(self.value(nameless).await, json!(0));
    }

    /// Closes the browser.
    pub(super) async fn close(self) {
        self.client.clone().close().await.unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
