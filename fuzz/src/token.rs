//! Invariant: only one complete JSON object (or a form with its content type), without duplicate members, with a
//! visible `access_token` and the type Bearer (or DPoP, of a client with a key), is a token, and then exactly that one; everything else has the meaning
//! of RFC 6749 §5.2 and RFC 8628 §3.5, never shortens a wait, and shows no secret.

use crate::body::{self, Member, Members, Message, Seconds};
use crate::drive::{Drive, MAX_ANSWER, Step};
use crate::{drive, judge};
use device_flow_core::{Failure, Response, TokenResponse};
use device_flow_testkit::law::Law;

/// What an answer must lead to.
#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    Token,
    Pending,
    SlowDown(u64),
    Denied,
    Expired,
    Rejected,
    /// Another poll, after a longer wait.
    Again,
    Protocol,
    /// Anything but a token.
    NoToken,
    /// Undecided here: forms, and errors that may have other names.
    Unclear,
}

/// The bytes are an answer of the token endpoint; the number on their first line is the interval in force.
pub fn check(data: &[u8]) {
    let message = Message::read(data);
    let interval = message.number.unwrap_or(5).clamp(1, 600);
    let (mut drive, ticket) = Drive::polling(data, interval, 1_800);
    drive.round_trip();
    drive.answer(ticket, Response::new(message.status, message.body).header("content-type", message.line));

    let members = Members::read(message.body);
    let tokens = tokens(members.as_ref(), &message);
    let secrets: Vec<&str> = tokens.iter().map(String::as_str).chain(drive::secrets(data)).collect();
    judge::hides(&format!("{:?}", drive.flow), &secrets);
    let meaning = meaning(&message, members.as_ref(), drive::has_key(data));
    match meaning {
        Meaning::Pending => drive.expect(0, Law::pending),
        Meaning::SlowDown(hint) => drive.expect(0, |law| law.slow_down(hint)),
        Meaning::Again => drive.expect(0, |law| law.failures = 1),
        Meaning::NoToken | Meaning::Unclear => return unclear(drive, &meaning, &message, &secrets),
        Meaning::Token | Meaning::Denied | Meaning::Expired | Meaning::Rejected | Meaning::Protocol => {
            let Step::Done(outcome) = drive.step() else { panic!("{meaning:?} did not end the flow") };
            hides(&outcome, &secrets);
            return ended(&meaning, &outcome, members.as_ref());
        }
    }
    drive.abandon();
}

/// An answer whose meaning is undecided here: what follows must keep the shortest wait of the law.
fn unclear(mut drive: Drive, meaning: &Meaning, message: &Message<'_>, secrets: &[&str]) {
    let law = drive.law.expect("a code");
    // The bounds of the poll are unknown, so it is checked here.
    let answered = drive.now;
    drive.next =
        Some(device_flow_testkit::law::Next::Poll { earliest: answered + law.interval, latest: law.deadline - 1 });
    match drive.step() {
        Step::Poll(..) => assert!(drive.now > answered, "a poll without a wait"),
        Step::Device(_) => panic!("a second code was requested"),
        Step::Done(outcome) => {
            hides(&outcome, secrets);
            if let Ok(token) = *outcome {
                assert_ne!(*meaning, Meaning::NoToken, "a token from an answer without one");
                assert!((200..300).contains(&message.status), "a token with status {}", message.status);
                match Members::read(message.body) {
                    Some(members) => same(&token, &members),
                    None => {
                        assert!(body::is_form(message.line), "a token from something that is neither JSON nor a form");
                        let field = body::form_field(message.body, "access_token");
                        assert_eq!(
                            field.as_deref(),
                            Some(token.access_token().expose()),
                            "another token than in the form"
                        );
                    }
                }
            }
        }
    }
}

fn hides(outcome: &Result<TokenResponse, Failure>, secrets: &[&str]) {
    judge::hides(&format!("{outcome:?}"), secrets);
    if let Err(failure) = outcome {
        judge::hides(&failure.to_string(), secrets);
    }
}

fn ended(meaning: &Meaning, outcome: &Result<TokenResponse, Failure>, members: Option<&Members<'_>>) {
    match (meaning, outcome) {
        (Meaning::Token, Ok(token)) => same(token, members.expect("a token needs an object")),
        (Meaning::Denied, Err(Failure::Denied(_)))
        | (Meaning::Expired, Err(Failure::Expired(_)))
        | (Meaning::Rejected, Err(Failure::Rejected(_)))
        | (Meaning::Protocol, Err(Failure::Protocol(_))) => {}
        _ => panic!("{meaning:?} led to {outcome:?}"),
    }
}

/// Every part of the token has the value of its member.
fn same(token: &TokenResponse, members: &Members<'_>) {
    let [access, refresh, id] = ["access_token", "refresh_token", "id_token"].map(|name| members.get(name));
    assert_eq!(Some(token.access_token().expose()), access.text());
    assert_eq!(token.refresh_token().map(|token| token.expose()), refresh.text());
    assert_eq!(token.id_token().map(|token| token.expose()), id.text());
    let seconds = match members.get("expires_in").seconds() {
        Seconds::Absent | Seconds::Nonsense => None,
        Seconds::Negative => Some(0),
        Seconds::Some { floor, .. } => Some(floor.min(3_155_760_000)),
    };
    assert_eq!(token.expires_in().map(|life| u128::from(life.as_secs())), seconds);
    let known = ["access_token", "token_type", "expires_in", "refresh_token", "scope", "id_token"];
    let extras: Vec<_> = members.iter().filter(|(name, value)| !known.contains(name) && *value != "null").collect();
    assert!(token.raw_extra_names().eq(extras.iter().map(|(name, _)| *name)), "further members");
    extras.iter().for_each(|(name, value)| assert_eq!(token.extra(name).map(|extra| extra.expose()), Some(*value)));
    assert!(
        token.authorization().is_none_or(|header| header.expose().split_once(' ').map(|(_, it)| it) == access.text())
    );
}

/// The tokens in the answer, as far as they can be distinguished from everything else in it.
fn tokens(members: Option<&Members<'_>>, message: &Message<'_>) -> Vec<String> {
    let Some(members) = members else { return in_a_page(message) };
    let names = ["access_token", "refresh_token", "id_token"];
    let texts = names.into_iter().filter_map(|name| members.get(name).text().map(String::from));
    texts.filter(|text| judge::is_unique(text, message.body)).collect()
}

/// The same for an answer that is no object, perhaps because it was cut short: any word at the start of what may be a
/// member or its value. A form has none.
fn in_a_page(message: &Message<'_>) -> Vec<String> {
    let body = message.body;
    if body::is_form(message.line) {
        return Vec::new();
    }
    let begin = body.iter().position(|byte| b"{\"=_".contains(byte)).unwrap_or(body.len());
    let words = body[begin..].split(|byte| !byte.is_ascii_alphanumeric()).filter(|word| word.len() >= 10).take(16);
    let words = words.filter_map(|word| std::str::from_utf8(word).ok().filter(|word| judge::is_unique(word, body)));
    words.map(String::from).collect()
}

fn meaning(message: &Message<'_>, members: Option<&Members<'_>>, key: bool) -> Meaning {
    let (status, body) = (message.status, message.body);
    let not_now = matches!(status, 408 | 429 | 500..=599) && !matches!(status, 501 | 505 | 510 | 511);
    if (300..400).contains(&status) {
        return Meaning::Protocol;
    }
    let bare = body.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(body).trim_ascii_start();
    let begins_object = bare.first() == Some(&b'{');
    if !begins_object && body::is_form(message.line) {
        return Meaning::Unclear;
    }
    let Some(members) = members.filter(|_| body.len() <= MAX_ANSWER) else {
        return match bare.first() {
            _ if not_now => Meaning::Again,
            // An answer that begins as an object may be cut short or invalid: neither is a token.
            Some(b'{') => Meaning::NoToken,
            _ if matches!(status, 204 | 205) => Meaning::Protocol,
            // Whatever else it begins with, it is a page, and the first one is survived.
            _ => Meaning::Again,
        };
    };
    if members.has_duplicates() {
        return if not_now { Meaning::Again } else { Meaning::Protocol };
    }
    match members.get("error") {
        Member::Number(_) | Member::Other => return if not_now { Meaning::Again } else { Meaning::Protocol },
        // One of the two is wrong, and which one nobody knows.
        Member::Text(code) if !code.is_empty() && (200..300).contains(&status) && holds_token(members) => {
            return Meaning::Protocol;
        }
        Member::Text(code) if !code.is_empty() => return error(&code, members, not_now, key),
        Member::Absent | Member::Text(_) => {}
    }
    if ["error_code", "message"].iter().any(|name| members.get(name).text().is_some()) {
        return if token_is_usable(members, key) && (200..300).contains(&status) {
            unless_renamed(members)
        } else {
            Meaning::NoToken
        };
    }
    match status {
        _ if not_now => Meaning::Again,
        200..300 if members.is_empty() => Meaning::Again,
        200..300 if token_is_usable(members, key) => Meaning::Token,
        _ => Meaning::Protocol,
    }
}

/// Google and Twitch have the error code in another member; a token must not be lost because of an unrelated text
/// there.
fn unless_renamed(members: &Members<'_>) -> Meaning {
    let plain = |name| members.get(name).text().is_none_or(|text| !text.contains(['_', ' ']));
    if plain("error_code") && plain("message") { Meaning::Token } else { Meaning::Unclear }
}

fn error(code: &str, members: &Members<'_>, not_now: bool, key: bool) -> Meaning {
    match code {
        "authorization_pending" => Meaning::Pending,
        "slow_down" => Meaning::SlowDown(match members.get("interval").seconds() {
            Seconds::Some { ceil, .. } => u64::try_from(ceil).unwrap_or(u64::MAX),
            Seconds::Absent | Seconds::Nonsense | Seconds::Negative => 0,
        }),
        "access_denied" | "authorization_declined" => Meaning::Denied,
        "expired_token" | "code_expired" | "token_expired" | "expired_device_code" | "device_code_expired" => {
            Meaning::Expired
        }
        "invalid_grant"
        | "invalid_client"
        | "invalid_request"
        | "invalid_scope"
        | "unauthorized_client"
        | "unsupported_grant_type" => Meaning::Rejected,
        // Here without a nonce.
        "use_dpop_nonce" if key => Meaning::Again,
        "use_dpop_nonce" => Meaning::Rejected,
        // The remark of a gateway, or an error of some servers only.
        _ if not_now => Meaning::NoToken,
        _ => Meaning::Rejected,
    }
}

/// Even one of which nothing can be used.
fn holds_token(members: &Members<'_>) -> bool {
    !members.get("access_token").is_blank()
}

/// RFC 6749 §5.1 and Appendix A.12, A.17.
fn token_is_usable(members: &Members<'_>, key: bool) -> bool {
    let visible = |text: &str| text.bytes().all(|b| matches!(b, b' '..=b'~'));
    let kind = members.get("token_type");
    let names: &[&str] = if key { &["bearer", "dpop"] } else { &["bearer"] };
    let refresh = members.get("refresh_token");
    members.get("access_token").text().is_some_and(visible)
        && (kind.is_blank() || kind.text().is_some_and(|kind| names.iter().any(|name| kind.eq_ignore_ascii_case(name))))
        && (refresh.is_blank() || refresh.text().is_some_and(visible))
}
