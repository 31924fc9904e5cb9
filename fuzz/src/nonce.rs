//! Invariant: of any bytes in the header `DPoP-Nonce` of an answer of the token endpoint, exactly those reach the signer
//! that RFC 9449 §8.1 allows, at most 1,024, unchanged; the next proof carries them; and a challenge is answered at once
//! when they do, once, and otherwise counts as a failure.

use crate::drive::{Drive, Step, code};
use device_flow_core::{Action, Failure, Machine as _, Refresh, Response, Timestamp};
use device_flow_testkit::law::{Law, Next};

const CHALLENGE: &[u8] = br#"{"error":"use_dpop_nonce"}"#;

/// The first byte chooses an answer, the others are the header.
pub fn check(data: &[u8]) {
    let Some((choice, value)) = data.split_first() else { return };
    during_a_sign_in(data, *choice, value);
    in_a_refresh(data, value);
}

fn during_a_sign_in(data: &[u8], choice: u8, value: &[u8]) {
    let nonce = allowed(value);
    let mut drive = Drive::with_key(data);
    let Step::Device(ticket) = drive.step() else { panic!("no device authorization request") };
    drive.answer(ticket, with(Response::new(200, code(5, 900).as_bytes()), value));
    drive.granted(5, 900);
    assert_eq!(nonces(&drive), [""; 0], "the nonces of another endpoint");
    let Step::Poll(ticket, first) = drive.step() else { panic!("no poll") };
    drive.round_trip();
    drive.nonce = nonce.unwrap_or_default().to_owned();
    let (status, body): (u16, &[u8]) = match choice % 8 {
        0..=2 => (400, CHALLENGE),
        3 => (400, br#"{"error":"authorization_pending"}"#),
        4 => (400, br#"{"error":"slow_down"}"#),
        5 => (503, b"busy"),
        6 => (200, b"<html>log in</html>"),
        _ => (200, br#"{"access_token":"AT","token_type":"DPoP"}"#),
    };
    drive.answer(ticket, with(Response::new(status, body), value));
    assert_eq!(nonces(&drive), nonce.into_iter().collect::<Vec<_>>());
    match choice % 8 {
        0..=2 if nonce.is_some() => {
            drive.next = Some(Next::Poll { earliest: drive.now, latest: drive.now });
            let Step::Poll(ticket, second) = drive.step() else { panic!("no repetition") };
            assert_eq!(first, second, "another request");
            drive.round_trip();
            // Whether the second brings a nonce or not, it is a failure.
            let again = Response::new(400, CHALLENGE);
            drive.answer(ticket, if choice.is_multiple_of(2) { with(again, value) } else { again });
            drive.expect(0, |law| law.failures += 1);
        }
        3 => drive.expect(0, Law::pending),
        4 => drive.expect(0, |law| law.slow_down(0)),
        7 => {
            let Step::Done(outcome) = drive.step() else { panic!("a token did not end the flow") };
            return assert!(outcome.is_ok(), "{outcome:?}");
        }
        _ => drive.expect(0, |law| law.failures += 1),
    }
    drive.abandon();
}

fn in_a_refresh(data: &[u8], value: &[u8]) {
    let (drive, nonce) = (Drive::with_key(data), allowed(value));
    let signer = drive.signer.as_ref().expect("a key");
    let sent = |request: &device_flow_core::Request| {
        let proof = request.headers().find(|(name, _)| *name == "dpop").expect("a proof").1;
        signer.sent(proof).expect("a proof of its own")
    };
    let mut refresh = Refresh::new(drive.flow.client().clone(), "a refresh token");
    let now = Timestamp::from_millis(drive.now);
    let Action::SendRequest(first) = refresh.next_action(now) else { panic!("no request") };
    assert_eq!(sent(&first.request), "");
    assert!(refresh.response(first.ticket, with(Response::new(400, CHALLENGE), value), now).is_ok());
    match refresh.next_action(now) {
        Action::SendRequest(second) => assert_eq!(Some(&*sent(&second.request)), nonce),
        Action::Done(Err(Failure::Rejected(error))) => {
            assert_eq!((error.code(), nonce), ("use_dpop_nonce", None));
        }
        other => panic!("a challenge led to {other:?}"),
    }
}

/// The first header of a name counts.
fn with<'a>(response: Response<'a>, value: &'a [u8]) -> Response<'a> {
    response.header("dpop-nonce", value).header("DPoP-Nonce", b"second")
}

fn nonces(drive: &Drive) -> Vec<String> {
    drive.signer.as_ref().expect("a key").nonces()
}

/// NQCHAR of RFC 6749 Appendix A.
fn allowed(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok().filter(|text| (1..=1_024).contains(&text.len()))?;
    text.chars().all(|c| matches!(c, '!' | '#'..='[' | ']'..='~')).then_some(text)
}
