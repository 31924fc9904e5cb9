//! Owns the names on the server: the streams, their subjects, and the identifiers that fit into both.

use crate::EngineError;

/// The stream of sign-ins that begin or wait.
pub(crate) const STREAM: &str = "SIGNIN";
/// The bucket of outcomes.
pub(crate) const DONE: &str = "SIGNIN_DONE";
/// The consumer that all workers share.
pub(crate) const CONSUMER: &str = "worker";
/// What the server publishes when a wait is over, before the id.
pub(crate) const DUE: &str = "signin.due.";
/// What waits, before the id.
pub(crate) const WAIT: &str = "signin.wait.";
/// A header: when the time of a sign-in is over, for who cannot open what is in it. The server keeps it when it publishes what waited.
pub(crate) const ENDS: &str = "Sign-In-Ends";
/// Where watchers hear that there is news of an id. Not stored.
const NEWS: &str = "signin.news.";

pub(crate) fn due(id: &str) -> String {
    format!("{DUE}{id}")
}

pub(crate) fn wait(id: &str) -> String {
    format!("{WAIT}{id}")
}

/// Both.
pub(crate) fn any(id: &str) -> String {
    format!("signin.*.{id}")
}

pub(crate) fn news(id: &str) -> String {
    format!("{NEWS}{id}")
}

/// The longest id.
const LONGEST: usize = 128;

/// An id is part of a subject and the key of a bucket.
pub(crate) fn checked(id: &str) -> Result<&str, EngineError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if (1..=LONGEST).contains(&id.len()) && id.bytes().all(fits) { Ok(id) } else { Err(EngineError::Id) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_token_of_a_subject() {
        for id in ["a", "018f-3c_Z", &"x".repeat(LONGEST)] {
            assert!(checked(id).is_ok(), "{id}");
        }
        for id in ["", "a.b", "*", ">", "a b", "ä", "a/b", "$", "a\r\n", &"x".repeat(LONGEST + 1)] {
            assert!(checked(id).is_err(), "{id}");
        }
    }
}
