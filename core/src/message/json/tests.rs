//! Numbers as servers write them.
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a test")]

use super::*;
use alloc::format;
use proptest::prelude::*;

fn read(text: &str) -> Option<(bool, u64, u64)> {
    Number::read(text).map(|number| (number.negative, number.floor, number.ceil))
}

#[test]
fn numbers_of_any_size_saturate() {
    let max = (false, u64::MAX, u64::MAX);
    let huge = format!("1{}", "0".repeat(400));
    for text in [&*huge, "1e400", "18446744073709551616", "2e19", "1e99999999999999999999"] {
        assert_eq!(read(text), Some(max), "{text}");
    }
    assert_eq!(read("1e-99999999999999999999"), Some((false, 0, 1)));
    assert_eq!(read("0e99999999999999999999"), Some((false, 0, 0)));
    assert_eq!(read("18446744073709551615.5"), Some(max));
    assert_eq!(read(&format!("{huge}e-399")), Some((false, 10, 10)));
    assert_eq!(read(&format!("-{huge}")), Some((true, 0, 0)));
}

#[test]
fn what_is_no_number_is_none() {
    for text in [
        "", ".", "-", "+", "e5", ".e5", "1e", "1e+", "1.5.5", "--1", "-+1", "+-1", "1e5.5", "inf", "nan", "0x10",
        "1 0", "١",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
}

proptest! {
    // As far as a float is exact: nine digits, and no more of the fraction than it can hold apart.
    #[test]
    fn a_number_is_what_a_float_would_be(text in "[+-]?[0-9]{0,5}(\\.[0-9]{0,4})?([eE][+-]?[0-9])?") {
        let float = text.parse::<f64>().ok();
        prop_assert_eq!(read(&text).is_some(), float.is_some());
        if let (Some((negative, floor, ceil)), Some(float)) = (read(&text), float) {
            prop_assert_eq!(negative, float < 0.0);
            let float = float.max(0.0);
            prop_assert_eq!((floor, ceil), (float.floor() as u64, float.ceil() as u64));
        }
    }
}
