//! Invariant: whatever bytes, statuses and headers come as answers, nothing panics, nothing is asked early or twice, every
//! wait is in the future, and a flow that nobody answers any more ends by itself.
#![no_main]
#![allow(missing_docs, reason = "the macro makes a public item")]

use device_flow_core::{
    Action, Client, DeviceFlow, Machine, Provider, Response, Timestamp, TransportError, TransportErrorKind,
};
use libfuzzer_sys::fuzz_target;

const GRANT: &[u8] = br#"{"device_code":"d","user_code":"U","verification_uri":"https://as/x","expires_in":900}"#;

/// One answer: two bytes of status, one of what to do, and the body up to the next NUL (bodies with NUL are no JSON anyway).
fn next<'a>(data: &mut &'a [u8]) -> Option<(u16, u8, &'a [u8])> {
    let [low, high, kind, rest @ ..] = *data else { return None };
    let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
    let (body, after) = rest.split_at(end);
    *data = after.get(1..).unwrap_or_default();
    Some((100 + u16::from_le_bytes([*low, *high]) % 900, *kind, body))
}

fuzz_target!(|data: &[u8]| {
    let mut data = data;
    let Ok(client) = Client::builder(Provider::github(), "fuzz").scope("a b").build() else { return };
    let mut flow = DeviceFlow::new(client, [7; 32]);
    let (mut now, mut answered, mut granted) = (Timestamp::from_millis(1_000), Timestamp::ZERO, false);
    for _ in 0..2_000 {
        match flow.next_action(now) {
            Action::SendRequest(outgoing) => {
                let polls = outgoing.request.url().ends_with("access_token");
                assert!(!polls || now.saturating_since(answered).as_secs() >= 1, "an early poll");
                answered = now;
                let handed_in = match next(&mut data) {
                    // Half of all inputs start beyond the first answer.
                    Some((_, kind, _)) if !granted && kind & 1 == 0 => {
                        granted = true;
                        flow.response(outgoing.ticket, Response::new(200, GRANT), now)
                    }
                    Some((status, kind, body)) => {
                        let mut response = Response::new(status, body);
                        if kind & 2 != 0 {
                            response = response.header("content-type", b"application/x-www-form-urlencoded");
                        }
                        if kind & 4 != 0 {
                            response =
                                response.header("retry-after", body).header("date", b"Wed, 21 Oct 2015 07:28:00 GMT");
                        }
                        flow.response(outgoing.ticket, response, now)
                    }
                    None => {
                        flow.transport_failed(outgoing.ticket, TransportError::new(TransportErrorKind::Closed), now)
                    }
                };
                assert!(handed_in.is_ok(), "our own ticket");
            }
            Action::ShowCode(prompt) => {
                let shown = [prompt.user_code(), prompt.verification_uri(), prompt.message().unwrap_or_default()];
                assert!(!shown.iter().any(|text| text.chars().any(char::is_control)), "a prompt changes the terminal");
            }
            Action::Wait { until, .. } => {
                assert!(until > now, "a wait in the past");
                now = until;
            }
            Action::Done(outcome) => {
                let text = outcome.err().map(|failure| failure.to_string()).unwrap_or_default();
                assert!(!text.chars().any(char::is_control), "a failure changes the terminal");
                return;
            }
            Action::AwaitResponse | Action::Ended => {
                unreachable!("every request is answered, and the outcome ends the loop")
            }
        }
    }
    unreachable!("a flow that never ends");
});
