//! A ledger whose files were changed never gives a wrong batch, and never loses one silently.

use tollgate_journal::sim::SimDisk;
use tollgate_ledger::{Page, Remedy};
use tollgate_ledger_embedded::{Export, verify_disk};
use tollgate_rules::BatchId;

use crate::common::{batch, chain, entries, exported, open, received, try_open, uuid};

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
fn every_changed_byte_is_noticed_or_harmless() {
    let intact = ledger();
    let bodies = exported(&intact);
    for file in FILES {
        let bytes = intact.contents(file).expect("a file");
        for byte in 0..bytes.len() {
            let disk = intact.copy();
            let mut flipped = bytes.clone();
            flipped[byte] ^= 1 << (byte % 8);
            disk.set_contents(file, &flipped);
            if file == "attested" {
                assert_eq!(exported(&disk), bodies);
                continue;
            }
            let error = try_open(&disk).map(|_| ()).expect_err("damage");
            let text = chain(&error);
            assert_eq!(error.remedy(), Remedy::Repair, "{text}");
            assert!(text.contains(&format!("read sim/{file} at offset ")), "{text}");
            assert_eq!(disk.n_changes(), 0, "{file}, byte {byte}: a damaged ledger was changed");
            assert!(verify_disk(&disk.shared(), |_| {}).is_err());
            let read: Vec<_> =
                Export::of_disk(disk.shared()).into_iter().flatten().map_while(Result::ok).collect();
            assert!(read.iter().zip(&bodies).all(|(read, body)| read == body.as_bytes()), "a wrong batch");
        }
    }
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
