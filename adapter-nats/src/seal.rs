//! Owns sealing: what the engine stores is unreadable, and useless in another place, for whoever has no key.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use std::fmt;
use zeroize::{Zeroize as _, Zeroizing};

/// What is sealed: each kind opens as that kind alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A sign-in that begins or waits: the name of its client, its device code, and what is shown to the person.
    SignIn,
    /// How it ended: its tokens, or why there are none.
    Outcome,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::Outcome => "outcome",
        }
    }
}

/// Why something was not sealed, or does not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// There is no randomness for a nonce, or the sealing service did not answer.
    #[error("cannot seal: {0}")]
    NotSealed(Box<str>),
    /// Sealed with another key, for another sign-in or as another kind, or damaged: which of these cannot be told.
    #[error("does not open: sealed with a key that is not here, for something else, or damaged")]
    DoesNotOpen,
}

/// Seals and opens what the engine stores. Implement it over a key service, or take [`KeySeal`].
///
/// What was sealed for one id and kind must not open for another: somebody who can write to the store could otherwise hand one
/// person the tokens of another. Neither method may block for long; a key service should hand out data keys that are kept here.
pub trait Seal: Send + Sync {
    /// Seals bytes for the sign-in with this id.
    ///
    /// # Errors
    /// [`SealError::NotSealed`]: nothing is stored then, and the step is tried again.
    fn seal(&self, id: &str, kind: Kind, plain: &[u8]) -> Result<Vec<u8>, SealError>;

    /// Opens what was sealed.
    ///
    /// # Errors
    /// [`SealError::DoesNotOpen`], with no hint at the reason.
    fn open(&self, id: &str, kind: Kind, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError>;
}

/// XChaCha20-Poly1305 with a key of the caller's, a random nonce each time, and id and kind as associated data.
///
/// To change the key, first give every process the new one [to read](Self::also_opens), then make it the first, and drop the old one
/// when all that it sealed is gone: a day later, by default.
///
/// ```
/// use device_flow_nats::{KeySeal, Kind, Seal as _};
///
/// let (old, new) = (KeySeal::new([1; 32]), KeySeal::new([2; 32]).also_opens([1; 32]));
/// let sealed = old.seal("a1", Kind::Outcome, b"canary")?;
/// assert_eq!(&**new.open("a1", Kind::Outcome, &sealed)?, b"canary");
/// assert!(new.open("a2", Kind::Outcome, &sealed).is_err());
/// # Ok::<(), device_flow_nats::SealError>(())
/// ```
pub struct KeySeal {
    /// The first one seals.
    keys: Vec<XChaCha20Poly1305>,
}

/// The first byte of what [`KeySeal`] seals, before the nonce.
const VERSION: u8 = 1;
const NONCE: usize = 24;

impl KeySeal {
    /// Seals with this key, 32 bytes from a generator of random numbers, not a password.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self { keys: vec![cipher(key)] }
    }

    /// Opens what this key has sealed, too.
    #[must_use]
    pub fn also_opens(mut self, key: [u8; 32]) -> Self {
        self.keys.push(cipher(key));
        self
    }
}

fn cipher(mut key: [u8; 32]) -> XChaCha20Poly1305 {
    let cipher = XChaCha20Poly1305::new(&Key::from(key));
    key.zeroize();
    cipher
}

fn associated(id: &str, kind: Kind) -> String {
    // No kind contains the separator.
    format!("device-flow-nats\0{}\0{id}", kind.name())
}

impl fmt::Debug for KeySeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySeal({} keys)", self.keys.len())
    }
}

impl Seal for KeySeal {
    fn seal(&self, id: &str, kind: Kind, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let no = |reason: &str| SealError::NotSealed(reason.into());
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|error| no(&error.to_string()))?;
        let cipher = self.keys.first().ok_or_else(|| no("no key"))?;
        let associated = associated(id, kind);
        let payload = Payload { msg: plain, aad: associated.as_bytes() };
        let sealed = cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| no("too long"))?;
        Ok([&[VERSION], &nonce[..], &sealed].concat())
    }

    fn open(&self, id: &str, kind: Kind, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let rest = sealed.strip_prefix(&[VERSION]).ok_or(SealError::DoesNotOpen)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>().ok_or(SealError::DoesNotOpen)?;
        let (nonce, associated) = (XNonce::from(*nonce), associated(id, kind));
        let payload = || Payload { msg: sealed, aad: associated.as_bytes() };
        let opened = self.keys.iter().find_map(|cipher| cipher.decrypt(&nonce, payload()).ok());
        opened.map(Zeroizing::new).ok_or(SealError::DoesNotOpen)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests panic to report")]

    use super::*;

    const PLAIN: &[u8] = b"a device code with the word canary";

    #[test]
    fn opens_for_the_same_id_and_kind_and_hides_what_it_seals() {
        let seal = KeySeal::new([1; 32]);
        let sealed = seal.seal("a1", Kind::SignIn, PLAIN).unwrap();
        assert_eq!(**seal.open("a1", Kind::SignIn, &sealed).unwrap(), *PLAIN);
        assert!(!sealed.windows(6).any(|window| window == b"canary"));
        assert_ne!(sealed, seal.seal("a1", Kind::SignIn, PLAIN).unwrap(), "the nonce is new each time");
        assert_eq!(sealed.len(), PLAIN.len() + 1 + NONCE + 16);
    }

    #[test]
    fn does_not_open_for_another_id_kind_or_key() {
        let seal = KeySeal::new([1; 32]);
        let sealed = seal.seal("a1", Kind::SignIn, PLAIN).unwrap();
        for (id, kind, key) in [("a2", Kind::SignIn, 1), ("a1", Kind::Outcome, 1), ("a1", Kind::SignIn, 2)] {
            let opened = KeySeal::new([key; 32]).open(id, kind, &sealed);
            assert_eq!(opened, Err(SealError::DoesNotOpen), "{id} {kind:?} {key}");
        }
    }

    #[test]
    fn an_old_key_opens_and_no_longer_seals() {
        let (old, new) = (KeySeal::new([1; 32]), KeySeal::new([2; 32]).also_opens([1; 32]));
        let sealed = old.seal("a1", Kind::Outcome, PLAIN).unwrap();
        assert_eq!(**new.open("a1", Kind::Outcome, &sealed).unwrap(), *PLAIN);
        let sealed = new.seal("a1", Kind::Outcome, PLAIN).unwrap();
        assert_eq!(old.open("a1", Kind::Outcome, &sealed), Err(SealError::DoesNotOpen));
    }

    #[test]
    fn no_cut_and_no_flipped_bit_opens() {
        let seal = KeySeal::new([1; 32]);
        let sealed = seal.seal("a1", Kind::Outcome, PLAIN).unwrap();
        for length in 0..sealed.len() {
            assert_eq!(seal.open("a1", Kind::Outcome, &sealed[..length]), Err(SealError::DoesNotOpen), "{length}");
        }
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(seal.open("a1", Kind::Outcome, &flipped), Err(SealError::DoesNotOpen), "bit {bit}");
        }
        let longer = [&sealed[..], &[0]].concat();
        assert_eq!(seal.open("a1", Kind::Outcome, &longer), Err(SealError::DoesNotOpen));
    }

    #[test]
    fn shows_no_key() {
        assert_eq!(format!("{:?}", KeySeal::new([1; 32]).also_opens([2; 32])), "KeySeal(2 keys)");
    }
}
