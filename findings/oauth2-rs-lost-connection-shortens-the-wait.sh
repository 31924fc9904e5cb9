#!/usr/bin/env bash
# oauth2 5.0.0 (crates.io): after a lost connection the next poll comes sooner than the server's interval allows.
#
# RFC 8628 §3.5 wants a client that gets no answer to poll less often, and names exponential backoff. The library
# doubles the interval, caps it at 10 s, also where it was longer than that, and keeps the result. What a `slow_down`
# added is lost the same way. Seen, in virtual time (gaps in seconds; `x` is a poll whose connection is lost):
#
#> interval 30, pending x pending token: 30 10 10
#> interval 5, slow_down slow_down x token: 10 15 10
#
# What it means for a client of the device grant: backoff and interval are two quantities. The wait is the greater of
# both; a cap belongs to the backoff alone, and a failure may never shorten what the server has asked for.
#
# What ours does: the cap of the backoff is never below twice the interval, and nothing but a new code lowers the
# interval (rules 4 and 5 of docs/polling-law.md; cases P01 and P02 of docs/cases.md).
source "$(dirname "$0")/common/script.sh"

mkdir "$work/src"
cat >"$work/Cargo.toml" <<'END_OF_FILE'
[package]
name = "finding"
edition = "2021"
[dependencies]
oauth2 = { version = "=5.0.0", default-features = false }
serde_json = "1"
END_OF_FILE
cat >"$work/src/main.rs" <<'END_OF_PROGRAM'
use oauth2::basic::BasicClient;
use oauth2::{
    http, ClientId, DeviceAuthorizationUrl, HttpRequest, HttpResponse, StandardDeviceAuthorizationResponse, TokenUrl,
};
use std::cell::{Cell, RefCell};
use std::time::Duration;

fn play(interval: u64, polls: &str) {
    let now = RefCell::new(0);
    let due = Cell::new(None);
    let gaps = RefCell::new(Vec::new());
    let answers = RefCell::new(polls.split(' ').map(str::to_owned).collect::<Vec<_>>().into_iter());
    let server = |_: HttpRequest| -> Result<HttpResponse, std::io::Error> {
        if let Some(last) = due.replace(Some(*now.borrow())) {
            gaps.borrow_mut().push((*now.borrow() - last).to_string());
        }
        let next = answers.borrow_mut().next().unwrap();
        let (status, body) = match next.as_str() {
            "x" => return Err(std::io::ErrorKind::ConnectionReset.into()),
            "token" => (200, r#"{"access_token":"AT-1","token_type":"bearer"}"#.to_owned()),
            "pending" => (400, r#"{"error":"authorization_pending"}"#.to_owned()),
            error => (400, format!(r#"{{"error":"{error}"}}"#)),
        };
        let answer = http::Response::builder().status(status).header("content-type", "application/json");
        Ok(answer.body(body.into_bytes()).unwrap())
    };
    let code: StandardDeviceAuthorizationResponse = serde_json::from_value(serde_json::json!({
        "device_code": "DC", "user_code": "ABCD-EFGH", "verification_uri": "https://login.example.test/device",
        "expires_in": 600, "interval": interval,
    })).unwrap();
    let client = BasicClient::new(ClientId::new("tv".into()))
        .set_token_uri(TokenUrl::new("https://login.example.test/token".into()).unwrap())
        .set_device_authorization_url(DeviceAuthorizationUrl::new("https://login.example.test/code".into()).unwrap());
    let result = client.exchange_device_access_token(&code).request(
        &server,
        |wait: Duration| *now.borrow_mut() += wait.as_secs(),
        None,
    );
    let end = if result.is_ok() { String::new() } else { format!(", {result:?}") };
    println!("interval {interval}, {polls}: {}{end}", gaps.borrow().join(" "));
}

fn main() {
    play(30, "pending x pending token");
    play(5, "slow_down slow_down x token");
}
END_OF_PROGRAM
cd "$work"
quietly 500 cargo build --quiet
cargo tree --quiet --depth 0 -p oauth2 -e normal
timeout 60 ./target/debug/finding | as_stated
