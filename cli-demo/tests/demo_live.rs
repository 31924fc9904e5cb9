//! The live pages on the wire: the events that they get, and how both real clients react to a server that misbehaves.

use std::time::Duration;

use crate::stage::{Adapter, ClientEvent, Stage};
use device_flow_cli::demo::{Options, Server};
use device_flow_tokio::{Failure, Stopped, TokenResponse, WaitReason};
use reqwest::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use reqwest::{Client, Response};
use serde_json::Value;

const BOTH: [Adapter; 2] = [Adapter::Tokio, Adapter::Blocking];

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Whether the gaps are this long, in seconds, or up to a tenth of the interval longer: a client may add that at
/// random, and must not poll earlier.
fn are(gaps: &[Duration], seconds: [u64; 7]) -> bool {
    let is = |(gap, least): (&Duration, u64)| s(least) <= *gap && *gap < s(least) + s(1);
    gaps.len() == seconds.len() && gaps.iter().zip(seconds).all(is)
}

/// A sign-in whose server misbehaved.
struct Misbehaved {
    outcome: Result<TokenResponse, Stopped>,
    gaps: Vec<Duration>,
    reasons: Vec<WaitReason>,
    /// The live page afterwards.
    page: String,
}

/// Signs in at an interval of one second. The button is pressed after the first poll; if the client still polls at its
/// seventh wait, the person approves.
fn after_the_button(adapter: Adapter, what: &str) -> Misbehaved {
    let stage = Stage::start(1);
    let (mut code, mut reasons) = (String::new(), vec![]);
    let outcome = stage.sign_in(adapter, "tv", |told| match told {
        ClientEvent::Code(shown) => shown.clone_into(&mut code),
        ClientEvent::Wait(reason) => {
            reasons.push(reason);
            match reasons.len() {
                2 => assert_eq!(stage.press(1, what), 303, "{what}"),
                7 => assert!(stage.server.approve(&code)),
                _ => {}
            }
        }
    });
    let gaps = stage.gaps(&code, Duration::ZERO);
    assert_eq!(gaps.len(), reasons.len(), "{adapter:?}: one request for each wait, none repeated");
    Misbehaved { outcome, gaps, reasons, page: stage.ask("GET", "/live/1", "", "") }
}

#[test]
fn rfc8628_3_5_after_the_slow_down_button_every_gap_is_five_seconds_longer() {
    for adapter in BOTH {
        let seen = after_the_button(adapter, "slow_down");
        assert!(seen.outcome.is_ok(), "{adapter:?} {:?}", seen.outcome);
        assert!(are(&seen.gaps, [1, 1, 6, 6, 6, 6, 6]), "{adapter:?} {:?}", seen.gaps);
        assert_eq!(seen.reasons[2], WaitReason::SlowDown { interval: 6 });
        assert!(
            seen.page.contains("It slowed down.") && seen.page.contains("<strong>7 of 7</strong>"),
            "{}",
            seen.page
        );
    }
}

#[test]
fn an_outage_makes_both_clients_back_off_and_recover() {
    for (adapter, what, name) in
        BOTH.into_iter().flat_map(|adapter| [(adapter, "unavailable", "503"), (adapter, "hang_up", "no answer")])
    {
        let seen = after_the_button(adapter, what);
        assert!(seen.outcome.is_ok(), "{adapter:?} {what} {:?}", seen.outcome);
        // Polls 2, 3 and 4 fail. Each failure in a row doubles the wait; an answer resets it.
        assert!(are(&seen.gaps, [1, 1, 2, 4, 8, 1, 1]), "{adapter:?} {what} {:?}", seen.gaps);
        assert_eq!(seen.page.matches(&format!("<code>{name}</code>")).count(), 3, "{}", seen.page);
        assert_eq!(seen.page.matches("It backed off.").count(), 3, "{}", seen.page);
    }
}

#[test]
fn retry_after_counts_for_one_wait() {
    for adapter in BOTH {
        let seen = after_the_button(adapter, "retry_after");
        assert!(seen.outcome.is_ok(), "{adapter:?} {:?}", seen.outcome);
        assert!(are(&seen.gaps, [1, 1, 10, 1, 1, 1, 1]), "{adapter:?} {:?}", seen.gaps);
        assert!(seen.page.contains("It stayed away for 10 s, as asked."), "{}", seen.page);
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
fn e16_the_live_page_offers_only_what_can_still_change_and_says_when_the_client_is_gone() {
    const ALL: &[&str] = &["slow_down", "retry_after", "unavailable", "hang_up", "expire", "deny"];
    let shows = |stage: &Stage, number: u64, buttons: &[&str], may_decide: bool, standing: &str| {
        let page = stage.ask("GET", &format!("/live/{number}"), "", "");
        let values = page.split("name=\"what\" value=\"").skip(1);
        let offered: Vec<&str> = values.map(|rest| rest.split('"').next().unwrap()).collect();
        assert_eq!(offered, buttons, "{number}: {standing}");
        assert_eq!(page.contains("Approve or deny"), may_decide, "{number}: {standing}");
        let told = page.split("id=\"standing\"").nth(1).unwrap().split("</div>").next().unwrap();
        assert!(told.contains(standing), "{told}");
        assert_eq!(told.contains("gone"), standing.contains("gone"), "{told}");
    };
    let stage = Stage::start(1);
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    let begin = || {
        let begun = stage.ask("POST", "/device_authorization", form, "client_id=tv");
        let begun: Value = serde_json::from_str(&begun[begun.find('{').unwrap()..]).unwrap();
        ["user_code", "device_code"].map(|name| begun[name].as_str().unwrap().to_owned())
    };
    let poll = |device_code: &str| {
        let grant = "grant_type=urn:ietf:params:oauth:grant-type:device_code";
        stage.ask("POST", "/token", form, &format!("client_id=tv&{grant}&device_code={device_code}"))
    };
    let (approved, denied, expired, silent) = (begin(), begin(), begin(), begin());
    shows(&stage, 1, ALL, true, "Waiting for the person");
    assert!(stage.server.approve(&approved[0]) && stage.server.deny(&denied[0]));
    assert_eq!(stage.press(3, "expire"), 303);
    shows(&stage, 1, &ALL[..5], false, "The client does not know yet");
    for number in [2, 3] {
        shows(&stage, number, &ALL[..4], false, "The client does not know yet");
    }
    stage.advance(s(5));
    for device_code in [&approved[1], &denied[1]] {
        poll(device_code);
    }
    shows(&stage, 1, &[], false, "Signed in");
    shows(&stage, 2, &[], false, "Denied");
    stage.advance(s(3));
    assert!(poll(&expired[1]).contains("expired_token"));
    shows(&stage, 3, &[], false, "Code expired");
    stage.advance(s(6));
    shows(&stage, 4, ALL, true, "Waiting for the person");
    stage.advance(s(1));
    shows(&stage, 4, ALL, true, "No poll for 15 s: the client seems to be gone.");
    assert!(stage.server.approve(&silent[0]));
    shows(&stage, 4, &ALL[..5], false, "The client does not know: no poll for 15 s, it seems to be gone.");
    stage.advance(s(24 * 3600));
    shows(&stage, 4, &[], false, "The client did not come back to learn it.");
}

#[test]
fn a_closed_connection_carries_no_byte() {
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
    assert!(stage.ask("POST", "/token", form, &poll).contains("authorization_pending"), "the server is back");
    assert_eq!(stage.press(1, "unavailable"), 303);
    let down = stage.ask("POST", "/token", form, &poll);
    assert!(down.starts_with("HTTP/1.1 503 ") && down.ends_with("Service unavailable.\n"), "{down}");
    assert_eq!(stage.press(1, "retry_after"), 303);
    let later = stage.ask("POST", "/token", form, &poll).to_lowercase();
    assert!(later.starts_with("http/1.1 429 ") && later.contains("\r\nretry-after: 10\r\n"), "{later}");
}

/// A server with the shortest interval, on the real clock, and an HTTP client that reuses connections.
struct Demo {
    server: Server,
    http: Client,
}

impl Demo {
    async fn start() -> Self {
        let server = Server::start(Options { interval: s(1), ..Options::default() }).await.unwrap();
        Self { server, http: crate::support::http_client() }
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

/// Reads events until one contains `wanted`, and returns all of them.
async fn until(events: &mut Response, wanted: &str) -> String {
    let mut read = String::new();
    while !read.contains(wanted) {
        let chunk = tokio::time::timeout(s(60), events.chunk()).await.expect("an event in time").unwrap();
        read += std::str::from_utf8(&chunk.unwrap_or_else(|| panic!("no {wanted} in {read}"))).unwrap();
    }
    read
}

#[tokio::test]
async fn an_open_page_gets_each_change_and_never_a_secret() {
    let demo = Demo::start().await;
    let mut waiting = demo.get("/live/events").await;
    let begun = demo.begin("tv").await;
    until(&mut waiting, "event: go\ndata: /live/1\n\n").await;
    assert!(waiting.chunk().await.unwrap().is_none(), "the stream has ended");

    let mut live = demo.get("/live/1/events").await;
    let mut home = demo.get("/events").await;
    assert_eq!(live.headers()["content-type"], "text/event-stream");
    assert_eq!(live.headers()["cache-control"], "no-store");
    let mut seen = until(&mut live, "No poll yet. A correct client").await;
    for part in ["standing", "news", "facts", "timeline", "person", "ahead", "buttons", "polls"] {
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

    // An open page does not delay the end, and notices it. While the clock stands still, no patience comes to its end.
    let _clock = crate::support::StoppedClock::stop();
    tokio::select! {
        () = demo.server.shutdown() => {}
        () = a_minute() => panic!("it waits for those who watch"),
    }
    while live.chunk().await.unwrap().is_some() {}
}

/// Of the system's clock.
async fn a_minute() {
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        std::thread::sleep(s(60));
        tell.send(())
    });
    let _ = told.await;
}

#[tokio::test]
async fn the_live_url_leads_to_the_newest_sign_in() {
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
    assert!(demo.page("/live/1").await.contains("http-equiv=\"refresh\""), "without scripts it reloads");
    assert!(!demo.page("/live/1?still").await.contains("http-equiv=\"refresh\""), "unless that is switched off");
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
        "and it leads back to the page"
    );
    assert_eq!(demo.poll("tv", &begun).await["error"], "expired_token");
}
