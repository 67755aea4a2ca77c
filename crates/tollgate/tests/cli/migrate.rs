//! A ledger moves from a folder into PostgreSQL.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tollgate_ledger::{
    Act, BatchItem, BatchSelect, BodyDropped, Counts, Entry, HandStatus, Ledger, ModelSummary, Outcome, Page,
    QuarantineItem, Reader,
};
use tollgate_ledger_embedded::{EmbeddedLedger, Options, Retention, UpkeepMode};
use tollgate_ledger_postgres::PostgresLedger;
use tollgate_ledger_postgres::cluster::Cluster;
use tollgate_rules::{BatchId, Reason, Rollup, Select, Series, Visitor, judge};
use tollgate_wire::{Document, Status, Timestamp};

use crate::tollgate::{Run, command, run};

const N_MODELS: u32 = 5;

/// Days over which the batches of a ledger were received. What is older than half of them retention reduces.
const N_DAYS: i64 = 20;

fn time(seconds: i64, nanoseconds: u32) -> Timestamp {
    Timestamp::from_unix(1_767_323_045 + seconds, nanoseconds).expect("a time")
}

fn model(n: u32) -> String {
    match n {
        // Not every id is a uuid, and PostgreSQL does not take every character.
        0 => "model\u{0}nought".to_owned(),
        n => format!("deadbeef-0bad-400d-8000-{n:012x}"),
    }
}

/// Everything that was recorded, to be sent once more.
#[derive(Default)]
struct Sent {
    groups: Vec<Vec<Entry>>,
}

/// A ledger made of random groups: new batches, late ones, copies, conflicts, what cannot count, and what operators decide.
fn record(dir: &Path, n_groups: usize, group_elements: usize, seed: u64) -> Sent {
    let mut random = fastrand::Rng::with_seed(seed);
    let options = Options { compression: None, ..options() };
    let (mut ledger, _) = EmbeddedLedger::open(dir, options).expect("open a ledger");
    let mut sent = Sent::default();
    let mut n_batches = 0;
    for n in 0..n_groups {
        let received = time(n as i64 * N_DAYS * 86_400 / n_groups as i64, random.u32(0..1_000_000_000));
        let mut group = Vec::new();
        for _ in 0..group_elements {
            let again = n_batches != 0 && random.u32(0..6) == 0;
            let number = if again { random.u64(0..n_batches) } else { n_batches };
            n_batches += u64::from(!again);
            group.push(element(number, again && random.bool()));
        }
        if let Some(Entry::Batch(batch)) = group.first()
            && random.u32(0..4) == 0
        {
            group[0] = Entry::Refused(batch.clone(), Reason::MissingUuid);
        }
        group.extend((0..random.u32(0..4)).map(|_| act(&mut random)));
        let outcomes = ledger.writer.record(group.clone(), received).expect("record");
        sent.groups.push(group);
        let released: Vec<Entry> =
            outcomes.iter().filter_map(|outcome| release(&mut random, *outcome)).collect();
        ledger.writer.record(released, received).expect("release");
    }
    ledger.writer.close().expect("close");
    // Opened once more, old batches lose their credentials.
    let retention = Retention { days: (N_DAYS / 2) as u32, now: || time(N_DAYS * 86_400, 0) };
    let options = Options { retention: Some(retention), ..options };
    EmbeddedLedger::open(dir, options).expect("open it again").0.writer.close().expect("close");
    sent
}

fn options() -> Options {
    Options {
        free_bytes_min: 0,
        segment_bytes_max: 1 << 20,
        upkeep: UpkeepMode::Inline,
        ..Options::default()
    }
}

/// The element of a number, or another one with the same id.
fn element(number: u64, other: bool) -> Entry {
    let mut random = fastrand::Rng::with_seed(number);
    let uuid = if number.is_multiple_of(7) {
        format!("batch {number}")
    } else {
        format!("01234567-89ab-4def-8edc-{number:012x}")
    };
    let value = match (number % 11, other) {
        (10, _) => "NaN".to_owned(),
        (n, other) => format!("{}.{n}{}", random.u32(0..1_000_000), u8::from(other)),
    };
    // One in five is late, by up to a month.
    let late_hours = if number.is_multiple_of(5) { random.i64(0..720) } else { 0 };
    let at = time(number as i64 % 100_000 - late_hours * 3_600, 0);
    let credentials =
        if number.is_multiple_of(3) { "null".to_owned() } else { format!("\"{}\"", "c2VjcmV0".repeat(9)) };
    let labels = if number.is_multiple_of(4) { r#","labels":{"room":"\u0000\u0001"}"# } else { "" };
    let posted = format!(
        r#"[{{"uuid":"{uuid}","env-uuid":"{}","model-name":"eve/name {}","unit-name":"{}","charm-url":"ch:{}","created":"{at}","metrics":[{{"key":"pings","value":"{value}","time":"{at}"{labels}}},{{"key":"m{}","value":"1e-3","time":"{at}"}}],"credentials":{credentials}}}]"#,
        model(random.u32(0..N_MODELS)).replace('\0', "\\u0000"),
        number / 1_000,
        ["", "u/0", "u/1"][random.usize(0..3)],
        random.u32(0..2),
        random.u32(0..3),
    );
    let document = Document::new(posted.as_bytes());
    judge(&document.batches().expect("a document")[0]).into()
}

fn act(random: &mut fastrand::Rng) -> Entry {
    let model_uuid: Box<str> = model(random.u32(0..N_MODELS)).into();
    let unit_name: Box<str> = ["", "u/0"][random.usize(0..2)].into();
    Entry::Act(match random.u32(0..5) {
        0 => Act::ClearStatus { model_uuid, unit_name },
        1 => Act::Revoke { credential_id: format!("credential {}", random.u32(0..30)).into() },
        2 => Act::Declare { model_uuid, user: ["bob", "eve\0"][random.usize(0..2)].into() },
        _ => {
            let status = [Status::Red, Status::Amber][random.usize(0..2)];
            let (set, expires) = (time(random.i64(0..9), 5), [None, Some(time(99, 7))][random.usize(0..2)]);
            Act::SetStatus(HandStatus { model_uuid, unit_name, status, info: "why\0".into(), set, expires })
        }
    })
}

/// Some of what was set aside is released, with a batch or dismissed.
fn release(random: &mut fastrand::Rng, outcome: Outcome) -> Option<Entry> {
    let (Outcome::Quarantined { quarantine_id } | Outcome::Conflict { quarantine_id, .. }) = outcome else {
        return None;
    };
    let batch = match (random.u32(0..4), element(random.u64(1 << 40..2 << 40) * 11, false)) {
        (0, Entry::Batch(batch)) => Some(batch),
        (0 | 1, _) => None,
        _ => return None,
    };
    Some(Entry::Act(Act::Release { quarantine_id, batch }))
}

/// All that a ledger answers.
#[derive(Debug, PartialEq)]
struct Answers {
    counts: Counts,
    models: Vec<ModelSummary>,
    batches: Vec<BatchItem>,
    quarantine: Vec<QuarantineItem>,
    statuses: Vec<HandStatus>,
    users: BTreeMap<String, Option<Box<str>>>,
    revoked: BTreeSet<String>,
    usage: BTreeMap<([String; 5], i64), Rollup>,
    bodies: Vec<Result<Option<Vec<u8>>, bool>>,
}

impl Answers {
    fn of(reader: &dyn Reader) -> Self {
        let limit = 1_000;
        let mut batches = Vec::new();
        let mut page = Page { cursor: None, limit };
        loop {
            let mut next = reader.batches(&BatchSelect::default(), &page).expect("batches");
            batches.append(&mut next.batches);
            let Some(cursor) = next.next_cursor else { break };
            page.cursor = Some(cursor);
        }
        let mut quarantine: Vec<QuarantineItem> = Vec::new();
        loop {
            let cursor = quarantine.last().map(|element| element.id.to_string());
            let mut next = reader.quarantine(&Page { cursor, limit }).expect("a quarantine");
            if next.is_empty() {
                break;
            }
            quarantine.append(&mut next);
        }
        // PostgreSQL has no finer times.
        let times = batches.iter_mut().map(|batch| &mut batch.received);
        for received in times.chain(quarantine.iter_mut().map(|element| &mut element.received)) {
            let time = Timestamp::parse(received).expect("a time");
            let rounded = Timestamp::from_unix(time.unix_seconds(), time.nanoseconds() / 1_000 * 1_000);
            *received = rounded.expect("a time").to_string();
        }
        let mut usage = Used::default();
        for n in 0..N_MODELS {
            let model_uuid = model(n);
            let select = Select { model_uuid: Some(&model_uuid), ..Select::ALL };
            reader.usage(&select, &mut usage).expect("usage");
        }
        let of_one_meter = Select { meter: Some("pings"), ..Select::ALL };
        let mut pings = Used::default();
        reader.usage(&of_one_meter, &mut pings).expect("usage");
        assert!(pings.used.iter().all(|(key, rollup)| usage.used.get(key) == Some(rollup)));
        let body = |batch: &BatchItem| {
            let (model_uuid, batch_uuid) = (&*batch.model_uuid, &*batch.batch_uuid);
            let id = BatchId { model_uuid: model_uuid.into(), batch_uuid: batch_uuid.into() };
            let is_dropped = |error: tollgate_ledger::LedgerError| {
                std::error::Error::source(&error).is_some_and(<dyn std::error::Error>::is::<BodyDropped>)
            };
            reader.batch(&id).map_err(is_dropped)
        };
        let bodies = batches.iter().step_by(17).map(body).collect();
        let user = |n| (model(n), reader.declared_user(&model(n)).expect("a user"));
        let credentials = (0..30).map(|n| format!("credential {n}"));
        Self {
            counts: reader.counts(),
            models: reader.models(&Page { cursor: None, limit }).expect("models"),
            quarantine,
            statuses: reader.hand_statuses(None).expect("statuses"),
            users: (0..N_MODELS).map(user).collect(),
            revoked: credentials.filter(|id| reader.is_revoked(id).expect("an answer")).collect(),
            usage: usage.used,
            bodies,
            batches,
        }
    }
}

#[derive(Default)]
struct Used {
    used: BTreeMap<([String; 5], i64), Rollup>,
    names: [String; 5],
}

impl Visitor for Used {
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

struct Place {
    _parent: TempDir,
    dir: String,
    cluster: Cluster,
}

impl Place {
    fn new() -> Self {
        let parent = tempfile::tempdir().expect("a folder");
        let dir = parent.path().join("ledger").display().to_string();
        Self { _parent: parent, dir, cluster: Cluster::start(&[]).expect("start PostgreSQL") }
    }

    fn arguments<'a>(&'a self, url: &'a str) -> [&'a str; 5] {
        ["migrate", "--from", &self.dir, "--to", url]
    }

    fn migrate(&self) -> Run {
        run(&self.arguments(&self.cluster.url()))
    }

    fn embedded(&self) -> Ledger {
        EmbeddedLedger::open(&self.dir, options()).expect("open the folder").0
    }

    fn postgres(&self) -> Ledger {
        PostgresLedger::open(&self.cluster.url(), tollgate_ledger_postgres::Options::default())
            .expect("open the database")
            .0
    }

    /// Both answer the same, and go on to take the same for the same.
    #[track_caller]
    fn check_moved(&self, sent: &Sent) {
        let (mut embedded, mut postgres) = (self.embedded(), self.postgres());
        let expected = Answers::of(&*embedded.reader);
        assert!(expected.bodies.contains(&Err(true)), "retention dropped something");
        assert!(expected.quarantine.iter().any(|element| element.is_released));
        assert!(!expected.statuses.is_empty() && !expected.revoked.is_empty());
        assert_eq!(Answers::of(&*postgres.reader), expected);

        for group in sent.groups.iter().step_by(9) {
            let new = (0..3).map(|n| element((3 << 40) + n, false));
            let group: Vec<Entry> = group.iter().cloned().chain(new).collect();
            let received = time(N_DAYS * 86_400, 0);
            let expected = embedded.writer.record(group.clone(), received).expect("record");
            let outcomes = postgres.writer.record(group, received).expect("record");
            assert_eq!(outcomes, expected);
        }
        assert_eq!(Answers::of(&*postgres.reader), Answers::of(&*embedded.reader));
    }
}

#[test]
fn everything_moves_and_the_folder_stays_as_it_is() {
    let place = Place::new();
    let sent = record(Path::new(&place.dir), 400, 12, 1);
    let before = contents(Path::new(&place.dir));
    let moved = place.migrate();
    assert_eq!(moved.exit, Some(0), "{}{}", moved.stdout, moved.stderr);
    assert!(moved.stdout.starts_with("ok: "), "{}", moved.stdout);
    assert!(contents(Path::new(&place.dir)) == before, "the folder was changed");
    let [here, there] = [&*place.dir, &place.cluster.url()].map(|location| run(&["export", location]));
    assert!(here.exit == Some(0) && here == there, "{} / {}", here.stderr, there.stderr);
    assert!(there.stderr.contains("without credentials"), "{}", there.stderr);
    let again = place.migrate();
    assert_eq!(again.exit, Some(0), "{}", again.stderr);
    assert!(again.stdout.contains("was moved to") && again.stdout.contains("before"), "{}", again.stdout);
    place.check_moved(&sent);

    // Both have gone on.
    let refused = place.migrate();
    assert_eq!(refused.exit, Some(1));
    assert!(refused.stderr.contains("it was moved before, up to group"), "{}", refused.stderr);
}

/// The files of a ledger, but for the one that says who has it.
fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = [dir.to_owned(), dir.join("index")];
    let files = files
        .iter()
        .flat_map(|dir| std::fs::read_dir(dir).expect("list"))
        .map(|entry| entry.expect("an entry").path());
    let files = files.filter(|path| path.is_file() && !path.ends_with("lock"));
    files.map(|path| (path.display().to_string(), std::fs::read(&path).expect("read"))).collect()
}

#[test]
fn killed_at_any_moment_it_goes_on_and_nothing_is_there_twice() {
    const N_KILLS: usize = 5;
    const SERVER_KILL: usize = 2;
    let mut place = Place::new();
    let sent = record(Path::new(&place.dir), 600, 75, 2);
    // Without an index too: one is made for the comparison.
    std::fs::remove_dir_all(Path::new(&place.dir).join("index")).expect("remove the index");
    let mut random = fastrand::Rng::with_seed(3);
    let url = place.cluster.url();
    let mark = |cluster: &Cluster| {
        let mark = cluster.psql("SELECT sequence FROM tollgate.moved WHERE NOT is_whole");
        mark.ok().and_then(|mark| mark.trim().parse::<u64>().ok())
    };
    let mut marks = Vec::new();
    for kill in 0..N_KILLS {
        let (before, deadline) = (mark(&place.cluster), Instant::now() + Duration::from_secs(30));
        let mut child = command(&place.arguments(&url)).stdout(Stdio::null()).spawn().expect("start");
        // The first one before it has done much, the others in the middle of a part.
        while kill != 0 && mark(&place.cluster) == before {
            assert!(Instant::now() < deadline, "it comes no further");
        }
        thread::sleep(Duration::from_millis(random.u64(0..60)));
        if kill == SERVER_KILL {
            // The server, for once.
            place.cluster.kill().expect("kill the server");
            assert_eq!(child.wait().expect("wait").code(), Some(1));
            place.cluster.resume().expect("start the server again");
        } else {
            child.kill().expect("kill");
            child.wait().expect("wait");
        }
        marks.extend(mark(&place.cluster));
        let opened = PostgresLedger::open(&url, tollgate_ledger_postgres::Options::default());
        if !marks.is_empty() {
            let refusal = opened.map(|_| ()).expect_err("no collector may have it").to_string();
            assert!(refusal.contains("another one is being moved into it"), "{refusal}");
        }
    }
    marks.dedup();
    assert!(2 < marks.len(), "kills met the work: {marks:?}");
    let moved = place.migrate();
    assert_eq!(moved.exit, Some(0), "{}{}", moved.stdout, moved.stderr);
    place.check_moved(&sent);
}

#[test]
fn what_does_not_fit_is_refused() {
    let place = Place::new();
    record(Path::new(&place.dir), 20, 10, 4);
    let url = place.cluster.url();

    let holder = place.embedded();
    let refused = place.migrate();
    assert_eq!(refused.exit, Some(1));
    assert!(refused.stderr.contains(&format!("process {}", std::process::id())), "{}", refused.stderr);
    drop(holder);

    for (to, why) in [("./folder", "that is a folder"), ("postgres://h/d?schema=A", "schema")] {
        let refused = run(&place.arguments(to));
        assert_eq!(refused.exit, Some(2), "{}", refused.stderr);
        assert!(refused.stderr.contains(why), "{}", refused.stderr);
    }

    // A ledger of its own.
    let own = format!("{url}?schema=own");
    let (mut ledger, _) =
        PostgresLedger::open(&own, tollgate_ledger_postgres::Options::default()).expect("open");
    ledger.writer.record(vec![element(1, false)], time(0, 0)).expect("record");
    let refused = run(&place.arguments(&own));
    assert_eq!(refused.exit, Some(1));
    assert!(refused.stderr.contains("it holds a ledger of its own"), "{}", refused.stderr);
    // It can go on all the same.
    ledger.writer.record(vec![element(2, false)], time(0, 0)).expect("record");

    // A collector that was started on it before, and has recorded nothing, records nothing in between either.
    let (mut early, _) =
        PostgresLedger::open(&url, tollgate_ledger_postgres::Options::default()).expect("open");
    early.writer.record(Vec::new(), time(0, 0)).expect("nothing");
    place.cluster.psql("CREATE RULE stop AS ON UPDATE TO tollgate.moved DO INSTEAD NOTHING").expect("a rule");
    let cut_short = place.migrate();
    assert_eq!(cut_short.exit, Some(1), "{}", cut_short.stdout);
    // Nothing that giving the command again would help against.
    assert!(!cut_short.stderr.contains("give the command again"), "{}", cut_short.stderr);
    early.writer.record(vec![element(1, false)], time(0, 0)).expect_err("the move is not whole");
    // One that does not know of moves goes by the versions.
    let works_with =
        || place.cluster.psql("SELECT max(works_with) FROM tollgate.versions").expect("versions");
    assert_eq!(works_with().trim(), "2");
    place.cluster.psql("DROP RULE stop ON tollgate.moved").expect("drop it");
    let moved = place.migrate();
    assert_eq!(moved.exit, Some(0), "{}{}", moved.stdout, moved.stderr);
    assert_eq!(works_with().trim(), "1");
    let outcomes = early.writer.record(vec![element(1, false), element(5 << 40, false)], time(0, 0));
    assert_eq!(outcomes.expect("record"), [Outcome::Duplicate, Outcome::Recorded]);
}

#[test]
fn another_ledger_or_another_content_is_noticed() {
    let place = Place::new();
    record(Path::new(&place.dir), 20, 10, 5);
    let url = place.cluster.url();
    // Cut short behind the first part, with a sum that is wrong.
    place.cluster.psql("CREATE SCHEMA tollgate AUTHORIZATION tollgate").expect("a schema");
    let moved = place.migrate();
    assert_eq!(moved.exit, Some(0), "{}", moved.stderr);
    place
        .cluster
        .psql(
            "DROP SEQUENCE tollgate.groups; UPDATE tollgate.moved SET is_whole = false;
             UPDATE tollgate.totals SET sum = sum + 0.001 WHERE meter = 'pings'",
        )
        .expect("plant a fault");
    let other = tempfile::tempdir().expect("a folder");
    let other_dir = other.path().join("other").display().to_string();
    record(Path::new(&other_dir), 20, 10, 6);
    let refused = run(&["migrate", "--from", &other_dir, "--to", &url]);
    assert_eq!(refused.exit, Some(1));
    assert!(refused.stderr.contains("came from another ledger"), "{}", refused.stderr);

    let differs = place.migrate();
    assert_eq!(differs.exit, Some(1), "{}", differs.stderr);
    assert!(differs.stdout.starts_with("differs: model "), "{}", differs.stdout);
    assert!(differs.stdout.contains("meters pings, sum: "), "{}", differs.stdout);
    let [command, from, dir, to, url] = place.arguments(&url);
    let json = run(&[command, "--format", "json", from, dir, to, url]);
    assert_eq!(json.exit, Some(1), "{}", json.stderr);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(json["is_equal"], false);
    assert!(json["difference"]["what"].as_str().is_some_and(|what| what.ends_with("meters pings, sum")));
    place.cluster.psql("UPDATE tollgate.totals SET sum = sum - 0.001 WHERE meter = 'pings'").expect("repair");

    // What the sums do not show.
    for (plant, repair, what) in [
        (
            "UPDATE tollgate.usage SET sum = sum + 1 WHERE meter = 'pings'",
            "UPDATE tollgate.usage SET sum = sum - 1 WHERE meter = 'pings'",
            "meter pings, usage: ",
        ),
        (
            "CREATE TABLE lost AS SELECT * FROM tollgate.batches WHERE place = 7;
             DELETE FROM tollgate.batches WHERE place = 7",
            "INSERT INTO tollgate.batches SELECT * FROM lost",
            "batches themselves: ",
        ),
    ] {
        place.cluster.psql(plant).expect("plant a fault");
        let differs = place.migrate();
        assert_eq!(differs.exit, Some(1), "{}", differs.stderr);
        assert!(
            differs.stdout.starts_with("differs: ") && differs.stdout.contains(what),
            "{}",
            differs.stdout
        );
        place.cluster.psql(repair).expect("repair");
    }
    // A count that fails is no difference.
    place.cluster.psql("ALTER TABLE tollgate.quarantine RENAME TO away").expect("take it away");
    let failed = place.migrate();
    assert_eq!(failed.exit, Some(1), "{}", failed.stdout);
    assert!(!failed.stdout.contains("differs"), "{}", failed.stdout);
    assert!(failed.stderr.contains("count what the ledger holds"), "{}", failed.stderr);
    place.cluster.psql("ALTER TABLE tollgate.away RENAME TO quarantine").expect("bring it back");
    let moved = place.migrate();
    assert_eq!(moved.exit, Some(0), "{}{}", moved.stdout, moved.stderr);
    assert!(!moved.stdout.contains("were moved in"), "nothing was: {}", moved.stdout);
}
