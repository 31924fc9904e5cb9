//! Owns the sentinel: the word that every secret in the tests contains, and the search for it in what is printed or
//! logged.
//!
//! `testkit/secrets.sh` searches the output of the whole test run in the same way.

/// The word. A test that invents a token, a code, a password or a verifier puts it in, and never prints it.
pub const CANARY: &str = "canary";

/// Entropy for a flow whose PKCE verifier, which is these bytes in base64url, contains the word four times.
pub const ENTROPY: [u8; 32] = [
    113, 169, 218, 175, 47, 175, 122, 184, 159, 137, 234, 254, 113, 169, 218, 175, 47, 175, 122, 184, 159, 137, 234,
    254, 113, 169, 218, 175, 47, 156, 106, 112,
];

/// The forms in which the word can leak: as it is, in base64 after zero, one or two bytes, and in hexadecimal. Form
/// encoding, percent encoding and JSON leave letters alone.
const FORMS: [&str; 5] = [CANARY, "Y2FuYXJ5", "NhbmFye", "jYW5hcn", "63616e617279"];

/// The number of the line with a secret, counted from 0, and the text before the secret; `None` when there is none.
#[must_use]
pub fn leak(text: &str) -> Option<(usize, &str)> {
    let found = |line: &str| {
        // Lower case keeps the positions of all letters.
        let lower = line.to_ascii_lowercase();
        FORMS.iter().filter_map(|form| line.find(form).or_else(|| lower.find(form))).min()
    };
    text.lines().enumerate().find_map(|(number, line)| Some((number, line.get(..found(line)?)?)))
}

/// Panics when there is a secret in the text, without showing it.
#[track_caller]
pub fn none_in(text: &str) {
    let leak = leak(text);
    assert!(leak.is_none(), "a secret is shown, in this line and after this text: {leak:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g11_a_secret_is_found_in_every_form() {
        for shown in [
            "Secret(\"AT-canary\")",
            "CANARY",
            "a\nAuthorization: Basic Y2FuYXJ5\nb",
            // base64 of x:canary and of xx:canary, and the bytes as a debugger shows them.
            "eDpjYW5hcnk=",
            "eHg6Y2FuYXJ5",
            "xx=eGNhbmFyeQ==",
            "63616E617279",
        ] {
            assert!(leak(shown).is_some(), "{}", shown.len());
            let panic = std::panic::catch_unwind(|| none_in(shown)).unwrap_err();
            assert_eq!(leak(panic.downcast_ref::<String>().unwrap()), None);
        }
        assert_eq!(leak("one\ntwo Secret(canary)"), Some((1, "two Secret(")));
        for harmless in ["", "[secret]", "can", "ary\ncan", "Q2FuYWRh"] {
            assert_eq!(leak(harmless), None);
            none_in(harmless);
        }
    }
}
