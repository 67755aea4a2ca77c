//! Looking at a spool from outside.

use tollgate_sender::Look;

use crate::common::{Collector, round, sender, spool_of};

#[test]
fn a_look_shows_what_waits_beside_whoever_has_the_spool() {
    let (disk, _clock, spool) = spool_of(7);
    let collector = Collector::default();
    collector.with(|script| script.refused = ["b2".to_owned()].into());
    round(&mut sender(&spool, &collector));
    spool.record(crate::common::batch("b8")).expect("record");
    let look = Look::open_on(&disk.shared()).expect("look");
    let mut found = Vec::new();
    look.each_pending(|pending| {
        let n_refused = pending.refusal.map_or(0, |refusal| refusal.n_times);
        found.push((pending.number, pending.uuid, pending.unit_name, pending.n_metrics, n_refused));
        true
    })
    .expect("read");
    let expected = [(2, "b2", 1), (8, "b8", 0)];
    let expected = expected.map(|(number, id, n)| (number, id.to_owned(), "web/0".to_owned(), 1, n));
    assert_eq!(found, expected);
    assert_eq!((look.summary().n_pending, look.summary().n_recorded), (2, 8));
    assert_eq!(look.summary(), spool.summary());
    assert_eq!(look.meter_status(0, None, None), spool.meter_status(None, None));
    assert!(0 < look.verify().expect("whole").1);
}
