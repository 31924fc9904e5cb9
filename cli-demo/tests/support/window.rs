//! Owns the browser of the tests: how it is started and ended, and what a person does in it.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use device_flow_cli::demo::{Options, Server};
use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

use super::support;

pub(crate) const DARK: &str = "--blink-settings=preferredColorScheme=0";
/// Long, for busy machines. Only a failing test waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
pub(crate) const TAB: char = '\u{e004}';
pub(crate) const ENTER: char = '\u{e007}';

/// One browser with one window, in front of one server.
#[derive(Clone)]
pub(crate) struct Window {
    pub(crate) client: Client,
    pub(crate) server: Arc<Server>,
    pub(crate) device_codes: Arc<Mutex<Vec<String>>>,
}

/// What a test can configure.
#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) arguments: Vec<&'static str>,
    /// Members of `goog:chromeOptions`.
    pub(crate) chrome: Vec<(&'static str, Value)>,
    pub(crate) server: Options,
}

impl Setup {
    pub(crate) fn phone(width: u32) -> Self {
        let metrics = json!({ "width": width, "height": 780, "pixelRatio": 2.0, "mobile": true, "touch": true });
        Self { chrome: vec![("mobileEmulation", json!({ "deviceMetrics": metrics }))], ..Self::default() }
    }

    /// Runs a test and cleans up, whether it passes or panics.
    pub(crate) async fn run<T: Future<Output = ()> + Send + 'static>(self, test: impl FnOnce(Window) -> T) {
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
        let server = Arc::new(Server::start(self.server).await.unwrap());
        let window = Window { client: client.clone(), server, device_codes: Arc::default() };
        let outcome = tokio::spawn(test(window)).await;
        client.close().await.unwrap();
        outcome.unwrap();
    }
}

struct Driver {
    pub(crate) process: Child,
    pub(crate) port: u16,
    pub(crate) profile: PathBuf,
}

impl Driver {
    pub(crate) fn start() -> Self {
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
        // Chromium may still be writing.
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

impl Window {
    /// A device begins a sign-in. Returns the user code.
    pub(crate) async fn begin(&self) -> String {
        self.begin_as("living-room-tv").await
    }

    pub(crate) async fn begin_as(&self, client_id: &str) -> String {
        let scope = "openid+profile+offline_access+photos:read";
        let (_, answer) = self.post("/device_authorization", format!("client_id={client_id}&scope={scope}")).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        // For polls.
        self.device_codes.lock().unwrap().push(answer["device_code"].as_str().unwrap().to_owned());
        answer["user_code"].as_str().unwrap().to_owned()
    }

    /// The device of the last sign-in polls. Returns the status.
    pub(crate) async fn poll(&self) -> u16 {
        let code = self.device_codes.lock().unwrap().last().unwrap().clone();
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        self.post("/token", format!("client_id=living-room-tv&grant_type={grant}&device_code={code}")).await.0
    }

    pub(crate) async fn post(&self, path: &str, body: String) -> (u16, String) {
        let request = support::http_client().post(format!("{}{path}", self.server.base_url()));
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    pub(crate) async fn open(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.server.base_url())).await.unwrap();
    }

    /// Opens the entry page and types a code into it.
    pub(crate) async fn enter(&self, code: &str) {
        self.open("/device").await;
        self.client.find(Locator::Id("user_code")).await.unwrap().send_keys(code).await.unwrap();
        self.press_button("Continue").await;
    }

    pub(crate) async fn press_button(&self, name: &str) {
        let button = format!("//button[normalize-space()='{name}']");
        self.client.find(Locator::XPath(&button)).await.unwrap().click().await.unwrap();
    }

    pub(crate) async fn key(&self, key: char) {
        let keys = KeyActions::new("keyboard".to_owned());
        let keys = keys.then(KeyAction::Down { value: key }).then(KeyAction::Up { value: key });
        self.client.perform_actions(keys).await.unwrap();
    }

    pub(crate) async fn text(&self, selector: &str) -> String {
        self.client.find(Locator::Css(selector)).await.unwrap().text().await.unwrap()
    }

    /// Waits for the page with this heading, since a click returns before the next page is loaded.
    pub(crate) async fn heading(&self, heading: &str) {
        let heading = format!("//h1[normalize-space()='{heading}']");
        let patience = self.client.wait().at_most(PATIENCE);
        patience.for_element(Locator::XPath(&heading)).await.unwrap_or_else(|_| panic!("no page {heading}"));
    }

    pub(crate) async fn confirm_page(&self) {
        self.heading("Let living-room-tv use your account?").await;
    }

    pub(crate) async fn problem(&self, words: &str) {
        let patience = self.client.wait().at_most(PATIENCE);
        let problem = patience.for_element(Locator::Css("[role=alert]")).await.unwrap().text().await.unwrap();
        assert!(problem.contains(words), "{problem}");
        assert_eq!(self.text("label").await, "Enter the code that your device or terminal shows.", "one can try again");
    }

    /// Presses a button of the live page, without leaving it.
    pub(crate) async fn misbehave(&self, what: &str) {
        self.client.find(Locator::Css(&format!("[value={what}]"))).await.unwrap().click().await.unwrap();
    }

    /// Waits until a part of the page contains this text.
    pub(crate) async fn shows(&self, part: &str, words: &str) {
        let there = format!("//*[@id='{part}'][contains(normalize-space(), '{words}')]");
        let patience = self.client.wait().at_most(PATIENCE);
        if patience.for_element(Locator::XPath(&there)).await.is_err() {
            panic!("no {words} in {}", self.text(&format!("#{part}")).await);
        }
    }

    /// Waits until a part of the page has no such element.
    pub(crate) async fn lacks(&self, part: &str, element: &str) {
        let gone = format!("//*[@id='{part}'][not(.//{element})]");
        let patience = self.client.wait().at_most(PATIENCE);
        if patience.for_element(Locator::XPath(&gone)).await.is_err() {
            panic!("{element} is left in {}", self.text(&format!("#{part}")).await);
        }
    }

    pub(crate) async fn script(&self, expression: &str) -> Value {
        self.client.execute(&format!("return {expression}"), vec![]).await.unwrap()
    }

    pub(crate) async fn screenshot(&self, name: &str) {
        if let Some(folder) = std::env::var_os("DEMO_SCREENSHOTS") {
            std::fs::write(PathBuf::from(folder).join(name), self.client.screenshot().await.unwrap()).unwrap();
        }
    }
}
