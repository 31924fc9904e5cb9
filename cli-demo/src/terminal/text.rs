//! Owns how things are written for people: lengths of time, clocks, servers, tokens, and lines that fit.

use device_flow_tokio::core::UnixTime;
use jiff::{SignedDuration, Timestamp as Calendar, tz::TimeZone};
use std::time::Duration;
use unicode_general_category::{GeneralCategory, get_general_category};
use unicode_width::UnicodeWidthStr as _;

/// A server as people call it. What is not https keeps its scheme, to be seen.
pub(crate) fn name(url: &str) -> &str {
    url.strip_prefix("https://").unwrap_or(url)
}

/// Enough of a token to tell two apart, not enough to use one.
pub(super) fn masked(token: &str) -> String {
    let length = token.chars().count();
    let shown: String = token.chars().take(if length >= 32 { 4 } else { 0 }).collect();
    format!("{shown}... ({length} characters)")
}

pub(crate) fn left(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 3_600 {
        format!("{}:{:02}", seconds / 60, seconds % 60)
    } else {
        format!("{} h {:02} min", seconds / 3_600, seconds / 60 % 60)
    }
}

/// This long from now, in whole seconds; saturates.
pub(super) fn after(duration: Duration) -> Calendar {
    let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    let then = Calendar::now().saturating_add(duration).unwrap_or(Calendar::MAX);
    Calendar::from_second(then.as_second()).unwrap_or(then)
}

/// The time of the calendar, as tokens tell theirs.
pub(crate) fn today() -> UnixTime {
    UnixTime::from_secs(u64::try_from(Calendar::now().as_second()).unwrap_or_default())
}

/// A time of the calendar as programs read it (RFC 3339), to the second.
pub(crate) fn when(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Calendar::from_second(seconds).unwrap_or(Calendar::MAX).to_string()
}

/// The same as people read it, where they are.
pub(crate) fn local(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let there = Calendar::from_second(seconds).unwrap_or(Calendar::MAX).to_zoned(TimeZone::system());
    there.strftime("%Y-%m-%d %H:%M").to_string()
}

/// A text without what could change the terminal, its lines kept: what the core hands out is clean already, but a text may
/// also quote a file or another program.
pub(super) fn harmless(text: &str) -> String {
    use GeneralCategory::{Control, Format, LineSeparator, ParagraphSeparator};
    let acts = |c| matches!(get_general_category(c), Control | Format | LineSeparator | ParagraphSeparator);
    text.chars().map(|c| if acts(c) && c != '\n' { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}

/// The same on one line.
pub(super) fn one_line(text: &str) -> String {
    harmless(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Breaks a text between words, so that no line is wider than this. A word that is wider stays whole on a line of its own:
/// the terminal breaks it without a line end in between, and an address can still be clicked and copied.
pub(super) fn wrapped(text: &str, columns: usize) -> String {
    let mut lines = vec![];
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            if !line.is_empty() && line.width().saturating_add(word.width()) >= columns {
                lines.push(std::mem::take(&mut line));
            } else if !line.is_empty() {
                line.push(' ');
            }
            line += word;
        }
        lines.push(line);
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    // D11: any lifetime that a server can name has a calendar time.
    #[test]
    fn calendar_times_saturate() {
        for seconds in [0, 1, 3_155_760_000, u64::MAX] {
            assert!(after(Duration::from_secs(seconds)).to_string().ends_with('Z'), "{seconds}");
        }
        assert_eq!(after(Duration::MAX), Calendar::from_second(Calendar::MAX.as_second()).unwrap_or(Calendar::MAX));
    }

    #[test]
    fn a_masked_token_cannot_be_used() {
        assert_eq!(masked(""), "... (0 characters)");
        assert_eq!(masked(&"a".repeat(31)), "... (31 characters)");
        assert_eq!(masked(&"a".repeat(32)), "aaaa... (32 characters)");
    }

    #[test]
    fn what_is_left_is_told_in_minutes_and_seconds() {
        for (seconds, text) in
            [(0, "0:00"), (59, "0:59"), (898, "14:58"), (3_599, "59:59"), (3_600, "1 h 00 min"), (7_260, "2 h 01 min")]
        {
            assert_eq!(left(Duration::from_secs(seconds)), text);
        }
    }
}
