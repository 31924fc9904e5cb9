#!/usr/bin/env bash
# oauth2 5.0.0 (crates.io) with its feature `ureq`: a refusal is not heard, and polls go on until the code expires.
#
# ureq 2 makes an error of every status of 4xx. The library hands that on as "the request failed", and a failed
# request is repeated. But all answers of RFC 8628 §3.5 have status 400: `authorization_pending` works by accident, as
# a failure that is tried again, and `access_denied` is tried again like it. Seen, with an interval of 1 s, a lifetime
# of 8 s and `access_denied` as every answer:
#
#> polls: 3
#> seconds until the end: more than 8
#> ended by: expired_token
#
# What it means for a client of the device grant: an HTTP client that turns a status into an error hides the whole
# protocol, and a test that sees only pending and success does not notice. The body must be read whatever the status,
# and each HTTP client needs a test with a refusal.
#
# What ours does: both adapters pass on every answer with its status and body, and a refusal ends the sign-in (cases
# B06 and P06 of docs/cases.md).
source "$(dirname "$0")/common/script.sh"

mkdir "$work/src"
cat >"$work/Cargo.toml" <<'END_OF_FILE'
[package]
name = "finding"
edition = "2021"
[dependencies]
oauth2 = { version = "=5.0.0", default-features = false, features = ["ureq"] }
serde_json = "1"
END_OF_FILE
cat >"$work/src/main.rs" <<'END_OF_PROGRAM'
use oauth2::basic::BasicClient;
use oauth2::{ureq, ClientId, DeviceAuthorizationUrl, RequestTokenError, StandardDeviceAuthorizationResponse, TokenUrl};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

static POLLS: AtomicUsize = AtomicUsize::new(0);

fn whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut request = String::new();
            let mut piece = [0; 4096];
            while !whole(&request) {
                let read = connection.read(&mut piece).unwrap_or(0);
                if read == 0 { break; }
                request.push_str(&String::from_utf8_lossy(&piece[..read]));
            }
            POLLS.fetch_add(1, Ordering::SeqCst);
            let body = r#"{"error":"access_denied"}"#;
            let length = body.len();
            let head = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close";
            write!(connection, "{head}\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
        }
    });
    let code: StandardDeviceAuthorizationResponse = serde_json::from_value(serde_json::json!({
        "device_code": "DC", "user_code": "ABCD-EFGH", "verification_uri": url, "expires_in": 8, "interval": 1,
    })).unwrap();
    let client = BasicClient::new(ClientId::new("tv".into()))
        .set_token_uri(TokenUrl::new(url.clone()).unwrap())
        .set_device_authorization_url(DeviceAuthorizationUrl::new(url).unwrap());
    let begun = Instant::now();
    let result = client.exchange_device_access_token(&code).request(&ureq::agent(), std::thread::sleep, None);
    let took = begun.elapsed().as_secs_f32();
    let polls = POLLS.load(Ordering::SeqCst);
    println!("polls: {polls}");
    println!("seconds until the end: {}", if took > 8.0 { "more than 8".into() } else { took.to_string() });
    match result {
        Err(RequestTokenError::ServerResponse(error)) => println!("ended by: {}", error.error()),
        other => println!("ended by: {other:?}"),
    }
}
END_OF_PROGRAM
cd "$work"
quietly 500 cargo build --quiet
cargo tree --quiet --depth 0 -p oauth2 -e normal
timeout 60 ./target/debug/finding | as_stated
