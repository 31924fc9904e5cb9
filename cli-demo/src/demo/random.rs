//! Owns the random strings of the demo server (device codes, user codes, tokens, form tokens), and how two are
//! compared.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use sha2::{Digest as _, Sha256};

/// Twenty consonants that are hard to confuse and spell no words (RFC 8628 §6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// 256 random bits in base64url: a device code or a token (RFC 8628 §5.2).
pub(super) fn secret() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(Base64UrlUnpadded::encode_string(&bytes))
}

/// Eight letters as `XXXX-XXXX`: 34.5 bits, enough with the limit on wrong codes (RFC 8628 §5.1).
pub(super) fn user_code() -> Result<String, getrandom::Error> {
    let mut code = String::with_capacity(9);
    while code.len() < 9 {
        let mut byte = [0];
        getrandom::fill(&mut byte)?;
        let [byte] = byte;
        // 240 is the last multiple of 20 in a byte; larger bytes would favour some letters.
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

/// Compares secrets by their digests, so that the time does not depend on them.
pub(super) fn same_secret(one: &str, other: &str) -> bool {
    Sha256::digest(one) == Sha256::digest(other)
}
