//! Owns how a target drives a flow: in virtual time, with the law beside it, and to its end.

use crate::judge;
use device_flow_core::{
    Action, Client, DeviceFlow, Failure, Machine, Prompt, Provider, Response, Ticket, Timestamp, TokenResponse,
    TransportError, TransportErrorKind, WaitReason,
};
use device_flow_testkit::law::{Law, Next};
use std::sync::{Arc, OnceLock};

pub(crate) const DEVICE_ENDPOINT: &str = "https://as.example/device";
pub(crate) const TOKEN_ENDPOINT: &str = "https://as.example/token";
/// What never may be seen, of the client and of the codes that the driver itself hands out.
const SECRETS: [&str; 2] = ["client-secret-4Xw8PQR2", "device-code-7Zq9KMN3"];
pub(crate) const PENDING: &[u8] = br#"{"error":"authorization_pending"}"#;
/// An answer longer than this is too long: small, so that a fuzzer gets there.
pub(crate) const MAX_ANSWER: usize = 8 * 1024;
const START: u64 = 1_000;

/// Those secrets that the bytes of this run do not hold: a fuzzer finds out what is searched for, and writes it where it may
/// be seen.
pub(crate) fn secrets(data: &[u8]) -> Vec<&'static str> {
    SECRETS.into_iter().filter(|secret| !judge::contains(data, secret)).collect()
}

/// One client for all runs, with a secret, PKCE and loopback allowed.
pub(crate) fn client() -> Arc<Client> {
    static CLIENT: OnceLock<Arc<Client>> = OnceLock::new();
    let build = || {
        Client::builder(Provider::endpoints(DEVICE_ENDPOINT, TOKEN_ENDPOINT), "fuzz")
            .scope("a b")
            .client_secret_post(SECRETS[0])
            .pkce()
            .allow_http_loopback()
            .max_answer(MAX_ANSWER)
            .build()
            .unwrap()
            .into()
    };
    Arc::clone(CLIENT.get_or_init(build))
}

/// A flow under the law, in virtual time.
pub(crate) struct Drive {
    pub(crate) flow: DeviceFlow,
    /// In milliseconds.
    pub(crate) now: u64,
    /// What differs from run to run: the round trip, the jitter, the way of oversleeping.
    salt: u64,
    /// From the code on.
    pub(crate) law: Option<Law>,
    pub(crate) next: Option<Next>,
    /// The last one that was shown.
    pub(crate) prompt: Option<Prompt>,
    pub(crate) reason: Option<WaitReason>,
    secrets: Vec<&'static str>,
}

/// What a flow wants from the world.
pub(crate) enum Step {
    Device(Ticket),
    /// With the body of the request.
    Poll(Ticket, Box<[u8]>),
    Done(Box<Result<TokenResponse, Failure>>),
}

impl Drive {
    /// A new flow. Runs with the same bytes are the same.
    pub(crate) fn new(data: &[u8]) -> Self {
        Self::with(DeviceFlow::new(client(), [data.len() as u8; 32]), data, START)
    }

    /// The same with a flow that is under way.
    pub(crate) fn with(flow: DeviceFlow, data: &[u8], now: u64) -> Self {
        let (salt, secrets) = (data.len() as u64, secrets(data));
        Self { flow, now, salt, law: None, next: None, prompt: None, reason: None, secrets }
    }

    /// A flow whose code was granted with this interval and lifetime in seconds, and its first poll, which is in flight.
    pub(crate) fn polling(data: &[u8], interval: u32, lifetime: u32) -> (Self, Ticket) {
        let mut drive = Self::new(data);
        let Step::Device(ticket) = drive.step() else { panic!("no device authorization request") };
        let body = format!(
            r#"{{"device_code":"{}","user_code":"U","verification_uri":"https://as.example/","expires_in":{lifetime},"interval":{interval}}}"#,
            SECRETS[1],
        );
        drive.answer(ticket, Response::new(200, body.as_bytes()));
        drive.granted(u64::from(interval), u64::from(lifetime));
        let Step::Poll(ticket, _) = drive.step() else { panic!("no poll") };
        (drive, ticket)
    }

    /// From now on the law holds. In seconds.
    pub(crate) fn granted(&mut self, interval: u64, lifetime: u64) {
        let deadline = self.now.saturating_add(lifetime * 1_000);
        let law = Law { interval: interval * 1_000, deadline, failures: 0, slow_downs: 0 };
        (self.law, self.next) = (Some(law), Some(law.next(self.now, 0)));
    }

    pub(crate) fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    /// To the next request or to the end, sleeping exactly as long as told.
    pub(crate) fn step(&mut self) -> Step {
        self.step_late(0)
    }

    /// The same, but no sleep ends before `wake`.
    fn step_late(&mut self, wake: u64) -> Step {
        for _ in 0..4 {
            match self.flow.next_action(self.at()) {
                Action::SendRequest(outgoing) if outgoing.request.url() == TOKEN_ENDPOINT => {
                    self.assert_poll_is_legal(wake);
                    return Step::Poll(outgoing.ticket, outgoing.request.body().into());
                }
                Action::SendRequest(outgoing) => {
                    assert!(self.law.is_none(), "a second code was asked for");
                    return Step::Device(outgoing.ticket);
                }
                Action::ShowCode(prompt) => {
                    judge::prompt(&prompt);
                    assert!(self.prompt.replace(prompt).is_none(), "the code was shown twice");
                }
                Action::Wait { until, reason } => {
                    assert!(until > self.at(), "a wait that is over before it begins");
                    if let Some(law) = self.law {
                        assert!(until.as_millis() <= law.deadline, "a wait beyond the deadline");
                        assert_ne!(self.next, Some(Next::Expired), "a wait for nothing");
                    }
                    self.reason = Some(reason);
                    self.now = until.as_millis().max(wake);
                }
                Action::Done(outcome) => {
                    assert!(matches!(self.flow.next_action(self.at()), Action::Ended), "something after the outcome");
                    if let Err(failure) = &outcome {
                        judge::failure(failure);
                    }
                    judge::hides(&format!("{outcome:?}"), &self.secrets);
                    return Step::Done(Box::new(outcome));
                }
                Action::AwaitResponse | Action::Ended => panic!("a flow that stopped by itself"),
            }
        }
        panic!("a flow that neither asks nor ends")
    }

    fn assert_poll_is_legal(&self, wake: u64) {
        let law = self.law.expect("a poll before there is a code");
        assert!(self.now < law.deadline, "a poll at or after the deadline");
        match self.next.expect("the law knows when") {
            Next::Expired => panic!("a poll when none was left"),
            Next::Poll { earliest, latest } => {
                assert!(self.now >= earliest, "polled at {}, {earliest} was the earliest: {law:?}", self.now);
                assert!(self.now <= latest.max(wake), "polled at {}, {latest} was the latest: {law:?}", self.now);
            }
        }
    }

    /// Takes a while, so that counting from the request is seen to be wrong.
    pub(crate) fn round_trip(&mut self) {
        self.now += [0, 1, 1_700, 5_300][self.salt as usize & 3];
    }

    pub(crate) fn answer(&mut self, ticket: Ticket, response: Response<'_>) {
        assert!(self.flow.response(ticket, response, self.at()).is_ok(), "the flow's own ticket");
    }

    /// What the law makes of an answer that arrived now, after `change`.
    pub(crate) fn expect(&mut self, retry_after: u64, change: impl FnOnce(&mut Law)) {
        let law = self.law.as_mut().expect("a code");
        change(law);
        self.next = Some(law.next(self.now, retry_after));
    }

    /// From a waiting flow to its end: one poll is answered with pending, then nobody answers any more. The last sleep is too
    /// long, up to the last second or beyond the deadline.
    pub(crate) fn abandon(mut self) {
        match self.step() {
            Step::Poll(ticket, _) => {
                self.round_trip();
                self.answer(ticket, Response::new(400, PENDING));
                self.expect(0, Law::pending);
            }
            Step::Done(outcome) => return self.assert_expired(&outcome),
            Step::Device(_) => panic!("a second code was asked for"),
        }
        judge::hides(&format!("{:?}", self.flow), &self.secrets);
        let deadline = self.law.expect("a code").deadline;
        for silent in 0..8 {
            let wake = match silent {
                3.. if self.salt & 4 == 0 => deadline,
                3.. => deadline.saturating_sub(1_500),
                _ => 0,
            };
            match self.step_late(wake) {
                Step::Poll(ticket, _) => {
                    self.round_trip();
                    let error = TransportError::new(TransportErrorKind::Closed);
                    assert!(self.flow.transport_failed(ticket, error, self.at()).is_ok(), "the flow's own ticket");
                    self.expect(0, |law| law.failures += 1);
                }
                Step::Done(outcome) => return self.assert_expired(&outcome),
                Step::Device(_) => panic!("a second code was asked for"),
            }
        }
        panic!("a flow that never ends")
    }

    fn assert_expired(&self, outcome: &Result<TokenResponse, Failure>) {
        assert!(matches!(outcome, Err(Failure::Expired(_))), "nobody answered, yet {outcome:?}");
        let law = self.law.expect("a code");
        assert!(self.next == Some(Next::Expired) || self.now >= law.deadline, "expired too early: {law:?}");
    }
}
