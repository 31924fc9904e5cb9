//! Owns the line that says how long the code stays valid: when it is due, what it says, how it is repainted and
//! cleared.

use super::text::{after, folded, left};
use jiff::tz::TimeZone;
use std::time::Duration;
use tokio::time::Instant;

/// How the countdown is displayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Display {
    /// One line, repainted every second.
    Repaint,
    /// A new line every minute: a screen reader reads each once, and the cursor never moves back.
    EveryMinute,
    /// One line at the beginning.
    Once,
    Silent,
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

pub(super) struct Countdown {
    display: Display,
    end: Instant,
    /// When the next line is due. The first one is at once.
    due: Option<Instant>,
    has_begun: bool,
    /// The width of the line that is on the terminal now.
    painted: usize,
    /// The terminal understands escape sequences.
    escapes: bool,
}

impl Countdown {
    pub(super) fn new(display: Display, escapes: bool, now: Instant, lifetime: Duration) -> Self {
        // A lifetime beyond the clock's range: only the displayed time is wrong.
        let end = now.checked_add(lifetime).unwrap_or(now);
        let due = (display != Display::Silent).then_some(now);
        Self { display, end, due, has_begun: false, painted: 0, escapes }
    }

    /// When [`line`](Countdown::line) has something to say.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Skips a line, since another program has the terminal.
    pub(super) fn skip(&mut self, now: Instant) {
        if self.display == Display::Repaint {
            self.due = now.checked_add(SECOND);
        }
    }

    /// What to write now, to a terminal of this width.
    pub(super) fn line(&mut self, now: Instant, columns: Option<usize>) -> String {
        let left_over = self.end.saturating_duration_since(now);
        let left = left(left_over);
        let expires = || {
            let clock = after(left_over).to_zoned(TimeZone::system()).strftime("%H:%M").to_string();
            format!("Waiting for approval: code expires at {clock}")
        };
        let whole = |text: String| columns.map_or_else(|| text.clone(), |columns| folded(&text, columns, 0)) + "\n";
        let first = !std::mem::replace(&mut self.has_begun, true);
        self.due = match self.display {
            Display::Repaint => now.checked_add(SECOND),
            Display::EveryMinute => now.checked_add(MINUTE),
            Display::Once | Display::Silent => None,
        };
        match self.display {
            Display::Repaint if self.escapes => {
                let long = format!("{} ({left} left)", expires());
                self.paint([long, format!("Waiting, {left} left"), left], columns)
            }
            // Without escape sequences a line that a narrower terminal has wrapped cannot be cleared; a short one does
            // not wrap.
            Display::Repaint => {
                let full = if first { whole(format!("{} (in {left})", expires())) } else { String::new() };
                full + &self.paint([format!("Waiting, {left} left"), left], columns)
            }
            Display::Once | Display::EveryMinute if first => whole(format!("{} (in {left})", expires())),
            Display::EveryMinute => whole(format!("Still waiting for approval, {left} left")),
            Display::Once | Display::Silent => String::new(),
        }
    }

    /// Repaints with the first of these lines that fits.
    fn paint<const N: usize>(&mut self, lines: [String; N], columns: Option<usize>) -> String {
        // The last column stays free: some terminals wrap when it is written.
        let fits = |line: &String| line.len() < columns.unwrap_or(80);
        let line = lines.into_iter().find(fits).unwrap_or_default();
        let padding = self.painted.saturating_sub(line.len());
        self.painted = line.len();
        match self.escapes {
            true => format!("\r\u{1b}[J{line}\r"),
            false => format!("\r{line}{}\r", " ".repeat(padding)),
        }
    }

    /// What clears the line, so that the next output starts on a clean one.
    pub(super) fn clear(&mut self) -> String {
        match std::mem::take(&mut self.painted) {
            0 => String::new(),
            _ if self.escapes => "\r\u{1b}[J".to_owned(),
            painted => format!("\r{}\r", " ".repeat(painted)),
        }
    }

    /// Something else was printed in between: the line must be painted again.
    pub(super) fn repaint_at(&mut self, now: Instant) {
        if self.display == Display::Repaint {
            self.due = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(display: Display, escapes: bool) -> (Countdown, Instant) {
        let now = Instant::now();
        (Countdown::new(display, escapes, now, Duration::from_secs(900)), now)
    }

    fn written(display: Display) -> (Countdown, String, Instant) {
        let (mut countdown, now) = start(display, false);
        let line = countdown.line(now, None);
        (countdown, line, now)
    }

    // At any width.
    #[test]
    fn e06_a_repainted_line_fits_and_covers_the_one_before() {
        for escapes in [false, true] {
            let (mut countdown, now) = start(Display::Repaint, escapes);
            countdown.line(now, Some(80));
            for columns in [200, 80, 58, 57, 40, 20, 19, 6, 5, 1, 0, 80] {
                let mut screen = vt100::Parser::new(10, 200, 0);
                screen.process(countdown.line(now, Some(200)).as_bytes());
                screen.process(countdown.line(now, Some(columns)).as_bytes());
                let contents = screen.screen().contents();
                let lines = contents.lines().filter(|line| !line.trim().is_empty()).count();
                assert_eq!(lines, usize::from(columns > 5), "{columns}: {contents}");
                assert!(contents.trim().len() < columns.max(1), "{columns}: {contents}");
                screen.process(countdown.clear().as_bytes());
                assert_eq!(screen.screen().contents().trim(), "", "{columns}");
            }
        }
    }

    // A terminal that becomes narrower wraps the lines that are there. Without escape sequences a repainted line needs
    // twenty columns at most; with them, all its rows are cleared.
    #[test]
    fn a_repainted_line_does_not_wrap() {
        let (mut countdown, now) = start(Display::Repaint, false);
        assert!(countdown.line(now, Some(80)).lines().next().is_some_and(|line| line.ends_with("(in 15:00)")));
        for seconds in 1..900 {
            let line = countdown.line(now + Duration::from_secs(seconds), Some(80));
            assert!(line.trim_matches('\r').len() < 20 && !line.contains(['\n', '\u{1b}']), "{line:?}");
        }
        let (mut countdown, now) = start(Display::Repaint, true);
        assert!(countdown.line(now, Some(80)).starts_with("\r\u{1b}[JWaiting for approval"));
    }

    #[test]
    fn e02_it_is_due_once_a_second_and_never_catches_up() {
        let (mut countdown, now) = start(Display::Repaint, true);
        assert_eq!(countdown.due(), Some(now));
        countdown.line(now, None);
        assert_eq!(countdown.due(), Some(now + SECOND));
        // After having been stopped for a while: one line, with the right time.
        let later = now + Duration::from_secs(600);
        assert!(countdown.line(later, None).contains("(5:00 left)"));
        assert_eq!(countdown.due(), Some(later + SECOND));
    }

    #[test]
    fn a_screen_reader_gets_a_line_every_minute() {
        let (mut countdown, line, now) = written(Display::EveryMinute);
        assert!(line.ends_with("(in 15:00)\n"));
        for minute in 1..5 {
            let next = now + MINUTE * minute;
            assert_eq!(countdown.due(), Some(next));
            assert_eq!(countdown.line(next, None), format!("Still waiting for approval, {}:00 left\n", 15 - minute));
        }
    }

    #[test]
    fn a_file_gets_one_line_and_silent_none() {
        let (mut countdown, line, now) = written(Display::Once);
        assert_eq!((line.lines().count(), countdown.due(), countdown.line(now, None)), (1, None, String::new()));
        let (countdown, line, _) = written(Display::Silent);
        assert_eq!((countdown.due(), line), (None, String::new()));
    }
}
