//! Proves the demo server's pages in a real browser: headless Chromium through chromedriver (feature `browser-tests`).
//!
//! With `DEMO_SCREENSHOTS=folder` it also leaves pictures of the pages there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod support;

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use device_flow_cli::demo::{Options, Server};
use fantoccini::actions::{InputSource as _, KeyAction, KeyActions, MouseActions, PointerAction};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';

/// One browser with one window, in front of one server.
#[derive(Clone)]
struct Window {
    client: Client,
    server: std::sync::Arc<Server>,
}

/// What a test may want to be different about its browser.
#[derive(Default)]
struct Setup {
    arguments: Vec<&'static str>,
    /// Members of `goog:chromeOptions`.
    chrome: Vec<(&'static str, Value)>,
    server: Options,
}

impl Setup {
    fn phone(width: u32) -> Self {
        let metrics = json!({ "width": width, "height": 780, "pixelRatio": 2.0, "mobile": true, "touch": true });
        Self { chrome: vec![("mobileEmulation", json!({ "deviceMetrics": metrics }))], ..Self::default() }
    }

    /// Runs a test and cleans up behind it, whether it passes or panics.
    async fn run<T: Future<Output = ()> + Send + 'static>(self, test: impl FnOnce(Window) -> T) {
        let driver = Driver::start();
        let profile = driver.profile.display().to_string();
        let mut arguments: Vec<String> = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
            --disable-background-networking --disable-component-update --disable-sync --disable-dev-shm-usage"
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        arguments.push(format!("--user-data-dir={profile}"));
        arguments.extend(self.arguments.into_iter().map(str::to_owned));
        let mut chrome = json!({ "args": arguments });
        for (name, value) in self.chrome {
            chrome[name] = value;
        }
        let capabilities = json!({ "goog:chromeOptions": chrome }).as_object().unwrap().clone();
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{}", driver.port))
            .await
            .expect("chromedriver starts Chromium");
        let server = std::sync::Arc::new(Server::start(self.server).await.unwrap());
        let outcome = tokio::spawn(test(Window { client: client.clone(), server })).await;
        client.close().await.unwrap();
        outcome.unwrap();
    }
}

struct Driver {
    process: Child,
    port: u16,
    profile: PathBuf,
}

impl Driver {
    fn start() -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let profile =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("profile-{}-{number}", std::process::id()));
        std::fs::create_dir(&profile).unwrap();
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .spawn()
            .expect("chromedriver is needed for the feature browser-tests (Debian: apt install chromium-driver)");
        let port = BufReader::new(process.stdout.take().unwrap())
            .lines()
            .find_map(|line| {
                line.unwrap().split_once("started successfully on port ")?.1.trim_end_matches('.').parse().ok()
            })
            .expect("chromedriver tells its port");
        Self { process, port, profile }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        // Chromium may still be writing its last words.
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

impl Window {
    /// A device asks to sign in; its user code.
    async fn begin(&self) -> String {
        self.begin_as("living-room-tv").await
    }

    async fn begin_as(&self, client_id: &str) -> String {
        let response = support::http_client()
            .post(format!("{}/device_authorization", self.server.base_url()))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("client_id={client_id}&scope=openid+profile+offline_access+photos:read"))
            .send()
            .await
            .unwrap();
        let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        answer["user_code"].as_str().unwrap().to_owned()
    }

    async fn open(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.server.base_url())).await.unwrap();
    }

    /// Opens the entry page and types a code into it.
    async fn enter(&self, code: &str) {
        self.open("/device").await;
        self.client.find(Locator::Id("user_code")).await.unwrap().send_keys(code).await.unwrap();
        self.press_button("Continue").await;
    }

    async fn press_button(&self, name: &str) {
        let button = format!("//button[normalize-space()='{name}']");
        self.client.find(Locator::XPath(&button)).await.unwrap().click().await.unwrap();
    }

    async fn key(&self, key: char) {
        let keys = KeyActions::new("keyboard".to_owned());
        let keys = keys.then(KeyAction::Down { value: key }).then(KeyAction::Up { value: key });
        self.client.perform_actions(keys).await.unwrap();
    }

    async fn text(&self, selector: &str) -> String {
        self.client.find(Locator::Css(selector)).await.unwrap().text().await.unwrap()
    }

    /// Waits for the page with this heading: a click returns before the next page is there.
    async fn heading(&self, heading: &str) {
        let heading = format!("//h1[normalize-space()='{heading}']");
        let patience = self.client.wait().at_most(Duration::from_secs(10));
        patience.for_element(Locator::XPath(&heading)).await.unwrap_or_else(|_| panic!("no page {heading}"));
    }

    async fn confirm_page(&self) {
        self.heading("Let living-room-tv use your account?").await;
    }

    async fn problem(&self, words: &str) {
        let patience = self.client.wait().at_most(Duration::from_secs(10));
        let problem = patience.for_element(Locator::Css("[role=alert]")).await.unwrap().text().await.unwrap();
        assert!(problem.contains(words), "{problem}");
        assert_eq!(self.text("label").await, "Enter the code that your device or terminal shows.", "one can try again");
    }

    async fn script(&self, expression: &str) -> Value {
        self.client.execute(&format!("return {expression}"), vec![]).await.unwrap()
    }

    async fn screenshot(&self, name: &str) {
        if let Some(folder) = std::env::var_os("DEMO_SCREENSHOTS") {
            std::fs::write(PathBuf::from(folder).join(name), self.client.screenshot().await.unwrap()).unwrap();
        }
    }
}

#[tokio::test]
async fn a_person_enters_the_code_and_approves() {
    let test = async |window: Window| {
        let code = window.begin().await;
        window.enter(&code.to_lowercase().replace('-', " ")).await;
        window.confirm_page().await;
        assert_eq!(window.text(".ticket .code").await, code);
        assert!(window.text(".account").await.contains("Signed in as Ada Demo"));
        assert!(window.text(".warning").await.starts_with("Only approve if you started this sign-in yourself."));
        let scopes = window.text(".scopes").await;
        assert!(scopes.contains("See your name") && scopes.contains("photos:read"), "{scopes}");
        window.screenshot("confirm-light.png").await;
        window.press_button("Approve").await;
        window.heading("Approved").await;
        window.screenshot("approved-light.png").await;
        assert!(window.server.approve(&code) && !window.server.deny(&code));
        window.open("/").await;
        window.screenshot("home-light.png").await;
    };
    Setup::default().run(test).await;
}

#[tokio::test]
async fn a_person_opens_the_complete_address_and_denies() {
    let test = async |window: Window| {
        let code = window.begin().await;
        window.open(&format!("/device?user_code={code}")).await;
        window.confirm_page().await;
        window.press_button("Deny").await;
        window.heading("Denied").await;
        window.screenshot("denied-light.png").await;
        assert!(window.server.deny(&code) && !window.server.approve(&code));
    };
    Setup::default().run(test).await;
}

/// The README's first command, a person in a browser, and how it ends.
#[tokio::test]
async fn the_demo_command_signs_a_person_in_or_not() {
    let test = async |window: Window| {
        for (button, heading, exit, said) in
            [("Approve", "Approved", 0, "Signed in to"), ("Deny", "Denied", 3, "denied")]
        {
            let mut demo = Command::new(env!("CARGO_BIN_EXE_device-flow"));
            let demo = demo.args(["demo", "--interval", "1s"]).stdin(Stdio::null());
            let mut demo = demo.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let mut told = BufReader::new(demo.stderr.take().unwrap()).lines().map(Result::unwrap);
            let address = told.find_map(|line| {
                line.trim().strip_prefix("or open").map(|rest| rest.split_whitespace().next().unwrap().to_owned())
            });
            window.client.goto(&address.unwrap()).await.unwrap();
            window.heading("Let device-flow-demo use your account?").await;
            window.press_button(button).await;
            window.heading(heading).await;
            let rest: Vec<String> = tokio::task::spawn_blocking(move || told.collect()).await.unwrap();
            let output = demo.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(exit), "{rest:?}");
            let everything = String::from_utf8(output.stdout).unwrap() + &rest.join("\n");
            assert!(everything.contains(said), "{everything}");
        }
    };
    Setup::default().run(test).await;
}

#[tokio::test]
async fn a_wrong_code_is_explained_and_can_be_mended() {
    let test = async |window: Window| {
        let code = window.begin().await;
        window.enter("AAAA-AAAA").await;
        window.problem("No sign-in has this code").await;
        window.screenshot("wrong-light.png").await;
        let field = window.client.find(Locator::Id("user_code")).await.unwrap();
        assert_eq!(field.prop("value").await.unwrap().unwrap(), "AAAA-AAAA", "what was typed is kept");
        assert_eq!(field.attr("aria-describedby").await.unwrap().unwrap(), "problem");
        field.clear().await.unwrap();
        field.send_keys(&code).await.unwrap();
        window.press_button("Continue").await;
        window.confirm_page().await;
    };
    Setup::default().run(test).await;
}

#[tokio::test]
async fn a_code_that_expires_under_the_persons_hands_is_explained() {
    let server = Options { code_lifetime: Duration::from_secs(4), ..Options::default() };
    let test = async |window: Window| {
        window.open("/device").await; // A browser's first page takes its time, and the code's is short.
        let code = window.begin().await;
        window.open(&format!("/device?user_code={code}")).await;
        window.confirm_page().await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        window.press_button("Approve").await;
        window.problem("This code has expired").await;
    };
    Setup { server, ..Setup::default() }.run(test).await;
}

#[tokio::test]
async fn a_double_click_approves_and_a_second_thought_in_another_window_is_explained() {
    let test = async |window: Window| {
        let path = format!("/device?user_code={}", window.begin().await);
        window.open(&path).await;
        let first = window.client.window().await.unwrap();
        let second = window.client.new_window(true).await.unwrap().handle;
        window.client.switch_to_window(second.clone()).await.unwrap();
        window.open(&path).await;

        window.client.switch_to_window(first).await.unwrap();
        let approve = window.client.find(Locator::Css("[value=approve]")).await.unwrap();
        let left = fantoccini::actions::MOUSE_BUTTON_LEFT;
        let mouse = MouseActions::new("mouse".to_owned())
            .then(PointerAction::MoveToElement { element: approve, duration: None, x: 0.0, y: 0.0 })
            .then(PointerAction::Down { button: left })
            .then(PointerAction::Up { button: left })
            .then(PointerAction::Down { button: left })
            .then(PointerAction::Up { button: left });
        window.client.perform_actions(mouse).await.unwrap();
        window.heading("Approved").await;

        window.client.switch_to_window(second).await.unwrap();
        window.press_button("Deny").await;
        window.problem("This code was already used").await;
    };
    Setup::default().run(test).await;
}

#[tokio::test]
async fn the_keyboard_is_enough_and_its_focus_is_seen() {
    let test = async |window: Window| {
        let code = window.begin().await;
        window.open("/device").await;
        for letter in code.chars() {
            window.key(letter).await;
        }
        window.key(ENTER).await;
        window.confirm_page().await;
        for stop in ["device-flow", "Approve", "Deny"] {
            window.key(TAB).await;
            assert_eq!(window.script("document.activeElement.textContent.trim()").await, stop);
            let outline = window.script("getComputedStyle(document.activeElement).outlineStyle").await;
            assert_eq!(outline, "solid", "the focus on {stop} is visible");
        }
        window.key(ENTER).await;
        window.heading("Denied").await;
    };
    Setup::default().run(test).await;
}

#[tokio::test]
async fn nothing_scrolls_sideways_at_320_pixels() {
    let test = async |window: Window| {
        let code = window.begin().await;
        let long = window.begin_as(&"W".repeat(300)).await;
        for (path, name) in [
            ("/".to_owned(), "home"),
            ("/device".to_owned(), "enter"),
            (format!("/device?user_code={code}"), "confirm"),
            (format!("/device?user_code={}", "W".repeat(300)), "wrong"),
            (format!("/device?user_code={long}"), "long-name"),
        ] {
            window.open(&path).await;
            assert_eq!(window.script("innerWidth").await, 320, "the phone is emulated");
            assert_eq!(window.script("document.documentElement.scrollWidth").await, 320, "{path}");
            window.screenshot(&format!("{name}-320.png")).await;
        }
        // Smaller text in a field makes phones zoom in.
        window.open("/device").await;
        let size = window.script("parseFloat(getComputedStyle(document.getElementById('user_code')).fontSize)").await;
        assert!(size.as_f64().unwrap() >= 16.0, "{size}");
    };
    Setup::phone(320).run(test).await;
}

#[tokio::test]
async fn a_phone_by_day() {
    let test = async |window: Window| {
        let code = window.begin().await;
        window.open(&format!("/device?user_code={code}")).await;
        window.screenshot("confirm-light-phone.png").await;
        let ground = window.script("getComputedStyle(document.body).backgroundColor").await;
        assert_eq!(ground, "rgb(241, 243, 238)");
    };
    Setup::phone(390).run(test).await;
}

#[tokio::test]
async fn the_dark_is_dark_and_legible() {
    let test = async |window: Window| {
        assert_eq!(
            window.script("matchMedia('(prefers-color-scheme: dark)').matches").await,
            true,
            "the dark is emulated"
        );
        window.open("/device").await;
        window.screenshot("enter-dark-phone.png").await;
        assert_eq!(window.script("getComputedStyle(document.body).backgroundColor").await, "rgb(16, 21, 19)");
        let code = window.begin().await;
        window.open(&format!("/device?user_code={code}")).await;
        window.screenshot("confirm-dark-phone.png").await;
    };
    let mut phone = Setup::phone(390);
    phone.arguments.push("--blink-settings=preferredColorScheme=0");
    phone.run(test).await;
}

#[tokio::test]
async fn the_pages_work_without_javascript() {
    let test = async |window: Window| {
        window.client.goto("data:text/html,<title>off</title><script>document.title='on'</script>").await.unwrap();
        assert_eq!(window.client.title().await.unwrap(), "off", "scripts do not run");
        let code = window.begin().await;
        window.enter(&code).await;
        window.confirm_page().await;
        window.press_button("Approve").await;
        window.heading("Approved").await;
    };
    let prefs = json!({ "profile.managed_default_content_settings.javascript": 2 });
    Setup { chrome: vec![("prefs", prefs)], ..Setup::default() }.run(test).await;
}
