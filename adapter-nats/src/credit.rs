//! Owns how many messages a worker has asked for, and since when each that arrives can have been under way.

use std::collections::VecDeque;
use std::time::Duration;

/// Messages asked for and not arrived yet.
///
/// A server shares its messages among all requests of a worker as it likes, and gives back what it will not send. But what it has
/// sent and given back is never more than what it was asked for by then. So when the requests before one cannot account for all that
/// has come, the message that comes now was sent after that one had been. That is all that is needed to know how old it is at most,
/// however long this process stood still.
#[derive(Debug, Default)]
pub(crate) struct Credit {
    /// The oldest first.
    pulls: VecDeque<Pull>,
}

#[derive(Debug)]
struct Pull {
    /// When it was sent, by the pulse.
    sent: Duration,
    left: usize,
}

impl Credit {
    /// How many may still arrive.
    pub(crate) fn outstanding(&self) -> usize {
        self.pulls.iter().map(|pull| pull.left).sum()
    }

    /// Asks for more.
    pub(crate) fn pull(&mut self, messages: usize, sent: Duration) {
        self.pulls.push_back(Pull { sent, left: messages });
    }

    /// A message has arrived: the time before which it cannot have been delivered. `None`: it was not asked for.
    pub(crate) fn arrived(&mut self) -> Option<Duration> {
        let sent = self.oldest();
        self.returned(1);
        sent
    }

    /// The server has ended a request and will not send this many.
    pub(crate) fn returned(&mut self, mut messages: usize) {
        while let Some(oldest) = self.pulls.front_mut() {
            if oldest.left > messages {
                oldest.left = oldest.left.saturating_sub(messages);
                return;
            }
            messages = messages.saturating_sub(oldest.left);
            self.pulls.pop_front();
        }
    }

    /// When the oldest request was sent that is not accounted for.
    pub(crate) fn oldest(&self) -> Option<Duration> {
        self.pulls.front().map(|pull| pull.sent)
    }

    /// The connection is another: the server has forgotten all requests.
    pub(crate) fn clear(&mut self) {
        self.pulls.clear();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests panic to report")]

    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn messages_count_from_the_oldest_request() {
        let mut credit = Credit::default();
        credit.pull(2, at(1));
        credit.pull(1, at(2));
        assert_eq!((credit.outstanding(), credit.oldest()), (3, Some(at(1))));
        let arrived: Vec<_> = (0..4).map(|_| credit.arrived()).collect();
        assert_eq!(arrived, [Some(at(1)), Some(at(1)), Some(at(2)), None]);
    }

    #[test]
    fn what_is_given_back_no_longer_arrives() {
        let mut credit = Credit::default();
        credit.pull(10, at(1));
        credit.pull(10, at(2));
        credit.returned(14);
        assert_eq!((credit.outstanding(), credit.oldest()), (6, Some(at(2))));
        credit.returned(6);
        assert_eq!((credit.outstanding(), credit.oldest()), (0, None));
        credit.pull(3, at(3));
        credit.clear();
        assert_eq!((credit.outstanding(), credit.arrived()), (0, None));
    }

    /// What the server does reaches the worker in this order, but later.
    enum Sent {
        Message { delivered: u64 },
        GivenBack { pending: usize },
    }

    proptest! {
        /// A server that shares its messages among the requests as it likes, and a worker that may stand still at any moment:
        /// no message is taken for newer than it is, and in the end nothing is outstanding that is not.
        #[test]
        fn no_message_is_taken_for_newer_than_it_is(steps in proptest::collection::vec((0_u8..6, 0_usize..8), 1..300)) {
            let mut credit = Credit::default();
            // What is left of each request, as the server knows it.
            let mut waiting: Vec<usize> = vec![];
            let mut wire = VecDeque::new();
            let read = |credit: &mut Credit, sent| match sent {
                Sent::Message { delivered } => assert!(credit.arrived().unwrap() <= at(delivered)),
                Sent::GivenBack { pending } => credit.returned(pending),
            };
            for (now, (what, which)) in (0_u64..).zip(steps) {
                match what {
                    0 => {
                        credit.pull(which + 1, at(now));
                        waiting.push(which + 1);
                    }
                    1 | 2 => wire.pop_front().into_iter().for_each(|sent| read(&mut credit, sent)),
                    _ if waiting.is_empty() => {}
                    3 => {
                        let pending = waiting.remove(which % waiting.len());
                        wire.push_back(Sent::GivenBack { pending });
                    }
                    _ => {
                        let which = which % waiting.len();
                        wire.push_back(Sent::Message { delivered: now });
                        waiting[which] -= 1;
                        waiting.retain(|left| *left > 0);
                    }
                }
            }
            for sent in wire {
                read(&mut credit, sent);
            }
            prop_assert_eq!(credit.outstanding(), waiting.iter().sum::<usize>());
        }
    }
}
