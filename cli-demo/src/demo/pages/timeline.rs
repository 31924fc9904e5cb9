//! Owns the drawings of polls: the timeline, the bar of one gap, and a mark for each kind of answer.

use std::time::Duration;

use maud::{Markup, PreEscaped, html};

use crate::demo::answer::Refusal;
use crate::demo::grant::Poll;

/// How many polls the timeline shows. On a phone, more would overlap.
const SHOWN: usize = 12;
/// Free space at both ends of the timeline, in percent.
const MARGIN: f64 = 3.0;
/// A gap that takes less than this much of the timeline, in percent, has no room for its figure: on a desktop, or on a
/// phone.
const ROOM_ON_DESKTOP: f64 = 5.0;
const ROOM_ON_PHONE: f64 = 12.0;

/// The kinds of answers. Each has its own shape, so that no meaning depends on colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Pending,
    Slow,
    Fault,
    Good,
    Bad,
}

impl Mark {
    pub(super) fn of(answer: Result<(), Refusal>) -> Self {
        match answer {
            Ok(()) => Self::Good,
            Err(Refusal::AuthorizationPending) => Self::Pending,
            Err(Refusal::SlowDown | Refusal::RetryLater(_)) => Self::Slow,
            Err(Refusal::Unavailable | Refusal::HungUp | Refusal::ServerError) => Self::Fault,
            Err(
                Refusal::AccessDenied
                | Refusal::ExpiredToken
                | Refusal::InvalidGrant(_)
                | Refusal::InvalidRequest(_)
                | Refusal::InvalidClient
                | Refusal::InvalidScope
                | Refusal::UnsupportedGrantType,
            ) => Self::Bad,
        }
    }

    /// Alone, beside text.
    pub(super) fn icon(self) -> Markup {
        html! {
            svg.icon viewBox="-11 -11 22 22" aria-hidden="true" focusable="false" { (self.shape()) }
        }
    }

    /// Centred on the origin, with a radius of at most nine units.
    fn shape(self) -> Markup {
        PreEscaped(
            match self {
                Self::Pending => r#"<circle class="pending" r="5.5"/>"#,
                Self::Slow => r#"<path class="slow" d="M0-8.5 8.5 6.5H-8.5Z"/>"#,
                Self::Fault => r#"<path class="trouble" d="M-5.5-5.5 5.5 5.5M5.5-5.5-5.5 5.5"/>"#,
                Self::Good => r#"<circle class="good" r="9"/><path class="on" d="m-4 .5 3 3 5-6"/>"#,
                Self::Bad => r#"<circle class="bad" r="9"/><path class="on" d="M-4 0h8"/>"#,
            }
            .to_owned(),
        )
    }
}

/// Polls from left to right in time; before each, the time in which it was not allowed. `ahead`: how long the next gap
/// must be, if there is one.
pub(super) fn timeline<'p>(
    polls: impl DoubleEndedIterator<Item = &'p Poll> + ExactSizeIterator,
    issued: Duration,
    now: Duration,
    ahead: Option<Duration>,
) -> Markup {
    let skipped = polls.len().saturating_sub(SHOWN);
    let polls: Vec<&Poll> = polls.skip(skipped).collect();
    let start = polls.first().map_or(issued, |poll| poll.at.saturating_sub(poll.waited));
    let last = polls.last().map_or(issued, |poll| poll.at);
    let end = ahead.map_or(last, |due| now.max(last.saturating_add(due)));
    let scale = Scale::new(start, end);
    html! {
        svg.timeline role="img" aria-label="The last polls, drawn to scale. The table contains the same data." {
            line.axis x1=(percent(0.0)) x2=(percent(100.0)) y1="50" y2="50" {}
            @for poll in &polls {
                @let from = poll.at.saturating_sub(poll.waited);
                (zone(&scale, from, from.saturating_add(poll.due), "zone"))
            }
            @if let Some(due) = ahead { (zone(&scale, last, last.saturating_add(due), "zone ahead")) }
            @if skipped == 0 { line.issued x1=(percent(scale.at(issued))) x2=(percent(scale.at(issued))) y1="34" y2="66" {} }
            @for poll in &polls {
                @let (from, to) = (scale.at(poll.at.saturating_sub(poll.waited)), scale.at(poll.at));
                @if to - from >= ROOM_ON_DESKTOP {
                    text.figure.tight[to - from < ROOM_ON_PHONE] x=(percent(f64::midpoint(from, to))) y="20" { (seconds(poll.waited)) }
                }
            }
            @if ahead.is_some() { line.now x1=(percent(scale.at(now))) x2=(percent(scale.at(now))) y1="30" y2="70" {} }
            @for poll in &polls {
                svg x=(percent(scale.at(poll.at))) y="50" overflow="visible" {
                    @if !poll.is_lawful() { circle.early r="14" {} }
                    (Mark::of(poll.answer).shape())
                }
            }
            text.edge x=(percent(MARGIN)) y="92" { (if skipped == 0 { "code issued".to_owned() } else { clock(start.saturating_sub(issued)) }) }
            text.edge.last x=(percent(100.0 - MARGIN)) y="92" { (clock(end.saturating_sub(issued))) }
        }
    }
}

/// One gap beside the time that it had to last. All gaps of a table share a scale.
pub(super) fn bar(poll: &Poll, longest: Duration) -> Markup {
    let scale = Scale { start: Duration::ZERO, span: longest.as_secs_f64().max(1.0), margin: 0.0 };
    let (waited, due) = (scale.at(poll.waited), scale.at(poll.due));
    html! {
        svg.bar aria-hidden="true" focusable="false" {
            rect.zone x="0" y="2" width=(percent(due)) height="8" rx="2" {}
            rect.waited.early[!poll.is_lawful()] x="0" y="4" width=(percent(waited)) height="4" rx="2" {}
            line.law x1=(percent(due)) x2=(percent(due)) y1="0" y2="12" {}
        }
    }
}

/// `5.0 s`, rounded down, so that no gap seems longer than it was.
pub(super) fn seconds(time: Duration) -> String {
    format!("{}.{} s", time.as_secs(), time.subsec_millis() / 100)
}

/// `0:05`, `12:34`, `1:00:00`.
pub(super) fn clock(time: Duration) -> String {
    let (hours, minutes, seconds) = (time.as_secs() / 3600, time.as_secs() / 60 % 60, time.as_secs() % 60);
    if hours == 0 { format!("{minutes}:{seconds:02}") } else { format!("{hours}:{minutes:02}:{seconds:02}") }
}

fn zone(scale: &Scale, from: Duration, to: Duration, class: &str) -> Markup {
    let (from, to) = (scale.at(from), scale.at(to));
    html! { rect class=(class) x=(percent(from)) y="36" width=(percent(to - from)) height="28" rx="5" {} }
}

struct Scale {
    start: Duration,
    /// In seconds; not zero.
    span: f64,
    margin: f64,
}

impl Scale {
    fn new(start: Duration, end: Duration) -> Self {
        Self { start, span: end.saturating_sub(start).as_secs_f64().max(1.0), margin: MARGIN }
    }

    /// Where a time lies, in percent.
    fn at(&self, time: Duration) -> f64 {
        let part = (time.saturating_sub(self.start).as_secs_f64() / self.span).min(1.0);
        self.margin + part * 2.0f64.mul_add(-self.margin, 100.0)
    }
}

fn percent(number: f64) -> String {
    format!("{number:.2}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn times_are_rounded_down() {
        for (millis, text) in [(0, "0.0 s"), (4_999, "4.9 s"), (5_000, "5.0 s"), (65_432, "65.4 s")] {
            assert_eq!(seconds(Duration::from_millis(millis)), text);
        }
        for (time, text) in [(5, "0:05"), (754, "12:34"), (3_599, "59:59"), (3_600, "1:00:00"), (86_399, "23:59:59")] {
            assert_eq!(clock(s(time)), text);
        }
    }

    #[test]
    fn the_timeline_ends_with_its_last_event() {
        let scale = Scale::new(s(10), s(20));
        assert_eq!((percent(scale.at(s(10))), percent(scale.at(s(15)))), ("3.00%".into(), "50.00%".into()));
        assert_eq!((percent(scale.at(s(20))), percent(scale.at(s(99)))), ("97.00%".into(), "97.00%".into()));
        assert_eq!(percent(scale.at(s(1))), "3.00%", "and begins with its first event");
    }

    // It has a ring, and its bar does not reach the line.
    #[test]
    fn a_poll_that_comes_too_soon_is_marked() {
        let poll =
            |waited| Poll { number: 1, at: s(10), waited, due: s(5), answer: Err(Refusal::SlowDown), held: s(0) };
        for (waited, ringed) in [(Duration::from_millis(4_749), true), (Duration::from_millis(4_750), false)] {
            let drawn = timeline([poll(waited)].iter(), s(0), s(12), None).into_string();
            assert_eq!(drawn.contains("class=\"early\""), ringed, "{drawn}");
            assert_eq!(bar(&poll(waited), s(5)).into_string().contains("waited early"), ringed);
        }
    }
}
