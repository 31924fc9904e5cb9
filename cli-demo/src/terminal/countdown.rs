//! Owns the line that says how long the code lives: when it is due, what it says, how it is painted over and wiped.

use super::text::{after, folded, left};
use jiff::tz::TimeZone;
use std::time::Duration;
use tokio::time::Instant;

/// How the wait is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// One line that is painted over every second.
    Repaint,
    /// A new line every minute: a screen reader reads each once, and a terminal need not go back.
    Heartbeat,
    /// One line, once.
    Once,
    Silent,
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

pub(super) struct Countdown {
    wait: Wait,
    end: Instant,
    /// When the next line is due. The first one is at once.
    due: Option<Instant>,
    begun: bool,
    /// The width of the line that stands on the terminal.
    painted: usize,
    /// The terminal understands escape sequences.
    escapes: bool,
}

impl Countdown {
    pub(super) fn new(wait: Wait, escapes: bool, now: Instant, lifetime: Duration) -> Self {
        // A code that lives longer than anybody counts: what is left is wrong, and so is nothing else.
        let end = now.checked_add(lifetime).unwrap_or(now);
        let due = (wait != Wait::Silent).then_some(now);
        Self { wait, end, due, begun: false, painted: 0, escapes }
    }

    /// When [`line`](Countdown::line) has something to say.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Lets a line pass, because it would be painted into the terminal of somebody else.
    pub(super) fn skip(&mut self, now: Instant) {
        if self.wait == Wait::Repaint {
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
        let first = !std::mem::replace(&mut self.begun, true);
        self.due = match self.wait {
            Wait::Repaint => now.checked_add(SECOND),
            Wait::Heartbeat => now.checked_add(MINUTE),
            Wait::Once | Wait::Silent => None,
        };
        match self.wait {
            Wait::Repaint if self.escapes => {
                let long = format!("{} ({left} left)", expires());
                self.paint([long, format!("Waiting, {left} left"), left], columns)
            }
            // Without escape sequences nothing takes back a line that a narrower terminal has broken: a short one is not broken.
            Wait::Repaint => {
                let said = if first { whole(format!("{} (in {left})", expires())) } else { String::new() };
                said + &self.paint([format!("Waiting, {left} left"), left], columns)
            }
            Wait::Once | Wait::Heartbeat if first => whole(format!("{} (in {left})", expires())),
            Wait::Heartbeat => whole(format!("Still waiting for approval, {left} left")),
            Wait::Once | Wait::Silent => String::new(),
        }
    }

    /// Paints the first of these lines that fits over the one that stands there.
    fn paint<const N: usize>(&mut self, lines: [String; N], columns: Option<usize>) -> String {
        // The last column stays free: a terminal may go on to the next line when that is written.
        let fits = |line: &String| line.len() < columns.unwrap_or(80);
        let line = lines.into_iter().find(fits).unwrap_or_default();
        let padding = self.painted.saturating_sub(line.len());
        self.painted = line.len();
        match self.escapes {
            true => format!("\r\u{1b}[J{line}\r"),
            false => format!("\r{line}{}\r", " ".repeat(padding)),
        }
    }

    /// What wipes the line, so that whatever comes next starts on a clean one.
    pub(super) fn wipe(&mut self) -> String {
        match std::mem::take(&mut self.painted) {
            0 => String::new(),
            _ if self.escapes => "\r\u{1b}[J".to_owned(),
            painted => format!("\r{}\r", " ".repeat(painted)),
        }
    }

    /// Something else was said in between: the line is to be painted again.
    pub(super) fn again(&mut self, now: Instant) {
        if self.wait == Wait::Repaint {
            self.due = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(wait: Wait, escapes: bool) -> (Countdown, Instant) {
        let now = Instant::now();
        (Countdown::new(wait, escapes, now, Duration::from_secs(900)), now)
    }

    fn written(wait: Wait) -> (Countdown, String, Instant) {
        let (mut countdown, now) = start(wait, false);
        let line = countdown.line(now, None);
        (countdown, line, now)
    }

    // E06: what is painted over fits into its row, at any width, and leaves nothing of the line before.
    #[test]
    fn a_repainted_line_fits_and_covers_the_one_before() {
        for escapes in [false, true] {
            let (mut countdown, now) = start(Wait::Repaint, escapes);
            countdown.line(now, Some(80));
            for columns in [200, 80, 58, 57, 40, 20, 19, 6, 5, 1, 0, 80] {
                let mut screen = vt100::Parser::new(10, 200, 0);
                screen.process(countdown.line(now, Some(200)).as_bytes());
                screen.process(countdown.line(now, Some(columns)).as_bytes());
                let contents = screen.screen().contents();
                let lines = contents.lines().filter(|line| !line.trim().is_empty()).count();
                assert_eq!(lines, usize::from(columns > 5), "{columns}: {contents}");
                assert!(contents.trim().len() < columns.max(1), "{columns}: {contents}");
                screen.process(countdown.wipe().as_bytes());
                assert_eq!(screen.screen().contents().trim(), "", "{columns}");
            }
        }
    }

    // A terminal that becomes narrower breaks the lines that are there. Twenty columns are enough for what is painted without
    // escape sequences; with them, all rows are taken back.
    #[test]
    fn a_line_that_is_painted_over_does_not_break() {
        let (mut countdown, now) = start(Wait::Repaint, false);
        assert!(countdown.line(now, Some(80)).lines().next().is_some_and(|line| line.ends_with("(in 15:00)")));
        for seconds in 1..900 {
            let line = countdown.line(now + Duration::from_secs(seconds), Some(80));
            assert!(line.trim_matches('\r').len() < 20 && !line.contains(['\n', '\u{1b}']), "{line:?}");
        }
        let (mut countdown, now) = start(Wait::Repaint, true);
        assert!(countdown.line(now, Some(80)).starts_with("\r\u{1b}[JWaiting for approval"));
    }

    #[test]
    fn it_is_due_once_a_second_and_never_catches_up() {
        let (mut countdown, now) = start(Wait::Repaint, true);
        assert_eq!(countdown.due(), Some(now));
        countdown.line(now, None);
        assert_eq!(countdown.due(), Some(now + SECOND));
        // E02: stopped for a while, and continued: one line, which is right.
        let later = now + Duration::from_secs(600);
        assert!(countdown.line(later, None).contains("(5:00 left)"));
        assert_eq!(countdown.due(), Some(later + SECOND));
    }

    #[test]
    fn a_screen_reader_hears_a_line_every_minute() {
        let (mut countdown, line, now) = written(Wait::Heartbeat);
        assert!(line.ends_with("(in 15:00)\n"));
        for minute in 1..5 {
            let next = now + MINUTE * minute;
            assert_eq!(countdown.due(), Some(next));
            assert_eq!(countdown.line(next, None), format!("Still waiting for approval, {}:00 left\n", 15 - minute));
        }
    }

    #[test]
    fn a_file_gets_one_line_and_silence_none() {
        let (mut countdown, line, now) = written(Wait::Once);
        assert_eq!((line.lines().count(), countdown.due(), countdown.line(now, None)), (1, None, String::new()));
        let (countdown, line, _) = written(Wait::Silent);
        assert_eq!((countdown.due(), line), (None, String::new()));
    }
}
