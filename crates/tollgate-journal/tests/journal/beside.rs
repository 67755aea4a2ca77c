//! Reading while another process appends.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use tollgate_journal::sim::SimDisk;
use tollgate_journal::{Disk, DiskFile, Journal, Lock, Options, Reader, RealDisk, Room};

use crate::common::{KIND, append, open};

/// A disk on which something else happens whenever its files are listed: that is between the moment when a reader finds
/// no further group and the moment when it decides what that means.
struct Meddled {
    disk: SimDisk,
    meddler: Mutex<Box<dyn FnMut() + Send>>,
}

impl Meddled {
    fn new(disk: SimDisk) -> Arc<Self> {
        Arc::new(Self { disk, meddler: Mutex::new(Box::new(|| {})) })
    }

    fn meddle(&self, meddler: impl FnMut() + Send + 'static) {
        *self.meddler.lock().expect("no panic") = Box::new(meddler);
    }
}

impl fmt::Debug for Meddled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meddled").field("disk", &self.disk).finish_non_exhaustive()
    }
}

impl Disk for Meddled {
    fn folder(&self) -> &Path {
        self.disk.folder()
    }
    fn list(&self) -> io::Result<Vec<String>> {
        let mut meddle = self.meddler.lock().expect("no panic");
        meddle();
        let names = self.disk.list();
        meddle();
        names
    }
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.disk.create(name)
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.disk.open(name)
    }
    fn open_to_read(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.disk.open_to_read(name)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }
    fn sync_folder(&self) -> io::Result<()> {
        self.disk.sync_folder()
    }
    fn room(&self) -> io::Result<Room> {
        self.disk.room()
    }
    fn lock(&self, name: &str) -> io::Result<Lock> {
        self.disk.lock(name)
    }
    fn subfolder(&self, name: &str) -> io::Result<Arc<dyn Disk>> {
        self.disk.subfolder(name)
    }
    fn salt(&self) -> u64 {
        self.disk.salt()
    }
}

#[test]
fn groups_appended_while_a_reader_decides_are_read() {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    append(&mut journal, &["record 0"]);
    let mut n_appended = 1;
    let mut n_calls = 0;
    // Sometimes before the listing and sometimes behind it, two at a time, so that there always is a later group, and
    // sometimes a new segment.
    let meddler = move || {
        n_calls += 1;
        if n_calls % 3 == 0 && n_appended < 200 {
            append(&mut journal, &[format!("record {n_appended}")]);
            append(&mut journal, &[format!("record {}", n_appended + 1)]);
            n_appended += 2;
        }
    };
    let disk = Meddled::new(disk);
    disk.meddle(meddler);
    let reader = Reader::open(disk).expect("a journal");
    let mut groups = reader.groups().expect("groups");
    let mut n_groups = 0;
    while n_groups < 201 {
        for group in groups.by_ref() {
            n_groups += 1;
            assert_eq!(group.expect("intact").position().sequence, n_groups);
        }
        groups = reader.groups_after(&groups.checkpoint()).expect("groups");
    }
}

#[test]
fn a_group_of_which_a_part_was_seen_is_read_again() {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    append(&mut journal, &["one"]);
    append(&mut journal, &["two ".repeat(100)]);
    append(&mut journal, &["three"]);
    let name = "0000000000000001.segment";
    let whole = disk.contents(name).expect("a file");
    let mut partly = whole[..128 + 87 + 300].to_vec();
    partly.resize(128 + 87 + 80 + 4 + 400, 0);
    disk.set_contents(name, &partly);
    let file = disk.open(name).expect("the file");
    let disk = Meddled::new(disk);
    let mut groups = Reader::open(disk.clone()).expect("a journal").groups().expect("groups");
    groups.next().expect("a group").expect("intact");
    disk.meddle(move || {
        file.write_at(&[&whole], 0).expect("write");
    });
    for sequence in 2..=3 {
        let group = groups.next().expect("a group").expect("intact");
        assert_eq!(group.position().sequence, sequence);
    }
}

#[test]
fn a_reader_never_takes_a_writer_at_work_for_damage() {
    let parent = tempfile::tempdir().expect("a folder");
    let path = parent.path().join("journal");
    let disk = || -> Arc<dyn Disk> { Arc::new(RealDisk::open_or_create(&path).expect("the folder")) };
    let options = Options { segment_bytes_max: 100 << 10, ..Options::for_testing(KIND) };
    let (mut journal, _) = Journal::open(disk(), options).expect("open");
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for group in 0..400 {
                append(&mut journal, &["x".repeat(group * 37 % 5000), "y".repeat(group)]);
            }
            is_done.store(true, Ordering::Release);
        });
        let reader = Reader::open(disk()).expect("a journal");
        let mut n_walks = 0;
        loop {
            let was_done = is_done.load(Ordering::Acquire);
            let mut n_groups = 0;
            for group in reader.groups().expect("groups") {
                n_groups += 1;
                assert_eq!(group.expect("intact").position().sequence, n_groups);
            }
            n_walks += 1;
            if was_done {
                assert_eq!(n_groups, 400);
                break;
            }
        }
        assert!(1 < n_walks);
    });
}
