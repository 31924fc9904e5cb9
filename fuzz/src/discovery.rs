//! Invariant: metadata is accepted only as one complete JSON object for exactly the requested issuer, with endpoints
//! that may be used; two addresses and no others are requested, at most four times each, and then discovery ends.

use crate::body::{Members, Message};
use crate::judge;
use device_flow_core::{
    Action, Client, Discovery, Failure, Machine, Metadata, Method, Provider, Response, Timestamp, TransportError,
    TransportErrorKind,
};

const ISSUER: &str = "https://as.example";

/// The bytes are a metadata document at the first location, and their first line is the issuer. The second location has
/// none, or cannot be reached.
pub fn check(data: &[u8]) {
    let message = Message::read(data);
    let asked = std::str::from_utf8(message.line)
        .ok()
        .and_then(|issuer| Some((issuer, Discovery::builder(issuer).allow_http_loopback().build().ok()?)));
    let (issuer, mut discovery) =
        asked.unwrap_or_else(|| (ISSUER, Discovery::builder(ISSUER).allow_http_loopback().build().unwrap()));
    let origin = judge::openable(issuer).origin();
    let reachable = data.len().is_multiple_of(2);
    let (mut now, mut sent) = (Timestamp::from_millis(1_000), 0);
    for _ in 0..32 {
        match discovery.next_action(now) {
            Action::SendRequest(outgoing) => {
                sent += 1;
                assert_eq!((outgoing.request.method(), outgoing.request.body().len()), (Method::Get, 0));
                let url = outgoing.request.url();
                // Later rounds use the same two locations.
                if sent <= 2 {
                    assert_eq!(judge::openable(url).origin(), origin, "a request to another server");
                }
                let first = url.contains("/.well-known/oauth-authorization-server");
                assert!(first || url.ends_with("/.well-known/openid-configuration"), "a request for {url}");
                let handed_in = if first {
                    discovery.response(outgoing.ticket, Response::new(message.status, message.body), now)
                } else if reachable {
                    discovery.response(outgoing.ticket, Response::new(404, b"Not Found"), now)
                } else {
                    discovery.transport_failed(outgoing.ticket, TransportError::new(TransportErrorKind::Connect), now)
                };
                assert!(handed_in.is_ok(), "its own ticket");
            }
            Action::Wait { until, .. } => {
                assert!(until > now, "a wait that has already ended");
                assert!(until.saturating_since(now).as_secs() <= 60, "a person waits for more than a minute");
                now = until;
            }
            Action::Done(outcome) => {
                assert!(sent <= 8, "{sent} requests");
                assert!(matches!(discovery.next_action(now), Action::Ended), "an action after the outcome");
                return ended(outcome, issuer, &message);
            }
            Action::ShowCode(_) | Action::AwaitResponse | Action::Ended => panic!("not an action of discovery"),
        }
    }
    panic!("a discovery that does not end")
}

fn ended(outcome: Result<Metadata, Failure>, issuer: &str, message: &Message<'_>) {
    let members = Members::read(message.body);
    let success = (200..300).contains(&message.status);
    match outcome {
        Ok(metadata) => {
            let members = members.expect("metadata that is no JSON object");
            assert!(success && !members.has_duplicates(), "metadata that must not count");
            assert_eq!(metadata.issuer(), issuer);
            assert_eq!(members.get("issuer").text(), Some(issuer));
            assert_eq!(members.get("token_endpoint").text(), Some(metadata.token_endpoint()));
            endpoint(metadata.token_endpoint());
            let device = metadata.device_authorization_endpoint();
            assert_eq!(members.get("device_authorization_endpoint").text(), device);
            metadata.token_endpoint_auth_methods().count();
            let complete = device.map(endpoint).is_some();
            let built = Client::builder(Provider::from(metadata), "fuzz").allow_http_loopback().build();
            assert_eq!(built.is_ok(), complete, "a client from metadata");
            if let Err(error) = built {
                judge::safe(&error.to_string());
            }
        }
        Err(failure) => {
            judge::failure(&failure);
            let plain = members.filter(|members| success && is_plain(members, issuer));
            let unreachable = matches!(failure, Failure::Transport(_));
            assert!(plain.is_none() || unreachable, "a plain document was refused: {failure}");
        }
    }
}

/// RFC 6749 §3.1, §3.2: no fragment; and an allowed scheme.
fn endpoint(url: &str) {
    assert!(judge::openable(url).fragment().is_none(), "the fragment of {url}");
}

/// An unambiguous document.
fn is_plain(members: &Members<'_>, issuer: &str) -> bool {
    let simple = |name: &str| {
        members
            .get(name)
            .text()
            .and_then(|url| url.strip_prefix("https://as.example/").map(String::from))
            .is_some_and(|path| path.len() < 1_000 && path.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'/'))
    };
    !members.has_duplicates()
        && ["error", "error_code", "message"].iter().all(|name| members.get(name).is_blank())
        && members.get("issuer").text() == Some(issuer)
        && ["device_authorization_endpoint", "token_endpoint"].into_iter().all(simple)
}
