//! Invariant: a code is shown exactly when the answer is one complete JSON object with the members of RFC 8628 §3.2 and
//! without deceptive characters; interval and lifetime are then its numbers, bounded; the first poll comes one interval
//! after the answer and has exactly the device code, which is never shown.

use crate::body::{self, Member, Members, Message, Seconds};
use crate::drive::{Drive, MAX_ANSWER, Step};
use crate::{drive, judge};
use device_flow_core::{Failure, ProtocolFault, Response, WaitReason};
use device_flow_testkit::law::{Law, Next};

/// The bytes are an answer of the device authorization endpoint.
pub fn check(data: &[u8]) {
    let message = Message::read(data);
    let mut drive = Drive::new(data);
    let Step::Device(ticket) = drive.step() else { panic!("no device authorization request") };
    drive.round_trip();
    drive.answer(ticket, Response::new(message.status, message.body).header("content-type", message.line));
    let answered = drive.now;

    let members = Members::read(message.body).filter(|_| message.body.len() <= MAX_ANSWER);
    let code = device_code(&message, members.as_ref());
    let secret = code.as_deref().filter(|code| judge::is_unique(code, message.body));
    let secrets: Vec<&str> = secret.into_iter().chain(drive::secrets(data)).collect();
    judge::hides(&format!("{:?}", drive.flow), &secrets);

    if let Some(prompt) = drive.flow.prompt() {
        judge::hides(&format!("{prompt:?}"), &secrets);
        assert!((200..300).contains(&message.status), "a code with status {}", message.status);
        let code = code.expect("a code was shown that is not in the answer");
        let (interval, lifetime) = (prompt.interval().as_secs(), prompt.expires_in(drive.at()).as_secs());
        assert!(interval >= 1 && interval < lifetime && lifetime <= 86_400, "{interval} s of {lifetime} s");
        if let Some(members) = &members {
            assert!(!members.has_duplicates(), "a member twice");
            assert!(members.get("error").is_blank(), "an error and a code");
            assert_eq!(members.get("user_code").text(), Some(prompt.user_code()));
            assert_eq!(times(members), Some((interval, lifetime)));
        }
        drive.granted(interval, lifetime);
        let Step::Poll(ticket, request) = drive.step() else { panic!("a code without a poll") };
        assert_eq!(body::form_field(&request, "device_code").as_deref(), Some(&*code), "another device code was sent");
        drive.round_trip();
        drive.answer(ticket, Response::new(400, br#"{"error":"slow_down"}"#));
        drive.expect(0, |law: &mut Law| law.slow_down(0));
        return drive.abandon();
    }
    match drive.step() {
        Step::Poll(..) => panic!("a poll without a code"),
        // Not available: one more attempt after a second.
        Step::Device(_) => {
            assert!(!(200..300).contains(&message.status) || drive.reason.is_some(), "repeated at once");
            assert_eq!(drive.now - answered, 1_000);
            assert!(matches!(drive.reason, Some(WaitReason::Backoff { attempt: 1, .. })), "{:?}", drive.reason);
        }
        Step::Done(outcome) => {
            judge::hides(&format!("{outcome:?}"), &secrets);
            let failure = outcome.expect_err("a token without a poll");
            judge::hides(&failure.to_string(), &secrets);
            refused(&failure, &message, members.as_ref());
        }
    }
}

/// There must be a reason why a code was not shown.
fn refused(failure: &Failure, message: &Message<'_>, members: Option<&Members<'_>>) {
    let Some(members) = members.filter(|members| is_plain(members) && (200..300).contains(&message.status)) else {
        return;
    };
    let times = times(members);
    match failure {
        Failure::Expired(_) => {
            assert!(
                times.is_some_and(|(interval, lifetime)| {
                    let law =
                        Law { interval: interval * 1_000, deadline: lifetime * 1_000, failures: 0, slow_downs: 0 };
                    law.next(0, 0) == Next::Expired
                }),
                "expired, but {times:?}"
            );
        }
        Failure::Protocol(error) => match &error.fault {
            ProtocolFault::IntervalTooLong => {
                assert!(times.is_some_and(|(interval, lifetime)| interval >= lifetime && lifetime > 0), "{times:?}");
            }
            ProtocolFault::Invalid(name) => {
                assert!(["expires_in", "interval"].contains(name), "{name} of a plain answer");
                assert_eq!(times, None, "usable times were refused");
            }
            fault => panic!("a plain answer was refused: {fault}"),
        },
        failure => panic!("a plain answer was refused: {failure}"),
    }
}

/// An unambiguous answer, apart from its times.
fn is_plain(members: &Members<'_>) -> bool {
    let simple = |text: &str, most: usize| {
        text.len() <= most && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'/' | b'.'))
    };
    let host = |rest: &str| {
        let name = rest.split('/').next().unwrap_or_default();
        rest.len() <= 200
            && rest.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b'.' | b'/'))
            && name.split('.').all(|label| !label.is_empty() && !label.starts_with("xn"))
    };
    !members.has_duplicates()
        && ["error", "error_code", "message"].iter().all(|name| members.get(name) == Member::Absent)
        && members.get("device_code").text().is_some_and(|code| simple(code, 4_096))
        && members.get("user_code").text().is_some_and(|code| simple(code, 256))
        && members.get("verification_uri").text().and_then(|uri| uri.strip_prefix("https://")).is_some_and(host)
}

/// Interval and lifetime in seconds; `None` when the answer is invalid.
fn times(members: &Members<'_>) -> Option<(u64, u64)> {
    let bounded = |seconds: u128| u64::try_from(seconds).unwrap_or(u64::MAX).min(u64::from(u32::MAX));
    let lifetime = match members.get("expires_in").seconds() {
        Seconds::Absent => 600,
        Seconds::Nonsense => return None,
        Seconds::Negative => 0,
        Seconds::Some { floor, .. } => bounded(floor).min(86_400),
    };
    let interval = match members.get("interval").seconds() {
        Seconds::Absent | Seconds::Some { ceil: 0, .. } => 5,
        Seconds::Nonsense | Seconds::Negative => return None,
        Seconds::Some { ceil, .. } => bounded(ceil),
    };
    Some((interval, lifetime))
}

/// The device code in the answer, JSON or form.
fn device_code(message: &Message<'_>, members: Option<&Members<'_>>) -> Option<String> {
    match members {
        Some(members) => members.get("device_code").text().map(String::from),
        None if body::is_form(message.line) => body::form_field(message.body, "device_code"),
        None => None,
    }
}
