//! Every byte of a spool damaged.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tollgate_journal::sim::SimDisk;
use tollgate_journal::{Disk, DiskFile, Journal, Kind, Lock, Options, Room};
use tollgate_sender::{Spool, SpoolOptions};

use crate::common::{Collector, SimClock, batch, open, reading, round, sender, spool_of, try_open};

#[test]
fn a_batch_behind_damage_is_not_taken_for_one_that_was_acknowledged() {
    // Of what was recorded only the answer is left, and it tells of numbers.
    for is_refused in [false, true] {
        let (disk, clock, spool) = spool_of(3);
        let collector = Collector::default();
        if is_refused {
            collector.with(|script| script.refused = (1..=3).map(|n| format!("b{n}")).collect());
        }
        round(&mut sender(&spool, &collector));
        drop(spool);
        let name = &segments(&disk)[0];
        let mut bytes = disk.contents(name).expect("there");
        let starts = starts_of(&bytes, b"\"uuid\":\"b");
        assert_eq!(starts.len(), 3);
        starts.into_iter().for_each(|at| bytes[at] ^= 1);
        disk.set_contents(name, &bytes);
        let (spool, opened) = try_open(&disk, &clock).expect("open");
        assert!(opened.damaged.is_some());
        assert_eq!((spool.summary().n_pending, spool.summary().n_refused), (0, 0));
        for n in 0..5 {
            spool.record(batch(format!("after{n}"))).expect("record");
        }
        collector.with(|script| script.refused.clear());
        let mut sender = sender(&spool, &collector);
        assert_eq!((0..2).map(|_| round(&mut sender).1).sum::<u64>(), 5, "refused: {is_refused}");
    }
}

/// Where `text` begins in `bytes`.
fn starts_of(bytes: &[u8], text: &[u8]) -> Vec<usize> {
    (0..bytes.len()).filter(|&at| bytes[at..].starts_with(text)).collect()
}

/// Batches `b1` to `b12`, the first five acknowledged, in more than one segment.
fn spooled() -> (SimDisk, SimClock) {
    let (disk, clock, spool) = spool_of(5);
    round(&mut sender(&spool, &Collector::default()));
    for n in 6..=12 {
        spool.record(batch(format!("b{n}"))).expect("record");
    }
    spool.close().expect("close");
    drop(spool);
    (disk, clock)
}

fn segments(disk: &SimDisk) -> Vec<String> {
    let names = (1..20).map(|number| format!("{number:016x}.segment"));
    names.filter(|name| disk.contents(name).is_some()).collect()
}

#[test]
fn whatever_byte_is_damaged_the_rest_is_delivered() {
    let (disk, clock) = spooled();
    let mut n_damaged = 0;
    let all: BTreeSet<String> = (6..=12).map(|n| format!("b{n}")).collect();
    let names = segments(&disk);
    assert!(1 < names.len());
    for name in &names {
        let bytes = disk.contents(name).expect("there");
        for at in 0..bytes.len() {
            let disk = disk.copy();
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            disk.set_contents(name, &damaged);
            let (spool, opened) =
                try_open(&disk, &clock).unwrap_or_else(|error| panic!("{name} {at}: {error}"));
            let collector = Collector::default();
            round(&mut sender(&spool, &collector));
            let taken: BTreeSet<String> = collector.taken().into_iter().collect();
            let n_lost = all.difference(&taken).count();
            // One group at most is lost, which has one batch; damage of a segment's header costs none.
            assert!(n_lost <= 1, "{name} {at}: {n_lost} are lost");
            if n_lost == 1 {
                let damaged = opened.damaged.unwrap_or_else(|| panic!("{name} {at}: lost and not counted"));
                assert!(0 < damaged.n_stretches);
            }
            n_damaged += usize::from(opened.damaged.is_some());
            assert_eq!(spool.summary().n_pending, 0, "{name} {at}: nothing waits that is not there");
            assert_eq!(spool.summary().n_refused, 0, "{name} {at}");
            spool.record(batch("after")).expect("it goes on");
            drop(spool);
            let spool = open(&disk, &clock);
            let again = spool.summary();
            assert_eq!((again.n_pending, again.set_aside), (1, opened.damaged.unwrap_or_default()));
            round(&mut sender(&spool, &collector));
            assert!(collector.taken().contains(&"after".to_owned()), "{name} {at}: it is sent");
        }
    }
    assert!(1_000 < n_damaged, "{n_damaged} were noticed");
}

/// The note that says up to which one readings were made.
const STOOD_AT: &str = "stood at";

/// Readings 1 to 3 are delivered; `goes_on` with readings 4 to 6 in batches, 7 and 8 waiting. With each a note is kept up to where they go.
fn read(goes_on: bool) -> (SimDisk, SimClock, Collector) {
    let (disk, clock, spool) = spool_of(1);
    let collector = Collector::default();
    // Something is not acknowledged, so that the files stay.
    collector.with(|script| script.refused = ["b1".to_owned()].into());
    let keep = |values: &[&str]| {
        let readings = values.iter().map(|&value| reading(value)).collect();
        let notes = values.last().map(|&last| (STOOD_AT.to_owned(), last.to_owned()));
        spool.add_readings(readings, notes.into_iter().collect()).expect("keep");
    };
    spool.add_readings(Vec::new(), vec![(STOOD_AT.to_owned(), "0".to_owned())]).expect("keep");
    keep(&["1", "2"]);
    keep(&["3"]);
    spool.batch_readings(0, 0).expect("batch");
    round(&mut sender(&spool, &collector));
    if goes_on {
        keep(&["4"]);
        keep(&["5", "6"]);
        spool.batch_readings(0, 0).expect("batch");
        keep(&["7", "8"]);
    }
    spool.close().expect("close");
    (disk, clock, collector)
}

#[track_caller]
fn check_readings(goes_on: bool, n_values: usize, n_damaged_min: usize) {
    let (disk, clock, collector) = read(goes_on);
    let (mut n_damaged, mut n_forgotten) = (0, 0);
    for name in segments(&disk) {
        let bytes = disk.contents(&name).expect("there");
        for at in 0..bytes.len() {
            let (disk, collector) = (disk.copy(), collector.copy());
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            disk.set_contents(&name, &damaged);
            let (spool, opened) = try_open(&disk, &clock).expect("what is intact");
            // As who reads a counter does: it makes readings from what is noted on, and none when nothing is.
            if let Some(stood_at) = spool.note(STOOD_AT) {
                let stood_at: usize = stood_at.parse().expect("a number");
                let more = (stood_at + 1..=n_values).map(|value| reading(value.to_string()));
                spool.add_readings(more.collect(), Vec::new()).expect("keep");
            } else {
                n_forgotten += 1;
            }
            spool.batch_readings(0, 0).expect("batch");
            round(&mut sender(&spool, &collector));
            let values = collector.readings();
            let once: BTreeSet<&String> = values.iter().collect();
            assert_eq!(once.len(), values.len(), "{name} {at}: {values:?}");
            assert!(n_values <= values.len() + 3, "{name} {at}: one group is lost at most: {values:?}");
            n_damaged += usize::from(opened.damaged.is_some());
        }
    }
    assert!(n_damaged_min < n_damaged, "{n_damaged} were noticed");
    assert!(n_forgotten < n_damaged / 2, "{n_forgotten} times of {n_damaged} nothing was noted");
    assert_eq!(goes_on, n_forgotten == 0, "a later note is as good as ever");
}

#[test]
fn whatever_byte_is_damaged_no_reading_counts_twice() {
    check_readings(false, 3, 1_000);
    check_readings(true, 8, 2_000);
}

/// A disk on which another process comes to open the spool whenever this one looks which files there are.
#[derive(Debug)]
struct Shared {
    disk: SimDisk,
    inner: Arc<dyn Disk>,
    clock: SimClock,
    n_recorded: AtomicUsize,
}

impl Disk for Shared {
    fn list(&self) -> io::Result<Vec<String>> {
        let names = self.inner.list();
        if let Ok((spool, _)) = try_open(&self.disk, &self.clock) {
            spool.record(batch("of another")).expect("record");
            self.n_recorded.fetch_add(1, Ordering::Relaxed);
        }
        names
    }

    fn folder(&self) -> &Path {
        self.inner.folder()
    }
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.inner.create(name)
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.inner.open(name)
    }
    fn open_to_read(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.inner.open_to_read(name)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }
    fn sync_folder(&self) -> io::Result<()> {
        self.inner.sync_folder()
    }
    fn room(&self) -> io::Result<Room> {
        self.inner.room()
    }
    fn lock(&self, name: &str) -> io::Result<Lock> {
        self.inner.lock(name)
    }
    fn subfolder(&self, name: &str) -> io::Result<Arc<dyn Disk>> {
        self.inner.subfolder(name)
    }
    fn salt(&self) -> u64 {
        self.inner.salt()
    }
}

#[test]
fn two_that_find_the_same_damage_do_not_undo_each_other() {
    let (disk, clock) = spooled();
    let name = &segments(&disk)[0];
    let mut bytes = disk.contents(name).expect("there");
    bytes[140] ^= 1;
    disk.set_contents(name, &bytes);
    let (inner, n_recorded) = (disk.shared(), AtomicUsize::new(0));
    let shared = Arc::new(Shared { disk: disk.clone(), inner, clock: clock.clone(), n_recorded });
    let (spool, opened) =
        Spool::open_on(shared.clone(), SpoolOptions::for_testing(), Arc::new(clock)).expect("open");
    assert!(opened.damaged.is_some());
    let n_of_another = shared.n_recorded.load(Ordering::Relaxed) as u64;
    // Of b6 to b12 the first is in the group that is damaged.
    assert_eq!(spool.summary().n_pending, 6 + n_of_another, "whatever anybody recorded waits");
}

#[test]
fn what_is_damaged_is_kept() {
    let (disk, clock) = spooled();
    let name = &segments(&disk)[0];
    let mut bytes = disk.contents(name).expect("there");
    bytes[140] ^= 1;
    disk.set_contents(name, &bytes);
    let (_spool, opened) = try_open(&disk, &clock).expect("open");
    assert_eq!(opened.damaged.map(|damaged| damaged.n_stretches), Some(1));
    let kept = disk.contents(&format!("set-aside/{name}-128")).expect("kept");
    assert!(bytes[128..].starts_with(&kept) && !kept.is_empty());
}

#[test]
fn a_file_that_is_gone_is_counted_and_the_rest_is_delivered() {
    let (disk, clock) = spooled();
    for name in segments(&disk) {
        let disk = disk.copy();
        disk.take_away(&name);
        let (spool, opened) = try_open(&disk, &clock).expect("open");
        assert!(opened.damaged.is_some(), "{name}");
        let collector = Collector::default();
        round(&mut sender(&spool, &collector));
        assert!(!collector.taken().is_empty());
        assert_eq!(spool.summary().n_pending, 0);
    }
}

#[test]
fn a_ledger_is_not_begun_anew_as_a_spool() {
    let disk = SimDisk::new();
    let options = Options::for_testing(Kind::new("ledger"));
    let (mut journal, _) = Journal::open(disk.shared(), options).expect("open");
    let mut records = tollgate_journal::Records::default();
    records.push(b"\x01text");
    for _ in 0..2 {
        journal.append(&records).expect("append");
    }
    drop(journal);
    let name = "0000000000000001.segment";
    let whole = disk.contents(name).expect("there");
    let mut bytes = whole.clone();
    bytes[140] ^= 1;
    for bytes in [whole, bytes] {
        disk.set_contents(name, &bytes);
        let error = try_open(&disk, &SimClock::new()).expect_err("a ledger");
        let cause = std::error::Error::source(&error).expect("a cause").to_string();
        assert_eq!(cause, "open sim: it is a journal of kind \"ledger\", not \"spool\"");
        assert_eq!(disk.contents(name), Some(bytes), "nothing was changed");
    }
}
