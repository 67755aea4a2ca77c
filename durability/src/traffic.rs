//! Eight senders at once: new batches, resends of those that got no answer, and copies of what is there or on its way.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::Result;
use fastrand::Rng;

use crate::account::Account;
use crate::client::Client;

const N_CLIENTS: u64 = 8;

/// Requests of a life of the collector, by how they ended.
#[derive(Debug, Default)]
pub struct Figures {
    /// Answered: all acknowledged.
    pub n_acknowledged: AtomicU64,
    /// Answered: send again.
    pub n_refused: AtomicU64,
    /// No answer, or a part of one.
    pub n_unknown: AtomicU64,
}

/// The line between the collector and its senders.
#[derive(Debug, Default)]
pub struct Line {
    loses_answers: AtomicBool,
    is_over: AtomicBool,
}

impl Line {
    /// Lets no answer through from now on. Senders go on as if they had no answer, and send more.
    pub fn lose_answers(&self) {
        self.loses_answers.store(true, Ordering::SeqCst);
    }
}

/// Sends from eight connections while `meanwhile` runs, until the collector is gone, or `meanwhile` has ended.
///
/// # Errors
///
/// When `meanwhile` fails, or a sender gets an answer that no collector gives.
pub fn run<R>(
    address: SocketAddr,
    account: &mut Account,
    figures: &Figures,
    seed: u64,
    meanwhile: impl FnOnce(&Line) -> Result<R>,
) -> Result<R> {
    let shared = Mutex::new(account);
    let line = Line::default();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..N_CLIENTS)
            .map(|number| {
                let mut random = Rng::with_seed(seed.wrapping_mul(31) ^ number);
                let (shared, line) = (&shared, &line);
                scope.spawn(move || send_until_gone(address, shared, figures, line, &mut random))
            })
            .collect();
        let done = meanwhile(&line);
        line.is_over.store(true, Ordering::SeqCst);
        for client in clients {
            client.join().expect("a sender does not panic")?;
        }
        done
    })
}

fn send_until_gone(
    address: SocketAddr,
    account: &Mutex<&mut Account>,
    figures: &Figures,
    line: &Line,
    random: &mut Rng,
) -> Result<()> {
    let Ok(mut client) = Client::connect(address) else { return Ok(()) };
    let batches = lock(account).batches;
    while !line.is_over.load(Ordering::SeqCst) {
        let indexes = choose(&mut lock(account), random);
        let answer = client.post(&batches.document(&indexes))?;
        let is_lost = line.loses_answers.load(Ordering::SeqCst);
        if is_lost || answer.is_none() {
            figures.n_unknown.fetch_add(1, Ordering::Relaxed);
        }
        let Some(answer) = answer else { return Ok(()) };
        if is_lost {
            continue;
        }
        let acknowledged = answer.acknowledged(batches, &indexes)?;
        let figure = if acknowledged.is_empty() { &figures.n_refused } else { &figures.n_acknowledged };
        figure.fetch_add(1, Ordering::Relaxed);
        let mut account = lock(account);
        for index in acknowledged {
            account.acknowledge(index)?;
        }
    }
    Ok(())
}

/// What the next request has: each batch once.
fn choose(account: &mut Account, random: &mut Rng) -> Vec<usize> {
    let n_batches = match random.u32(..20) {
        0..10 => 1,
        10..19 => random.usize(2..=30),
        _ => random.usize(100..=300),
    };
    let n_sent = account.n_sent();
    let mut indexes = match random.u32(..10) {
        // Those that nothing is known of: lost answers, and what another sender has on its way right now.
        0..2 => {
            let mut open = account.open();
            random.shuffle(&mut open);
            open
        }
        // Anything, most of it acknowledged long ago.
        2 if 0 < n_sent => (0..n_batches).map(|_| random.usize(..n_sent)).collect(),
        // The newest, which are on their way or just acknowledged.
        3 => (n_sent.saturating_sub(n_batches)..n_sent).collect(),
        _ => Vec::new(),
    };
    indexes.sort_unstable();
    indexes.dedup();
    indexes.truncate(n_batches);
    if indexes.is_empty() || random.u32(..4) == 0 {
        indexes.extend(account.send_new(n_batches));
    }
    indexes
}

fn lock<'a, 'b>(account: &'a Mutex<&'b mut Account>) -> MutexGuard<'a, &'b mut Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batches::Batches;

    #[test]
    fn requests_mix_new_and_old_and_have_no_batch_twice() {
        let mut account = Account::new(Batches { seed: 1 });
        let mut random = Rng::with_seed(1);
        let (mut n_new, mut n_again) = (0, 0);
        for _ in 0..500 {
            let n_before = account.n_sent();
            let mut indexes = choose(&mut account, &mut random);
            let n_chosen = indexes.len();
            n_again += indexes.iter().filter(|&&index| index < n_before).count();
            n_new += account.n_sent() - n_before;
            indexes.sort_unstable();
            indexes.dedup();
            assert_eq!(indexes.len(), n_chosen);
            assert!(0 < n_chosen);
        }
        assert!(1_000 < n_new && 1_000 < n_again, "{n_new} new, {n_again} again");
    }
}
