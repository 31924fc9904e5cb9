//! Invariant: for any sequence of answers, delays, early wake-ups, cancellation and misuse, a refresh or a revocation
//! sends one request at a time and always the same, at most four times and never early; ends as the last answer
//! demands; and shows no secret.

use crate::judge;
use device_flow_core::{
    Action, Client, Failure, Machine, Misuse, Outgoing, Provider, Refresh, Response, Revocation, Timestamp, TokenKind,
    TokenResponse, TransportError, TransportErrorKind,
};
use device_flow_testkit::choices::{Bytes, Choose};
use std::fmt::Debug;
use std::sync::{Arc, OnceLock};

/// Secrets that must never be shown.
const OLD: &str = "old-refresh-token-5Vn2";
const NEW: &str = "new-refresh-token-8Kd4";
const ACCESS: &str = "access-token-3Hs7";
const SECRET: &str = "client-secret-4Xw8PQR2";

/// What an answer must lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// The refresh token to store; a revocation has none.
    Done(&'static str),
    SignIn {
        kept: bool,
    },
    Rejected,
    Protocol,
    Transport,
    /// Another attempt; without one left, the end.
    Again(Given),
    Cancelled,
}

/// How it ends when there is no further attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Given {
    Rejected,
    Protocol,
    Transport,
}

const UNAVAILABLE: Meaning = Meaning::Again(Given::Protocol);

/// Status, body, what it means for a refresh and for a revocation.
const ANSWERS: [(u16, &str, Meaning, Meaning); 24] = [
    (
        200,
        r#"{"access_token":"access-token-3Hs7","token_type":"Bearer","refresh_token":"new-refresh-token-8Kd4"}"#,
        Meaning::Done(NEW),
        Meaning::Done(""),
    ),
    (200, r#"{"access_token":"access-token-3Hs7"}"#, Meaning::Done(OLD), Meaning::Done("")),
    (204, "", Meaning::Protocol, Meaning::Done("")),
    (200, "<html>log in</html>", Meaning::Protocol, Meaning::Done("")),
    (200, "{}", Meaning::Protocol, Meaning::Done("")),
    (200, r#"{"access_token":"access-token-3Hs7"#, Meaning::Protocol, Meaning::Done("")),
    (201, r#"{"access_token":"access-token-3Hs7"}"#, Meaning::Done(OLD), Meaning::Protocol),
    (400, r#"{"error":"invalid_grant"}"#, Meaning::SignIn { kept: false }, Meaning::Rejected),
    (400, r#"{"error":"invalid_grant","suberror":"basic_action"}"#, Meaning::SignIn { kept: true }, Meaning::Rejected),
    (400, r#"{"error":"interaction_required"}"#, Meaning::SignIn { kept: true }, Meaning::Rejected),
    (400, r#"{"error":"invalid_grant","suberror":"client_mismatch"}"#, Meaning::Rejected, Meaning::Rejected),
    (401, r#"{"error":"invalid_client"}"#, Meaning::Rejected, Meaning::Rejected),
    (400, r#"{"error":"invalid_token"}"#, Meaning::Rejected, Meaning::Done("")),
    (400, r#"{"error":"slow_down"}"#, Meaning::Again(Given::Rejected), Meaning::Again(Given::Rejected)),
    (503, "busy", UNAVAILABLE, UNAVAILABLE),
    (429, "", UNAVAILABLE, UNAVAILABLE),
    (502, r#"{"error":"Bad Gateway"}"#, UNAVAILABLE, UNAVAILABLE),
    (307, "", Meaning::Protocol, Meaning::Protocol),
    (404, "404 page not found", Meaning::Protocol, Meaning::Protocol),
    (404, "null pointer", Meaning::Protocol, Meaning::Protocol),
    (400, "[]", Meaning::Protocol, Meaning::Protocol),
    (501, "", Meaning::Protocol, Meaning::Protocol),
    (429, r#"{"error":"rate_limit_exceeded"}"#, UNAVAILABLE, UNAVAILABLE),
    (500, r#"{"error":"server_error","error_description":"client not found"}"#, UNAVAILABLE, UNAVAILABLE),
];

const DELAYS: [(&str, u64); 7] =
    [("", 0), ("0", 0), ("3", 3), ("60", 60), ("61", 61), ("99999999999999999999", u64::MAX), ("soon", 0)];

/// The bytes are a sequence of choices.
pub fn check(data: &[u8]) {
    let mut choose = Bytes(data);
    let client = client();
    if choose.pick(2) == 0 {
        let refresh = Refresh::new(client, OLD).parameter("claims", SECRET).unwrap();
        play(refresh, false, &mut choose, |token: &TokenResponse| {
            assert_eq!(token.access_token().expose(), ACCESS);
            token.refresh_token().expect("there is always one to keep").expose().to_owned()
        });
    } else {
        let revocation = Revocation::new(client, OLD).unwrap().kind(TokenKind::RefreshToken);
        play(revocation, true, &mut choose, |()| String::new());
    }
}

fn client() -> Arc<Client> {
    static CLIENT: OnceLock<Arc<Client>> = OnceLock::new();
    let build = || {
        let provider = Provider::endpoints("https://as.example/device", "https://as.example/token");
        let provider = provider.revocation_endpoint("https://as.example/revoke");
        Client::builder(provider, "fuzz").scope("a b").client_secret_post(SECRET).build().unwrap().into()
    };
    Arc::clone(CLIENT.get_or_init(build))
}

fn play<M: Machine + Debug>(mut machine: M, revokes: bool, choose: &mut Bytes<'_>, kept: impl Fn(&M::Output) -> String)
where
    M::Output: Debug,
{
    let starts = [7_000_000, 0, 1 << 40, u64::MAX - 2_500, u64::MAX];
    // The time of the driver, and the latest time that the machine has been given.
    let mut now = starts[choose.pick(starts.len())];
    let (mut due, mut end, mut failures, mut sent, mut meaning) = (0, 0, 0_usize, vec![], None);
    let mut ticket = None;
    for _ in 0..64 {
        hides(&format!("{machine:?}"));
        match choose.pick(12) {
            0 => {
                machine.cancel();
                meaning.get_or_insert(Meaning::Cancelled);
            }
            1 => misuse(&mut machine, &mut ticket, now),
            // A time in the past counts as the latest time.
            2 if now < due && meaning.is_none() && ticket.is_none() => {
                let action = machine.next_action(Timestamp::from_millis(now.saturating_sub(5_000)));
                let same = matches!(&action, Action::Wait { until, .. } if until.as_millis() == due);
                assert!(same, "with a time in the past the action is {action:?}");
            }
            _ => {}
        }
        match machine.next_action(Timestamp::from_millis(now)) {
            Action::SendRequest(Outgoing { request, ticket: issued }) => {
                assert!(meaning.is_none() && ticket.is_none(), "an unexpected request");
                assert!(now >= due, "a request at {now}, before {due}");
                hides(&format!("{request:?}"));
                if sent.is_empty() {
                    end = now.saturating_add(30_000);
                }
                let left = request.time_limit().map(|left| left.as_millis());
                assert_eq!(left, (!revokes).then(|| u128::from(end.saturating_sub(now))), "another time limit");
                sent.push(request.body().to_vec());
                assert!(sent.len() <= 4 && sent[0] == sent[sent.len() - 1], "too many requests, or a different one");
                ticket = Some(issued);
            }
            Action::AwaitResponse => {
                let issued = ticket.take().expect("an answer that nobody asked for");
                now = now.saturating_add([0, 1, 30_000, 900_000][choose.pick(4)]);
                let (found, delay) = answer(&mut machine, issued, revokes, choose, now);
                let wait = [1, 2, 4].get(failures).filter(|_| delay <= 60).map(|wait| delay.max(*wait));
                // A refresh as a whole takes half a minute.
                let wait = wait.filter(|wait| revokes || now.saturating_add(wait * 1_000) < end);
                meaning = match (found, wait) {
                    (Meaning::Again(_), Some(wait)) => {
                        due = now.saturating_add(wait * 1_000);
                        failures += 1;
                        None
                    }
                    (Meaning::Again(Given::Rejected), None) => Some(Meaning::Rejected),
                    (Meaning::Again(Given::Protocol), None) => Some(Meaning::Protocol),
                    (Meaning::Again(Given::Transport), None) => Some(Meaning::Transport),
                    (found, _) => Some(found),
                };
            }
            Action::Wait { until, .. } => {
                assert!(meaning.is_none() && ticket.is_none() && now < due, "an unexpected wait");
                assert_eq!(until.as_millis(), due, "a wait of another length");
                now = match choose.pick(4) {
                    0 => due,
                    1 => due - 1,
                    2 => due.saturating_add(90_000),
                    _ => now + (due - now) / 2,
                };
            }
            Action::Done(outcome) => {
                let meaning = meaning.expect("an end that nobody wants");
                hides(&format!("{outcome:?}"));
                match (&outcome, meaning) {
                    (Ok(output), Meaning::Done(token)) => assert_eq!(kept(output), token),
                    (Ok(_), _) => panic!("{meaning:?} led to a token"),
                    (Err(failure), _) => ended(failure, meaning),
                }
                return over(machine, ticket, now);
            }
            Action::ShowCode(_) | Action::Ended => panic!("a code, or an end without an outcome"),
        }
    }
    // The driver stops here.
    machine.cancel();
    hides(&format!("{machine:?}"));
}

fn answer<M: Machine>(
    machine: &mut M,
    ticket: device_flow_core::Ticket,
    revokes: bool,
    choose: &mut Bytes<'_>,
    now: u64,
) -> (Meaning, u64) {
    const KINDS: [TransportErrorKind; 6] = [
        TransportErrorKind::Closed,
        TransportErrorKind::Timeout,
        TransportErrorKind::Dns,
        TransportErrorKind::Tls,
        TransportErrorKind::InvalidHttp,
        TransportErrorKind::UntrustedCertificate,
    ];
    let now = Timestamp::from_millis(now);
    let choice = choose.pick(ANSWERS.len() + KINDS.len());
    let Some((status, body, refreshed, revoked)) = ANSWERS.get(choice) else {
        let kind = KINDS[choice - ANSWERS.len()];
        machine.transport_failed(ticket, TransportError::new(kind), now).unwrap();
        let is_final = kind == TransportErrorKind::UntrustedCertificate;
        return (if is_final { Meaning::Transport } else { Meaning::Again(Given::Transport) }, 0);
    };
    let (header, delay) = DELAYS[choose.pick(DELAYS.len())];
    let mut response = Response::new(*status, body.as_bytes());
    if !header.is_empty() {
        response = response.header("Retry-After", header.as_bytes());
    }
    machine.response(ticket, response, now).unwrap();
    (if revokes { *revoked } else { *refreshed }, delay)
}

fn ended(failure: &Failure, meaning: Meaning) {
    judge::failure(failure);
    hides(&failure.to_string());
    let kept = failure.keeps_refresh_token();
    let fits = match failure {
        Failure::SignInNeeded(_) => meaning == Meaning::SignIn { kept },
        Failure::Rejected(_) => kept && meaning == Meaning::Rejected,
        Failure::Protocol(_) => kept && meaning == Meaning::Protocol,
        Failure::Transport(_) => kept && meaning == Meaning::Transport,
        Failure::Cancelled => kept && meaning == Meaning::Cancelled,
        _ => false,
    };
    assert!(fits, "{meaning:?} ended as {failure:?}");
}

/// An ended machine stays ended; a late answer is ignored.
fn over<M: Machine>(mut machine: M, ticket: Option<device_flow_core::Ticket>, now: u64) {
    if let Some(ticket) = ticket {
        machine.response(ticket, Response::new(200, ANSWERS[0].1.as_bytes()), Timestamp::from_millis(now)).unwrap();
    }
    machine.cancel();
    for at in [now, 0, u64::MAX] {
        assert!(
            matches!(machine.next_action(Timestamp::from_millis(at)), Action::Ended),
            "something after the outcome"
        );
    }
}

/// A ticket of another machine, and a status that HTTP does not have: both are refused, and nothing changes.
fn misuse<M: Machine + Debug>(machine: &mut M, ticket: &mut Option<device_flow_core::Ticket>, now: u64) {
    let before = format!("{machine:?}");
    let at = Timestamp::from_millis(now.saturating_add(1_000_000));
    let mut other = Refresh::new(client(), OLD);
    let Action::SendRequest(foreign) = other.next_action(at) else { panic!("no request") };
    let refused = machine.response(foreign.ticket, Response::new(200, b"{}"), at).unwrap_err();
    assert!(matches!(refused, Misuse::NotOutstanding(_)), "{refused:?}");
    let refused = machine.transport_failed(refused.into_ticket(), TransportError::new(TransportErrorKind::Dns), at);
    assert!(matches!(refused, Err(Misuse::NotOutstanding(_))), "a foreign ticket");
    if let Some(own) = ticket.take() {
        let refused = machine.response(own, Response::new(1_000, b"{}"), at).unwrap_err();
        assert!(matches!(refused, Misuse::InvalidStatus(..)), "{refused:?}");
        *ticket = Some(refused.into_ticket());
    }
    assert_eq!(format!("{machine:?}"), before, "misuse changed something");
}

fn hides(text: &str) {
    judge::hides(text, &[OLD, NEW, ACCESS, SECRET]);
}
