//! Owns how things are written for people: durations, times, servers, tokens, and folded lines.

use device_flow_tokio::UnixTime;
use jiff::{SignedDuration, Timestamp as Calendar, tz::TimeZone};
use std::time::Duration;
use unicode_width::UnicodeWidthStr as _;

/// A server without `https://`. Any other scheme stays visible.
pub(crate) fn name(url: &str) -> &str {
    url.strip_prefix("https://").unwrap_or(url)
}

/// Enough of a token to tell two apart, and too little to use it.
pub(super) fn masked(token: &str) -> String {
    let length = token.chars().count();
    let shown: String = token.chars().take(if length >= 32 { 4 } else { 0 }).collect();
    format!("{shown}... ({length} characters)")
}

/// `14:58` or `2 h 01 min`.
pub(crate) fn left(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 3_600 {
        format!("{}:{:02}", seconds / 60, seconds % 60)
    } else {
        format!("{} h {:02} min", seconds / 3_600, seconds / 60 % 60)
    }
}

/// The calendar time in this long, in whole seconds; saturates.
pub(super) fn after(duration: Duration) -> Calendar {
    let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    let then = Calendar::now().saturating_add(duration).unwrap_or(Calendar::MAX);
    Calendar::from_second(then.as_second()).unwrap_or(then)
}

/// The calendar time now.
pub(crate) fn today() -> UnixTime {
    UnixTime::from_secs(u64::try_from(Calendar::now().as_second()).unwrap_or_default())
}

/// A calendar time for programs (RFC 3339), to the second.
pub(crate) fn when(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Calendar::from_second(seconds).unwrap_or(Calendar::MAX).to_string()
}

/// A calendar time for people, in their time zone.
pub(crate) fn local(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let there = Calendar::from_second(seconds).unwrap_or(Calendar::MAX).to_zoned(TimeZone::system());
    there.strftime("%Y-%m-%d %H:%M").to_string()
}

/// A text in which every character that a terminal would act on is escaped, except line ends: by the core's filter, which
/// its own texts have passed already. A message may also quote a file or another program.
pub(super) fn harmless(text: &str) -> String {
    text.split('\n').map(device_flow_tokio::harmless).collect::<Vec<_>>().join("\n")
}

/// The same on one line.
pub(super) fn one_line(text: &str) -> String {
    harmless(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// How many columns a text takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// Breaks a text between words, so that no line is wider than this; what follows a break begins with as many spaces as
/// the line did, and `hang` more (in a numbered list three, at least). A word that is wider stays whole on a line of its own,
/// from the first column: the terminal breaks it without a line end in between, and an address can still be clicked and copied.
/// For the same reason a command, four spaces in, stays whole.
pub(crate) fn folded(text: &str, columns: usize, hang: usize) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| folded_line(line, columns, hang)).collect();
    lines.join("\n")
}

fn folded_line(line: &str, columns: usize, hang: usize) -> String {
    if line.starts_with("    device-flow ") {
        return line.to_owned();
    }
    let spaces = |count: usize| " ".repeat(count);
    let words = line.trim_start_matches(' ');
    let indent = line.len().saturating_sub(words.len());
    let is_numbered = words.split_once(". ").is_some_and(|(number, _)| matches!(number.as_bytes(), [b'0'..=b'9']));
    let hang = if is_numbered { hang.max(3) } else { hang };
    let mut done = String::new();
    let mut open = spaces(indent);
    // How many spaces there are since the last word; none, while the line has no word.
    let mut gap = None;
    for word in words.split(' ') {
        if word.is_empty() {
            gap = gap.map(|gap: usize| gap.saturating_add(1));
            continue;
        }
        let needed = |open: &String, gap| width(open).saturating_add(gap).saturating_add(width(word)) > columns;
        if let Some(gap) = gap {
            if needed(&open, gap) {
                done += &open;
                done.push('\n');
                open = spaces(indent.saturating_add(hang));
            } else {
                open += &spaces(gap);
            }
        }
        if open.trim_start().is_empty() && needed(&open, 0) {
            open.clear();
        }
        open += word;
        gap = Some(1);
    }
    done + &open
}

#[cfg(test)]
mod tests {
    use super::*;

    // Any lifetime that a server can send.
    #[test]
    fn d11_calendar_times_saturate() {
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
    fn the_time_left_is_in_minutes_and_seconds() {
        for (seconds, text) in
            [(0, "0:00"), (59, "0:59"), (898, "14:58"), (3_599, "59:59"), (3_600, "1 h 00 min"), (7_260, "2 h 01 min")]
        {
            assert_eq!(left(Duration::from_secs(seconds)), text);
        }
    }

    // At 20 columns and at any other width.
    #[test]
    fn e06_lines_are_folded_between_words() {
        let text = "You started this sign-in. Never enter a code that someone sent you.";
        assert_eq!(folded(text, 100, 0), text);
        assert_eq!(folded("aaa bbb ccc", 7, 0), "aaa bbb\nccc");
        assert_eq!(folded("aaa bbb ccc", 6, 0), "aaa\nbbb\nccc");
        assert_eq!(folded("  1. aaa   bbb ccc", 12, 0), "  1. aaa\n     bbb ccc");
        assert_eq!(folded("  e. aaa   bbb ccc", 12, 0), "  e. aaa\n  bbb ccc");
        assert_eq!(folded("a   b\n\n  c", 80, 0), "a   b\n\n  c");
        assert_eq!(folded("do\n    device-flow login --force", 9, 0), "do\n    device-flow login --force");
        // Wide letters take two columns.
        assert_eq!(folded("\u{4f60}\u{597d} \u{4f60}\u{597d}", 8, 0), "\u{4f60}\u{597d}\n\u{4f60}\u{597d}");
        for columns in 0..80 {
            let folded = folded(text, columns, 2);
            assert!(folded.lines().all(|line| line.len() <= columns || !line.trim().contains(' ')), "{folded}");
            assert_eq!(folded.split_whitespace().collect::<Vec<_>>(), text.split(' ').collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_address_is_never_split() {
        let address = "https://login.example.com/device?user_code=WDJB-MJHT";
        let text = format!("  or open  {address}  and check that it shows the same code.");
        for columns in 0..80 {
            let folded = folded(&text, columns, 0);
            let line = folded.lines().find(|line| line.contains("https")).unwrap_or_default();
            assert!(line.contains(address), "{folded}");
            assert!(width(line) <= columns || line == address, "{folded}");
        }
    }

    #[test]
    fn characters_that_a_terminal_acts_on_are_escaped() {
        assert_eq!(harmless("a\nb\u{1b}[2J\u{202e}"), "a\nb\\u{1b}[2J\\u{202e}");
        assert_eq!(one_line("a\r\n b\u{9b}"), "a b\\u{9b}");
    }
}
