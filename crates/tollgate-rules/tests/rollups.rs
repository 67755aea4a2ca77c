//! Rollups: in any order the same, and in few bytes without a digit lost.

use proptest::prelude::*;
use tollgate_rules::{Decimal, Point, Rollup};

const HOUR: i64 = 3_600;

fn rollup(points: &[Point]) -> Rollup {
    let mut rollup = Rollup::of(points[0]);
    points[1..].iter().for_each(|point| rollup.add(*point));
    rollup
}

/// Gives its length.
#[track_caller]
fn check_kept(hour: i64, rollup: &Rollup) -> usize {
    let mut bytes = Vec::new();
    rollup.encode(&mut bytes);
    let length = bytes.len();
    assert!(length <= Rollup::ENCODED_BYTES_MAX, "{length} bytes");
    bytes.push(7);
    let mut rest = &bytes[..];
    assert_eq!(Rollup::decode(hour, &mut rest), Some(*rollup));
    assert_eq!(rest, [7], "what is behind is left");
    for length in 0..length {
        assert_eq!(Rollup::decode(hour, &mut &bytes[..length]), None, "cut to {length} bytes");
    }
    length
}

fn point(unix_seconds: i64, nanoseconds: u32, amount: &str) -> Point {
    Point { unix_seconds, nanoseconds, amount: amount.parse().expect("a value") }
}

#[test]
fn usual_rollups_are_short() {
    let five_minutes = |n: i64, amount: &str| point(n * 300, 0, amount);
    let count: Vec<Point> = (0..12).map(|n| five_minutes(n, &format!("{}", n * 7919 % 1000))).collect();
    assert_eq!(check_kept(0, &rollup(&count)), 16);
    let same: Vec<Point> = (0..12).map(|n| five_minutes(n, "1.25")).collect();
    assert_eq!(check_kept(0, &rollup(&same)), 10);
    assert_eq!(check_kept(0, &Rollup::of(five_minutes(1, "99"))), 5);
}

#[test]
fn extreme_rollups_are_kept() {
    let (first_hour, last_hour) = (-17_268_672, 70_389_527);
    for hour in [first_hour, -1, 0, last_hour] {
        let largest = point(hour * HOUR, 999_999_999, "1e38");
        let finest = point(hour * HOUR + 3_599, 1, "1e-38");
        let odd = point(hour * HOUR + 7, 0, "123456789012345678901234567.8");
        for points in [vec![largest], vec![finest, largest], vec![odd, finest, largest, odd, odd]] {
            let rollup = rollup(&points);
            check_kept(hour, &rollup);
            let mut many = rollup;
            (0..60).for_each(|_| many.merge(&many.clone()));
            check_kept(hour, &many);
        }
    }
}

fn amount() -> impl Strategy<Value = Decimal> {
    let text = prop_oneof![
        "[0-9]{1,3}",
        "[0-9]{1,12}\\.[0-9]{1,6}",
        "[0-9]{1,19}",
        "[0-9]{1,28}",
        "0\\.0{0,20}[0-9]{1,7}",
        (0_u32..39).prop_map(|exponent| format!("1e{exponent}")),
        (0_u32..39).prop_map(|exponent| format!("3e-{exponent}")),
    ];
    text.prop_map(|text| text.parse().expect("a value"))
}

fn points(hour: i64) -> impl Strategy<Value = Vec<Point>> {
    let nanoseconds = prop_oneof![Just(0), 0..1_000_000_000_u32];
    let point = (0..HOUR, nanoseconds, amount()).prop_map(move |(second, nanoseconds, amount)| Point {
        unix_seconds: hour * HOUR + second,
        nanoseconds,
        amount,
    });
    prop::collection::vec(point, 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_rollup_is_kept(points in points(-5)) {
        check_kept(-5, &rollup(&points));
    }

    #[test]
    fn order_and_grouping_do_not_matter(points in points(3), seed: u64) {
        let expected = rollup(&points);
        let mut shuffled = points.clone();
        let n_points = shuffled.len();
        for at in 0..n_points {
            shuffled.swap(at, (seed as usize).wrapping_mul(at + 1) % n_points);
        }
        prop_assert_eq!(rollup(&shuffled), expected);
        let (left, right) = shuffled.split_at(n_points / 2);
        if !left.is_empty() {
            let mut merged = rollup(right);
            merged.merge(&rollup(left));
            prop_assert_eq!(merged, expected);
        }
    }

    #[test]
    fn no_bytes_are_a_surprise(bytes: Vec<u8>) {
        let _: Option<Rollup> = Rollup::decode(0, &mut &bytes[..]);
    }
}
