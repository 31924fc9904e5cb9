//! Owns `Retry-After`: seconds, or an HTTP date measured against the answer's own `Date` (RFC 9110 §10.2.3, §5.6.7).

use crate::Response;
use core::time::Duration;

/// The delay that an answer names. Nonsense, a past date, or a date without a `Date` to measure it by is no delay.
pub(crate) fn delay(response: &Response<'_>) -> Duration {
    let seconds = response.retry_after().and_then(|value| {
        let value = value.trim();
        if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
            return Some(value.parse().unwrap_or(u64::MAX));
        }
        let sent = unix_seconds(response.date()?, None)?;
        unix_seconds(value, Some(sent))?.checked_sub(sent)
    });
    Duration::from_secs(seconds.unwrap_or(0))
}

/// All three formats that RFC 9110 §5.6.7 demands: `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT`
/// and `Sun Nov  6 08:49:37 1994`. A two-digit year is the one at most 50 years after `now`.
fn unix_seconds(date: &str, now: Option<u64>) -> Option<u64> {
    let mut words = date.trim().split_ascii_whitespace();
    let weekday = words.next()?;
    let (year, month, day, time);
    if !weekday.ends_with(',') {
        (month, day, time, year) = (words.next()?, words.next()?, words.next()?, number(words.next()?, 4)?);
    } else {
        let first = words.next()?;
        if let Some((d, rest)) = first.split_once('-') {
            let (m, y) = rest.split_once('-')?;
            (day, month, time, year) = (d, m, words.next()?, full_year(number(y, 2)?, now)?);
        } else {
            (day, month, year, time) = (first, words.next()?, number(words.next()?, 4)?, words.next()?);
        }
        if words.next()? != "GMT" {
            return None;
        }
    }
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = u64::try_from(MONTHS.iter().position(|name| *name == month)?).ok()?;
    let mut clock = time.splitn(3, ':').map(|part| number(part, 2));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    // 60 is a leap second.
    if words.next().is_some() || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = days(year, month, number(day, 2)?)?.checked_mul(86_400)?;
    let minutes = hour.checked_mul(60)?.checked_add(minute)?;
    seconds.checked_add(minutes.checked_mul(60)?)?.checked_add(second)
}

fn number(digits: &str, max_len: usize) -> Option<u64> {
    let fits = digits.len() <= max_len && digits.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| digits.parse().ok()).flatten()
}

/// `now` is known only where the header can be compared with `Date`; `Date` itself is read as of this century.
fn full_year(two_digits: u64, now: Option<u64>) -> Option<u64> {
    const SECONDS_PER_YEAR: u64 = 31_556_952;
    let this_year = now.map_or(2_026, |now| (now / SECONDS_PER_YEAR).saturating_add(1_970));
    let year = two_digits.checked_add(this_year.checked_sub(this_year % 100)?)?;
    let (latest, next) = (this_year.saturating_add(50), year.saturating_add(100));
    if year > latest { year.checked_sub(100) } else { Some(if next <= latest { next } else { year }) }
}

/// Days from 1970-01-01 to the given day of the proleptic Gregorian calendar; `month` from 0.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    const BEFORE: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let leap_days = |years: u64| (years / 4).checked_sub(years / 100)?.checked_add(years / 400);
    let whole_years = year.checked_sub(1_970)?.checked_mul(365)?;
    let leaps = leap_days(year.checked_sub(1)?)?.checked_sub(leap_days(1_969)?)?;
    let in_year = BEFORE.get(usize::try_from(month).ok()?)?.checked_add(u64::from(leap && month > 1))?;
    if !(1..=31).contains(&day) {
        return None;
    }
    whole_years.checked_add(leaps)?.checked_add(in_year)?.checked_add(day.checked_sub(1)?)
}
