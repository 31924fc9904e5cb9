//! Owns machines around the machines of the core, for what `discover` and `doctor` want to see of an exchange and no sign-in needs.

use device_flow_tokio::{
    Action, ConfigError, DeviceFlow, Discovery, Failure, Machine, Metadata, Misuse, Prompt, Response, Ticket,
    Timestamp, TransportError,
};
use serde::Deserialize;

/// Discovery that remembers what each place answered.
pub(crate) struct Places {
    discovery: Discovery,
    issuer: String,
    allow_http_loopback: bool,
    asked: String,
    /// The last answer of each, in the order in which they were asked.
    pub(crate) answers: Vec<Place>,
}

/// A place where metadata may be.
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) status: u16,
    /// What it says, if it counts.
    pub(crate) document: Result<Metadata, Failure>,
}

/// Discovery by the setting `allow-http-loopback`.
pub(crate) fn discovery(issuer: &str, allow_http_loopback: bool) -> Result<Discovery, ConfigError> {
    let builder = Discovery::builder(issuer);
    if allow_http_loopback { builder.allow_http_loopback() } else { builder }.build()
}

impl Places {
    pub(crate) fn of(issuer: &str, allow_http_loopback: bool) -> Result<Self, ConfigError> {
        Ok(Self {
            discovery: discovery(issuer, allow_http_loopback)?,
            issuer: issuer.to_owned(),
            allow_http_loopback,
            asked: String::new(),
            answers: Vec::new(),
        })
    }

    /// The answer alone, judged as if the other place had none.
    fn judged(&self, response: Response<'_>) -> Option<Result<Metadata, Failure>> {
        let mut alone = discovery(&self.issuer, self.allow_http_loopback).ok()?;
        for answer in [response, Response::new(404, b"")] {
            match alone.next_action(Timestamp::ZERO) {
                Action::SendRequest(outgoing) => alone.response(outgoing.ticket, answer, Timestamp::ZERO).ok()?,
                Action::Done(outcome) => return Some(outcome),
                Action::Wait { .. } | Action::AwaitResponse | Action::ShowCode(_) | Action::Ended => return None,
            }
        }
        // An outage is worth another round, and another answer.
        if let Action::Done(outcome) = alone.next_action(Timestamp::ZERO) { Some(outcome) } else { None }
    }
}

impl Machine for Places {
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
            self.answers.push(Place { url: self.asked.clone(), status: response.status(), document });
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

/// One request for metadata, and whatever comes back: a server that answers at all is there, and tells the time.
pub(crate) struct FirstAnswer {
    discovery: Discovery,
    outcome: Option<Result<Answered, Failure>>,
}

/// An answer without what it says.
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) date: Option<String>,
    /// How long a cache on the way has kept it, in seconds.
    pub(crate) age: u64,
}

impl FirstAnswer {
    pub(crate) fn of(issuer: &str, allow_http_loopback: bool) -> Result<Self, ConfigError> {
        Ok(Self { discovery: discovery(issuer, allow_http_loopback)?, outcome: None })
    }
}

impl Machine for FirstAnswer {
    type Output = Answered;

    fn next_action(&mut self, now: Timestamp) -> Action<Answered> {
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
        self.outcome = Some(Ok(Answered { status: response.status(), date, age }));
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

/// A sign-in that ends when there is a code, which is as far as a server goes without a person.
pub(crate) struct UntilCode {
    flow: DeviceFlow,
    /// As the server sent it.
    pub(crate) sent: Option<Sent>,
}

/// What a sign-in does well without.
#[derive(Deserialize)]
pub(crate) struct Sent {
    /// A number, or a number in quotes.
    pub(crate) interval: Option<serde_json::Value>,
}

impl UntilCode {
    pub(crate) fn of(flow: DeviceFlow) -> Self {
        Self { flow, sent: None }
    }
}

impl Machine for UntilCode {
    type Output = Prompt;

    fn next_action(&mut self, now: Timestamp) -> Action<Prompt> {
        match self.flow.next_action(now) {
            Action::SendRequest(outgoing) => Action::SendRequest(outgoing),
            Action::ShowCode(prompt) => {
                self.flow.cancel();
                Action::Done(Ok(prompt))
            }
            Action::Wait { until, reason } => Action::Wait { until, reason },
            Action::AwaitResponse => Action::AwaitResponse,
            Action::Done(Err(failure)) => Action::Done(Err(failure)),
            Action::Done(Ok(_)) | Action::Ended => Action::Ended,
        }
    }

    fn response(&mut self, ticket: Ticket, response: Response<'_>, now: Timestamp) -> Result<(), Misuse> {
        self.flow.response(ticket, response, now)?;
        self.sent = serde_json::from_slice(response.body()).ok();
        Ok(())
    }

    fn transport_failed(&mut self, ticket: Ticket, error: TransportError, now: Timestamp) -> Result<(), Misuse> {
        self.flow.transport_failed(ticket, error, now)
    }

    fn cancel(&mut self) {
        self.flow.cancel();
    }
}
