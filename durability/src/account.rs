//! The account of a run: what was sent, what was acknowledged, and whether what a ledger holds agrees with it.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use crate::batches::{Batch, Batches};

/// What is known of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// On its way, unanswered, or told to be sent again: there or not.
    Sent,
    /// Acknowledged, or seen in a ledger: there for ever.
    There,
}

/// Every batch that was sent, by its index.
#[derive(Debug, Clone)]
pub struct Account {
    /// Where the batches come from.
    pub batches: Batches,
    known: Vec<Known>,
}

/// Usage by model and meter: readings, and their sum in thousandths.
pub type Sums = BTreeMap<(String, String), (u64, u64)>;

/// What a ledger holds, once it was found to agree with the account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Batches that count.
    pub n_batches: u64,
    /// What they add up to.
    pub sums: Sums,
}

impl Account {
    /// Nothing was sent yet.
    #[must_use]
    pub fn new(batches: Batches) -> Self {
        Self { batches, known: Vec::new() }
    }

    /// The next new batches, which count as sent from now on.
    pub fn send_new(&mut self, n: usize) -> Vec<usize> {
        let first = self.known.len();
        self.known.resize(first + n, Known::Sent);
        (first..first + n).collect()
    }

    /// How many batches were sent.
    #[must_use]
    pub fn n_sent(&self) -> usize {
        self.known.len()
    }

    /// How many are known to be there.
    #[must_use]
    pub fn n_there(&self) -> usize {
        self.known.iter().filter(|known| **known == Known::There).count()
    }

    /// The batches that nothing is known of.
    #[must_use]
    pub fn open(&self) -> Vec<usize> {
        (0..self.known.len()).filter(|&index| self.known[index] == Known::Sent).collect()
    }

    /// Notes that a batch was acknowledged.
    ///
    /// # Errors
    ///
    /// When nobody sent it.
    pub fn acknowledge(&mut self, index: usize) -> Result<()> {
        match self.known.get_mut(index) {
            Some(known) => *known = Known::There,
            None => bail!("batch {index} was acknowledged, and nobody sent it"),
        }
        Ok(())
    }

    /// Compares an export, and says what it adds up to: each line is a batch that was sent, byte for byte, and there
    /// once; each batch that counts and was acknowledged is among them. What is seen must stay.
    ///
    /// # Errors
    ///
    /// At the first disagreement; it says which batch.
    pub fn compare_export<'a>(&mut self, lines: impl IntoIterator<Item = &'a str>) -> Result<Holdings> {
        let mut holdings = Holdings::default();
        let seen = self.compare("the export", lines, |batch| {
            if batch.is_hopeless {
                bail!("it cannot be counted");
            }
            holdings.n_batches += 1;
            for (meter, thousandths) in &batch.readings {
                let key = (batch.model.clone(), (*meter).to_owned());
                let (n_readings, sum) = holdings.sums.entry(key).or_default();
                *n_readings += 1;
                *sum += thousandths;
            }
            Ok(())
        })?;
        self.settle("the export", &seen, false)?;
        Ok(holdings)
    }

    /// Compares the quarantine in the same way.
    ///
    /// # Errors
    ///
    /// At the first disagreement.
    pub fn compare_quarantine<'a>(&mut self, bodies: impl IntoIterator<Item = &'a str>) -> Result<()> {
        let seen = self.compare("the quarantine", bodies, |batch| match batch.is_hopeless {
            true => Ok(()),
            false => bail!("it can be counted"),
        })?;
        self.settle("the quarantine", &seen, true)
    }

    /// Which batches are in `place`, each checked.
    fn compare<'a>(
        &self,
        place: &str,
        bodies: impl IntoIterator<Item = &'a str>,
        mut check: impl FnMut(&Batch) -> Result<()>,
    ) -> Result<Vec<bool>> {
        let mut seen = vec![false; self.known.len()];
        for body in bodies {
            let index = self.batches.index_in(body).filter(|index| *index < seen.len());
            let Some(index) = index else {
                bail!("{place} has what nobody sent: {}", shortened(body));
            };
            let batch = self.batches.at(index);
            if batch.body != body {
                bail!("{place} has other bytes than were sent for batch {index}: {}", shortened(body));
            }
            if std::mem::replace(&mut seen[index], true) {
                bail!("batch {index} ({}) is twice in {place}", batch.uuid);
            }
            if let Err(error) = check(&batch) {
                bail!("batch {index} ({}) is in {place}: {error}", batch.uuid);
            }
        }
        Ok(seen)
    }

    /// Wants all that must be in `place` to be there, and expects what was seen from now on.
    fn settle(&mut self, place: &str, seen: &[bool], is_hopeless: bool) -> Result<()> {
        let mut lost = Vec::new();
        for (index, known) in self.known.iter_mut().enumerate() {
            match (*known, seen[index]) {
                (Known::Sent, true) => *known = Known::There,
                (Known::There, false) if self.batches.at(index).is_hopeless == is_hopeless => {
                    lost.push(index);
                }
                (Known::Sent | Known::There, _) => {}
            }
        }
        if let Some(first) = lost.first() {
            let uuid = self.batches.at(*first).uuid;
            bail!(
                "{} acknowledged batches are LOST: they are not in {place}, among them batch {first} ({uuid})",
                lost.len()
            );
        }
        Ok(())
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sixteen batches were sent, two of the acknowledged ones belong in different places.
    fn account() -> Account {
        let mut account = Account::new(Batches { seed: 1 });
        account.send_new(16);
        for index in [0, 12] {
            account.acknowledge(index).expect("it was sent");
        }
        account
    }

    fn bodies(indexes: &[usize]) -> Vec<String> {
        indexes.iter().map(|&index| Batches { seed: 1 }.at(index).body).collect()
    }

    #[track_caller]
    fn check(exported: &[usize], expected: &str) {
        let bodies = bodies(exported);
        let compared = account().compare_export(bodies.iter().map(String::as_str));
        assert!(format!("{compared:?}").contains(expected), "{compared:?}");
    }

    #[test]
    fn unknown_batches_may_be_there_and_acknowledged_ones_must() {
        check(&[0], "n_batches: 1");
        check(&[3, 0], "n_batches: 2");
        check(&[3], "1 acknowledged batches are LOST");
        check(&[0, 3, 0], "batch 0 (");
        check(&[0, 3, 3], "is twice in the export");
        check(&[0, 16], "what nobody sent");
        check(&[0, 12], "cannot be counted");
    }

    #[test]
    fn other_bytes_are_noticed() {
        let body = Batches { seed: 1 }.at(0).body.replace("bob/", "eve/");
        let error = account().compare_export([body.as_str()]).expect_err("other bytes");
        assert!(error.to_string().contains("other bytes than were sent for batch 0"), "{error}");
    }

    #[test]
    fn what_was_seen_has_to_stay() {
        let mut account = account();
        let first = bodies(&[0, 3]);
        account.compare_export(first.iter().map(String::as_str)).expect("all is there");
        assert_eq!(account.n_there(), 3);
        let error = account.compare_export([first[0].as_str()]).expect_err("3 is gone");
        assert!(error.to_string().contains("among them batch 3"), "{error}");
    }

    #[test]
    fn the_quarantine_is_held_to_the_same() {
        let mut account = account();
        assert!(account.compare_quarantine([]).is_err(), "12 is lost");
        let body = bodies(&[12]);
        account.compare_quarantine(body.iter().map(String::as_str)).expect("it is there");
        assert!(account.compare_quarantine(bodies(&[12, 12]).iter().map(String::as_str)).is_err(), "twice");
        assert!(
            account.compare_quarantine(bodies(&[12, 1]).iter().map(String::as_str)).is_err(),
            "it counts"
        );
    }

    #[test]
    fn sums_are_of_what_is_there() {
        let bodies = bodies(&[0, 1]);
        let holdings = account().compare_export(bodies.iter().map(String::as_str)).expect("all is there");
        let batches = Batches { seed: 1 };
        let readings = [0, 1].map(|index| batches.at(index).readings).concat();
        let total: u64 = readings.iter().map(|(_, thousandths)| thousandths).sum();
        assert_eq!(holdings.sums.values().map(|(_, sum)| sum).sum::<u64>(), total);
        assert_eq!(holdings.sums.values().map(|(n, _)| n).sum::<u64>(), readings.len() as u64);
    }
}
