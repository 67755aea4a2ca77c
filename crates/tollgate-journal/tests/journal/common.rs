//! What the tests share.

use tollgate_journal::sim::SimDisk;
use tollgate_journal::{
    GroupPosition, Journal, JournalError, Kind, Options, Packed, Packer, Reader, Records, Recovery,
};

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

/// As [`try_append`], of records that were compressed before in parts of `n_records_max`.
pub(crate) fn try_append_packed<R: AsRef<[u8]>>(
    journal: &mut Journal,
    records: &[R],
    n_records_max: usize,
) -> Result<GroupPosition, JournalError> {
    let mut packer = Packer::new(1).map_err(|source| JournalError::Compression { level: 1, source })?;
    let parts = records.chunks(n_records_max).map(|records| {
        let mut part = Records::default();
        records.iter().for_each(|record| part.push(record.as_ref()));
        packer.pack_records(&part)
    });
    let parts: Vec<Packed> = parts.collect();
    journal.append_packed(&parts)
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
