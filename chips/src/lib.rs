//! Owns what the firmware does: a sign-in over a line to a host that has a network, a clock and random numbers. The host
//! stands for a modem or a TCP/IP stack with TLS, for the chip's timer, and for its generator of random numbers; real
//! firmware takes the entropy from its own.
//!
//! | the firmware writes a line | the host answers |
//! | --- | --- |
//! | `server` | a line: the URL that the endpoints are below |
//! | `entropy` | 32 bytes |
//! | `time` | a line: the time in milliseconds |
//! | `wait MILLISECONDS` | the same, when that time has come |
//! | `send METHOD URL LIMIT LENGTH`, headers, an empty line, a body of that length | a line: the length of the answer; then status, headers, an empty line and the body, at most one byte longer than the limit. 0 when there is no answer |
//! | `show CODE URL`, `memory HEAP MOST_HEAP MOST_STACK`, `granted SCOPES`, `failed WHY` | nothing |
#![no_std]

extern crate alloc;

use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};
use core::fmt::{self, Write as _};
use device_flow_core::{
    Action, Client, DeviceFlow, Machine as _, Provider, Request, Response, Timestamp, TransportError,
    TransportErrorKind,
};

/// Answers of servers that sign people in are shorter, an ID token included.
const LONGEST_ANSWER: usize = 2_048;

/// A serial line.
pub trait Line {
    /// Writes a byte, when there is room for it.
    fn write(&mut self, byte: u8);
    /// Reads a byte, when there is one.
    fn read(&mut self) -> u8;
}

/// Bytes in use.
pub struct Memory {
    /// On the heap now.
    pub heap: usize,
    /// The most that ever were on the heap.
    pub most_heap: usize,
    /// The most that the stack ever was.
    pub most_stack: usize,
}

/// Signs in, and says over the line what happens.
pub fn sign_in(line: impl Line, memory: fn() -> Memory) {
    let mut host = Host(line);
    let outcome = host.sign_in(memory);
    host.tell(memory());
    match outcome {
        Ok(scopes) => host.say(format_args!("granted {scopes}")),
        Err(why) => host.say(format_args!("failed {why}")),
    }
}

struct Host<L>(L);

impl<L: Line> Host<L> {
    fn sign_in(&mut self, memory: fn() -> Memory) -> Result<String, String> {
        self.say(format_args!("server"));
        let server = self.line();
        let provider = Provider::endpoints(format!("{server}/device_authorization"), format!("{server}/token"));
        let client = Client::builder(provider, "firmware").scope("openid").max_answer(LONGEST_ANSWER);
        let client = client.allow_http_loopback().build().map_err(text)?;
        self.say(format_args!("entropy"));
        let entropy = core::array::from_fn(|_| self.0.read());
        let mut flow = DeviceFlow::new(client, entropy);
        let mut now = self.time(format_args!("time"));
        loop {
            match flow.next_action(now) {
                Action::SendRequest(outgoing) => {
                    let answer = self.exchange(&outgoing.request);
                    now = self.time(format_args!("time"));
                    match response(&answer) {
                        Some(response) => flow.response(outgoing.ticket, response, now),
                        None => {
                            let error = TransportError::new(TransportErrorKind::Other);
                            flow.transport_failed(outgoing.ticket, error, now)
                        }
                    }
                    .map_err(text)?;
                }
                Action::ShowCode(prompt) => {
                    self.say(format_args!("show {} {}", prompt.user_code(), prompt.verification_uri()));
                }
                Action::Wait { until, .. } => {
                    self.tell(memory());
                    now = self.time(format_args!("wait {}", until.as_millis()));
                }
                Action::Done(outcome) => {
                    return outcome.map(|token| token.scopes().collect::<Vec<_>>().join(" ")).map_err(text);
                }
                Action::AwaitResponse | Action::Ended => return Err(String::from("nobody else runs this machine")),
            }
        }
    }

    /// Status, headers and body as they came; empty when there is no answer.
    fn exchange(&mut self, request: &Request) -> Vec<u8> {
        let (method, limit, body) = (request.method().as_str(), request.max_response(), request.body());
        self.say(format_args!("send {method} {} {limit} {}", request.url(), body.len()));
        for (name, value) in request.headers() {
            self.say(format_args!("{name}: {value}"));
        }
        self.say(format_args!(""));
        body.iter().for_each(|byte| self.0.write(*byte));
        let mut answer = vec![0; self.line().parse().unwrap_or(0)];
        answer.fill_with(|| self.0.read());
        answer
    }

    fn time(&mut self, question: fmt::Arguments<'_>) -> Timestamp {
        self.say(question);
        Timestamp::from_millis(self.line().parse().unwrap_or(0))
    }

    fn tell(&mut self, Memory { heap, most_heap, most_stack }: Memory) {
        self.say(format_args!("memory {heap} {most_heap} {most_stack}"));
    }

    fn say(&mut self, words: fmt::Arguments<'_>) {
        // Writing to the line never fails.
        let _ = self.write_fmt(words);
        self.0.write(b'\n');
    }

    fn line(&mut self) -> String {
        core::iter::from_fn(|| Some(char::from(self.0.read())).filter(|it| *it != '\n')).collect()
    }
}

impl<L: Line> fmt::Write for Host<L> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.0.write(byte));
        Ok(())
    }
}

fn response(answer: &[u8]) -> Option<Response<'_>> {
    let end = answer.windows(2).position(|two| two == b"\n\n")?;
    let (head, body) = answer.split_at_checked(end + 2)?;
    let mut lines = core::str::from_utf8(head).ok()?.lines();
    let response = Response::new(lines.next()?.parse().ok()?, body);
    let headers = lines.filter_map(|line| line.split_once(": "));
    Some(headers.fold(response, |response, (name, value)| response.header(name, value.as_bytes())))
}

fn text(error: impl fmt::Display) -> String {
    format!("{error}")
}
