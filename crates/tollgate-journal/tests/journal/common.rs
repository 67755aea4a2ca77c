//! What the tests share.

use tollgate_journal::sim::SimDisk;
use tollgate_journal::{GroupPosition, Journal, JournalError, Kind, Options, Reader, Records, Recovery};

pub(crate) const KIND: Kind = Kind::new("test");

pub(crate) fn try_open(disk: &SimDisk) -> Result<(Journal, Recovery), JournalError> {
    Journal::open(disk.shared(), Options::for_testing(KIND))
}

#[track_caller]
pub(crate) fn open(disk: &SimDisk) -> (Journal, Recovery) {
    try_open(disk).expect("open the journal")
}

/// Options under which every group that can be is compressed.
pub(crate) fn compressing() -> Options {
    Options { compression: Some(1), ..Options::for_testing(KIND) }
}

pub(crate) fn try_append<R: AsRef<[u8]>>(
    journal: &mut Journal,
    records: &[R],
) -> Result<GroupPosition, JournalError> {
    let mut group = Records::default();
    records.iter().for_each(|record| group.push(record.as_ref()));
    journal.append(&group)
}

#[track_caller]
pub(crate) fn append<R: AsRef<[u8]>>(journal: &mut Journal, records: &[R]) -> GroupPosition {
    try_append(journal, records).expect("append")
}

/// The records of each group, as far as they can be read, and the error that ended the walk.
pub(crate) fn read_groups(disk: &SimDisk) -> (Vec<Vec<String>>, Option<JournalError>) {
    let groups = match Reader::open(disk.shared()).and_then(|reader| reader.groups()) {
        Ok(groups) => groups,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut read = Vec::new();
    for group in groups {
        match group {
            Ok(group) => {
                let records =
                    group.records().map(|(_, record)| String::from_utf8(record.to_vec()).expect("text"));
                read.push(records.collect());
            }
            Err(error) => return (read, Some(error)),
        }
    }
    (read, None)
}

#[track_caller]
pub(crate) fn all_records(disk: &SimDisk) -> Vec<String> {
    let (groups, error) = read_groups(disk);
    assert!(error.is_none(), "{error:?}");
    groups.concat()
}
