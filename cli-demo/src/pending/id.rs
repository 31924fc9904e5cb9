//! Owns the names of pending sign-ins: random, short enough to type, and nothing but letters and digits, so no path.

use std::fmt;
use std::ops::Deref;

/// Crockford's: no letter looks like a digit. 32 of them, so five bits each.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 50 bits. Nobody guesses one, for the file is its owner's alone; they only must not meet.
const LENGTH: usize = 10;

/// What `--resume` takes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id(String);

impl Id {
    /// `entropy`: fresh random bytes, as many as the id has letters or more.
    pub(super) fn random(entropy: [u8; 32]) -> Self {
        let letter = |byte: &u8| ALPHABET.get(usize::from(byte % 32)).map(|letter| char::from(*letter));
        Self(entropy.iter().take(LENGTH).filter_map(letter).collect())
    }

    /// As a person typed it; `None` when it cannot be one.
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
    fn what_is_made_is_what_is_read() {
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
