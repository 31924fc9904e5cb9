//! Owns the scripted run of one flow in virtual time: the test says what the server answers, time jumps from wake-up to
//! wake-up.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "shared by tests, which panic to report"
)]

use device_flow_core::{
    Action, Client, ClientBuilder, DeviceFlow, Expired, Failure, Machine, Prompt, Provider, Request, Response, Ticket,
    Timestamp, TokenResponse, TransportError, TransportErrorKind, WaitReason,
};

pub const PENDING: &str = r#"{"error":"authorization_pending"}"#;
pub const SLOW_DOWN: &str = r#"{"error":"slow_down"}"#;
pub const TOKEN: &str = r#"{"access_token":"AT-canary","token_type":"bearer"}"#;

/// The base device authorization response, with `change` members replacing or joining its own (null removes).
pub fn device_answer(change: serde_json::Value) -> String {
    let mut answer = serde_json::json!({
        "device_code": "d", "user_code": "WDJB-MJHT", "verification_uri": "https://as/x", "expires_in": 900, "interval": 5
    });
    for (name, value) in change.as_object().unwrap() {
        answer[name] = value.clone();
        if value.is_null() {
            answer.as_object_mut().unwrap().remove(name);
        }
    }
    answer.to_string()
}

pub fn builder() -> ClientBuilder {
    Client::builder(Provider::endpoints("https://as/device", "https://as/token"), "my-app").scope("openid profile")
}

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub struct Sent {
    pub at: u64,
    pub method: &'static str,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Sent {
    pub fn parameters(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }

    pub fn parameter(&self, name: &str) -> Option<String> {
        self.parameters().into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

fn sent(request: &Request, at: u64) -> Sent {
    Sent {
        at,
        method: request.method().as_str(),
        url: request.url().to_owned(),
        headers: request.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body: String::from_utf8(request.body().to_vec()).unwrap(),
    }
}

/// One machine, driven in virtual time (milliseconds).
pub struct Run<M: Machine> {
    pub machine: M,
    pub now: u64,
    pub requests: Vec<Sent>,
    pub waits: Vec<(u64, WaitReason)>,
    pub prompts: Vec<Prompt>,
    pub outcome: Option<Result<M::Output, Failure>>,
    ticket: Option<Ticket>,
    /// When the last answer, or the lack of one, was handed in.
    pub answered_at: u64,
}

/// Not zero, so that moments and durations cannot be confused unnoticed.
pub const START: u64 = 7_000_000;

impl Run<DeviceFlow> {
    pub fn new(client: impl Into<std::sync::Arc<Client>>) -> Self {
        Self::of(DeviceFlow::new(client, [7; 32]))
    }

    /// A flow that has its code: `change` as in [`device_answer`].
    pub fn granted(change: serde_json::Value) -> Self {
        Self::with_answer(200, &device_answer(change))
    }

    /// A flow whose device authorization request got this answer.
    pub fn with_answer(status: u16, body: &str) -> Self {
        let mut run = Self::new(builder().build().unwrap());
        run.go();
        run.answer(status, body);
        run
    }
}

impl<M: Machine> Run<M> {
    pub fn of(machine: M) -> Self {
        Self {
            machine,
            now: START,
            requests: vec![],
            waits: vec![],
            prompts: vec![],
            outcome: None,
            ticket: None,
            answered_at: START,
        }
    }

    /// Goes on until a request is in flight (`true`) or the outcome is there (`false`), and checks at each step what
    /// always holds.
    pub fn go(&mut self) -> bool {
        loop {
            match self.machine.next_action(Timestamp::from_millis(self.now)) {
                Action::SendRequest(outgoing) => {
                    assert!(self.ticket.is_none(), "rule 9: two requests in flight");
                    self.requests.push(sent(&outgoing.request, self.now));
                    self.ticket = Some(outgoing.ticket);
                }
                Action::ShowCode(prompt) => self.prompts.push(prompt),
                Action::Wait { until, reason } => {
                    assert!(until.as_millis() > self.now, "a wait ends in the future");
                    if let Some(prompt) = self.prompts.last() {
                        assert!(until <= prompt.expires_at(), "a wait ends before the deadline");
                    }
                    self.waits.push((until.as_millis(), reason));
                    self.now = until.as_millis();
                }
                Action::AwaitResponse => return true,
                Action::Done(outcome) => self.outcome = Some(outcome),
                Action::Ended => return false,
            }
        }
    }

    /// Jumps to the next request and returns the gap since the last answer, in milliseconds.
    #[track_caller]
    pub fn poll(&mut self) -> u64 {
        assert!(self.go(), "a request was expected, not {:?}", self.failure_text());
        self.now - self.answered_at
    }

    /// Jumps to the next request and returns why it was waited for.
    #[track_caller]
    pub fn poll_reason(&mut self) -> WaitReason {
        self.poll();
        self.waits.last().expect("a wait").1
    }

    pub fn answer(&mut self, status: u16, body: &str) {
        self.respond(Response::new(status, body.as_bytes()));
    }

    pub fn respond(&mut self, response: Response<'_>) {
        let ticket = self.ticket.take().expect("no request is out");
        self.answered_at = self.now;
        self.machine.response(ticket, response, Timestamp::from_millis(self.now)).unwrap();
    }

    pub fn fail(&mut self, kind: TransportErrorKind) {
        let ticket = self.ticket.take().expect("no request is out");
        self.answered_at = self.now;
        self.machine.transport_failed(ticket, TransportError::new(kind), Timestamp::from_millis(self.now)).unwrap();
    }

    pub fn take_ticket(&mut self) -> Ticket {
        self.ticket.take().expect("no request is out")
    }

    /// Polls and answers in turn; returns the gaps.
    #[track_caller]
    pub fn script(&mut self, answers: &[(u16, &str)]) -> Vec<u64> {
        answers
            .iter()
            .map(|(status, body)| {
                let gap = self.poll();
                self.answer(*status, body);
                gap
            })
            .collect()
    }

    #[track_caller]
    pub fn outcome(&mut self) -> Result<M::Output, Failure> {
        assert!(!self.go(), "an outcome was expected, not a request");
        self.outcome.take().expect("an outcome")
    }

    #[track_caller]
    pub fn failure(&mut self) -> Failure {
        match self.outcome() {
            Err(failure) => failure,
            Ok(_) => panic!("a failure was expected, not success"),
        }
    }

    fn failure_text(&self) -> Option<String> {
        self.outcome.as_ref().and_then(|outcome| outcome.as_ref().err()).map(ToString::to_string)
    }
}

/// The gap is `seconds` and at most the jitter more (rule 12: a tenth of the interval).
#[track_caller]
pub fn assert_gap(gap: u64, seconds: u64, interval: u64) {
    assert!(gap >= seconds * 1000, "{gap} ms is early: {seconds} s are due");
    assert!(
        gap <= seconds * 1000 + interval * 100,
        "{gap} ms is late: {seconds} s and a tenth of {interval} s are due"
    );
}

#[track_caller]
pub fn token(outcome: Result<TokenResponse, Failure>) -> TokenResponse {
    outcome.unwrap_or_else(|failure| panic!("tokens were expected, not: {failure}"))
}

#[track_caller]
pub fn expired(failure: Failure) -> Expired {
    let Failure::Expired(expired) = failure else { panic!("expiry was expected, not: {failure}") };
    expired
}
