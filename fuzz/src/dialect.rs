//! Invariant: in each dialect a token comes only from one complete JSON object with status 2xx, without duplicate members
//! and without an error in any place where the provider has one, and is exactly the one in it; a wait is never shorter
//! than the interval; a code comes only from an object that has one; and no secret is shown.

use crate::body::{Member, Members, Message};
use crate::judge;
use device_flow_core::{Action, Client, DeviceFlow, Failure, Machine, Response, Ticket, Timestamp, TokenResponse};
use device_flow_testkit::dialects::{CLIENT_SECRET, DEVICE_CODE, Say, Speech};
use std::sync::{Arc, OnceLock};

/// The number on the first line chooses the provider, and with 8 more the device authorization endpoint in place of the
/// token endpoint; the rest of the line is the header `x-amzn-errortype`.
pub fn check(data: &[u8]) {
    let message = Message::read(data);
    let choice = message.number.unwrap_or_default();
    let index = usize::try_from(choice % 8).unwrap();
    let speech = Speech::ALL[index];
    let mut flow = DeviceFlow::new(client(index), [data.len() as u8; 32]);
    let response = Response::new(message.status, message.body).header("x-amzn-errortype", message.line);
    let mut now = 1_000;
    let Some(ticket) = next_request(&mut flow, &mut now) else { panic!("no device authorization request") };
    let shown = if choice & 8 == 0 {
        let code = speech.reply(Say::Code);
        flow.response(ticket, Response::new(200, code.body.as_bytes()), Timestamp::from_millis(now)).unwrap();
        let Some(ticket) = next_request(&mut flow, &mut now) else { panic!("no poll") };
        flow.response(ticket, response, Timestamp::from_millis(now)).unwrap();
        answered(flow, now, speech, &message)
    } else {
        flow.response(ticket, response, Timestamp::from_millis(now)).unwrap();
        let shown = format!("{flow:?} {:?}", flow.prompt());
        if let Some(prompt) = flow.prompt() {
            judge::prompt(&prompt);
            assert!((200..300).contains(&message.status), "a code with status {}", message.status);
            let members = Members::read(message.body).expect("a code from something else");
            assert!(!members.has_duplicates() && is_blank(&members, "error"), "a code beside an error");
        }
        shown
    };
    for secret in [CLIENT_SECRET, DEVICE_CODE].into_iter().filter(|secret| !judge::contains(data, secret)) {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

/// What the answer to a poll led to, as text.
fn answered(mut flow: DeviceFlow, now: u64, speech: Speech, message: &Message<'_>) -> String {
    let shown = format!("{flow:?}");
    match flow.next_action(Timestamp::from_millis(now)) {
        Action::Wait { until, .. } => {
            assert!(until.as_millis() - now >= 1_000, "{speech:?}: a wait of {} ms", until.as_millis() - now);
            shown
        }
        Action::Done(Ok(token)) => {
            is_a_token(&token, speech, message);
            shown + &format!("{token:?}")
        }
        Action::Done(Err(failure)) => {
            judge::failure(&failure);
            assert!(!matches!(failure, Failure::Cancelled), "nobody has cancelled");
            shown + &format!("{failure:?} {failure}")
        }
        other @ (Action::SendRequest(_) | Action::ShowCode(_) | Action::AwaitResponse | Action::Ended) => {
            panic!("{speech:?}: {other:?} right after an answer")
        }
    }
}

fn is_a_token(token: &TokenResponse, speech: Speech, message: &Message<'_>) {
    assert!((200..300).contains(&message.status), "a token with status {}", message.status);
    let members = Members::read(message.body).expect("a token from something that is no object");
    assert!(!members.has_duplicates(), "a member twice");
    assert!(is_blank(&members, "error"), "a token beside an error");
    let names: &[&str] = if speech == Speech::Aws { &["accessToken", "access_token"] } else { &["access_token"] };
    let text = |name: &&str| members.get(name).text().map(str::to_owned);
    let found: Vec<String> = names.iter().filter_map(text).collect();
    assert_eq!(found, [token.access_token().expose()], "another token");
    if speech == Speech::Aws {
        let name = std::str::from_utf8(message.line).unwrap_or_default();
        let name = name.split(':').next().unwrap_or_default().rsplit('#').next().unwrap_or_default().trim();
        assert_eq!(name, "", "a token beside the name of an error");
    }
}

/// Absent, null or an empty text.
fn is_blank(members: &Members<'_>, name: &str) -> bool {
    let member = members.get(name);
    member == Member::Absent || member.is_blank()
}

/// Goes on to the next request, through prompts and waits.
fn next_request(flow: &mut DeviceFlow, now: &mut u64) -> Option<Ticket> {
    loop {
        match flow.next_action(Timestamp::from_millis(*now)) {
            Action::SendRequest(outgoing) => return Some(outgoing.ticket),
            Action::ShowCode(_) => {}
            Action::Wait { until, .. } => *now = until.as_millis(),
            Action::AwaitResponse | Action::Done(_) | Action::Ended => return None,
        }
    }
}

fn client(index: usize) -> Arc<Client> {
    static CLIENTS: OnceLock<Vec<Arc<Client>>> = OnceLock::new();
    let build = |speech: Speech| Arc::new(speech.client("as.example").build().unwrap());
    Arc::clone(&CLIENTS.get_or_init(|| Speech::ALL.into_iter().map(build).collect())[index])
}
