//! Any `Retry-After` and `Date`: never a panic, never an earlier poll, never a lost poll.

use crate::support::*;
use device_flow_core::Response;
use proptest::prelude::*;
use serde_json::json;

/// Dates, numbers, and random changes of them.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        "Sun,",
        "Sunday,",
        "Sun",
        "06",
        "6",
        "31",
        "99",
        "Nov",
        "Feb",
        "nov",
        "1994",
        "94",
        "9999",
        "06-Nov-94",
        "29-Feb-00",
        "08:49:37",
        "23:59:60",
        "24:00:00",
        "0:0",
        ":::",
        "GMT",
        "UTC",
        "+0000",
        "-",
        "",
        "18446744073709551615",
        "-1",
        "1.5",
        "\u{660}",
        "é",
    ]);
    let words = prop::collection::vec(word, 0..7).prop_map(|words| words.join(" ").into_bytes());
    prop_oneof![
        2 => words,
        1 => "[0-9]{0,30}".prop_map(String::into_bytes),
        1 => (0..=9999_u16, 0..=12_usize, 0..=99_u8).prop_map(|(year, month, day)| {
            let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Foo"];
            format!("Sun, {day:02} {} {year:04} 23:59:59 GMT", months[month]).into_bytes()
        }),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ]
}

/// How long after the first poll the last one is, when the server names a later time than the code lives.
const LAST_POLL: u64 = 893;

// R9110-5.6.7-1, R9110-5.6.7-2: the bounds of the parts of a date; beyond them it is not a date, and so not a delay.
#[test]
fn rfc9110_5_6_7_dates_at_their_bounds() {
    for (sent, retry_after, seconds) in [
        ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:50:17 GMT", 40),
        ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun Nov  6 08:50:17 1994", 40),
        ("Sunday, 06-Nov-94 08:49:37 GMT", "Sunday, 06-Nov-94 08:50:17 GMT", 40),
        ("Sat, 31 Dec 2016 23:59:20 GMT", "Sat, 31 Dec 2016 23:59:60 GMT", 40),
        ("Sat, 31 Dec 2016 23:59:20 GMT", "Sat, 31 Dec 2016 23:59:61 GMT", 5),
        ("Sat, 31 Dec 2016 23:59:20 GMT", "Sat, 31 Dec 2016 23:60:00 GMT", 5),
        ("Sat, 31 Dec 2016 23:59:20 GMT", "Sat, 31 Dec 2016 24:00:00 GMT", 5),
        ("Sat, 31 Dec 2016 23:59:20 GMT", "Sat, 32 Dec 2016 00:00:00 GMT", 5),
        ("Sat, 31 Dec 2016 23:59:20 GMT", "Sun, 00 Jan 2017 00:00:00 GMT", 5),
        ("Sat, 31 Dec 2016 23:59:20 GMT", "Sun, 01 Jan 2017 00:00:00 GMT", 40),
        ("Sat, 31 Dec 2016 23:59:20 GMT", "Sun, 01 Jan 2017 00:00:00 CET", 5),
        ("Sat, 31 Dec 2016 23:59:20 GMT", "Sun, 01 Jan 2017 00:00:00 GMT x", 5),
        ("Sat, 31 Dec 2016 23:59:20 GMT", "Sun, 01 Jan 2017 00:00 GMT", 5),
        ("Fri, 31 Dec 1999 23:59:20 GMT", "Saturday, 01-Jan-00 00:00:00 GMT", 40),
        ("Sat, 31 Dec 2016 23:59:20 GMT", "Sun, 001 Jan 2017 00:00:00 GMT", 5),
        ("Sat, 31 Dec 2016 23:59:20 GMT", "Sun, +1 Jan 2017 00:00:00 GMT", 5),
        // From a leap day to the next.
        ("Thu, 29 Feb 2024 23:59:20 GMT", "Fri, 01 Mar 2024 00:00:00 GMT", 40),
        ("Tue, 29 Feb 2000 23:59:20 GMT", "Wed, 01 Mar 2000 00:00:00 GMT", 40),
        // A year of two digits is at most 50 years ahead; in `Date` it is one of our time.
        ("Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Nov 1994 08:50:17 GMT", 40),
        ("Wed, 21 Oct 2015 07:28:00 GMT", "Wednesday, 21-Oct-65 07:28:00 GMT", LAST_POLL),
        ("Wed, 21 Oct 2015 07:28:00 GMT", "Wednesday, 21-Oct-66 07:28:40 GMT", 5),
        ("nonsense", "Sun, 01 Jan 2017 00:00:00 GMT", 5),
        ("Sun, 01 Jan 1969 00:00:00 GMT", "Sun, 01 Jan 1969 00:01:00 GMT", 5),
    ] {
        let mut run = Run::granted(json!({}));
        run.poll();
        let response = Response::new(400, PENDING.as_bytes()).header("Date", sent.as_bytes());
        run.respond(response.header("Retry-After", retry_after.as_bytes()));
        assert_eq!(run.poll() / 1_000, seconds, "{retry_after} after {sent}");
    }
}

proptest! {
    // RFC 9110 §10.2.3, §5.6.7, G14, rule 6.
    #[test]
    fn any_delay_keeps_the_law(retry_after in value(), date in value(), status in prop::sample::select(vec![400_u16, 200, 503, 429])) {
        let mut run = Run::granted(json!({}));
        run.poll();
        let body = if status < 429 { PENDING } else { "" };
        let response = Response::new(status, body.as_bytes()).header("Retry-After", &retry_after).header("Date", &date);
        run.respond(response);
        let least = if status < 429 { 5_000 } else { 10_000 };
        prop_assert!(run.poll() >= least);
        prop_assert!(run.now <= START + 899_000, "the last poll is not lost");
    }
}
