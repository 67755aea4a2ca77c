//! What the loop sends, against collectors that do as they are told.

use std::collections::BTreeSet;
use std::time::Duration;

use tollgate_sender::{Release, Sender, Settings};

use crate::common::{Act, Collector, batch, open, round, sender, settings, spool_of};

#[test]
fn nothing_to_send_is_no_request() {
    let (_disk, _clock, spool) = spool_of(0);
    let collector = Collector::default();
    assert_eq!(round(&mut sender(&spool, &collector)), (0, 0));
    assert!(collector.requests().is_empty());
}

#[track_caller]
fn check_requests(n_batches: u64, expected: u64) {
    let (_disk, _clock, spool) = spool_of(n_batches);
    let collector = Collector::default();
    assert_eq!(round(&mut sender(&spool, &collector)), (expected, n_batches));
}

#[test]
fn there_is_no_request_behind_the_last_batch() {
    check_requests(1, 1);
    check_requests(4, 1);
    check_requests(5, 2);
    check_requests(10, 3);
}

#[test]
fn the_oldest_goes_first() {
    let (_disk, _clock, spool) = spool_of(6);
    let collector = Collector::default();
    round(&mut sender(&spool, &collector));
    assert_eq!(collector.requests(), ["b1 b2 b3 b4", "b5 b6"]);
}

#[test]
fn seven_batches_of_which_two_are_never_acknowledged() {
    // A Juju controller makes four requests of this, and delivers five batches as well.
    let (_disk, _clock, spool) = spool_of(7);
    let collector = Collector::default();
    collector.with(|script| script.refused = ["b1", "b2"].map(str::to_owned).into());
    let mut sender = sender(&spool, &collector);
    let first = sender.round(|_| true).expect("a round");
    assert_eq!((first.n_requests, first.n_acknowledged, first.n_refused), (2, 5, 2));
    assert_eq!(first.error, None);
    assert_eq!(collector.requests(), ["b1 b2 b3 b4", "b5 b6 b7"]);
    let summary = spool.summary();
    assert_eq!((summary.n_pending, summary.n_refused), (2, 2));
}

#[test]
fn an_unknown_id_is_no_progress_and_no_endless_loop() {
    let (_disk, _clock, spool) = spool_of(3);
    let collector = Collector::default();
    collector.with(|script| {
        script.refused = ["b1", "b2", "b3"].map(str::to_owned).into();
        script.strangers = vec!["nobody".to_owned(), String::new(), "b9".to_owned()];
    });
    let mut sender = sender(&spool, &collector);
    assert_eq!(round(&mut sender), (1, 0));
    assert_eq!(spool.summary().n_pending, 3);
    assert_eq!(spool.summary().link.last_success_ms, None, "an answer without progress is no success");
    assert_eq!(spool.summary().link.n_errors, 0, "and no error");
    // Beside real ones they change nothing.
    collector.with(|script| script.refused.clear());
    assert_eq!(round(&mut sender), (1, 3));
}

#[test]
fn batches_refused_again_and_again_never_block_the_others() {
    let (_disk, clock, spool) = spool_of(60);
    let collector = Collector::default();
    // More than a round tries in vain.
    collector.with(|script| script.refused = (1..=50).map(|n| format!("b{n}")).collect());
    let mut sender = sender(&spool, &collector);
    let rounds: Vec<(u64, u64)> = (0..3).map(|_| round(&mut sender)).collect();
    assert_eq!(collector.with(|script| script.taken.len()), 10, "{rounds:?}");

    for _ in 0..3 {
        round(&mut sender);
    }
    collector.requests();
    spool.record(batch("new")).expect("record");
    assert_eq!(round(&mut sender), (1, 1), "those that were refused three times are passed by");
    assert_eq!(spool.summary().n_refused, 50);
    clock.pass(Duration::from_secs(3600));
    collector.with(|script| script.refused.clear());
    while 0 < round(&mut sender).1 {}
    assert_eq!(spool.summary().n_pending, 0, "and tried again after an hour");
}

#[test]
fn a_round_that_begins_within_a_group_sends_each_batch_once() {
    // What the round before ended with: nothing of its request was acknowledged, or it did not get through.
    for act in [Act::Answer, Act::Refuse] {
        let (_disk, _clock, spool) = spool_of(1);
        // As one group.
        spool.record_all((2..=12).map(|n| batch(format!("b{n}"))).collect()).expect("record");
        let collector = Collector::default();
        collector.with(|script| {
            script.acts = vec![act];
            script.refused = (1..=12).map(|n| format!("b{n}")).collect();
        });
        let mut sender = sender(&spool, &collector);
        sender.round(|_| false).expect("a round of one request");
        assert_eq!(collector.requests(), ["b1 b2 b3 b4"]);
        sender.round(|_| true).expect("a round");
        let requests = collector.requests().join(" ");
        let ids: BTreeSet<&str> = requests.split(' ').collect();
        assert_eq!((ids.len(), requests.split(' ').count()), (12, 12), "{requests}");
    }
}

#[test]
fn a_refused_batch_is_sent_again_or_given_up_when_somebody_says_so() {
    let (disk, clock, spool) = spool_of(3);
    let collector = Collector::default();
    collector.with(|script| script.refused = ["b1", "b2"].map(str::to_owned).into());
    let mut first = sender(&spool, &collector);
    for _ in 0..4 {
        round(&mut first);
    }
    assert_eq!(round(&mut first), (0, 0));
    assert_eq!(spool.release(None, Release::SendAgain).expect("release"), 2);
    assert_eq!(round(&mut first), (1, 0));
    assert_eq!(spool.release(Some(&["b1".to_owned()]), Release::GiveUp).expect("release"), 1);
    let error = spool.release(Some(&["b1".to_owned()]), Release::GiveUp).expect_err("gone");
    assert_eq!(error.to_string(), "find batch b1 among those that wait");
    drop((first, spool));
    disk.cut_power(1);
    let spool = open(&disk, &clock);
    assert_eq!((spool.summary().n_pending, spool.summary().n_given_up), (1, 1));
}

#[test]
fn what_is_given_up_between_two_attempts_is_not_sent_again() {
    let (_disk, _clock, spool) = spool_of(3);
    let collector = Collector::default();
    collector.with(|script| script.acts = vec![Act::Refuse, Act::Refuse]);
    let mut sender = sender(&spool, &collector);
    round(&mut sender);
    assert_eq!(spool.release(Some(&["b2".to_owned()]), Release::GiveUp).expect("release"), 1);
    round(&mut sender);
    let rest = ["b1", "b3"].map(str::to_owned);
    assert_eq!(spool.release(Some(&rest), Release::GiveUp).expect("release"), 2);
    assert_eq!(round(&mut sender), (0, 0));
    assert_eq!(collector.requests(), ["b1 b2 b3", "b1 b3"]);
    spool.record(batch("later")).expect("record");
    assert_eq!(round(&mut sender), (1, 1));
}

#[test]
fn a_batch_that_cannot_be_taken_is_found_and_passed_by() {
    let (_disk, _clock, spool) = spool_of(9);
    let collector = Collector::default();
    collector.with(|script| script.poison = ["b3".to_owned()].into());
    let mut sender = sender(&spool, &collector);
    let first = sender.round(|_| true).expect("a round");
    assert_eq!((first.n_acknowledged, first.n_refused, first.error), (8, 1, None));
    let requests = collector.requests();
    assert!(requests.len() <= 10, "{requests:?}");
    assert_eq!(spool.summary().link.n_errors, 0);
    assert_eq!(spool.summary().n_refused, 1);
    for _ in 0..5 {
        round(&mut sender);
    }
    assert_eq!(collector.requests(), ["b3", "b3"], "three times in all");
}

#[test]
fn a_lost_answer_costs_a_second_sending_and_nothing_else() {
    let (_disk, _clock, spool) = spool_of(3);
    let collector = Collector::default();
    collector.with(|script| script.acts = vec![Act::LoseAnswer]);
    let mut sender = sender(&spool, &collector);
    let first = sender.round(|_| true).expect("a round");
    assert_eq!(first.error.as_deref(), Some("connection reset"));
    assert!(first.next_in <= Duration::from_secs(1), "{:?}", first.next_in);
    spool.record(batch("later")).expect("record");
    round(&mut sender);
    // The same again, in smaller requests, whatever came meanwhile.
    assert_eq!(collector.requests(), ["b1 b2 b3", "b1", "b2 b3", "later"]);
    assert_eq!(collector.with(|script| script.taken["b1"].0), 2);
    assert_eq!(spool.summary().n_pending, 0);
}

#[track_caller]
fn check_error(act: Act, expected: &str) {
    let (_disk, _clock, spool) = spool_of(1);
    let collector = Collector::default();
    collector.with(|script| script.acts = vec![act]);
    let mut sender = sender(&spool, &collector);
    let first = sender.round(|_| true).expect("a round");
    let error = first.error.expect("an error");
    assert!(error.starts_with(expected), "{error}");
    let summary = spool.summary();
    assert_eq!((summary.n_pending, summary.link.n_errors), (1, 1));
    assert_eq!(summary.link.last_error.as_deref(), Some(&*error));
    assert_eq!(round(&mut sender), (1, 1));
}

#[test]
fn whatever_is_not_an_answer_is_an_error_and_keeps_the_batch() {
    check_error(Act::Refuse, "connection refused");
    check_error(Act::Say(200, ""), "answered 200 with no response: the body is empty");
    check_error(Act::Say(200, "{\"uuid\":"), "answered 200 with no response: ");
    check_error(Act::Say(200, "<html>"), "answered 200 with no response: ");
    check_error(Act::Say(200, "{\"new-grace-period\":1.5}"), "answered 200 with no response: ");
    for status in [201, 202, 204, 302, 401, 403, 404, 409, 429, 500, 503, 507] {
        check_error(Act::Busy(status, None), &format!("answered {status}"));
    }
}

#[test]
fn an_answer_that_is_cut_anywhere_is_no_acknowledgement() {
    let (_disk, _clock, spool) = spool_of(1);
    let collector = Collector::default();
    let mut sender = sender(&spool, &collector);
    let whole = r#"{"uuid":"r","env-responses":{"deadbeef-0bad-400d-8000-4b1d0d06f00d":{"acks":["b1"]}}}"#;
    for length in 0..whole.len() {
        collector.with(|script| script.acts = vec![Act::Say(200, &whole[..length])]);
        let round = sender.round(|_| true).expect("a round");
        assert!(round.error.is_some() && spool.summary().n_pending == 1, "{length}");
    }
    collector.with(|script| script.acts = vec![Act::Say(200, whole)]);
    assert_eq!(round(&mut sender), (1, 1));
}

#[test]
fn retry_after_is_obeyed() {
    for (header, least, most) in [("120", 120, 121), ("Fri, 15 Jan 2027 08:10:00 GMT", 600, 601)] {
        let (_disk, _clock, spool) = spool_of(1);
        let collector = Collector::default();
        collector.with(|script| script.acts = vec![Act::Busy(503, Some(header))]);
        let next_in = sender(&spool, &collector).round(|_| true).expect("a round").next_in;
        let bounds = Duration::from_secs(least)..=Duration::from_secs(most);
        assert!(bounds.contains(&next_in), "{header}: {next_in:?}");
    }
}

#[test]
fn a_collector_that_takes_no_compression_gets_none() {
    let (_disk, _clock, spool) = spool_of(4);
    let collector = Collector::default();
    let settings =
        Settings { compression: tollgate_sender::Compression::Zstd, request_batches_max: 100, ..settings() };
    for n in 0..20 {
        spool.record(batch(format!("more{n}"))).expect("record");
    }
    let rng = fastrand::Rng::with_seed(1);
    let mut sender = Sender::new(spool.clone(), collector.clone(), &settings, rng);
    let first = sender.round(|_| true).expect("a round");
    assert_eq!((first.n_requests, first.n_acknowledged, first.error), (2, 24, None));
}

#[test]
fn on_a_slow_way_requests_become_as_small_as_get_through_and_grow_again() {
    let (_disk, clock, spool) = spool_of(64);
    let collector = Collector::default();
    // Of two minutes: three batches get through.
    collector.with(|script| script.slow = Some((clock.clone(), 35)));
    let settings = Settings { request_batches_max: 16, ..settings() };
    let mut sender = Sender::new(spool.clone(), collector.clone(), &settings, fastrand::Rng::with_seed(1));
    let errors: Vec<Option<String>> =
        (0..4).map(|_| sender.round(|_| true).expect("a round").error).collect();
    let timed_out = Some("timed out".to_owned());
    assert_eq!(errors, [timed_out.clone(), timed_out.clone(), timed_out, None]);
    let lengths = || collector.requests().iter().map(|ids| ids.split(' ').count()).collect::<Vec<_>>();
    assert_eq!(lengths(), [&[16, 8, 4][..], &[2; 32]].concat(), "none is too large again");
    assert_eq!(spool.summary().n_pending, 0);

    collector.with(|script| script.slow = None);
    for n in 0..46 {
        spool.record(batch(format!("more{n}"))).expect("record");
    }
    assert_eq!(round(&mut sender), (5, 46));
    assert_eq!(lengths(), [2, 4, 8, 16, 16]);
}

#[test]
fn a_collector_that_wants_only_what_is_compressed_is_no_endless_loop() {
    let (_disk, _clock, spool) = spool_of(1);
    let collector = Collector::default();
    // A request this short goes out as it is, whatever the answer teaches.
    collector.with(|script| script.acts = vec![Act::Teach(415, "gzip, zstd"); 3]);
    let mut sender = sender(&spool, &collector);
    for _ in 0..3 {
        let round = sender.round(|_| true).expect("a round");
        assert_eq!((round.n_requests, round.error.as_deref()), (1, Some("answered 415")));
    }
    assert_eq!(round(&mut sender), (1, 1));
}

#[test]
fn a_collector_that_teaches_what_it_does_not_take_is_believed_once() {
    let (_disk, _clock, spool) = spool_of(12);
    let collector = Collector::default();
    collector.with(|script| script.acts = vec![Act::Teach(200, "gzip"); 3]);
    let mut sender = sender(&spool, &collector);
    // The second one is compressed, and sent again without.
    assert_eq!(round(&mut sender), (4, 12));
}

#[test]
fn a_round_can_be_ended_early() {
    let (_disk, _clock, spool) = spool_of(12);
    let collector = Collector::default();
    let mut sender = sender(&spool, &collector);
    let first = sender.round(|n_acknowledged| n_acknowledged < 4).expect("a round");
    assert_eq!((first.n_acknowledged, first.error), (4, None));
    assert_eq!(round(&mut sender), (2, 8));
}

#[test]
fn ids_and_bytes_are_final_from_recording_on() {
    let (disk, clock, spool) = spool_of(0);
    let id = spool.record(batch("")).expect("record");
    assert_eq!(id.len(), 36, "an id is made");
    drop(spool);
    disk.kill();
    let spool = open(&disk, &clock);
    let collector = Collector::default();
    collector.with(|script| script.acts = vec![Act::LoseAnswer]);
    let mut sender = sender(&spool, &collector);
    round(&mut sender);
    round(&mut sender);
    // The collector compares the bytes of both.
    assert_eq!(collector.requests(), [id.clone(), id]);
}
