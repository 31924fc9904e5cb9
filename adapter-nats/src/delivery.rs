//! Owns what a message says of itself: whose it is, how often it was delivered, what its sequence number is, and when its time is over.

use crate::clock::ServerTime;
use crate::names::{DUE, ENDS};
use async_nats::{Client, HeaderMap, Message, Subject};
use bytes::Bytes;
use std::time::Duration;

/// A due sign-in, delivered to this worker.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) id: String,
    pub(crate) payload: Bytes,
    /// Its number in the stream, the fence of all that follows from it.
    pub(crate) sequence: u64,
    /// How many times it was delivered, this time included.
    pub(crate) delivered: u64,
    /// When the server stored it: when the wait was over.
    pub(crate) published: ServerTime,
    /// When its code expires, or, before it has one, when somebody must have begun it. `None`: it was never offered before.
    ends: Option<ServerTime>,
    /// By the pulse: nobody else has it before this time and `ack_wait` more.
    pub(crate) since: Duration,
    reply: Subject,
}

/// What arrives on the inbox of a worker.
#[derive(Debug)]
pub(crate) enum Arrival {
    Due(Delivery),
    /// A request has ended before it was full.
    Ended {
        /// So many will not come.
        pending: usize,
        status: u16,
        description: String,
    },
    /// Not a sign-in.
    Strange(String),
}

impl Arrival {
    /// `since`: see [`Delivery::since`].
    pub(crate) fn of(message: Message, since: impl FnOnce() -> Duration) -> Self {
        if let Some(status) = message.status {
            let pending = header(message.headers.as_ref(), "Nats-Pending-Messages").and_then(|text| text.parse().ok());
            return Self::Ended {
                pending: pending.unwrap_or(0),
                status: status.as_u16(),
                description: message.description.unwrap_or_default(),
            };
        }
        let id = message.subject.strip_prefix(DUE).map(str::to_owned);
        let parts = message.reply.as_ref().and_then(|reply| parts(reply));
        match (id, parts, message.reply) {
            (Some(id), Some((delivered, sequence, published)), Some(reply)) => {
                let ends = header(message.headers.as_ref(), ENDS).and_then(ServerTime::parse);
                let (payload, since) = (message.payload, since());
                Self::Due(Delivery { id, payload, sequence, delivered, published, ends, since, reply })
            }
            _ => Self::Strange(message.subject.into_string()),
        }
    }
}

fn header<'a>(headers: Option<&'a HeaderMap>, name: &str) -> Option<&'a str> {
    headers?.get(name).map(async_nats::HeaderValue::as_str)
}

/// How often it was delivered, its number in the stream, when it was stored: from the subject on which it is acknowledged,
/// `$JS.ACK.DOMAIN.ACCOUNT.STREAM.CONSUMER.DELIVERED.SEQUENCE.NUMBER.TIME.PENDING`, of which older servers leave out the first
/// two.
fn parts(reply: &str) -> Option<(u64, u64, ServerTime)> {
    let tokens: Vec<&str> = reply.strip_prefix("$JS.ACK.")?.split('.').collect();
    let from: usize = if tokens.len() < 9 { 2 } else { 4 };
    let number = |at: usize| tokens.get(at)?.parse().ok();
    let at = |offset: usize| number(from.checked_add(offset)?);
    Some((at(0)?, at(1)?, ServerTime::from_nanos(at(3)?)))
}

impl Delivery {
    /// Tells the server that this message is dealt with. If that is lost, the message comes again, and the fence makes what
    /// follows harmless.
    pub(crate) async fn acknowledge(&self, client: &Client) -> Result<(), async_nats::client::PublishError> {
        client.publish(self.reply.clone(), Bytes::from_static(b"+ACK")).await
    }

    /// When its time is over: who cannot work on it until then gives it up. `begin_within`: see there; what was never offered was
    /// started when it was published.
    pub(crate) fn ends(&self, begin_within: Duration) -> ServerTime {
        self.ends.unwrap_or_else(|| self.published.saturating_add(begin_within))
    }

    /// Asks the server to deliver it again, so much later.
    pub(crate) async fn refuse(
        &self,
        client: &Client,
        later: Duration,
    ) -> Result<(), async_nats::client::PublishError> {
        let text = format!(r#"-NAK {{"delay":{}}}"#, later.as_nanos());
        client.publish(self.reply.clone(), text.into()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_of_acknowledgement_says_all() {
        let expected = Some((2, 1_234, ServerTime::from_nanos(1_795_867_200_000_000_001)));
        for reply in [
            "$JS.ACK.SIGNIN.worker.2.1234.77.1795867200000000001.5",
            "$JS.ACK._.ACCOUNT.SIGNIN.worker.2.1234.77.1795867200000000001.5",
            "$JS.ACK.hub.ACCOUNT.SIGNIN.worker.2.1234.77.1795867200000000001.5.random",
        ] {
            assert_eq!(parts(reply), expected, "{reply}");
        }
        for reply in
            ["", "$JS.ACK.", "$JS.ACK.SIGNIN.worker.2.1234", "$JS.ACK.SIGNIN.worker.two.1234.77.1.5", "_INBOX.a.b"]
        {
            assert_eq!(parts(reply), None, "{reply}");
        }
    }
}
