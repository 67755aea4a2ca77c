//! The demo's sites: each has a spool and a sender of `tollgate-sender`, as an agent does, and some of the models.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, bail};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tollgate_sender::{
    Answer, Compression, Encoding, NoAnswer, Sender, Settings, Spool, SystemClock, Transport,
};
use tollgate_wire::{MetricBatch, Response};

use super::fleet::{Item, Kind, METERS, Model};
use super::supervisor::Running;
use super::tally::Shared;

/// Sites: enough that one's sync does not hold up the others.
pub(super) const N_SITES: usize = 8;
/// How long a request may take. An answer that does not come is a request that failed.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// Between two rounds of a site's sender: short, so that the figures move.
const ROUND_EVERY: Duration = Duration::from_millis(250);
/// How long a thread sleeps before it looks again whether the demo goes on.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// When each model makes its next batches, and how often.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Between two rounds of one model.
    pub(super) period: Duration,
    /// Rounds of each model; `None` goes on for ever.
    pub(super) n_rounds: Option<u64>,
}

/// What all threads share.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) client: reqwest::Client,
    pub(super) tally: Arc<Shared>,
    /// Where the collector is, while there is one.
    pub(super) collector: watch::Receiver<Option<Running>>,
    pub(super) handle: Handle,
    /// The index of each model by its uuid.
    pub(super) models: Arc<HashMap<String, usize>>,
    /// The demo is over, whatever is still to be sent.
    pub(super) is_over: Arc<AtomicBool>,
    /// Ids that were acknowledged to a site's sender, until its model has seen it.
    pub(super) acknowledged: Arc<Mutex<HashSet<String>>>,
    /// Models that have more to record.
    pub(super) n_recording: Arc<AtomicUsize>,
}

impl Surroundings {
    fn acknowledged(&self) -> MutexGuard<'_, HashSet<String>> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps until `moment`, or until the demo is over: then `false`.
    fn wait_until(&self, moment: Instant) -> bool {
        while !self.is_over.load(Ordering::Relaxed) {
            let left = moment.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            sleep(left.min(LOOK_EVERY));
        }
        false
    }
}

/// A client that keeps a connection for each sender.
pub(super) fn client() -> anyhow::Result<reqwest::Client> {
    reqwest::Client::builder()
        .timeout(REQUEST_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .context("make an HTTP client")
}

/// The spool of a site in `folder`.
pub(super) fn spool(folder: &Path) -> anyhow::Result<Spool> {
    let options = Settings::default().spool_options();
    let (spool, _) = Spool::open(folder, options, Arc::new(SystemClock)).context("open a spool")?;
    Ok(spool)
}

/// Sends what is in a site's spool until all models have recorded everything and it is acknowledged.
pub(super) fn send(spool: &Spool, seed: u64, around: &Surroundings) -> anyhow::Result<()> {
    let transport = Link { around: around.clone(), rng: fastrand::Rng::with_seed(seed) };
    // The demo looks into its requests.
    let settings = Settings { every_ms: 1_000, compression: Compression::None, ..Settings::default() };
    let rng = fastrand::Rng::with_seed(seed);
    let mut sender = Sender::new(spool.clone(), transport, &settings, rng);
    loop {
        let is_last = around.n_recording.load(Ordering::SeqCst) == 0;
        let mut n_before = 0;
        let round = sender.round(|n_acknowledged| {
            let traffic = &mut around.tally.lock().traffic;
            traffic.n_batches_acknowledged += n_acknowledged - n_before;
            traffic.n_metrics_acknowledged += (n_acknowledged - n_before) * METERS.len() as u64;
            n_before = n_acknowledged;
            !around.is_over.load(Ordering::Relaxed)
        })?;
        if is_last && spool.summary().n_pending == 0 {
            return Ok(());
        }
        let wait = if round.error.is_some() { round.next_in } else { ROUND_EVERY };
        if !around.wait_until(Instant::now() + wait) {
            return Ok(());
        }
    }
}

/// Measures for model `index` until its rounds are over, and sees to what goes wrong meanwhile.
pub(super) fn measure(
    mut model: Model,
    spool: &Spool,
    first_after: Duration,
    pace: Pace,
    around: &Surroundings,
) -> anyhow::Result<()> {
    let mut next = Instant::now() + first_after;
    let mut recorded: VecDeque<MetricBatch> = VecDeque::new();
    let mut mischief: Vec<Item> = Vec::new();
    let mut n_rounds_done = 0;
    while pace.n_rounds.is_none_or(|n_rounds| n_rounds_done < n_rounds) && around.wait_until(next) {
        n_rounds_done += 1;
        #[expect(clippy::disallowed_methods, reason = "the edge: one time for the whole round")]
        let now = SystemTime::now();
        let items = model.round(now).context("make a batch")?;
        {
            let mut tally = around.tally.lock();
            items.iter().for_each(|item| tally.truth.add(item, now));
        }
        let (new, wrong): (Vec<Item>, Vec<Item>) = items.into_iter().partition(|item| item.kind == Kind::New);
        let new: Vec<MetricBatch> = new.into_iter().map(|item| item.batch).collect();
        spool.record_all(new.clone()).context("record a round")?;
        recorded.extend(new);
        mischief.extend(wrong);
        remember(&mut model, &mut recorded, around);
        cause(&mut mischief, &model, around);
        // A model that was held up does not catch up in a burst.
        next = (next + pace.period).max(Instant::now());
    }
    around.n_recording.fetch_sub(1, Ordering::SeqCst);
    while !mischief.is_empty() && around.wait_until(Instant::now() + ROUND_EVERY) {
        cause(&mut mischief, &model, around);
    }
    Ok(())
}

/// Lets the model know what was acknowledged, to send some of it again.
fn remember(model: &mut Model, recorded: &mut VecDeque<MetricBatch>, around: &Surroundings) {
    let mut acknowledged = around.acknowledged();
    recorded.retain(|batch| {
        let is_acknowledged = acknowledged.remove(&batch.uuid);
        if is_acknowledged {
            model.remember(batch.clone());
        }
        !is_acknowledged
    });
}

/// Posts what no good sender would: copies, conflicts and broken batches. What is not acknowledged stays.
fn cause(mischief: &mut Vec<Item>, model: &Model, around: &Surroundings) {
    if mischief.is_empty() {
        return;
    }
    let bodies: Vec<&[u8]> = mischief.iter().map(|item| &item.json[..]).collect();
    let body = [b"[", &bodies.join(&b","[..])[..], b"]"].concat();
    {
        let traffic = &mut around.tally.lock().traffic;
        traffic.n_requests += 1;
        let n_again = mischief.iter().filter(|item| item.kind == Kind::Duplicate).count();
        traffic.n_sent_again += n_again as u64;
    }
    let answer = around.handle.block_on(post(body, around));
    let response =
        answer.and_then(|answer| tollgate_wire::from_slice::<Response>(&answer.body).map_err(Into::into));
    let Ok(response) = response else { return };
    let responses = response.env_responses.unwrap_or_default();
    let acks = responses.0.get(&model.uuid).map(|answer| &answer.acks[..]).unwrap_or_default();
    let mut tally = around.tally.lock();
    mischief.retain(|item| {
        if !acks.contains(&item.batch.uuid) {
            return true;
        }
        match item.kind {
            Kind::Broken => tally.traffic.n_broken_acknowledged += 1,
            Kind::Conflict => tally.traffic.n_conflicts_acknowledged += 1,
            Kind::New | Kind::Duplicate => {}
        }
        false
    });
}

/// The way of a site's sender to wherever the collector is just now. Some requests arrive twice.
struct Link {
    around: Surroundings,
    rng: fastrand::Rng,
}

impl Transport for Link {
    fn post(&mut self, body: Vec<u8>, _: Encoding) -> Result<Answer, NoAnswer> {
        let around = &self.around;
        let twice = self.rng.u32(0..100) < 5;
        let n_batches = n_batches(&body);
        {
            let traffic = &mut around.tally.lock().traffic;
            traffic.n_requests += if twice { 2 } else { 1 };
            traffic.n_sent_again += if twice { n_batches } else { 0 };
        }
        let answer = around.handle.block_on(async {
            if twice {
                let (first, second) = tokio::join!(post(body.clone(), around), post(body.clone(), around));
                first.or(second)
            } else {
                post(body.clone(), around).await
            }
        });
        match &answer {
            Ok(answer) => self.take_in(&answer.body, &body),
            Err(_) => around.tally.lock().traffic.n_sent_again += n_batches,
        }
        answer.map_err(|error| NoAnswer { why: format!("{error:#}"), is_cut: false })
    }
}

impl Link {
    /// Takes in the statuses, and checks that nothing is acknowledged that was not sent.
    fn take_in(&self, answer: &[u8], body: &[u8]) {
        let around = &self.around;
        let Ok(response) = tollgate_wire::from_slice::<Response>(answer) else { return };
        let batches: Vec<MetricBatch> = tollgate_wire::from_slice(body).unwrap_or_default();
        let asked: HashSet<(&str, &str)> =
            batches.iter().map(|batch| (&*batch.model_uuid, &*batch.uuid)).collect();
        let mut tally = around.tally.lock();
        let mut acknowledged = around.acknowledged();
        for (model, answer) in response.env_responses.iter().flat_map(|responses| &responses.0) {
            for id in &answer.acks {
                if asked.contains(&(&**model, &**id)) {
                    acknowledged.insert(id.clone());
                } else {
                    tally.traffic.n_unasked += 1;
                }
            }
            if let Some(&index) = around.models.get(model) {
                let units = &mut tally.standings[index].units;
                let told = answer.unit_statuses.iter();
                units.extend(told.map(|(unit, standing)| (unit.clone(), standing.status.clone())));
            }
        }
    }
}

/// How many batches are in a request.
fn n_batches(body: &[u8]) -> u64 {
    memchr::memmem::find_iter(body, br#"{"uuid":""#).count() as u64
}

/// Posts a body.
async fn post(body: Vec<u8>, around: &Surroundings) -> anyhow::Result<Answer> {
    let started = Instant::now();
    let answer = exchange(body, around).await;
    let traffic = &mut around.tally.lock().traffic;
    match &answer {
        Ok(_) => traffic.answered_in(started.elapsed()),
        Err(_) => traffic.n_requests_failed += 1,
    }
    answer
}

async fn exchange(body: Vec<u8>, around: &Surroundings) -> anyhow::Result<Answer> {
    let url = match &*around.collector.borrow() {
        Some(running) => format!("http://{}/metrics", running.listen),
        None => bail!("post batches: the collector is down"),
    };
    let request = around.client.post(url).header("content-type", "application/json").body(body);
    let answer = request.send().await.context("post batches")?;
    if answer.status() != reqwest::StatusCode::OK {
        bail!("post batches: answered {}", answer.status());
    }
    let body = answer.bytes().await.context("read the answer")?.to_vec();
    Ok(Answer { status: 200, body, ..Answer::default() })
}
