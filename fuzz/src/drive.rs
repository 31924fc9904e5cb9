//! Owns how a target drives a flow: in virtual time, checked against the polling law, and to its end.

use crate::judge;
use device_flow_core::{
    Action, Client, ClientBuilder, DeviceFlow, Failure, Machine, Prompt, Provider, Response, Ticket, Timestamp,
    TokenResponse, TransportError, TransportErrorKind, WaitReason,
};
use device_flow_testkit::law::{Law, Next};
use device_flow_testkit::signer::{Key, Signer};
use std::sync::{Arc, OnceLock};

pub(crate) const DEVICE_ENDPOINT: &str = "https://as.example/device";
pub(crate) const TOKEN_ENDPOINT: &str = "https://as.example/token";
/// Secrets that must never be shown: that of the client, and the device code that the driver hands out.
const SECRETS: [&str; 2] = ["client-secret-4Xw8PQR2", "device-code-7Zq9KMN3"];
pub(crate) const PENDING: &[u8] = br#"{"error":"authorization_pending"}"#;
/// The longest answer that is accepted: small, so that a fuzzer reaches it.
pub(crate) const MAX_ANSWER: usize = 8 * 1024;
const START: u64 = 1_000;

/// The secrets that are not in the bytes of this run: a fuzzer finds out what is searched for, and writes it where it
/// may be shown.
pub(crate) fn secrets(data: &[u8]) -> Vec<&'static str> {
    SECRETS.into_iter().filter(|secret| !judge::contains(data, secret)).collect()
}

/// One client for all runs, with a secret, PKCE and loopback allowed.
pub(crate) fn client() -> Arc<Client> {
    static CLIENT: OnceLock<Arc<Client>> = OnceLock::new();
    Arc::clone(CLIENT.get_or_init(|| Arc::new(builder().build().unwrap())))
}

fn builder() -> ClientBuilder {
    Client::builder(Provider::endpoints(DEVICE_ENDPOINT, TOKEN_ENDPOINT), "fuzz")
        .scope("a b")
        .client_secret_post(SECRETS[0])
        .pkce()
        .allow_http_loopback()
        .max_answer(MAX_ANSWER)
}

/// Whether the client of this run proves possession of a key.
pub(crate) fn has_key(data: &[u8]) -> bool {
    data.len() & 8 != 0
}

/// The answer with a code, with this interval and lifetime in seconds.
pub(crate) fn code(interval: u32, lifetime: u32) -> String {
    format!(
        r#"{{"device_code":"{}","user_code":"U","verification_uri":"https://as.example/","expires_in":{lifetime},"interval":{interval}}}"#,
        SECRETS[1],
    )
}

/// A flow under the law, in virtual time.
pub(crate) struct Drive {
    pub(crate) flow: DeviceFlow,
    /// In milliseconds.
    pub(crate) now: u64,
    /// What varies from run to run: the round trip, the jitter, how late a wait ends.
    salt: u64,
    /// Once there is a code.
    pub(crate) law: Option<Law>,
    pub(crate) next: Option<Next>,
    /// The last prompt that was shown.
    pub(crate) prompt: Option<Prompt>,
    pub(crate) reason: Option<WaitReason>,
    secrets: Vec<&'static str>,
    /// Of a client with a key.
    pub(crate) signer: Option<Arc<Signer>>,
    /// What its next proof must carry.
    pub(crate) nonce: String,
}

/// What a flow needs next.
pub(crate) enum Step {
    Device(Ticket),
    /// With the body of the request.
    Poll(Ticket, Box<[u8]>),
    Done(Box<Result<TokenResponse, Failure>>),
}

impl Drive {
    /// A new flow. Runs with the same bytes are the same.
    pub(crate) fn new(data: &[u8]) -> Self {
        if has_key(data) {
            return Self::with_key(data);
        }
        Self::with(DeviceFlow::new(client(), [data.len() as u8; 32]), data, START)
    }

    /// A new flow of a client with a key, which has signed nothing yet.
    pub(crate) fn with_key(data: &[u8]) -> Self {
        let signer = Arc::<Signer>::default();
        let client = signer.client(Key::Proof, builder()).build().unwrap();
        let drive = Self::with(DeviceFlow::new(client, [data.len() as u8; 32]), data, START);
        Self { signer: Some(signer), ..drive }
    }

    /// The same with a flow that has already started.
    pub(crate) fn with(flow: DeviceFlow, data: &[u8], now: u64) -> Self {
        let (salt, secrets) = (data.len() as u64, secrets(data));
        Self {
            flow,
            now,
            salt,
            law: None,
            next: None,
            prompt: None,
            reason: None,
            secrets,
            signer: None,
            nonce: String::new(),
        }
    }

    /// A flow whose code was granted with this interval and lifetime in seconds, and its first poll, which is in
    /// flight.
    pub(crate) fn polling(data: &[u8], interval: u32, lifetime: u32) -> (Self, Ticket) {
        let mut drive = Self::new(data);
        let Step::Device(ticket) = drive.step() else { panic!("no device authorization request") };
        drive.answer(ticket, Response::new(200, code(interval, lifetime).as_bytes()));
        drive.granted(u64::from(interval), u64::from(lifetime));
        let Step::Poll(ticket, _) = drive.step() else { panic!("no poll") };
        (drive, ticket)
    }

    /// Starts checking the law, for a code that was just granted. In seconds.
    pub(crate) fn granted(&mut self, interval: u64, lifetime: u64) {
        let deadline = self.now.saturating_add(lifetime * 1_000);
        let law = Law { interval: interval * 1_000, deadline, failures: 0, slow_downs: 0 };
        (self.law, self.next) = (Some(law), Some(law.next(self.now, 0)));
    }

    pub(crate) fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    /// Continues to the next request or to the end, with waits of exactly the requested length.
    pub(crate) fn step(&mut self) -> Step {
        self.step_late(0)
    }

    /// The same, but no wait ends before `wake`.
    fn step_late(&mut self, wake: u64) -> Step {
        for _ in 0..4 {
            match self.flow.next_action(self.at()) {
                Action::SendRequest(outgoing) if outgoing.request.url() == TOKEN_ENDPOINT => {
                    self.assert_poll_is_legal(wake);
                    let proof = outgoing.request.headers().find(|(name, _)| *name == "dpop").map(|(_, value)| value);
                    assert_eq!(proof.is_some(), self.signer.is_some(), "a proof");
                    if let Some((signer, proof)) = self.signer.as_ref().zip(proof) {
                        assert_eq!(signer.sent(proof).as_ref(), Some(&self.nonce), "a proof of its own, latest nonce");
                    }
                    return Step::Poll(outgoing.ticket, outgoing.request.body().into());
                }
                Action::SendRequest(outgoing) => {
                    assert!(self.law.is_none(), "a second code was requested");
                    return Step::Device(outgoing.ticket);
                }
                Action::ShowCode(prompt) => {
                    judge::prompt(&prompt);
                    assert!(self.prompt.replace(prompt).is_none(), "the code was shown twice");
                }
                Action::Wait { until, reason } => {
                    assert!(until > self.at(), "a wait that has already ended");
                    if let Some(law) = self.law {
                        assert!(until.as_millis() <= law.deadline, "a wait beyond the deadline");
                        assert_ne!(self.next, Some(Next::Expired), "a wait where no poll is left");
                    }
                    self.reason = Some(reason);
                    self.now = until.as_millis().max(wake);
                }
                Action::Done(outcome) => {
                    assert!(matches!(self.flow.next_action(self.at()), Action::Ended), "an action after the outcome");
                    if let Err(failure) = &outcome {
                        judge::failure(failure);
                    }
                    judge::hides(&format!("{outcome:?}"), &self.secrets);
                    return Step::Done(Box::new(outcome));
                }
                Action::AwaitResponse | Action::Ended => panic!("a flow that stopped without an outcome"),
            }
        }
        panic!("a flow that neither sends nor ends")
    }

    fn assert_poll_is_legal(&self, wake: u64) {
        let law = self.law.expect("a poll before there is a code");
        assert!(self.now < law.deadline, "a poll at or after the deadline");
        match self.next.expect("the bounds of the poll") {
            Next::Expired => panic!("a poll when none was left"),
            Next::Poll { earliest, latest } => {
                assert!(self.now >= earliest, "polled at {}, {earliest} was the earliest: {law:?}", self.now);
                assert!(self.now <= latest.max(wake), "polled at {}, {latest} was the latest: {law:?}", self.now);
            }
        }
    }

    /// Lets time pass, so that counting from the request instead of the answer is noticed.
    pub(crate) fn round_trip(&mut self) {
        self.now += [0, 1, 1_700, 5_300][self.salt as usize & 3];
    }

    pub(crate) fn answer(&mut self, ticket: Ticket, response: Response<'_>) {
        assert!(self.flow.response(ticket, response, self.at()).is_ok(), "the flow's own ticket");
    }

    /// Applies an answer that has just arrived to the law.
    pub(crate) fn expect(&mut self, retry_after: u64, change: impl FnOnce(&mut Law)) {
        let law = self.law.as_mut().expect("a code");
        change(law);
        self.next = Some(law.next(self.now, retry_after));
    }

    /// Takes a waiting flow to its end: one poll is answered with authorization_pending, the others fail. The last
    /// waits end too late, in the last seconds or at the deadline.
    pub(crate) fn abandon(mut self) {
        match self.step() {
            Step::Poll(ticket, _) => {
                self.round_trip();
                self.answer(ticket, Response::new(400, PENDING));
                self.expect(0, Law::pending);
            }
            Step::Done(outcome) => return self.assert_expired(&outcome),
            Step::Device(_) => panic!("a second code was requested"),
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
                Step::Device(_) => panic!("a second code was requested"),
            }
        }
        panic!("a flow that does not end")
    }

    fn assert_expired(&self, outcome: &Result<TokenResponse, Failure>) {
        assert!(matches!(outcome, Err(Failure::Expired(_))), "no poll was answered, but the outcome is {outcome:?}");
        let law = self.law.expect("a code");
        assert!(self.next == Some(Next::Expired) || self.now >= law.deadline, "expired too early: {law:?}");
    }
}
