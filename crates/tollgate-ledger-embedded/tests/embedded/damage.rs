//! What rots while a ledger is open. Damage of every byte of every file is in the workspace's `durability`.

use tollgate_journal::sim::SimDisk;
use tollgate_ledger::{Page, Remedy};
use tollgate_rules::BatchId;

use crate::common::{batch, chain, entries, open, received, uuid};

const FILES: [&str; 3] = ["0000000000000001.segment", "0000000000000002.segment", "attested"];

fn ledger() -> SimDisk {
    let disk = SimDisk::new();
    let (mut ledger, _) = open(&disk);
    for number in 0..6 {
        let posted = format!(r#"[{},7]"#, batch("m", &uuid(number), &format!("{number}")));
        ledger.writer.record(entries(&posted), received()).expect("record");
        let conflict = format!("[{}]", batch("m", &uuid(number), "99"));
        ledger.writer.record(entries(&conflict), received()).expect("record");
    }
    ledger.writer.close().expect("close");
    for file in FILES {
        assert!(disk.contents(file).is_some(), "{file}");
    }
    disk
}

#[test]
fn a_batch_that_rots_while_the_ledger_is_open_is_not_given() {
    let disk = ledger();
    let (ledger, _) = open(&disk);
    let id = BatchId { model_uuid: "m".into(), batch_uuid: uuid(0).into() };
    let body = ledger.reader.batch(&id).expect("a batch").expect("there");
    let bytes = disk.contents(FILES[0]).expect("a file");
    let start = bytes.windows(body.len()).position(|window| window == body).expect("the body");
    for byte in (start - 21)..start + body.len() {
        let mut flipped = bytes.clone();
        flipped[byte] ^= 1;
        disk.set_contents(FILES[0], &flipped);
        let error = ledger.reader.batch(&id).expect_err("damage");
        assert_eq!(error.remedy(), Remedy::Repair);
        let text = chain(&error);
        assert!(text.starts_with("read a batch: read sim/0000000000000001.segment at offset "), "{text}");
    }
    disk.set_contents(FILES[0], &bytes);
    assert_eq!(ledger.reader.batch(&id).expect("a batch"), Some(body));
    assert_eq!(ledger.reader.quarantine(&Page { cursor: None, limit: 99 }).expect("quarantine").len(), 7);
}
