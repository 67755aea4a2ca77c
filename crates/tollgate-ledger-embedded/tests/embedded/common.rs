//! What the tests share.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tollgate_journal::sim::SimDisk;
pub(crate) use tollgate_ledger::chain;
use tollgate_ledger::{Act, Entry, HandStatus, Ledger, LedgerError, Reader};
use tollgate_ledger_embedded::{EmbeddedLedger, Export, OpenReport, Options};
use tollgate_rules::{Admitted, Rollup, Select, Series, Visitor, judge};
use tollgate_wire::{Document, Status, Timestamp};

pub(crate) fn try_open(disk: &SimDisk) -> Result<(Ledger, OpenReport), LedgerError> {
    EmbeddedLedger::open_disk(disk.shared(), Options::for_testing(), |_| {})
}

#[track_caller]
pub(crate) fn open(disk: &SimDisk) -> (Ledger, OpenReport) {
    try_open(disk).map_err(|error| chain(&error)).expect("open the ledger")
}

/// The elements of a posted document as entries.
pub(crate) fn entries(posted: &str) -> Vec<Entry> {
    let document = Document::new(posted.as_bytes());
    document.batches().expect("a document").iter().map(|element| judge(element).into()).collect()
}

/// A batch of model `model` with one reading of `value`.
pub(crate) fn batch(model: &str, uuid: &str, value: &str) -> String {
    format!(
        r#"{{"uuid":"{uuid}","env-uuid":"{model}","model-name":"","unit-name":"u/0","charm-url":"","created":"2026-01-02T03:04:05Z","metrics":[{{"key":"pings","value":"{value}","time":"2026-01-02T03:04:05Z"}}],"credentials":null,"reseller-credentials":null,"sla-credentials":null}}"#
    )
}

/// The same with credentials of all three kinds.
pub(crate) fn batch_with_credentials(model: &str, uuid: &str, value: &str) -> String {
    let mut batch = batch(model, uuid, value);
    for name in ["credentials", "reseller-credentials", "sla-credentials"] {
        let secret = "c2VjcmV0".repeat(20);
        batch = batch.replace(&format!("\"{name}\":null"), &format!("\"{name}\":\"{secret}\""));
    }
    batch
}

/// A ledger in files that were written once and are kept.
#[track_caller]
pub(crate) fn fixture(name: &str) -> SimDisk {
    let disk = SimDisk::new();
    add_files(&disk, &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name), "");
    disk
}

#[track_caller]
fn add_files(disk: &SimDisk, folder: &Path, prefix: &str) {
    for file in fs::read_dir(folder).expect("the fixture") {
        let path = file.expect("a file").path();
        let name = format!("{prefix}{}", path.file_name().expect("a name").display());
        if path.is_dir() {
            add_files(disk, &path, &format!("{name}/"));
        } else {
            disk.set_contents(&name, &fs::read(&path).expect("its bytes"));
        }
    }
}

/// The records of the journal, in order.
#[track_caller]
pub(crate) fn records(disk: &SimDisk) -> Vec<Vec<u8>> {
    let reader = tollgate_journal::Reader::open(disk.shared()).expect("a journal");
    let groups = reader.groups().expect("groups").map(|group| group.expect("intact"));
    groups.flat_map(|group| group.records().map(|(_, bytes)| bytes.to_vec()).collect::<Vec<_>>()).collect()
}

/// The journal without the index.
#[track_caller]
pub(crate) fn journal_of(disk: &SimDisk) -> SimDisk {
    let copy = SimDisk::new();
    for name in disk.shared().list().expect("names").iter().filter(|name| *name != "index") {
        copy.set_contents(name, &disk.contents(name).expect("a file"));
    }
    copy
}

/// A canonical uuid with a number in it.
pub(crate) fn uuid(number: u64) -> String {
    format!("01234567-89ab-4def-8edc-{number:012x}")
}

pub(crate) fn received() -> Timestamp {
    on_day(0)
}

/// A moment on a day counted from the one of [`received`].
pub(crate) fn on_day(day: i64) -> Timestamp {
    Timestamp::from_unix(1_767_323_045 + day * 86_400, 0).expect("a time")
}

/// Every recorded batch as the export gives it.
#[track_caller]
pub(crate) fn exported(disk: &SimDisk) -> Vec<String> {
    let export = Export::of_disk(disk.shared()).map_err(|error| chain(&error)).expect("export");
    let bodies = export.map(|body| body.map_err(|error| chain(&error)).expect("a body"));
    bodies.map(|body| String::from_utf8(body).expect("JSON is text")).collect()
}

/// The one element of a posted document, as a batch that counts.
pub(crate) fn admitted(element: &str) -> Admitted {
    let entry = entries(&format!("[{element}]")).pop().expect("one element");
    entry.batch().expect("it counts").clone()
}

/// A status of a unit of model `m`, set by hand.
pub(crate) fn set_status(unit_name: &str, info: &str) -> Entry {
    Entry::Act(Act::SetStatus(HandStatus {
        model_uuid: "m".into(),
        unit_name: unit_name.into(),
        status: Status::Amber,
        info: info.into(),
        set: received(),
        expires: None,
    }))
}

pub(crate) fn release(quarantine_id: u64, batch: Option<Admitted>) -> Entry {
    Entry::Act(Act::Release { quarantine_id, batch })
}

/// What series used, by their names and by hour.
pub(crate) type Used = BTreeMap<([String; 5], i64), Rollup>;

pub(crate) fn used(reader: &dyn Reader, select: &Select<'_>) -> Result<Used, LedgerError> {
    let mut collected = Collected::default();
    reader.usage(select, &mut collected).map(|()| collected.used)
}

#[derive(Default)]
struct Collected {
    used: Used,
    names: [String; 5],
}

impl Visitor for Collected {
    fn series(&mut self, series: &Series<'_>) -> bool {
        let Series { model_uuid, unit_name, charm_url, meter, labels } = *series;
        self.names = [model_uuid, unit_name, charm_url, meter, labels].map(str::to_owned);
        true
    }

    fn rollup(&mut self, hour: i64, rollup: &Rollup) {
        let place = self.used.entry((self.names.clone(), hour));
        place.and_modify(|sum| sum.merge(rollup)).or_insert(*rollup);
    }
}
