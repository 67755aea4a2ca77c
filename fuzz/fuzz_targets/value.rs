//! Any text as the value of a metric.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate_rules::{Decimal, ValueError};

fuzz_target!(|text: &str| {
    // Rust reads a part of the spellings that Go reads, each at the float nearest to it.
    let float = text.parse::<f64>().ok();
    match Decimal::parse(text) {
        Ok(value) => check_shown(value, float),
        Err(error) => {
            assert!(error.to_string().is_ascii());
            let is_finite = float.is_some_and(f64::is_finite) && text.len() <= Decimal::TEXT_BYTES_MAX;
            let is_refusal_of_finite =
                matches!(error, ValueError::Negative | ValueError::TooLarge | ValueError::TooManyPlaces);
            assert!(!is_finite || is_refusal_of_finite, "{text:?} is finite, but {error}");
        }
    }
});

/// A value is shown as a plain decimal, which spells the same value.
fn check_shown(value: Decimal, float: Option<f64>) {
    let shown = value.to_string();
    let (whole, places) = shown.split_once('.').unwrap_or((&shown, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    assert!(is_digits(whole) && is_digits(places), "a plain decimal: {shown}");
    assert!(whole == "0" || !whole.starts_with('0'), "no needless zero before: {shown}");
    assert!(!shown.contains('.') || !places.ends_with('0'), "no needless zero behind: {shown}");
    if let Some(float) = float {
        // Equal decimals are nearest to the same float; -0 equals 0.
        assert_eq!(shown.parse(), Ok(float), "{shown} is another value");
    }
    if shown.len() <= Decimal::TEXT_BYTES_MAX {
        assert_eq!(Decimal::parse(&shown), Ok(value), "{shown}, read again");
    }
}
