//! Owns how a text becomes one word of a command line that a person may paste into a shell.

use std::borrow::Cow;

/// As it is where that is one plain word, else in quotes. For suggested command lines: what comes from a server, a file
/// or the environment must be one word there, whatever is in it.
pub(crate) fn word(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    // A leading `=` or `~` has a meaning to some shells.
    if !text.is_empty() && !text.starts_with('=') && text.chars().all(is_plain) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(quoted(text))
    }
}

/// Quoted for shells of the Bourne family.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_text_is_one_word_to_a_shell() {
        assert_eq!(quoted("a$b`c\"d e"), "'a$b`c\"d e'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

    #[test]
    fn only_a_plain_word_stays_without_quotes() {
        for plain in ["work", "a-b_c.d", "https://as.example/t", "ada@example.com", "-"] {
            assert_eq!(word(plain), plain);
        }
        for odd in ["", "a b", "$(id)", "a;b", "~", "=x", "a\nb", "a?b", "a&b", "é", "*", "#", "!x", "it's"] {
            assert_eq!(word(odd), quoted(odd), "{odd:?}");
        }
    }
}
