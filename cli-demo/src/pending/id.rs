//! Owns the ids of pending sign-ins: random, short enough to type, and only letters and digits, so that none is a path.

use std::fmt;
use std::ops::Deref;

/// Crockford's base 32: no letter looks like a digit.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 50 bits: enough for uniqueness. They need not be secret, since only the owner can read the files.
const LENGTH: usize = 10;

/// The value of `--resume`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id(String);

impl Id {
    /// `entropy`: random bytes.
    pub(super) fn random(entropy: [u8; 32]) -> Self {
        let letter = |byte: &u8| ALPHABET.get(usize::from(byte % 32)).map(|letter| char::from(*letter));
        Self(entropy.iter().take(LENGTH).filter_map(letter).collect())
    }

    /// An id as a person typed it; `None` if it cannot be one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let good = text.len() == LENGTH && text.bytes().all(|letter| ALPHABET.contains(&letter));
        good.then_some(Self(text))
    }
}

impl Deref for Id {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_was_made() {
        for byte in 0..=255 {
            let mut entropy = [byte; 32];
            entropy[0] = 255 - byte;
            let id = Id::random(entropy);
            assert_eq!(id.len(), LENGTH);
            assert_eq!(Id::parse(&id), Some(id.clone()));
            assert_eq!(Id::parse(&id.to_uppercase()), Some(id), "a person may type it as they like");
        }
    }

    #[test]
    fn an_id_is_no_path() {
        for text in [
            "",
            ".",
            "..",
            "../../../x",
            "/etc/passw",
            "..\\..\\..\\x",
            "a/b/c/d/e/",
            "c:abcdefgh",
            "abcdefghj",
            "abcdefghjkm",
            "abcdefgh.j",
            ".abcdefghj",
            "abcdefghj\0",
            "abcdefghj\n",
            "abcdefghé",
            "-abcdefghj",
            "abcdefghi0",
            "abcdefghl0",
            "~bcdefghjk",
        ] {
            assert_eq!(Id::parse(text), None, "{text:?}");
        }
    }
}
