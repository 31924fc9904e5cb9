//! Owns every random string of the demo server (device codes, user codes, tokens and form tokens), and how two are compared.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use sha2::{Digest as _, Sha256};

/// Twenty consonants that are hard to mistake for each other and spell no words (RFC 8628 §6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// 256 random bits, in base64url: a device code or a token that nobody guesses (RFC 8628 §5.2).
pub(super) fn secret() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(Base64UrlUnpadded::encode_string(&bytes))
}

/// Eight letters as `XXXX-XXXX`: 34.5 bits, enough beside the limit on wrong codes (RFC 8628 §5.1).
pub(super) fn user_code() -> Result<String, getrandom::Error> {
    let mut code = String::with_capacity(9);
    while code.len() < 9 {
        let mut byte = [0];
        getrandom::fill(&mut byte)?;
        let [byte] = byte;
        // 240 is the last multiple of 20 in a byte: folding the rest in would favour some letters.
        if byte < 240
            && let Some(&letter) = LETTERS.get(usize::from(byte % 20))
        {
            if code.len() == 4 {
                code.push('-');
            }
            code.push(char::from(letter));
        }
    }
    Ok(code)
}

/// Compares secrets in a time that says nothing about them, by their digests.
pub(super) fn same_secret(one: &str, other: &str) -> bool {
    Sha256::digest(one) == Sha256::digest(other)
}
