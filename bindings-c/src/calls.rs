//! Owns any bytes as a sequence of calls, for the fuzz target: the functions with any handles, texts, numbers and tickets.
//!
//! Invariant: whatever is called in whatever order, a call with a null, foreign or freed handle is told so; a ticket is good
//! once; a text is readable, and UTF-8 where it is one; a place for a handle holds null after an error; a wait ends in the
//! future; and every handle can be freed once.
#![allow(clippy::indexing_slicing, reason = "a panic is how a target reports")]

use crate::*;
use alloc::vec::Vec;
use core::ffi::c_void;
use core::ptr;

/// What a C program passes as text, beside any bytes.
const TEXTS: [&str; 16] = [
    "",
    "app",
    "https://op.example.com/device",
    "https://op.example.com/token",
    "http://127.0.0.1:8628",
    "openid profile",
    "keycloak",
    "host",
    "sso.example.com",
    "realm",
    r#"{"device_code":"DC","user_code":"AB","verification_uri":"https://op.example.com/go","expires_in":600,"interval":5}"#,
    r#"{"error":"authorization_pending"}"#,
    r#"{"error":"slow_down"}"#,
    r#"{"access_token":"AT","token_type":"Bearer","refresh_token":"RT","scope":"openid","extra":1}"#,
    r#"{"error":"invalid_grant","error_description":"no"}"#,
    r#"{"issuer":"http://127.0.0.1:8628","device_authorization_endpoint":"http://127.0.0.1:8628/d","token_endpoint":"http://127.0.0.1:8628/t"}"#,
];

/// Whether freed handles are noticed in this build.
const LISTED: bool = cfg!(debug_assertions);

/// The bytes choose the calls.
pub fn check(data: &[u8]) {
    let mut calls = Calls { data, ..Calls::default() };
    calls.begin();
    while !calls.data.is_empty() {
        calls.one();
    }
    calls.end();
}

#[derive(Default)]
struct Calls<'a> {
    data: &'a [u8],
    configs: Vec<*mut Config>,
    clients: Vec<*mut Client>,
    machines: Vec<(*mut Machine, u64)>,
    gone: Vec<*mut c_void>,
    stored: Vec<u8>,
    now: u64,
}

impl Calls<'_> {
    fn byte(&mut self) -> usize {
        let Some((first, rest)) = self.data.split_first() else { return 0 };
        self.data = rest;
        usize::from(*first)
    }

    /// One of the texts, or as many bytes as the next one says.
    fn text(&mut self) -> Vec<u8> {
        let choice = self.byte();
        if let Some(text) = TEXTS.get(choice) {
            return text.as_bytes().to_vec();
        }
        let (text, rest) = self.data.split_at(self.data.len().min(choice - TEXTS.len()));
        self.data = rest;
        text.to_vec()
    }

    /// A client with both endpoints, a flow of it and a refresh, so that no luck is needed to reach them.
    fn begin(&mut self) {
        let config = self.config();
        for (setting, text) in [(1, 2), (2, 3), (0, 1), (7, 5)] {
            // SAFETY: a live handle and a whole text.
            let set = unsafe { df_config_set(config, setting, TEXTS[text].as_ptr().cast(), TEXTS[text].len()) };
            assert_eq!(set, Code::Ok);
        }
        // SAFETY: a live handle, a place.
        let client = made(|place| unsafe { df_client_new(config, place) }).map(|client| self.clients.push(client));
        assert!(client.is_ok());
        let client = self.clients[0];
        // SAFETY: a live handle, and what it needs.
        let flow = made(|place| unsafe { df_flow_new(client, [7; 32].as_ptr(), 32, place) });
        self.keep(flow);
        assert_eq!(self.machines.len(), 1);
    }

    fn config(&mut self) -> *mut Config {
        // SAFETY: a place.
        let Ok(config) = made(|place| unsafe { df_config_new(place) }) else { unreachable!("nothing can be wrong") };
        self.configs.push(config);
        self.gone.retain(|gone| *gone != config.cast());
        config
    }

    /// A new handle may be where a freed one was.
    fn keep(&mut self, machine: Result<*mut Machine, Code>) {
        if let Ok(machine) = machine {
            self.gone.retain(|gone| *gone != machine.cast());
            self.machines.push((machine, 0));
        }
    }

    /// A machine, mostly; and whether it is one. Else null, a handle of another kind, or one that was freed.
    fn machine(&mut self) -> (*mut Machine, Option<usize>, Code) {
        let choice = self.byte();
        match choice {
            250 => (ptr::null_mut(), None, Code::BadPointer),
            251 if !self.clients.is_empty() => (self.clients[0].cast(), None, Code::BadHandle),
            252 if LISTED && !self.gone.is_empty() => (self.gone[0].cast(), None, Code::BadHandle),
            253 => (ptr::without_provenance_mut(usize::MAX), None, Code::BadPointer),
            _ if self.machines.is_empty() => (ptr::null_mut(), None, Code::BadPointer),
            _ => {
                let at = choice % self.machines.len();
                (self.machines[at].0, Some(at), Code::Ok)
            }
        }
    }

    /// The same for a client.
    fn client(&mut self) -> (*mut Client, Code) {
        match self.byte() {
            250 => (ptr::null_mut(), Code::BadPointer),
            251 if !self.configs.is_empty() => (self.configs[0].cast(), Code::BadHandle),
            252 if LISTED && !self.gone.is_empty() => (self.gone[0].cast(), Code::BadHandle),
            _ if self.clients.is_empty() => (ptr::null_mut(), Code::BadPointer),
            choice => (self.clients[choice % self.clients.len()], Code::Ok),
        }
    }

    #[allow(clippy::too_many_lines, reason = "one arm for each function")]
    fn one(&mut self) {
        let kind = self.byte() % 16;
        match kind {
            0 if self.configs.len() < 3 => _ = self.config(),
            1 if !self.configs.is_empty() => {
                let (choice, setting) = (self.byte(), self.byte());
                let config = self.configs[choice % self.configs.len()];
                let (name, value) = (self.text(), self.text());
                let ((name, name_len), (value, value_len)) = (parts(&name), parts(&value));
                let setting = u32::try_from(setting).unwrap_or_default();
                // SAFETY: live handles, whole texts. Most settings take one of the two.
                unsafe {
                    df_config_set(config, setting, value, value_len);
                    df_config_set_pair(config, setting, name, name_len, value, value_len);
                }
            }
            2 if !self.configs.is_empty() && self.clients.len() < 3 => {
                let choice = self.byte();
                let config = self.configs[choice % self.configs.len()];
                // SAFETY: a live handle, a place.
                if let Ok(client) = made(|place| unsafe { df_client_new(config, place) }) {
                    self.gone.retain(|gone| *gone != client.cast());
                    self.clients.push(client);
                }
            }
            3..=6 if self.machines.len() < 4 => self.start(kind),
            7 => self.free(),
            8 => {
                let (machine, _, wrong) = self.machine();
                // SAFETY: what is no machine is noticed.
                let code = unsafe { df_cancel(machine) };
                assert_eq!(code, wrong);
            }
            9 => {
                let (machine, at, wrong) = self.machine();
                let mut json = NONE;
                // SAFETY: what is no machine is noticed.
                let code = unsafe { df_snapshot(machine, self.now, &raw mut json) };
                if at.is_none() {
                    assert_eq!(code, wrong);
                } else if code == Code::Ok {
                    self.stored = read(json).to_vec();
                }
            }
            10 => {
                let (machine, at, wrong) = self.machine();
                match at {
                    Some(_) => read_all(machine),
                    // SAFETY: what is no machine is noticed.
                    None => unsafe {
                        assert_eq!(df_read_text(machine, 0, 0, &mut { NONE }), wrong);
                        assert_eq!(df_read_number(machine, 0, &mut 0), wrong);
                    },
                }
            }
            11 | 12 => self.answer(kind == 11),
            _ => {
                let (machine, at, wrong) = self.machine();
                let mut action = Action::of(ActionKind::Ended);
                // SAFETY: what is no machine is noticed.
                let code = unsafe { df_next_action(machine, self.now, &raw mut action) };
                let Some(at) = at else { return assert_eq!(code, wrong) };
                assert_eq!(code, Code::Ok);
                match action.kind {
                    ActionKind::SendRequest => {
                        assert_ne!(action.ticket, 0);
                        self.machines[at].1 = action.ticket;
                        read_request(&action.request);
                    }
                    ActionKind::Wait => {
                        assert!(action.until_ms > self.now, "a wait that is over");
                        self.now = action.until_ms;
                    }
                    ActionKind::AwaitResponse => assert_eq!(self.machines[at].1, action.ticket),
                    ActionKind::ShowCode | ActionKind::Done | ActionKind::Failed | ActionKind::Ended => {}
                }
                read_all(machine);
            }
        }
    }

    fn start(&mut self, kind: usize) {
        let (client, wrong) = self.client();
        let (one, two) = (self.text(), self.text());
        let ((first, first_len), (second, second_len)) = (parts(&one), parts(&two));
        // SAFETY: whole texts; what is no client is noticed.
        let machine = made(|place| unsafe {
            match kind {
                3 => df_flow_new(client, first.cast(), first_len, place),
                4 => df_refresh_new(client, first, first_len, second, second_len, place),
                5 => df_revocation_new(client, first, first_len, place),
                _ => {
                    let json = if first_len == 0 { &self.stored } else { &one };
                    let (json, json_len) = parts(json);
                    df_resume(client, json, json_len, first_len as u64, second_len as u64, self.now, place)
                }
            }
        });
        if wrong != Code::Ok {
            assert_eq!(machine, Err(wrong));
        } else if kind == 3 {
            assert_eq!(machine.is_ok(), first_len == 32);
        }
        self.keep(machine);
        if kind == 5 && self.machines.len() < 4 && !self.configs.is_empty() {
            let config = self.configs[0];
            // SAFETY: a live handle, a place.
            let machine = made(|place| unsafe { df_discovery_new(config, place) });
            self.keep(machine);
        }
        if let (Some((machine, _)), Some(config)) = (self.machines.last(), self.configs.first()) {
            // SAFETY: live handles.
            unsafe { df_config_discovered(*config, *machine) };
        }
    }

    /// An answer, or the lack of one, with a ticket that is mostly the right one.
    fn answer(&mut self, came: bool) {
        let (machine, at, wrong) = self.machine();
        let outstanding = at.map_or(0, |at| self.machines[at].1);
        let skewed = self.byte();
        let ticket = if skewed > 250 { outstanding.wrapping_add(skewed as u64) } else { outstanding };
        let (text, value) = (self.text(), self.text());
        let ((data, len), (value, value_len)) = (parts(&text), parts(&value));
        let status = [200, 400, 401, 429, 500, 503, 302, 0, 99, 999, 1_000, 65_736][self.byte() % 12];
        let headers = ["content-type", "retry-after", "date", "dpop-nonce"].map(|name| Header {
            name: name.as_ptr().cast(),
            name_len: name.len(),
            value,
            value_len,
        });
        let kind = u32::try_from(skewed % 11).unwrap_or_default();
        // SAFETY: whole texts; what is no machine is noticed.
        let code = unsafe {
            if came {
                df_response(machine, ticket, status, headers.as_ptr(), skewed % 5, data.cast(), len, self.now)
            } else {
                df_transport_failed(machine, ticket, kind, data, len, self.now)
            }
        };
        let Some(at) = at else { return assert_eq!(code, wrong) };
        if !came && kind > 9 {
            assert_eq!(code, Code::BadArgument);
        } else if !came && core::str::from_utf8(&text).is_err() {
            assert_eq!(code, Code::BadText);
        } else if ticket == 0 || ticket != outstanding {
            assert_eq!(code, Code::BadTicket);
        } else if came && !(100..=999).contains(&status) {
            assert_eq!(code, Code::BadStatus);
        } else {
            assert_eq!(code, Code::Ok);
            self.machines[at].1 = 0;
        }
    }

    fn free(&mut self) {
        let choice = self.byte();
        let handle: *mut c_void = match choice % 3 {
            0 if !self.machines.is_empty() => self.machines.swap_remove(choice % self.machines.len()).0.cast(),
            1 if !self.clients.is_empty() => self.clients.swap_remove(choice % self.clients.len()).cast(),
            2 if !self.configs.is_empty() => self.configs.swap_remove(choice % self.configs.len()).cast(),
            _ => return,
        };
        self.freed(handle);
    }

    fn freed(&mut self, handle: *mut c_void) {
        // SAFETY: a live handle, once; a second time only where it is noticed.
        unsafe {
            assert_eq!(df_free(handle), Code::Ok);
            if LISTED {
                assert_eq!(df_free(handle), Code::BadHandle);
                assert_eq!(df_detail(handle, &mut { NONE }), Code::BadHandle);
            }
        }
        self.gone.insert(0, handle);
    }

    fn end(mut self) {
        for client in core::mem::take(&mut self.clients) {
            self.freed(client.cast());
        }
        for (machine, _) in core::mem::take(&mut self.machines) {
            read_all(machine);
            self.freed(machine.cast());
        }
        for config in core::mem::take(&mut self.configs) {
            self.freed(config.cast());
        }
    }
}

const NONE: Str = Str { data: ptr::null(), len: 0 };

fn parts(text: &[u8]) -> (*const core::ffi::c_char, usize) {
    (text.as_ptr().cast(), text.len())
}

fn read<'a>(text: Str) -> &'a [u8] {
    // SAFETY: it came from a call just now.
    unsafe { core::slice::from_raw_parts(text.data.cast(), text.len) }
}

/// What a function puts into its place for a handle: one, or null and an error.
fn made<T>(make: impl FnOnce(*mut *mut T) -> Code) -> Result<*mut T, Code> {
    let mut place = ptr::null_mut();
    let code = make(&raw mut place);
    assert_eq!(place.is_null(), code != Code::Ok, "{code:?}");
    if code == Code::Ok { Ok(place) } else { Err(code) }
}

fn seen(bytes: &[u8]) {
    core::hint::black_box(bytes.iter().map(|byte| usize::from(*byte)).sum::<usize>());
}

/// A request that came out just now, to its last byte.
fn read_request(request: &Request) {
    for text in [request.method, request.url, request.body] {
        seen(read(text));
    }
    // SAFETY: as with its texts.
    for header in unsafe { core::slice::from_raw_parts(request.headers, request.header_count) } {
        seen(read(Str { data: header.name, len: header.name_len }));
        seen(read(Str { data: header.value, len: header.value_len }));
    }
}

/// Everything that can be read of a live machine, to its last byte.
fn read_all(machine: *mut Machine) {
    // SAFETY: a live handle, and places.
    unsafe {
        for which in 0..=27 {
            for index in 0..3 {
                let mut text = NONE;
                let code = df_read_text(machine, which, index, &raw mut text);
                if code == Code::Ok {
                    assert!(core::str::from_utf8(read(text)).is_ok(), "text {which}");
                } else {
                    assert!(matches!(code, Code::None | Code::BadArgument), "{code:?}");
                }
            }
            let code = df_read_number(machine, which, &mut 0);
            assert!(matches!(code, Code::Ok | Code::None | Code::BadArgument), "{code:?}");
        }
        let mut text = NONE;
        if df_detail(machine.cast(), &raw mut text) == Code::Ok {
            assert!(core::str::from_utf8(read(text)).is_ok());
        }
    }
}
