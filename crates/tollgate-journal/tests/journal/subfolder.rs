//! Folders in the folder of a journal.

use std::sync::Arc;

use tollgate_journal::sim::{Failure, SimDisk};
use tollgate_journal::{Disk, Journal, JournalError, Options, RealDisk, Verified, verify};

use crate::common::{KIND, append, compressing};

/// Makes a journal in a subfolder and one beside it, and checks that neither is in the way of the other.
fn check_apart(disk: &Arc<dyn Disk>) -> Result<[Verified; 2], JournalError> {
    let missing = JournalError::Missing { path: disk.folder().join("below") };
    let below = disk.subfolder("below").map_err(|_| missing)?;
    assert_eq!(below.folder(), disk.folder().join("below"));
    let (mut upper, _) = Journal::open(disk.clone(), Options::for_testing(KIND))?;
    let (mut lower, _) = Journal::open(below.clone(), compressing())?;
    append(&mut upper, &["upper"]);
    append(&mut lower, &["lower"]);
    append(&mut lower, &["x".repeat(2000)]);
    assert!(matches!(Journal::open(below.clone(), compressing()), Err(JournalError::InUse { .. })));
    drop((upper, lower));
    let below = disk.subfolder("below").map_err(|_| JournalError::Missing { path: "below".into() })?;
    Ok([verify(disk, |_, _| {})?, verify(&below, |_, _| {})?])
}

#[test]
fn journals_in_a_folder_and_in_a_folder_of_it_are_apart() {
    let parent = tempfile::tempdir().expect("a folder");
    let real: Arc<dyn Disk> = Arc::new(RealDisk::open(parent.path()).expect("the folder"));
    for disk in [SimDisk::new().shared(), real] {
        let [upper, lower] = check_apart(&disk).expect("no fault");
        assert_eq!((upper.n_groups, lower.n_groups), (1, 2));
        let mut names = disk.list().expect("names");
        names.retain(|name| name != "lock");
        names.sort();
        assert_eq!(names, ["0000000000000001.segment", "attested", "below"]);
    }
}

#[test]
fn the_name_of_a_subfolder_survives_a_power_cut_with_what_is_synced_in_it() {
    for seed in 0..100 {
        let disk = SimDisk::new();
        let below = disk.subfolder("below").expect("a folder");
        for name in ["synced", "not synced"] {
            let file = below.create(name).expect("a file");
            file.write_at(&[b"a", b"b"], 0).expect("write");
            file.sync_data().expect("sync");
            if name == "synced" {
                below.sync_folder().expect("sync");
            }
        }
        // Of the folder above, which is not the one that the name is in.
        disk.sync_folder().expect("sync");
        disk.cut_power(seed);
        assert_eq!(disk.list().expect("names"), ["below"]);
        assert_eq!(disk.contents("below/synced"), Some(b"ab".to_vec()));
        let names = below.list().expect("names");
        assert!(names == ["synced"] || names == ["not synced", "synced"], "{names:?}");
    }
    let lost = (0..100).filter(|&seed| {
        let disk = SimDisk::new();
        disk.subfolder("below").and_then(|below| below.create("not synced")).expect("a file");
        disk.sync_folder().expect("sync");
        disk.cut_power(seed);
        disk.contents("below/not synced").is_none()
    });
    assert!(10 < lost.count());
}

#[test]
fn a_subfolder_shares_the_faults_of_its_disk() {
    let disk = SimDisk::new();
    disk.fail_at(1, Failure::Error);
    disk.subfolder("below").expect_err("it is not made");
    disk.fail_at(2, Failure::Error);
    disk.subfolder("below").expect_err("its name is not synced");
    let below = disk.subfolder("below").expect("made by now");
    disk.fail_at(1, Failure::Death);
    below.create("file").expect_err("a death");
    assert!(disk.is_dead());
    disk.list().expect_err("the same process");
}
