//! Owns machines around the core's machines that record what `discover` and `doctor` show of an exchange and no sign-in
//! needs.

use crate::session::discovery;
use device_flow_tokio::{
    Action, ConfigError, DeviceFlow, Discovery, Failure, Machine, Metadata, Misuse, Prompt, Response, Ticket,
    Timestamp, TransportError,
};
use serde::Deserialize;

/// Discovery that records the answer of each URL.
pub(crate) struct ObservedDiscovery {
    discovery: Discovery,
    issuer: String,
    allow_http_loopback: bool,
    /// The URL of the last request.
    asked: String,
    /// The last answer of each URL, in the order of the requests.
    pub(crate) answers: Vec<MetadataAnswer>,
}

/// What came from a URL where metadata may be.
pub(crate) struct MetadataAnswer {
    pub(crate) url: String,
    pub(crate) status: u16,
    /// The metadata, or why the answer is not used.
    pub(crate) document: Result<Metadata, Failure>,
}

impl ObservedDiscovery {
    pub(crate) fn new(issuer: &str, allow_http_loopback: bool) -> Result<Self, ConfigError> {
        Ok(Self {
            discovery: discovery(issuer, allow_http_loopback)?,
            issuer: issuer.to_owned(),
            allow_http_loopback,
            asked: String::new(),
            answers: Vec::new(),
        })
    }

    /// What discovery makes of this answer alone, as if the other URL had none.
    fn judged(&self, response: Response<'_>) -> Option<Result<Metadata, Failure>> {
        let mut alone = discovery(&self.issuer, self.allow_http_loopback).ok()?;
        for answer in [response, Response::new(404, b"")] {
            match alone.next_action(Timestamp::ZERO) {
                Action::SendRequest(outgoing) => alone.response(outgoing.ticket, answer, Timestamp::ZERO).ok()?,
                Action::Done(outcome) => return Some(outcome),
                Action::Wait { .. } | Action::AwaitResponse | Action::ShowCode(_) | Action::Ended => return None,
            }
        }
        // After an outage there is another request, and another answer.
        if let Action::Done(outcome) = alone.next_action(Timestamp::ZERO) { Some(outcome) } else { None }
    }
}

impl Machine for ObservedDiscovery {
    type Output = Metadata;

    fn next_action(&mut self, now: Timestamp) -> Action<Metadata> {
        let action = self.discovery.next_action(now);
        if let Action::SendRequest(outgoing) = &action {
            outgoing.request.url().clone_into(&mut self.asked);
        }
        action
    }

    fn response(&mut self, ticket: Ticket, response: Response<'_>, now: Timestamp) -> Result<(), Misuse> {
        self.discovery.response(ticket, response, now)?;
        if let Some(document) = self.judged(response) {
            self.answers.retain(|place| place.url != self.asked);
            self.answers.push(MetadataAnswer { url: self.asked.clone(), status: response.status(), document });
        }
        Ok(())
    }

    fn transport_failed(&mut self, ticket: Ticket, error: TransportError, now: Timestamp) -> Result<(), Misuse> {
        self.discovery.transport_failed(ticket, error, now)
    }

    fn cancel(&mut self) {
        self.discovery.cancel();
    }
}

/// One request for metadata. Any answer shows that the server is there, and what its clock says.
pub(crate) struct FirstAnswer {
    discovery: Discovery,
    outcome: Option<Result<AnswerHeaders, Failure>>,
}

/// An answer without its body.
pub(crate) struct AnswerHeaders {
    pub(crate) status: u16,
    pub(crate) date: Option<String>,
    /// For how many seconds a cache on the way has stored it.
    pub(crate) age: u64,
}

impl FirstAnswer {
    pub(crate) fn new(issuer: &str, allow_http_loopback: bool) -> Result<Self, ConfigError> {
        Ok(Self { discovery: discovery(issuer, allow_http_loopback)?, outcome: None })
    }
}

impl Machine for FirstAnswer {
    type Output = AnswerHeaders;

    fn next_action(&mut self, now: Timestamp) -> Action<AnswerHeaders> {
        if let Some(outcome) = self.outcome.take() {
            return Action::Done(outcome);
        }
        match self.discovery.next_action(now) {
            Action::SendRequest(outgoing) => Action::SendRequest(outgoing),
            Action::AwaitResponse => Action::AwaitResponse,
            Action::Done(Err(failure)) => Action::Done(Err(failure)),
            Action::Done(Ok(_)) | Action::ShowCode(_) | Action::Wait { .. } | Action::Ended => Action::Ended,
        }
    }

    fn response(&mut self, ticket: Ticket, response: Response<'_>, now: Timestamp) -> Result<(), Misuse> {
        self.discovery.response(ticket, response, now)?;
        let age = response.age().and_then(|age| age.trim().parse().ok()).unwrap_or_default();
        let date = response.date().map(str::to_owned);
        self.outcome = Some(Ok(AnswerHeaders { status: response.status(), date, age }));
        Ok(())
    }

    fn transport_failed(&mut self, ticket: Ticket, error: TransportError, now: Timestamp) -> Result<(), Misuse> {
        self.discovery.transport_failed(ticket, error.clone(), now)?;
        self.outcome = Some(Err(Failure::Transport(error)));
        Ok(())
    }

    fn cancel(&mut self) {
        self.discovery.cancel();
    }
}

/// A device flow that ends when its first poll is answered, which is as far as it gets without a person.
pub(crate) struct UntilPolled {
    flow: DeviceFlow,
    prompt: Option<Prompt>,
    has_polled: bool,
    pub(crate) sent: Option<SentInterval>,
    /// What the first poll ended with, if it was the end.
    pub(crate) refused: Option<Failure>,
}

/// The interval as the server sent it.
#[derive(Deserialize)]
pub(crate) struct SentInterval {
    /// A number, or a number in quotes.
    pub(crate) interval: Option<serde_json::Value>,
}

impl UntilPolled {
    pub(crate) fn new(flow: DeviceFlow) -> Self {
        Self { flow, prompt: None, has_polled: false, sent: None, refused: None }
    }
}

impl Machine for UntilPolled {
    type Output = Prompt;

    fn next_action(&mut self, now: Timestamp) -> Action<Prompt> {
        loop {
            match (self.flow.next_action(now), &self.prompt) {
                (Action::SendRequest(outgoing), prompt) => {
                    self.has_polled = prompt.is_some();
                    return Action::SendRequest(outgoing);
                }
                (Action::ShowCode(prompt), _) => self.prompt = Some(prompt),
                (Action::Wait { .. }, Some(prompt)) if self.has_polled => {
                    self.flow.cancel();
                    return Action::Done(Ok(prompt.clone()));
                }
                (Action::Wait { until, reason }, _) => return Action::Wait { until, reason },
                (Action::AwaitResponse, _) => return Action::AwaitResponse,
                (Action::Done(Err(failure)), Some(prompt)) => {
                    self.refused = Some(failure);
                    return Action::Done(Ok(prompt.clone()));
                }
                (Action::Done(Err(failure)), None) => return Action::Done(Err(failure)),
                // Somebody has approved what nobody was shown.
                (Action::Done(Ok(_)), Some(prompt)) => return Action::Done(Ok(prompt.clone())),
                (Action::Done(Ok(_)) | Action::Ended, _) => return Action::Ended,
            }
        }
    }

    fn response(&mut self, ticket: Ticket, response: Response<'_>, now: Timestamp) -> Result<(), Misuse> {
        self.flow.response(ticket, response, now)?;
        if !self.has_polled {
            self.sent = serde_json::from_slice(response.body()).ok();
        }
        Ok(())
    }

    fn transport_failed(&mut self, ticket: Ticket, error: TransportError, now: Timestamp) -> Result<(), Misuse> {
        self.flow.transport_failed(ticket, error, now)
    }

    fn cancel(&mut self) {
        self.flow.cancel();
    }
}
