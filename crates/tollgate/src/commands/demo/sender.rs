//! One model's sender: posts what it has over HTTP until it is acknowledged.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, bail};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval_at, sleep};
use tollgate_wire::Response;

use super::fleet::{Item, Kind, Model};
use super::supervisor::Running;
use super::tally::Shared;

/// Batches in one request, at most: as many as a Juju controller sends.
const BATCHES_PER_REQUEST_MAX: usize = 1_000;
/// How long a request may take. An answer that does not come is a request that failed.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// How long to wait before sending again what was not acknowledged.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// When each model's sender makes its next batches, and how often.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Between two rounds of one model.
    pub(super) period: Duration,
    /// Rounds of each model; `None` goes on for ever.
    pub(super) n_rounds: Option<u64>,
}

/// What all senders share.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) client: reqwest::Client,
    pub(super) tally: Arc<Shared>,
    /// Where the collector is, while there is one.
    pub(super) collector: watch::Receiver<Option<Running>>,
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

/// Sends for model `index` until its rounds are over and everything is acknowledged.
pub(super) async fn send(
    mut model: Model,
    index: usize,
    first_after: Duration,
    pace: Pace,
    mut around: Surroundings,
) -> anyhow::Result<()> {
    around.collector.wait_for(Option::is_some).await.context("wait for the collector")?;
    let mut ticks = interval_at(tokio::time::Instant::now() + first_after, pace.period);
    // A sender that was held up does not catch up in a burst.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut unacknowledged: Vec<Item> = Vec::new();
    let mut n_rounds_done = 0;
    while pace.n_rounds.is_none_or(|n_rounds| n_rounds_done < n_rounds) {
        ticks.tick().await;
        n_rounds_done += 1;
        #[expect(clippy::disallowed_methods, reason = "the edge: one time for the whole round")]
        let now = SystemTime::now();
        let items = model.round(now).context("make a batch")?;
        {
            let mut tally = around.tally.lock();
            items.iter().for_each(|item| tally.truth.add(item, now));
        }
        unacknowledged.extend(items);
        deliver(&mut model, index, &mut unacknowledged, &around).await;
    }
    while !unacknowledged.is_empty() {
        deliver(&mut model, index, &mut unacknowledged, &around).await;
    }
    Ok(())
}

/// One request with the oldest of what is unacknowledged. What the answer acknowledges is done with; a failure
/// changes nothing but the figures.
async fn deliver(model: &mut Model, index: usize, unacknowledged: &mut Vec<Item>, around: &Surroundings) {
    let n_items = unacknowledged.len().min(BATCHES_PER_REQUEST_MAX);
    let twice = model.is_impatient();
    let items = &mut unacknowledged[..n_items];
    let body = body(items);
    count_sending(items, if twice { 2 } else { 1 }, around);
    let answer = if twice {
        let (first, second) = tokio::join!(post(body.clone(), around), post(body, around));
        first.or(second)
    } else {
        post(body, around).await
    };
    match answer {
        Ok(response) => take_in(&response, model, index, n_items, unacknowledged, around),
        Err(_) => sleep(RETRY_AFTER).await,
    }
}

/// The request's body: the elements' own bytes, never made anew.
fn body(items: &[Item]) -> Vec<u8> {
    let mut body = vec![b'['];
    for item in items {
        if 1 < body.len() {
            body.push(b',');
        }
        body.extend_from_slice(&item.json);
    }
    body.push(b']');
    body
}

fn count_sending(items: &mut [Item], n_copies: u32, around: &Surroundings) {
    let traffic = &mut around.tally.lock().traffic;
    traffic.n_requests += u64::from(n_copies);
    for item in items {
        let is_first = item.n_sent == 0 && item.kind != Kind::Duplicate;
        traffic.n_sent_again += u64::from(n_copies) - u64::from(is_first);
        item.n_sent += n_copies;
    }
}

/// Posts a body, and reads the answer as a Juju controller does: 200, and the first JSON value.
async fn post(body: Vec<u8>, around: &Surroundings) -> anyhow::Result<Response> {
    let started = Instant::now();
    let answer = exchange(body, around).await;
    let traffic = &mut around.tally.lock().traffic;
    match &answer {
        Ok(_) => traffic.answered_in(started.elapsed()),
        Err(_) => traffic.n_requests_failed += 1,
    }
    answer
}

async fn exchange(body: Vec<u8>, around: &Surroundings) -> anyhow::Result<Response> {
    let url = match &*around.collector.borrow() {
        Some(running) => format!("http://{}/metrics", running.listen),
        None => bail!("post batches: the collector is down"),
    };
    let request = around.client.post(url).header("content-type", "application/json").body(body);
    let answer = request.send().await.context("post batches")?;
    if answer.status() != reqwest::StatusCode::OK {
        bail!("post batches: answered {}", answer.status());
    }
    let bytes = answer.bytes().await.context("read the answer")?;
    tollgate_wire::from_slice(&bytes).context("decode the answer")
}

/// Drops what was acknowledged, and takes in the statuses.
fn take_in(
    response: &Response,
    model: &mut Model,
    index: usize,
    n_items: usize,
    unacknowledged: &mut Vec<Item>,
    around: &Surroundings,
) {
    let asked: HashSet<String> =
        unacknowledged[..n_items].iter().map(|item| item.batch.uuid.clone()).collect();
    let mut tally = around.tally.lock();
    let mut acknowledged = HashSet::new();
    for (model_uuid, answer) in response.env_responses.iter().flat_map(|responses| &responses.0) {
        for id in &answer.acks {
            if *model_uuid == model.uuid && asked.contains(id) {
                acknowledged.insert(id.clone());
            } else {
                tally.traffic.n_unasked += 1;
            }
        }
        if *model_uuid == model.uuid {
            let units = &mut tally.standings[index].units;
            units.extend(
                answer.unit_statuses.iter().map(|(unit, standing)| (unit.clone(), standing.status.clone())),
            );
        }
    }
    let mut position = 0;
    unacknowledged.retain(|item| {
        let was_sent = position < n_items;
        position += 1;
        if !was_sent || !acknowledged.contains(&item.batch.uuid) {
            return true;
        }
        match item.kind {
            Kind::New => {
                tally.traffic.n_batches_acknowledged += 1;
                tally.traffic.n_metrics_acknowledged +=
                    item.batch.metrics.as_ref().map_or(0, |m| m.len() as u64);
                model.remember(item.batch.clone());
            }
            Kind::Broken => tally.traffic.n_broken_acknowledged += 1,
            Kind::Conflict => tally.traffic.n_conflicts_acknowledged += 1,
            Kind::Duplicate => {}
        }
        false
    });
}
