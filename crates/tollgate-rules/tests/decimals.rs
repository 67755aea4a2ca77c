//! Values and their sums, against Go's answers and against arbitrary-precision integers.

use num_bigint::BigUint;
use proptest::prelude::*;
use tollgate_rules::{Decimal, Sum, SumError, ValueError};

#[track_caller]
fn check_value(text: &str, expected: &str) {
    assert_eq!(Decimal::parse(text).map(|decimal| decimal.to_string()), Ok(expected.to_owned()), "{text:?}");
}

#[track_caller]
fn check_refused(text: &str, expected: &str) {
    let refusal = Decimal::parse(text).map(|decimal| decimal.to_string()).map_err(|error| error.to_string());
    assert_eq!(refusal, Err(expected.to_owned()), "{text:?}");
}

#[test]
fn values_are_exact() {
    check_value("0", "0");
    check_value("-0", "0");
    check_value("-0.0", "0");
    check_value("0e-400", "0");
    check_value("+1", "1");
    check_value("010", "10");
    check_value(".5", "0.5");
    check_value("5.", "5");
    check_value("1e5", "100000");
    check_value("1E+5", "100000");
    check_value("1_000", "1000");
    check_value("1_0.5_0e1_0", "105000000000");
    check_value("0x1p4", "16");
    check_value("0X1P-2", "0.25");
    check_value("0x.8p1", "1");
    check_value("0x_1p4", "16");
    check_value("0.1", "0.1");
    check_value("123456789012345678901234567890", "123456789012345678901234567890");
    check_value("12345678901234.56789012345678", "12345678901234.56789012345678");
    check_value("1e38", "100000000000000000000000000000000000000");
    check_value("1e-38", "0.00000000000000000000000000000000000001");
    check_value("0x1p-38", "0.00000000000363797880709171295166015625");
    check_value("100000e-43", "0.00000000000000000000000000000000000001");
}

#[test]
fn refusals_say_why() {
    check_refused("", "is empty");
    check_refused(" 1", "is not a number");
    check_refused("1,5", "is not a number");
    check_refused("0x10", "is not a number");
    check_refused("1__0", "is not a number");
    check_refused("+nan", "is not a number");
    check_refused("\u{661}", "is not a number");
    check_refused("nAn", "is NaN, which cannot be counted");
    check_refused("-Inf", "is infinite, which cannot be counted");
    check_refused("infinity", "is infinite, which cannot be counted");
    check_refused("-1", "is negative");
    check_refused("-1e-400", "is negative");
    check_refused("0000000000000000000000000000001", "has 31 bytes, more than the 30 allowed");
    check_refused("1e309", "is beyond the range of a 64-bit float");
    check_refused("0x1p1024", "is beyond the range of a 64-bit float");
    check_refused("1e308", "is larger than 10^38");
    check_refused("100000000000000000000000001e12", "is larger than 10^38");
    check_refused("0x1p127", "is larger than 10^38");
    check_refused("1e-39", "has more than 38 decimal places");
    check_refused("1e-400", "has more than 38 decimal places");
    check_refused("0x1p-39", "has more than 38 decimal places");
}

/// `golden/values.jsonl` is what Go answers; `conformance/cmd/values` makes it.
#[test]
fn spellings_are_read_as_go_reads_them() {
    let table = include_str!("../golden/values.jsonl");
    assert!(700 < table.lines().count());
    for line in table.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = line["text"].as_str().unwrap();
        let exact = line["exact"].as_str();
        let read = Decimal::parse(text);
        let agrees = match (&read, line["go"].as_str().unwrap()) {
            (Err(ValueError::TooLong { n_bytes }), _) => *n_bytes == text.len() && 30 < text.len(),
            (Ok(decimal), "ok") => Some(decimal.to_string().as_str()) == exact,
            (Err(ValueError::Empty | ValueError::NotANumber), go) => go == "syntax",
            (Err(ValueError::Overflow), go) => go == "range",
            (Err(ValueError::Negative), go) => go != "syntax" && text.starts_with('-') && exact.is_none(),
            (Err(_), go) => go == "ok" && exact.is_none(),
            (Ok(_), _) => false,
        };
        assert!(agrees, "{line} was read as {read:?}");
    }
}

/// The units of 10^-38 in a plain decimal.
fn units(plain: &str) -> BigUint {
    let (whole, places) = plain.split_once('.').unwrap_or((plain, ""));
    format!("{whole}{places:0<38}").parse().expect("sums print digits")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_decimal_spelling_has_its_exact_value(
        digits in "[0-9]{1,20}", n_places in 0_usize..20, exponent in -45_i32..45, zeros in 0_usize..3,
    ) {
        let point = digits.len().saturating_sub(n_places);
        let text = format!("{}{}.{}e{exponent}", "0".repeat(zeros), &digits[..point], &digits[point..]);
        // digits × 10^(exponent - places), in units of 10^-38.
        let n_tens = exponent - (digits.len() - point) as i32 + 38;
        let mantissa: BigUint = digits.parse().unwrap();
        let power = BigUint::from(10_u32).pow(n_tens.unsigned_abs());
        let (expected, is_whole) =
            if n_tens < 0 { (&mantissa / &power, &mantissa % &power == BigUint::ZERO) } else { (mantissa * power, true) };
        let largest = BigUint::from(10_u32).pow(76);
        match Decimal::parse(&text) {
            Ok(decimal) => {
                prop_assert!(is_whole);
                prop_assert_eq!(units(&decimal.to_string()), expected);
            }
            Err(ValueError::TooManyPlaces) => prop_assert!(!is_whole),
            Err(ValueError::TooLarge) => prop_assert!(largest < expected),
            Err(other) => prop_assert!(false, "{} {}", text, other),
        }
    }

    #[test]
    fn any_hexadecimal_spelling_has_its_exact_value(mantissa in 0_u128..1 << 88, exponent in -60_i32..140) {
        let text = format!("0x{mantissa:x}p{exponent}");
        let ones = BigUint::from(mantissa) * BigUint::from(10_u32).pow(38);
        let power = BigUint::from(2_u32).pow(exponent.unsigned_abs());
        let (expected, is_whole) =
            if exponent < 0 { (&ones / &power, &ones % &power == BigUint::ZERO) } else { (ones * power, true) };
        match Decimal::parse(&text) {
            Ok(decimal) => {
                prop_assert!(is_whole);
                prop_assert_eq!(units(&decimal.to_string()), expected);
            }
            Err(ValueError::TooManyPlaces) => prop_assert!(!is_whole),
            Err(ValueError::TooLarge) => prop_assert!(BigUint::from(10_u32).pow(76) < expected),
            Err(other) => prop_assert!(false, "{} {}", text, other),
        }
    }

    #[test]
    fn what_is_not_text_of_a_number_never_panics(text in "[-+0-9a-fA-FxXpPeEiInN._\u{661} ]{0,32}") {
        let _ = Decimal::parse(&text);
    }

    #[test]
    fn sums_are_exact_in_any_grouping(
        amounts in prop::collection::vec(("[0-9]{1,15}", "[0-9]{0,13}"), 0..40), split in 0_usize..40,
    ) {
        let texts: Vec<String> = amounts.iter().map(|(whole, places)| format!("{whole}.{places}")).collect();
        let expected: BigUint = texts.iter().map(|text| units(text)).sum();
        let amounts: Vec<Decimal> = texts.iter().map(|text| Decimal::parse(text).unwrap()).collect();
        let sum: Sum = amounts.iter().copied().sum();
        prop_assert_eq!(units(&sum.to_string()), expected);

        let (left, right) = amounts.split_at(split.min(amounts.len()));
        let mut merged: Sum = right.iter().copied().sum();
        merged.merge(&left.iter().copied().sum());
        prop_assert_eq!(merged, sum);

        prop_assert_eq!(sum.to_string().parse(), Ok(sum));
        prop_assert_eq!(Sum::from_bytes(sum.to_bytes()), Ok(sum));
    }

    #[test]
    fn bytes_sort_as_sums_do(left in "[0-9]{1,12}[.][0-9]{0,12}", right in "[0-9]{1,12}[.][0-9]{0,12}") {
        let [left_sum, right_sum] = [&left, &right].map(|text| text.parse::<Sum>().unwrap());
        prop_assert_eq!(left_sum.to_bytes().cmp(&right_sum.to_bytes()), units(&left).cmp(&units(&right)));
        prop_assert_eq!(left_sum.cmp(&right_sum), units(&left).cmp(&units(&right)));
    }
}

#[test]
fn the_largest_amounts_add_up() {
    let largest = Decimal::parse("1e38").unwrap();
    let mut sum = Sum::from(largest);
    for _ in 0..67 {
        sum.merge(&{ sum });
    }
    assert_eq!(sum.to_string(), (BigUint::from(10_u32).pow(38) << 67_u32).to_string());
    assert_eq!(sum.to_string().parse(), Ok(sum));
    assert_eq!(Sum::from_bytes(sum.to_bytes()), Ok(sum));
    sum.merge(&{ sum });
    assert_eq!(Sum::from_bytes(sum.to_bytes()), Err(SumError::OutOfRange));
    assert_eq!(sum.to_string().parse::<Sum>(), Err(SumError::OutOfRange));
}

#[track_caller]
fn check_sum(text: &str, expected: Result<&str, &str>) {
    let read = text.parse::<Sum>().map(|sum| sum.to_string()).map_err(|error| error.to_string());
    assert_eq!(read, expected.map(str::to_owned).map_err(str::to_owned), "{text:?}");
}

#[test]
fn sums_read_plain_decimals_only() {
    const NOT_A_DECIMAL: &str = "read a sum: it is not a plain decimal number";
    const OUT_OF_RANGE: &str =
        "read a sum: it has more than 38 decimal places or is too large to have been added up";
    check_sum("0", Ok("0"));
    check_sum("0.3", Ok("0.3"));
    check_sum("1000000", Ok("1000000"));
    check_sum("007.50", Ok("7.5"));
    check_sum(".5", Ok("0.5"));
    check_sum("5.", Ok("5"));
    check_sum("", Err(NOT_A_DECIMAL));
    check_sum(".", Err(NOT_A_DECIMAL));
    check_sum("1.2.3", Err(NOT_A_DECIMAL));
    check_sum("+1", Err(NOT_A_DECIMAL));
    check_sum("-1", Err(NOT_A_DECIMAL));
    check_sum("1e5", Err(NOT_A_DECIMAL));
    check_sum("1_000", Err(NOT_A_DECIMAL));
    check_sum("0x10", Err(NOT_A_DECIMAL));
    check_sum(&format!("0.{}1", "0".repeat(38)), Err(OUT_OF_RANGE));
    check_sum(&format!("0.{}", "0".repeat(100)), Ok("0"));
    check_sum(&"9".repeat(200), Err(OUT_OF_RANGE));
}
