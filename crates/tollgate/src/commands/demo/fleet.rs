//! What the demo's fleet measures: batches made from a seed, and the mischief that happens to them on the way.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use fastrand::Rng;
use tollgate_wire::{EncodeError, Metric, MetricBatch, Timestamp};

/// What a meter is called, and how an amount of it comes about.
pub(super) type Meter = (&'static str, fn(&mut Rng) -> String);

/// The fleet's meters.
pub(super) const METERS: [Meter; 3] = [
    ("requests", |rng| rng.u32(0..5_000).to_string()),
    ("storage-gib", |rng| format!("{}.{:02}", rng.u32(1..900), rng.u32(0..100))),
    ("egress-gib", egress),
];

/// Small fractions, sometimes in a spelling that only a number's exact value survives.
fn egress(rng: &mut Rng) -> String {
    match rng.u32(0..20) {
        0 => "1e-3".to_owned(),
        1 => "+0.3".to_owned(),
        2 => "0x1p-4".to_owned(),
        _ => format!("0.{}", rng.u32(1..10)),
    }
}

/// Acknowledged batches that a model's sender remembers, to send some of them again.
const REMEMBERED_MAX: usize = 40;

/// Why something is sent, which says where it has to end up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Counts, once.
    New,
    /// Counted already.
    Duplicate,
    /// Can never count; belongs in quarantine.
    Broken,
    /// The id of a batch that counted, with other content; belongs in quarantine.
    Conflict,
}

/// One element of a request: its id and its bytes are final.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) kind: Kind,
    pub(super) batch: MetricBatch,
    pub(super) json: Vec<u8>,
}

impl Item {
    fn new(kind: Kind, batch: MetricBatch) -> Result<Self, EncodeError> {
        let json = tollgate_wire::to_vec(&batch)?;
        Ok(Self { kind, batch, json })
    }
}

/// One model and its units.
pub(super) struct Model {
    /// Gives what is measured, and nothing else: that is the same in every run.
    rng: Rng,
    /// Gives what goes wrong, which depends on when answers come.
    mischief: Rng,
    pub(super) uuid: String,
    name: String,
    pub(super) units: Vec<String>,
    remembered: Vec<MetricBatch>,
}

impl Model {
    /// Model `index` of a fleet. The seed gives the ids and amounts of everything that counts.
    pub(super) fn new(seed: u64, index: usize, n_units: usize) -> Self {
        let mut rng = Rng::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(index as u64));
        let charm = ["web", "db", "queue"][index % 3];
        Self {
            uuid: uuid(&mut rng),
            name: format!("team-{}/model-{index:03}", index % 17),
            units: (0..n_units).map(|unit| format!("{charm}/{unit}")).collect(),
            remembered: Vec::new(),
            mischief: rng.fork(),
            rng,
        }
    }

    /// What the model has to send after one more interval: a batch of each unit, and now and then something
    /// sent again, broken or conflicting.
    pub(super) fn round(&mut self, now: SystemTime) -> Result<Vec<Item>, EncodeError> {
        let mut items = Vec::with_capacity(self.units.len() + 2);
        let mut rng = self.rng.fork();
        for unit in 0..self.units.len() {
            items.push(Item::new(Kind::New, self.measure(&mut rng, unit, now))?);
        }
        if self.mischief.u32(0..100) < 15
            && let Some(again) = self.recall()
        {
            items.push(Item::new(Kind::Duplicate, again.clone())?);
            self.remember(again);
        }
        if self.mischief.u32(0..100) < 3 {
            let unit = self.mischief.usize(0..self.units.len());
            let mut rng = self.mischief.fork();
            let mut batch = self.measure(&mut rng, unit, now);
            let bad = ["twelve", "-1", "NaN", ""][self.mischief.usize(0..4)];
            bad.clone_into(&mut batch.metrics.get_or_insert_default()[0].value);
            items.push(Item::new(Kind::Broken, batch)?);
        }
        if self.mischief.u32(0..100) < 2
            && let Some(mut other) = self.recall()
        {
            // It is not remembered again: one conflict for an id, so that each is one item in quarantine.
            "999999".clone_into(&mut other.metrics.get_or_insert_default()[0].value);
            items.push(Item::new(Kind::Conflict, other)?);
        }
        Ok(items)
    }

    /// Keeps an acknowledged batch, to send it again some time.
    pub(super) fn remember(&mut self, batch: MetricBatch) {
        if self.remembered.len() < REMEMBERED_MAX {
            self.remembered.push(batch);
        } else {
            let slot = self.mischief.usize(0..REMEMBERED_MAX);
            self.remembered[slot] = batch;
        }
    }

    fn recall(&mut self) -> Option<MetricBatch> {
        let n_remembered = self.remembered.len();
        (0 < n_remembered).then(|| self.remembered.swap_remove(self.mischief.usize(0..n_remembered)))
    }

    fn measure(&self, rng: &mut Rng, unit: usize, now: SystemTime) -> MetricBatch {
        // One in twenty was held up on its way, by up to thirty days.
        let late_by = if rng.u32(0..20) == 0 { rng.u64(3_600..30 * 86_400) } else { 0 };
        let measured = now.checked_sub(Duration::from_secs(late_by)).unwrap_or(now);
        let created = in_milliseconds(measured);
        let labels = BTreeMap::from([("zone".to_owned(), ["a", "b"][rng.usize(0..2)].to_owned())]);
        let metrics = METERS.iter().map(|(key, amount)| Metric {
            key: (*key).to_owned(),
            value: amount(rng),
            time: created,
            labels: if *key == "egress-gib" { labels.clone() } else { BTreeMap::new() },
        });
        let metrics = Some(metrics.collect());
        MetricBatch {
            uuid: uuid(rng),
            model_uuid: self.uuid.clone(),
            model_name: self.name.clone(),
            unit_name: self.units[unit].clone(),
            charm_url: format!("ch:amd64/jammy/{}-7", self.units[unit].split('/').next().unwrap_or_default()),
            created,
            metrics,
            credentials: Some(Vec::new()),
            ..MetricBatch::default()
        }
    }
}

/// What is late is so by its own time, not by a mark of ours.
pub(super) fn is_late(batch: &MetricBatch, now: SystemTime) -> bool {
    let now = Timestamp::from_system_time(now).unix_seconds();
    3_000 < now - batch.created.unix_seconds()
}

/// As a Juju controller keeps times.
fn in_milliseconds(time: SystemTime) -> Timestamp {
    let exact = Timestamp::from_system_time(time);
    let nanoseconds = exact.nanoseconds() - exact.nanoseconds() % 1_000_000;
    Timestamp::from_unix(exact.unix_seconds(), nanoseconds).unwrap_or(exact)
}

fn uuid(rng: &mut Rng) -> String {
    let mut bytes = [0; 16];
    rng.fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Some rounds of a model that has everything acknowledged.
    fn rounds(seed: u64) -> Vec<Item> {
        let mut model = Model::new(seed, 7, 10);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let mut all = Vec::new();
        for _ in 0..200 {
            let items = model.round(now).expect("encodes");
            items.iter().filter(|item| item.kind == Kind::New).for_each(|i| model.remember(i.batch.clone()));
            all.extend(items);
        }
        all
    }

    #[test]
    fn a_seed_gives_the_same_batches() {
        let bytes = |seed| rounds(seed).into_iter().map(|item| item.json).collect::<Vec<_>>();
        assert_eq!(bytes(1), bytes(1));
        assert_ne!(bytes(1), bytes(2));
    }

    #[test]
    fn what_goes_wrong_does_not_change_what_is_measured() {
        let now = SystemTime::UNIX_EPOCH;
        let (mut calm, mut busy) = (Model::new(1, 0, 10), Model::new(1, 0, 10));
        for _ in 0..50 {
            let measured = |items: Vec<Item>| -> Vec<Item> {
                items.into_iter().filter(|item| item.kind == Kind::New).collect()
            };
            let of_busy = measured(busy.round(now).expect("encodes"));
            let of_calm = measured(calm.round(now).expect("encodes"));
            let bytes = |items: &[Item]| items.iter().map(|item| item.json.clone()).collect::<Vec<_>>();
            assert_eq!(bytes(&of_busy), bytes(&of_calm));
            of_busy.into_iter().for_each(|item| busy.remember(item.batch));
        }
    }

    #[test]
    fn every_kind_of_mischief_happens() {
        let items = rounds(1);
        let of = |kind| items.iter().filter(|item| item.kind == kind).collect::<Vec<_>>();
        assert_eq!(of(Kind::New).len(), 2_000);
        assert!(!of(Kind::Duplicate).is_empty() && !of(Kind::Broken).is_empty());
        assert!(!of(Kind::Conflict).is_empty());

        let new: BTreeSet<_> = of(Kind::New).iter().map(|item| item.json.clone()).collect();
        assert!(of(Kind::Duplicate).iter().all(|item| new.contains(&item.json)), "same id, same bytes");
        assert!(of(Kind::Conflict).iter().all(|item| !new.contains(&item.json)), "same id, other bytes");
        let conflicts: BTreeSet<_> = of(Kind::Conflict).iter().map(|item| item.batch.uuid.clone()).collect();
        assert_eq!(conflicts.len(), of(Kind::Conflict).len(), "one conflict for an id");
    }
}
