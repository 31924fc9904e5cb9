//! Invariant: `Retry-After` only lengthens a wait, to exactly its value, and never costs the last poll; an invalid
//! value in it or in any other header changes nothing.

use crate::body::Message;
use crate::drive::{Drive, Step};
use device_flow_core::{Failure, Response};
use device_flow_testkit::law::{Law, Next};

/// The bytes are three lines, `Retry-After`, `Date` and `Content-Type`, and then a message. The number on its first
/// line is the interval in force; what follows it is not used.
pub fn check(data: &[u8]) {
    let mut lines = data.splitn(4, |byte| *byte == b'\n');
    let [retry_after, date, content_type, rest] = [(); 4].map(|()| lines.next().unwrap_or_default());
    let message = Message::read(rest);
    let delay = Delay::read(retry_after, date);
    at_the_token_endpoint(data, &message, [retry_after, date, content_type], delay);
    at_the_device_endpoint(data, [retry_after, date, content_type], delay);
}

fn at_the_token_endpoint(data: &[u8], message: &Message<'_>, headers: [&[u8]; 3], delay: Delay) {
    let interval = message.number.unwrap_or(5).clamp(1, 600);
    // Three kinds of answers, with the same headers: an outage, authorization_pending, slow_down.
    let (status, body): (u16, &[u8]) = match message.status % 3 {
        0 => (429, b""),
        1 => (400, br#"{"error":"authorization_pending"}"#),
        _ => (400, br#"{"error":"slow_down"}"#),
    };
    let change = |law: &mut Law| match message.status % 3 {
        0 => law.failures += 1,
        1 => law.pending(),
        _ => law.slow_down(0),
    };
    let (mut drive, ticket) = Drive::polling(data, interval, 1_800);
    drive.round_trip();
    drive.answer(ticket, with(Response::new(status, body), headers));
    let millis = |seconds: u64| seconds.saturating_mul(1_000);
    match delay {
        Delay::Exactly(seconds) => drive.expect(millis(seconds), change),
        Delay::Unclear => {
            drive.expect(0, change);
            if let Some(Next::Poll { latest, .. }) = &mut drive.next {
                *latest = drive.law.expect("a code").deadline - 1_000;
            }
        }
    }
    drive.abandon();
}

fn at_the_device_endpoint(data: &[u8], headers: [&[u8]; 3], delay: Delay) {
    let mut drive = Drive::new(data);
    let Step::Device(ticket) = drive.step() else { panic!("no device authorization request") };
    drive.round_trip();
    drive.answer(ticket, with(Response::new(503, b""), headers));
    let answered = drive.now;
    match (drive.step(), delay) {
        (Step::Device(_), Delay::Exactly(seconds)) => {
            assert!(seconds <= 60, "a wait of {seconds} s before there is a code");
            assert_eq!(drive.now - answered, seconds.max(1) * 1_000);
        }
        (Step::Device(_), Delay::Unclear) => assert!((1_000..=60_000).contains(&(drive.now - answered))),
        (Step::Done(outcome), Delay::Exactly(seconds)) => {
            assert!(seconds > 60, "given up after one attempt");
            assert!(matches!(*outcome, Err(Failure::Protocol(_))), "{outcome:?}");
        }
        (Step::Done(_), Delay::Unclear) => {}
        (Step::Poll(..), _) => panic!("a poll without a code"),
    }
}

fn with<'a>(response: Response<'a>, [retry_after, date, content_type]: [&'a [u8]; 3]) -> Response<'a> {
    response
        .header("Server", b"x")
        .header("Retry-After", retry_after)
        .header("retry-after", b"1")
        .header("DATE", date)
        .header("content-type", content_type)
}

/// How long a server asks a client to wait.
#[derive(Clone, Copy, Debug)]
enum Delay {
    /// This many seconds; 0 for an invalid value.
    Exactly(u64),
    /// Something like a date that the strict parser here does not accept.
    Unclear,
}

impl Delay {
    fn read(retry_after: &[u8], date: &[u8]) -> Self {
        let Ok(value) = std::str::from_utf8(retry_after).map(str::trim) else { return Self::Exactly(0) };
        if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
            return Self::Exactly(value.parse().unwrap_or(u64::MAX));
        }
        let Ok(date) = std::str::from_utf8(date).map(str::trim) else { return Self::Exactly(0) };
        let looks_like_a_date = |text: &str| text.contains(':') && text.bytes().filter(u8::is_ascii_digit).count() >= 5;
        if !looks_like_a_date(value) || !looks_like_a_date(date) {
            return Self::Exactly(0);
        }
        // Years of two digits are read from today, or from the other date: left to the tests of the core.
        match (httpdate::parse_http_date(value), httpdate::parse_http_date(date)) {
            (Ok(then), Ok(now)) if !value.contains('-') && !date.contains('-') => {
                Self::Exactly(then.duration_since(now).map_or(0, |delay| delay.as_secs()))
            }
            _ => Self::Unclear,
        }
    }
}
