//! Proves the live view on the wire: what its watchers are told, and how both real clients take a server that misbehaves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to report"
)]

use std::time::Duration;

use device_flow_cli::demo::{Options, Server};
use device_flow_tokio::{Failure, Stopped, TokenResponse, WaitReason};
use reqwest::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use reqwest::{Client, Response};
use serde_json::Value;
use stage::{Adapter, Stage, Told};

#[path = "support/stage.rs"]
mod stage;
mod support;

const BOTH: [Adapter; 2] = [Adapter::Tokio, Adapter::Blocking];

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Whether the gaps are these, in seconds, or a tenth of the interval longer: a client may add that at random, and must not
/// ask earlier.
fn are(gaps: &[Duration], seconds: [u64; 7]) -> bool {
    let is = |(gap, least): (&Duration, u64)| s(least) <= *gap && *gap < s(least) + s(1);
    gaps.len() == seconds.len() && gaps.iter().zip(seconds).all(is)
}

/// How a sign-in went whose server was told to misbehave.
struct Went {
    outcome: Result<TokenResponse, Stopped>,
    gaps: Vec<Duration>,
    reasons: Vec<WaitReason>,
    /// The live view afterwards.
    page: String,
}

/// Signs in at a server that wants to be asked every second. The button is pressed after the first poll; when a client still
/// asks at its seventh wait, the person approves.
fn after_the_button(adapter: Adapter, what: &str) -> Went {
    let stage = Stage::start(1);
    let (mut code, mut reasons) = (String::new(), vec![]);
    let outcome = stage.sign_in(adapter, "tv", |told| match told {
        Told::Code(shown) => shown.clone_into(&mut code),
        Told::Wait(reason) => {
            reasons.push(reason);
            match reasons.len() {
                2 => assert_eq!(stage.press(1, what), 303, "{what}"),
                7 => assert!(stage.server.approve(&code)),
                _ => {}
            }
        }
    });
    let gaps = stage.gaps(&code, Duration::ZERO);
    assert_eq!(gaps.len(), reasons.len(), "{adapter:?}: one request a wait, and none repeated behind its back");
    Went { outcome, gaps, reasons, page: stage.ask("GET", "/live/1", "", "") }
}

#[test]
fn rfc8628_3_5_after_the_slow_down_button_every_gap_is_five_seconds_longer() {
    for adapter in BOTH {
        let went = after_the_button(adapter, "slow_down");
        assert!(went.outcome.is_ok(), "{adapter:?} {:?}", went.outcome);
        assert!(are(&went.gaps, [1, 1, 6, 6, 6, 6, 6]), "{adapter:?} {:?}", went.gaps);
        assert_eq!(went.reasons[2], WaitReason::SlowDown { interval: 6 });
        assert!(
            went.page.contains("It slowed down.") && went.page.contains("<strong>7 of 7</strong>"),
            "{}",
            went.page
        );
    }
}

#[test]
fn an_outage_makes_both_clients_back_off_and_recover() {
    for (adapter, what, name) in
        BOTH.into_iter().flat_map(|adapter| [(adapter, "unavailable", "503"), (adapter, "hang_up", "no answer")])
    {
        let went = after_the_button(adapter, what);
        assert!(went.outcome.is_ok(), "{adapter:?} {what} {:?}", went.outcome);
        // Polls 2, 3 and 4 fail. Each failure in a row doubles the wait; an answer ends that.
        assert!(are(&went.gaps, [1, 1, 2, 4, 8, 1, 1]), "{adapter:?} {what} {:?}", went.gaps);
        assert_eq!(went.page.matches(&format!("<code>{name}</code>")).count(), 3, "{}", went.page);
        assert_eq!(went.page.matches("It backed off.").count(), 3, "{}", went.page);
    }
}

#[test]
fn retry_after_is_waited_out_and_then_forgotten() {
    for adapter in BOTH {
        let went = after_the_button(adapter, "retry_after");
        assert!(went.outcome.is_ok(), "{adapter:?} {:?}", went.outcome);
        assert!(are(&went.gaps, [1, 1, 10, 1, 1, 1, 1]), "{adapter:?} {:?}", went.gaps);
        assert!(went.page.contains("It stayed away for 10 s, as asked."), "{}", went.page);
    }
}

#[test]
fn expire_and_deny_end_the_sign_in_at_the_next_poll() {
    for adapter in BOTH {
        let expired = after_the_button(adapter, "expire");
        assert!(matches!(expired.outcome, Err(Stopped::Failed(Failure::Expired(_)))), "{:?}", expired.outcome);
        let denied = after_the_button(adapter, "deny");
        assert!(matches!(denied.outcome, Err(Stopped::Failed(Failure::Denied(_)))), "{:?}", denied.outcome);
        assert_eq!((expired.gaps.len(), denied.gaps.len()), (2, 2));
        assert!(expired.page.contains("Code expired") && denied.page.contains("Denied"));
    }
}

#[test]
fn a_hung_up_connection_carries_not_one_byte() {
    let stage = Stage::start(1);
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    let begun = stage.ask("POST", "/device_authorization", form, "client_id=tv");
    let device_code = begun.split("\"device_code\":\"").nth(1).unwrap().split('"').next().unwrap();
    let poll =
        format!("client_id=tv&grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code={device_code}");
    assert_eq!(stage.press(1, "hang_up"), 303);
    for _ in 0..3 {
        stage.advance(s(1));
        assert_eq!(stage.ask("POST", "/token", form, &poll), "");
    }
    stage.advance(s(1));
    assert!(stage.ask("POST", "/token", form, &poll).contains("authorization_pending"), "it is back");
    assert_eq!(stage.press(1, "unavailable"), 303);
    let down = stage.ask("POST", "/token", form, &poll);
    assert!(down.starts_with("HTTP/1.1 503 ") && down.ends_with("Service unavailable.\n"), "{down}");
    assert_eq!(stage.press(1, "retry_after"), 303);
    let later = stage.ask("POST", "/token", form, &poll).to_lowercase();
    assert!(later.starts_with("http/1.1 429 ") && later.contains("\r\nretry-after: 10\r\n"), "{later}");
}

/// A server with the shortest interval there is, on the real clock, and a client that keeps its connections.
struct Demo {
    server: Server,
    http: Client,
}

impl Demo {
    async fn start() -> Self {
        let server = Server::start(Options { interval: s(1), ..Options::default() }).await.unwrap();
        Self { server, http: support::http_client() }
    }

    async fn get(&self, path: &str) -> Response {
        self.http.get(format!("{}{path}", self.server.base_url())).send().await.unwrap()
    }

    async fn page(&self, path: &str) -> String {
        self.get(path).await.text().await.unwrap()
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: String) -> Response {
        let mut request = self.http.post(format!("{}{path}", self.server.base_url()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body).send().await.unwrap()
    }

    async fn begin(&self, client_id: &str) -> Value {
        let answer = self.post("/device_authorization", &[], format!("client_id={client_id}&scope=openid")).await;
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    async fn poll(&self, client_id: &str, begun: &Value) -> Value {
        let code = begun["device_code"].as_str().unwrap();
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        let body = format!("client_id={client_id}&grant_type={grant}&device_code={code}");
        serde_json::from_str(&self.post("/token", &[], body).await.text().await.unwrap()).unwrap()
    }
}

/// Reads events until one says what is looked for; everything that was read.
async fn until(events: &mut Response, wanted: &str) -> String {
    let mut read = String::new();
    while !read.contains(wanted) {
        let chunk = tokio::time::timeout(s(10), events.chunk()).await.expect("an event in time").unwrap();
        read += std::str::from_utf8(&chunk.unwrap_or_else(|| panic!("no {wanted} in {read}"))).unwrap();
    }
    read
}

#[tokio::test]
async fn a_watcher_is_told_each_change_and_never_a_secret() {
    let demo = Demo::start().await;
    let mut waiting = demo.get("/live/events").await;
    let begun = demo.begin("tv").await;
    until(&mut waiting, "event: go\ndata: /live/1\n\n").await;
    assert!(waiting.chunk().await.unwrap().is_none(), "it has said what there is to say");

    let mut live = demo.get("/live/1/events").await;
    let mut home = demo.get("/events").await;
    assert_eq!(live.headers()["content-type"], "text/event-stream");
    assert_eq!(live.headers()["cache-control"], "no-store");
    let mut seen = until(&mut live, "No poll yet. A client").await;
    for part in ["standing", "news", "facts", "timeline", "ahead", "polls"] {
        assert!(seen.contains(&format!("event: {part}\n")), "{part} in {seen}");
    }
    tokio::time::sleep(s(1)).await;
    demo.poll("tv", &begun).await;
    seen += &until(&mut live, "authorization_pending").await;
    assert!(demo.server.approve(begun["user_code"].as_str().unwrap()));
    seen += &until(&mut live, "Approved").await;
    tokio::time::sleep(s(1)).await;
    let tokens = demo.poll("tv", &begun).await;
    seen += &until(&mut live, "Signed in").await;
    seen += &until(&mut home, "Signed in").await;

    seen += &demo.page("/").await;
    seen += &demo.page("/live/1").await;
    for secret in [&begun["device_code"], &tokens["access_token"], &tokens["refresh_token"]] {
        assert!(!seen.contains(secret.as_str().unwrap()), "{seen}");
    }
    assert!(seen.contains("asked once, signed in once"), "{seen}");

    // Who watches does not hold up the end, and is told of it.
    let began = std::time::Instant::now();
    demo.server.shutdown().await;
    assert!(began.elapsed() < s(1), "{:?}", began.elapsed());
    while live.chunk().await.unwrap().is_some() {}
}

#[tokio::test]
async fn the_live_address_leads_to_the_newest_sign_in() {
    let demo = Demo::start().await;
    assert_eq!(demo.server.live_url(), format!("{}/live", demo.server.base_url()));
    assert!(demo.page("/live").await.contains("No sign-in yet"));
    demo.begin("tv").await;
    assert!(demo.page("/live").await.contains(">tv</span> signs in"));
    demo.begin("oven").await;
    assert!(demo.page("/live").await.contains(">oven</span> signs in"));
    assert!(demo.page("/live/1").await.contains("A newer sign-in has begun"));
    for (path, status) in [("/live/3", 404), ("/live/x", 404), ("/live/3/events", 204), ("/live/x/events", 204)] {
        assert_eq!(demo.get(path).await.status(), status, "{path}");
    }
    assert!(demo.page("/live/1").await.contains("http-equiv=\"refresh\""), "without scripts it loads itself again");
    assert!(!demo.page("/live/1?still").await.contains("http-equiv=\"refresh\""), "unless it shall not");
}

#[tokio::test]
async fn rfc6749_10_12_a_button_needs_the_cookie_its_token_and_our_own_origin() {
    let demo = Demo::start().await;
    let begun = demo.begin("tv").await;
    let page = demo.get("/live/1").await;
    let cookie = page.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let page = page.text().await.unwrap();
    let token = page.split("name=\"form_token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let press = async |number: &str, headers: &[(&str, &str)], what: &str| {
        let body = format!("form_token={token}&what={what}");
        demo.post(&format!("/live/{number}/misbehave"), headers, body).await.status().as_u16()
    };
    let cookie = (COOKIE.as_str(), cookie.as_str());
    assert_eq!(press("1", &[], "deny").await, 403, "no cookie");
    for origin in ["https://evil.example", "null"] {
        assert_eq!(press("1", &[cookie, ("origin", origin)], "deny").await, 403, "{origin}");
    }
    assert_eq!(press("1", &[cookie, ("sec-fetch-site", "cross-site")], "deny").await, 403);
    assert_eq!(press("1", &[cookie], "burn").await, 400);
    assert_eq!(press("2", &[cookie], "deny").await, 404);
    assert!(demo.server.approve(begun["user_code"].as_str().unwrap()), "nothing was done so far");
    assert_eq!(press("1", &[cookie], "deny").await, 409, "it was approved");
    assert_eq!(
        press("1", &[cookie, ("origin", demo.server.base_url())], "expire").await,
        200,
        "and there it leads back"
    );
    assert_eq!(demo.poll("tv", &begun).await["error"], "expired_token");
}
