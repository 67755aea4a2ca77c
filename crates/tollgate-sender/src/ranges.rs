//! A set of numbers that mostly follow one another.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Numbers as stretches: a spool of a million acknowledged batches is one of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub(crate) struct Ranges {
    /// The last number of each stretch by its first. Stretches neither meet nor overlap.
    stretches: BTreeMap<u64, u64>,
}

impl Ranges {
    /// Adds the numbers from `first` to `last`, both included.
    pub(crate) fn add(&mut self, first: u64, last: u64) {
        if last < first {
            return;
        }
        let (mut first, mut last) = (first, last);
        // All that overlap or meet what is added, from the last one back.
        while let Some((&start, &end)) = self.stretches.range(..=last.saturating_add(1)).next_back() {
            if end.saturating_add(1) < first {
                break;
            }
            self.stretches.remove(&start);
            first = first.min(start);
            last = last.max(end);
        }
        self.stretches.insert(first, last);
    }

    /// Whether `number` is in it.
    pub(crate) fn contains(&self, number: u64) -> bool {
        self.stretches.range(..=number).next_back().is_some_and(|(_, &last)| number <= last)
    }

    /// How many numbers from `first` to `last` are in it.
    pub(crate) fn count_in(&self, first: u64, last: u64) -> u64 {
        if last < first {
            return 0;
        }
        let before = self.stretches.range(..first).next_back().map(|(&start, &end)| (start, end));
        let within = self.stretches.range(first..=last).map(|(&start, &end)| (start, end));
        let lengths = before.into_iter().chain(within).map(|(start, end)| {
            let (start, end) = (start.max(first), end.min(last));
            if start <= end { end - start + 1 } else { 0 }
        });
        lengths.sum()
    }

    /// The numbers from `first` to `last` that are not in it.
    pub(crate) fn missing_in(&self, first: u64, last: u64) -> Self {
        let mut missing = Self::default();
        let mut next = first;
        for (start, end) in self.iter().filter(|&(_, end)| first <= end) {
            missing.add(next, last.min(start.saturating_sub(1)));
            next = end.saturating_add(1);
        }
        missing.add(next, last);
        missing
    }

    /// The highest number in it.
    pub(crate) fn last(&self) -> Option<u64> {
        Some(*self.stretches.last_key_value()?.1)
    }

    /// Its stretches in order, as first and last number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.stretches.iter().map(|(&first, &last)| (first, last))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.stretches.is_empty()
    }
}

impl From<Vec<(u64, u64)>> for Ranges {
    fn from(stretches: Vec<(u64, u64)>) -> Self {
        let mut ranges = Self::default();
        stretches.into_iter().for_each(|(first, last)| ranges.add(first, last));
        ranges
    }
}

impl From<Ranges> for Vec<(u64, u64)> {
    fn from(ranges: Ranges) -> Self {
        ranges.iter().collect()
    }
}

impl FromIterator<u64> for Ranges {
    fn from_iter<I: IntoIterator<Item = u64>>(numbers: I) -> Self {
        let mut ranges = Self::default();
        numbers.into_iter().for_each(|number| ranges.add(number, number));
        ranges
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn it_is_the_set_that_was_added() {
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..500 {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for _ in 0..rng.usize(0..20) {
                let first = rng.u64(1..60);
                let last = (first + rng.u64(0..8)).saturating_sub(rng.u64(0..2));
                ranges.add(first, last);
                set.extend(first..=last);
            }
            for number in 0..70 {
                assert_eq!(ranges.contains(number), set.contains(&number), "{number} in {ranges:?}");
                let last = number + rng.u64(0..10);
                let missing: Vec<u64> = (number..=last).filter(|number| !set.contains(number)).collect();
                let found = ranges.missing_in(number, last);
                let found = found.iter().flat_map(|(first, last)| first..=last).collect::<Vec<_>>();
                assert_eq!(found, missing, "{number} to {last} in {ranges:?}");
                let expected = set.range(number..=last).count() as u64;
                assert_eq!(ranges.count_in(number, last), expected, "{number} to {last} in {ranges:?}");
            }
            assert_eq!(ranges.last(), set.last().copied());
            let stretches: Vec<(u64, u64)> = ranges.iter().collect();
            assert!(stretches.windows(2).all(|two| two[0].1 + 1 < two[1].0), "{ranges:?}");
            assert_eq!(Ranges::from(stretches), ranges);
        }
    }
}
