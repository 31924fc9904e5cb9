//! Owns what a C program would write around the functions: calls with Rust's texts, whose results are checked.
#![allow(dead_code, reason = "not every test program needs all of it")]

use device_flow_c::*;
use std::ffi::c_void;
use std::ptr;

pub(crate) const GRANT: &str = r#"{"device_code":"DC-canary","user_code":"DKBD-TMWL","verification_uri":"https://op.example.com/device","verification_uri_complete":"https://op.example.com/device?user_code=DKBD-TMWL","expires_in":600,"interval":5}"#;
pub(crate) const PENDING: &str = r#"{"error":"authorization_pending","error_description":"authorization request is still pending as the end-user hasn't yet completed the user interaction steps"}"#;
pub(crate) const TOKENS: &str = r#"{"access_token":"AT-canary","token_type":"Bearer","expires_in":3600,"refresh_token":"RT-canary","scope":"openid profile","id_token":"ID-canary","session_state":"XS-canary"}"#;
pub(crate) const ENTROPY: [u8; 32] = [9; 32];

pub(crate) const EMPTY: Str = Str { data: ptr::null(), len: 0 };

/// What a text out of the library says.
pub(crate) fn read(text: Str) -> Vec<u8> {
    unsafe { std::slice::from_raw_parts(text.data.cast::<u8>(), text.len) }.to_vec()
}

pub(crate) fn error_text(code: Code) -> String {
    let mut text = EMPTY;
    assert_eq!(unsafe { df_error_text(code as i32, &mut text) }, Code::Ok);
    String::from_utf8(read(text)).unwrap()
}

pub(crate) fn detail<T>(handle: *mut T) -> String {
    let mut text = EMPTY;
    match unsafe { df_detail(handle.cast(), &mut text) } {
        Code::Ok => String::from_utf8(read(text)).unwrap(),
        code => {
            assert_eq!(code, Code::None);
            String::new()
        }
    }
}

pub(crate) fn free<T>(handle: *mut T) {
    assert_eq!(unsafe { df_free(handle.cast::<c_void>()) }, Code::Ok);
}

pub(crate) fn config() -> *mut Config {
    let mut config = ptr::null_mut();
    assert_eq!(unsafe { df_config_new(&mut config) }, Code::Ok);
    config
}

pub(crate) fn set(config: *mut Config, setting: Setting, value: &str) -> Code {
    unsafe { df_config_set(config, setting as u32, value.as_ptr().cast(), value.len()) }
}

pub(crate) fn set_pair(config: *mut Config, setting: Setting, name: &str, value: &str) -> Code {
    let (name, value) = ((name.as_ptr().cast(), name.len()), (value.as_ptr().cast(), value.len()));
    unsafe { df_config_set_pair(config, setting as u32, name.0, name.1, value.0, value.1) }
}

/// A client with both endpoints by hand.
pub(crate) fn client() -> *mut Client {
    let config = config();
    for (setting, value) in [
        (Setting::ClientId, "device-public"),
        (Setting::DeviceAuthorizationEndpoint, "https://op.example.com/device/auth"),
        (Setting::TokenEndpoint, "https://op.example.com/token"),
        (Setting::RevocationEndpoint, "https://op.example.com/revoke"),
        (Setting::Scope, "openid profile"),
    ] {
        assert_eq!(set(config, setting, value), Code::Ok);
    }
    let client = client_of(config).unwrap();
    free(config);
    client
}

pub(crate) fn client_of(config: *mut Config) -> Result<*mut Client, Code> {
    let mut client = ptr::null_mut();
    match unsafe { df_client_new(config, &mut client) } {
        Code::Ok => Ok(client),
        code => {
            assert!(client.is_null());
            Err(code)
        }
    }
}

pub(crate) fn flow(client: *mut Client) -> *mut Machine {
    let mut machine = ptr::null_mut();
    assert_eq!(unsafe { df_flow_new(client, ENTROPY.as_ptr(), ENTROPY.len(), &mut machine) }, Code::Ok);
    machine
}

pub(crate) fn refresh(client: *mut Client, token: &str, scope: &str) -> Result<*mut Machine, Code> {
    let mut machine = ptr::null_mut();
    let (token, scope) = ((token.as_ptr().cast(), token.len()), (scope.as_ptr().cast(), scope.len()));
    match unsafe { df_refresh_new(client, token.0, token.1, scope.0, scope.1, &mut machine) } {
        Code::Ok => Ok(machine),
        code => Err(code),
    }
}

pub(crate) fn next(machine: *mut Machine, now: u64) -> Action {
    let mut action = NOTHING;
    assert_eq!(unsafe { df_next_action(machine, now, &mut action) }, Code::Ok);
    action
}

/// The request that is due now.
pub(crate) fn sends(machine: *mut Machine, now: u64) -> Sent {
    sent(&next(machine, now))
}

/// Its ticket.
pub(crate) fn request(machine: *mut Machine, now: u64) -> u64 {
    sends(machine, now).ticket
}

pub(crate) fn respond(
    machine: *mut Machine,
    ticket: u64,
    status: u32,
    headers: &[(&str, &str)],
    body: &str,
    now: u64,
) -> Code {
    let headers: Vec<_> = headers.iter().map(|(name, value)| header(name, value)).collect();
    let (body, len) = (body.as_ptr().cast(), body.len());
    unsafe { df_response(machine, ticket, status, headers.as_ptr(), headers.len(), body, len, now) }
}

pub(crate) fn header(name: &str, value: &str) -> Header {
    Header { name: name.as_ptr().cast(), name_len: name.len(), value: value.as_ptr().cast(), value_len: value.len() }
}

pub(crate) fn fail(machine: *mut Machine, ticket: u64, kind: TransportError, detail: &str, now: u64) -> Code {
    unsafe { df_transport_failed(machine, ticket, kind as u32, detail.as_ptr().cast(), detail.len(), now) }
}

/// A request that is due: method, URL, headers, body; and its limits.
#[derive(PartialEq, Debug)]
pub(crate) struct Sent {
    pub(crate) ticket: u64,
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    pub(crate) max_response: usize,
    pub(crate) time_limit_ms: u64,
}

/// A place for an action.
pub(crate) const NOTHING: Action = Action {
    kind: ActionKind::Ended,
    reason: WaitReason::None,
    ticket: 0,
    until_ms: 0,
    request: Request {
        method: EMPTY,
        url: EMPTY,
        headers: ptr::null(),
        header_count: 0,
        body: EMPTY,
        max_response: 0,
        time_limit_ms: 0,
    },
};

pub(crate) fn sent(action: &Action) -> Sent {
    assert_eq!(action.kind, ActionKind::SendRequest);
    let request = action.request;
    let text = |data, len| String::from_utf8(read(Str { data, len })).unwrap();
    let headers = unsafe { std::slice::from_raw_parts(request.headers, request.header_count) };
    Sent {
        ticket: action.ticket,
        method: text(request.method.data, request.method.len),
        url: text(request.url.data, request.url.len),
        headers: headers
            .iter()
            .map(|header| (text(header.name, header.name_len), text(header.value, header.value_len)))
            .collect(),
        body: text(request.body.data, request.body.len),
        max_response: request.max_response,
        time_limit_ms: request.time_limit_ms,
    }
}

pub(crate) fn text_at(machine: *mut Machine, text: Text, index: usize) -> Option<String> {
    let mut value = EMPTY;
    match unsafe { df_read_text(machine, text as u32, index, &mut value) } {
        Code::Ok => Some(String::from_utf8(read(value)).unwrap()),
        code => {
            assert_eq!(code, Code::None);
            None
        }
    }
}

pub(crate) fn text(machine: *mut Machine, text: Text) -> Option<String> {
    text_at(machine, text, 0)
}

pub(crate) fn number(machine: *mut Machine, number: Number) -> Option<u64> {
    let mut value = 0;
    match unsafe { df_read_number(machine, number as u32, &mut value) } {
        Code::Ok => Some(value),
        code => {
            assert_eq!(code, Code::None);
            None
        }
    }
}

pub(crate) fn snapshot(machine: *mut Machine, now: u64) -> Option<String> {
    let mut json = EMPTY;
    match unsafe { df_snapshot(machine, now, &mut json) } {
        Code::Ok => Some(String::from_utf8(read(json)).unwrap()),
        code => {
            assert_eq!(code, Code::None);
            None
        }
    }
}

pub(crate) fn resume(client: *mut Client, json: &str, away: [u64; 2], now: u64) -> Result<*mut Machine, Code> {
    let mut machine = ptr::null_mut();
    let (data, len) = (json.as_ptr().cast(), json.len());
    match unsafe { df_resume(client, data, len, away[0], away[1], now, &mut machine) } {
        Code::Ok => Ok(machine),
        code => {
            assert!(machine.is_null());
            Err(code)
        }
    }
}

/// A flow that waits for its first poll, five seconds after the zero of the clock.
pub(crate) fn waiting(client: *mut Client) -> *mut Machine {
    let machine = flow(client);
    let ticket = request(machine, 0);
    assert_eq!(respond(machine, ticket, 200, &[("Content-Type", "application/json")], GRANT, 0), Code::Ok);
    assert_eq!(next(machine, 0).kind, ActionKind::ShowCode);
    assert_eq!(next(machine, 0).kind, ActionKind::Wait);
    machine
}

/// The next poll, and when it is due.
pub(crate) fn polls(machine: *mut Machine, now: u64) -> (Sent, u64) {
    let wait = next(machine, now);
    assert_eq!(wait.kind, ActionKind::Wait);
    (sends(machine, wait.until_ms), wait.until_ms)
}

/// The ticket of the next poll, and when it is due.
pub(crate) fn poll(machine: *mut Machine, now: u64) -> (u64, u64) {
    let (poll, now) = polls(machine, now);
    (poll.ticket, now)
}
