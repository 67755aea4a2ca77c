//! From a Prometheus endpoint's samples to readings.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use tollgate_sender::{Reading, Source, Spool};
use tollgate_wire::{Metric, Timestamp};
use tracing::{debug, warn};

use super::amount::Amount;
use super::exposition::{self, Sample};
use super::settings::{Mapping, MetricKind, Scrape};
use crate::words::count;

/// How long an endpoint may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of an endpoint's text, at most.
const TEXT_BYTES_MAX: usize = 16 << 20;

/// The metric by which a process tells when it started.
const PROCESS_START: &str = "process_start_time_seconds";

/// What is known of an endpoint's counters, kept in the spool together with the readings that were made of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    process_start: Option<String>,
    /// The last value of each series. One that is not there any more stays, because it may come back.
    counters: BTreeMap<String, String>,
}

/// The meter, its labels, and what is to be recorded.
type Amounts = BTreeMap<(String, BTreeMap<String, String>), Amount>;

/// What `samples` say that `known` did not, and what is known then.
///
/// An endpoint that is seen for the first time gives no counts: what its counters stand at was before. A counter that is lower than it was has
/// begun anew, as have all when the process did; then all of it counts.
fn changes(mappings: &[Mapping], samples: &[Sample], known: Option<&Known>) -> (Amounts, Known) {
    let mut next = known.cloned().unwrap_or_default();
    let start =
        samples.iter().find(|sample| sample.metric == PROCESS_START).map(|sample| sample.value.clone());
    let has_restarted = known.is_some_and(
        |known| matches!((&known.process_start, &start), (Some(before), Some(now)) if before != now),
    );
    next.process_start = start.or(next.process_start);
    let mut amounts = Amounts::new();
    for mapping in mappings {
        for sample in samples.iter().filter(|sample| is_meant(mapping, sample)) {
            let Some(value) = Amount::parse(&sample.value) else {
                debug!(metric = sample.metric, value = sample.value, "not a number that can be counted");
                continue;
            };
            let amount = match mapping.kind {
                MetricKind::Gauge => Some(value),
                MetricKind::Counter => {
                    let series = series(mapping, sample);
                    let last = known.and_then(|known| known.counters.get(&series));
                    let last = last.and_then(|last| Amount::parse(last)).unwrap_or_default();
                    next.counters.insert(series, value.to_string());
                    let begins_anew = has_restarted || value < last;
                    let grown = if begins_anew { Some(value) } else { value.minus(last) };
                    grown.filter(|grown| known.is_some() && !grown.is_zero())
                }
            };
            let Some(amount) = amount else { continue };
            let labels = mapping
                .labels
                .iter()
                .filter_map(|name| Some((name.clone(), sample.labels.get(name)?.clone())));
            let sum = amounts.entry((mapping.meter.clone(), labels.collect())).or_default();
            // Beyond what an amount holds it is not a count any more.
            *sum = sum.plus(amount).unwrap_or(*sum);
        }
    }
    (amounts, next)
}

fn is_meant(mapping: &Mapping, sample: &Sample) -> bool {
    mapping.metric == sample.metric
        && mapping.matching.iter().all(|(name, value)| sample.labels.get(name) == Some(value))
}

/// A name for one series in one mapping.
fn series(mapping: &Mapping, sample: &Sample) -> String {
    let labels: Vec<String> = sample.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{}<{}{{{}}}", mapping.meter, sample.metric, labels.join(","))
}

/// Reads an endpoint once, and keeps what it says. Gives how many readings that made.
pub(crate) async fn scrape(
    client: &reqwest::Client,
    scrape: &Scrape,
    source: &Source,
    spool: &Spool,
) -> anyhow::Result<usize> {
    let text = fetch(client, &scrape.url).await?;
    let (samples, n_unread) = exposition::parse(&text);
    if 0 < n_unread {
        warn!(url = scrape.url, "could not read {}", count(n_unread as u64, "line", "lines"));
    }
    let key = format!("scrape {}", scrape.url);
    let known = spool.note(&key);
    let known: Option<Known> = known
        .map(|text| serde_json::from_str(&text))
        .transpose()
        .context("read what is known of its counters")?;
    let (amounts, next) = changes(&scrape.meters, &samples, known.as_ref());
    let now = now();
    let readings = amounts.into_iter().filter_map(|((meter, labels), amount)| {
        // A meter cannot go below zero.
        let value = amount.to_string();
        let metric = Metric { key: meter, value, time: now, labels };
        (Amount::default() <= amount).then(|| reading(source, metric, now))
    });
    let readings: Vec<Reading> = readings.collect();
    let n_readings = readings.len();
    let note = serde_json::to_string(&next).context("write what is known of its counters")?;
    let spool = spool.clone();
    // In one record: what was counted is never counted again, and never lost.
    let notes = if known.as_ref() == Some(&next) { Vec::new() } else { vec![(key, note)] };
    if !readings.is_empty() || !notes.is_empty() {
        tokio::task::spawn_blocking(move || spool.add_readings(readings, notes)).await??;
    }
    Ok(n_readings)
}

pub(crate) fn reading(source: &Source, metric: Metric, now: Timestamp) -> Reading {
    let recorded_ms = now.unix_seconds() * 1000 + i64::from(now.nanoseconds() / 1_000_000);
    Reading { source: source.clone(), metric, recorded_ms }
}

/// The time of a reading.
pub(crate) fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the edge: a reading is taken now")]
    Timestamp::from_system_time(SystemTime::now())
}

async fn fetch(client: &reqwest::Client, url: &str) -> anyhow::Result<String> {
    let mut answer = client.get(url).timeout(TIMEOUT).send().await.context("ask it")?;
    if !answer.status().is_success() {
        bail!("ask it: answered {}", answer.status());
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.context("read what it says")? {
        if TEXT_BYTES_MAX < bytes.len() + chunk.len() {
            bail!("read what it says: there are more than {TEXT_BYTES_MAX} bytes");
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).context("read what it says")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(metric: &str, kind: MetricKind, labels: &[&str]) -> Mapping {
        Mapping {
            metric: metric.to_owned(),
            meter: format!("m-{metric}"),
            kind,
            matching: BTreeMap::new(),
            labels: labels.iter().map(|&label| label.to_owned()).collect(),
        }
    }

    /// Scrapes these texts one after the other; what each made.
    fn run(mappings: &[Mapping], texts: &[&str]) -> Vec<String> {
        let mut known: Option<Known> = None;
        let mut made = Vec::new();
        for text in texts {
            let (amounts, next) = changes(mappings, &exposition::parse(text).0, known.as_ref());
            // As it is when the agent was started again.
            let text = serde_json::to_string(&next).expect("JSON");
            known = Some(serde_json::from_str(&text).expect("the same"));
            let amounts = amounts.into_iter().map(|((meter, labels), amount)| {
                let labels: Vec<String> = labels.into_values().collect();
                format!("{meter}{labels:?}={amount}")
            });
            made.push(amounts.collect::<Vec<_>>().join(" "));
        }
        made
    }

    #[test]
    fn counters_are_read_as_what_they_grew_by() {
        let mappings = [mapping("c", MetricKind::Counter, &[])];
        let made = run(&mappings, &["c 100", "c 103.5", "c 103.5", "c 2", "c 1e+06"]);
        assert_eq!(made, ["", "m-c[]=3.5", "", "m-c[]=2", "m-c[]=999998"]);
    }

    #[test]
    fn a_process_that_started_again_counts_from_zero_however_high_it_is() {
        let mappings = [mapping("c", MetricKind::Counter, &[])];
        let texts = [
            "process_start_time_seconds 1\nc 10",
            "process_start_time_seconds 2\nc 15",
            "process_start_time_seconds 2\nc 16",
        ];
        assert_eq!(run(&mappings, &texts), ["", "m-c[]=15", "m-c[]=1"]);
    }

    #[test]
    fn a_series_that_comes_later_counts_from_zero_and_one_that_comes_back_from_where_it_was() {
        let mappings = [mapping("c", MetricKind::Counter, &["a"])];
        let texts =
            ["c{a=\"1\"} 5", "c{a=\"1\"} 5\nc{a=\"2\"} 3", "c{a=\"2\"} 3", "c{a=\"1\"} 7\nc{a=\"2\"} 3"];
        assert_eq!(run(&mappings, &texts), ["", "m-c[\"2\"]=3", "", "m-c[\"1\"]=2"]);
    }

    #[test]
    fn series_that_differ_in_other_labels_are_added_up() {
        let mut only_posts = mapping("c", MetricKind::Counter, &["az"]);
        only_posts.matching.insert("method".to_owned(), "post".to_owned());
        let text = |n: u32| {
            format!(
                "c{{az=\"1\",method=\"post\",code=\"200\"}} {n}\nc{{az=\"1\",method=\"post\",code=\"500\"}} {n}\n\
                 c{{az=\"1\",method=\"get\"}} {n}"
            )
        };
        assert_eq!(run(&[only_posts], &[&text(1), &text(4)]), ["", "m-c[\"1\"]=6"]);
    }

    #[test]
    fn gauges_are_read_as_they_are() {
        let mappings = [mapping("g", MetricKind::Gauge, &[])];
        assert_eq!(run(&mappings, &["g 5", "g 5", "g 0", "g NaN"]), ["m-g[]=5", "m-g[]=5", "m-g[]=0", ""]);
    }
}
