//! From a Prometheus endpoint's samples to readings.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use tollgate_sender::{Reading, Source, Spool, SpoolError};
use tollgate_wire::{Metric, Timestamp};
use tracing::{debug, warn};

use super::amount::Amount;
use super::exposition::{self, Sample};
use super::settings::{Mapping, MetricKind, Scrape};
use crate::sending;
use crate::words::count;

/// How long an endpoint may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of an endpoint's text, at most.
const TEXT_BYTES_MAX: usize = 16 << 20;

/// The metric by which a process tells when it started.
const PROCESS_START: &str = "process_start_time_seconds";

/// The notes in the spool about counters begin so.
const NOTE: &str = "counter ";

/// How long a series may be missed before what it stood at is forgotten: a target that was away for less has not begun anew.
const MISSED_MS: i64 = 7 * 24 * 3600 * 1000;

/// By how much the clock of a process may be behind this one's: a start so much before the last scrape may be one after it.
const SLACK_MS: i64 = 10_000;

/// What is known of the counters of one mapping at one endpoint, kept in the spool together with the readings that were made of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    process_start: Option<String>,
    /// When it was scraped last and anything was new, in milliseconds since 1970.
    #[serde(default)]
    scraped_ms: i64,
    /// The last value of each series.
    counters: BTreeMap<String, String>,
    /// Since when those of them are missed that are not there now, in milliseconds since 1970.
    missed: BTreeMap<String, i64>,
}

/// The meter, its labels, and what is to be recorded.
type Amounts = BTreeMap<(String, BTreeMap<String, String>), Amount>;

/// Adds what `samples` say of a counter that `known` did not to `amounts`, and gives what is known then.
///
/// With nothing known it is the first time, and gives no counts: what the counters stand at was before. From then on a series that was not there
/// before counts from zero. A counter that is lower than it was has begun anew, as have all when the process did, also those that come later; then all
/// of it counts. What a page has twice counts as the first of them.
fn count_on(
    mapping: &Mapping,
    samples: &[Sample],
    known: Option<&Known>,
    now_ms: i64,
    amounts: &mut Amounts,
) -> Known {
    let start = process_start(samples);
    let before = known.and_then(|known| known.process_start.as_ref());
    let has_restarted = known.zip(start.as_deref()).is_some_and(|(known, start)| has_restarted(known, start));
    // What ended with its process says nothing of the next one.
    let known_still = known.filter(|_| !has_restarted);
    let process_start = if has_restarted { start } else { before.cloned().or(start) };
    let mut next = Known { process_start, scraped_ms: now_ms, ..Known::default() };
    for (sample, value) in meant(mapping, samples) {
        let series = series(sample);
        if next.counters.contains_key(&series) {
            debug!(metric = sample.metric, series, "is there twice; the first counts");
            continue;
        }
        next.counters.insert(series.clone(), value.to_string());
        let last = known_still.and_then(|known| known.counters.get(&series));
        let last = last.and_then(|last| Amount::parse(last)).unwrap_or_default();
        let grown = if value < last { Some(value) } else { value.minus(last) };
        if let Some(grown) = grown.filter(|grown| known.is_some() && !grown.is_zero()) {
            add(mapping, sample, grown, amounts);
        }
    }
    for (series, last) in known_still.iter().flat_map(|known| &known.counters) {
        let missed = known_still.and_then(|known| known.missed.get(series)).copied().unwrap_or(now_ms);
        if !next.counters.contains_key(series) && now_ms < missed.saturating_add(MISSED_MS) {
            next.counters.insert(series.clone(), last.clone());
            next.missed.insert(series.clone(), missed);
        }
    }
    next
}

/// Whether a process that says it started at `start` is another one than that of the last scrape.
///
/// What computes its start gives another one after each step of the clock: only one that is later than the last scrape is one of a new process.
fn has_restarted(known: &Known, start: &str) -> bool {
    let before = known.process_start.as_deref().and_then(Amount::parse);
    let scraped = Amount::parse(&format!("{}e-3", known.scraped_ms.saturating_sub(SLACK_MS)));
    match (before, Amount::parse(start), scraped) {
        (Some(before), Some(start), Some(scraped)) => before != start && scraped < start,
        _ => false,
    }
}

/// When the endpoint's process started; `None` when it does not say so, or speaks for more than one.
fn process_start(samples: &[Sample]) -> Option<String> {
    let mut starts = samples.iter().filter(|sample| sample.metric == PROCESS_START);
    let start = starts.next()?.value.clone();
    (starts.next().is_none() && Amount::parse(&start).is_some()).then_some(start)
}

/// The samples of a mapping, as far as they are numbers.
fn meant<'a>(mapping: &Mapping, samples: &'a [Sample]) -> impl Iterator<Item = (&'a Sample, Amount)> {
    samples.iter().filter(|sample| is_meant(mapping, sample)).filter_map(|sample| {
        let value = Amount::parse(&sample.value);
        if value.is_none() {
            debug!(metric = sample.metric, value = sample.value, "not a number that can be counted");
        }
        Some((sample, value?))
    })
}

/// Whether it is worth a write. The time alone is not, or a spool would grow while nothing is counted; a start is late all the same when it is later
/// than an earlier scrape. Unless that is in the future, because the clock was set back.
fn is_news(known: &Known, next: &Known) -> bool {
    *known != Known { scraped_ms: known.scraped_ms, ..next.clone() } || next.scraped_ms < known.scraped_ms
}

/// Adds to what is recorded under the labels that readings keep.
fn add(mapping: &Mapping, sample: &Sample, amount: Amount, amounts: &mut Amounts) {
    let labels =
        mapping.labels.iter().filter_map(|name| Some((name.clone(), sample.labels.get(name)?.clone())));
    let sum = amounts.entry((mapping.meter.clone(), labels.collect())).or_default();
    // Beyond what an amount holds it is not a count any more.
    *sum = sum.plus(amount).unwrap_or(*sum);
}

fn is_meant(mapping: &Mapping, sample: &Sample) -> bool {
    mapping.metric == sample.metric
        && mapping.matching.iter().all(|(name, value)| sample.labels.get(name) == Some(value))
}

/// A name for one series of a metric.
fn series(sample: &Sample) -> String {
    let labels: Vec<String> = sample.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    labels.join(",")
}

/// Under which name it is kept what a mapping has counted. Whatever of it differs makes another one, which begins with what it finds; but
/// for the labels that readings keep.
pub(crate) fn note(url: &str, unit: &str, mapping: &Mapping) -> String {
    let Mapping { metric, meter, matching, .. } = mapping;
    format!("{NOTE}{}", serde_json::json!([url, unit, metric, matching, meter]))
}

/// Forgets what was counted by mappings that are not configured any more. One that comes back is new.
pub(crate) fn forget_all_but(notes: &BTreeSet<String>, spool: &Spool) -> Result<(), SpoolError> {
    spool.forget_notes(|key| key.starts_with(NOTE) && !notes.contains(key))
}

/// The readings of what was read, and what cannot be one: its meter, and why.
///
/// A reading that could not count would take all that is in its batch with it.
fn readings(amounts: Amounts, source: &Source, now: Timestamp) -> (Vec<Reading>, Vec<(String, String)>) {
    let (mut readings, mut left_out) = (Vec::new(), Vec::new());
    for ((key, labels), amount) in amounts {
        // A meter cannot go below zero.
        if amount < Amount::default() {
            continue;
        }
        let metric = Metric { key, value: amount.to_string(), time: now, labels };
        match sending::check_batch(&source.batch(vec![metric.clone()], now)) {
            Ok(()) => readings.push(reading(source, metric, now)),
            Err(error) => left_out.push((metric.key, format!("{error:#}"))),
        }
    }
    (readings, left_out)
}

/// Reads an endpoint once, and keeps what it says. Gives how many readings that made.
///
/// `told` are the meters of which it was said that something of them is left out.
pub(crate) async fn scrape(
    client: &reqwest::Client,
    scrape: &Scrape,
    source: &Source,
    spool: &Spool,
    told: &mut BTreeSet<String>,
) -> anyhow::Result<usize> {
    let text = fetch(client, &scrape.url).await?;
    let (samples, n_unread) = exposition::parse(&text);
    if 0 < n_unread {
        warn!(url = scrape.url, "could not read {}", count(n_unread as u64, "line", "lines"));
    }
    let now = now();
    let now_ms = milliseconds(now);
    let (mut amounts, mut notes) = (Amounts::new(), Vec::new());
    for mapping in &scrape.meters {
        if mapping.kind == MetricKind::Gauge {
            meant(mapping, &samples).for_each(|(sample, value)| add(mapping, sample, value, &mut amounts));
            continue;
        }
        let key = note(&scrape.url, &source.unit, mapping);
        let known: Option<Known> = spool
            .note(&key)
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .context("read what is known of its counters")?;
        let next = count_on(mapping, &samples, known.as_ref(), now_ms, &mut amounts);
        if known.is_none_or(|known| is_news(&known, &next)) {
            notes.push((key, serde_json::to_string(&next).context("write what is known of its counters")?));
        }
    }
    let (readings, left_out) = readings(amounts, source, now);
    for (meter, reason) in left_out {
        let url = &scrape.url;
        match told.insert(meter.clone()) {
            true => warn!(
                url,
                meter, reason, "left out a reading that no collector could count; this is said once"
            ),
            false => debug!(url, meter, reason, "left out a reading that no collector could count"),
        }
    }
    let n_readings = readings.len();
    let spool = spool.clone();
    // In one record: what was counted is never counted again, and never lost.
    if !readings.is_empty() || !notes.is_empty() {
        tokio::task::spawn_blocking(move || spool.add_readings(readings, notes)).await??;
    }
    Ok(n_readings)
}

pub(crate) fn reading(source: &Source, metric: Metric, now: Timestamp) -> Reading {
    Reading { source: source.clone(), metric, recorded_ms: milliseconds(now) }
}

fn milliseconds(time: Timestamp) -> i64 {
    time.unix_seconds() * 1000 + i64::from(time.nanoseconds() / 1_000_000)
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

    /// Reads these texts one after the other, an hour apart; what each made.
    fn run(mapping: &Mapping, texts: &[&str]) -> Vec<String> {
        run_from(0, mapping, texts)
    }

    /// As [`run`], from this hour since 1970 on.
    fn run_from(first_hour: i64, mapping: &Mapping, texts: &[&str]) -> Vec<String> {
        let mut known: Option<Known> = None;
        let mut made = Vec::new();
        for (text, hour) in texts.iter().zip(first_hour..) {
            let mut amounts = Amounts::new();
            let samples = exposition::parse(text).0;
            let next = count_on(mapping, &samples, known.as_ref(), hour * 3_600_000, &mut amounts);
            if known.as_ref().is_none_or(|known| is_news(known, &next)) {
                // As it is when the agent was started again.
                let text = serde_json::to_string(&next).expect("JSON");
                known = Some(serde_json::from_str(&text).expect("the same"));
            }
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
        let made =
            run(&mapping("c", MetricKind::Counter, &[]), &["c 100", "c 103.5", "c 103.5", "c 2", "c 1e+06"]);
        assert_eq!(made, ["", "m-c[]=3.5", "", "m-c[]=2", "m-c[]=999998"]);
    }

    #[test]
    fn a_process_that_started_again_counts_from_zero_however_high_it_is() {
        let texts = [
            "process_start_time_seconds 1\nc 10",
            "process_start_time_seconds 2\nc 15",
            "process_start_time_seconds 2\nc 16",
        ];
        let mapping = mapping("c", MetricKind::Counter, &[]);
        assert_eq!(run(&mapping, &texts), ["", "m-c[]=15", "m-c[]=1"]);
        // Of two processes neither speaks for the counters.
        let two = |n: u32| {
            format!(
                "process_start_time_seconds{{p=\"1\"}} {n}\nprocess_start_time_seconds{{p=\"2\"}} 5\nc 10"
            )
        };
        assert_eq!(run(&mapping, &[&two(1), &two(2)]), ["", ""]);
    }

    #[test]
    fn a_series_that_the_next_process_makes_later_counts_from_zero() {
        let texts = [
            "process_start_time_seconds 1\nc 100",
            "process_start_time_seconds 2",
            "process_start_time_seconds 2\nc 150",
        ];
        assert_eq!(run(&mapping("c", MetricKind::Counter, &[]), &texts), ["", "", "m-c[]=150"]);
    }

    #[test]
    fn an_endpoint_that_has_nothing_yet_counts_from_zero_later() {
        assert_eq!(run(&mapping("c", MetricKind::Counter, &[]), &["", "c 3"]), ["", "m-c[]=3"]);
    }

    /// What a counter makes that grows by one an hour, at an endpoint that gives these starts; from ten days after 1970 on.
    #[track_caller]
    fn check_starts(starts: &[&str], expected: &[&str]) {
        let texts: Vec<String> = (100..)
            .zip(starts)
            .map(|(n, start)| format!("process_start_time_seconds {start}\nc {n}"))
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let made = run_from(240, &mapping("c", MetricKind::Counter, &[]), &texts);
        let made: Vec<&str> = made.iter().map(|made| made.trim_start_matches("m-c[]=")).collect();
        assert_eq!(made, expected, "{starts:?}");
    }

    #[test]
    fn a_process_has_started_again_only_when_it_did_after_the_last_scrape() {
        // The scrapes are at 864000, 867600 and 871200.
        check_starts(&["5000", "5000.01", "4999.99"], &["", "1", "1"]);
        check_starts(&["5000", "5e+03", "5000.0"], &["", "1", "1"]);
        // The clock was set, by a minute and by days.
        check_starts(&["860000", "860060", "260000"], &["", "1", "1"]);
        check_starts(&["NaN", "866000", "866000"], &["", "1", "1"]);
        check_starts(&["5000", "866000", "866000"], &["", "101", "1"]);
        check_starts(&["5000", "866000", "866000.5"], &["", "101", "1"]);
        check_starts(&["5000", "866000", "868000"], &["", "101", "102"]);
        // Its clock may be a little behind.
        check_starts(&["5000", "863991", "867500"], &["", "101", "1"]);
        check_starts(&["5000", "863989", "867595"], &["", "1", "102"]);
    }

    #[test]
    fn a_start_is_later_than_a_scrape_also_when_nothing_was_new_since() {
        let text = |start: &str, n: u32| format!("process_start_time_seconds {start}\nc {n}");
        let texts = [text("5000", 7), text("5000.5", 7), text("5000", 7), text("872000", 8)];
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let counter = mapping("c", MetricKind::Counter, &[]);
        assert_eq!(run_from(240, &counter, &texts), ["", "", "", "m-c[]=8"]);
        let samples = [exposition::parse(texts[0]).0, exposition::parse(texts[1]).0];
        let on = |n: usize, known: Option<&Known>, hour: i64| {
            count_on(&counter, &samples[n], known, hour * 3_600_000, &mut Amounts::new())
        };
        let known = on(0, None, 240);
        assert!(!is_news(&known, &on(1, Some(&known), 241)), "nothing is written");
        assert!(is_news(&known, &on(1, Some(&known), 239)), "the clock was set back");
    }

    #[test]
    fn a_series_that_is_there_twice_counts_once() {
        let counter = mapping("c", MetricKind::Counter, &[]);
        assert_eq!(run(&counter, &["c 1\nc 1", "c 3\nc 3"]), ["", "m-c[]=2"]);
        assert_eq!(run(&counter, &["c 10\nc 1", "c 12\nc 1", "c 12\nc 1"]), ["", "m-c[]=2", ""]);
        assert_eq!(run(&counter, &["c 1\nc 10", "c 1\nc 12", "c 2\nc 12"]), ["", "", "m-c[]=1"]);
    }

    #[test]
    fn a_series_that_is_missed_for_a_week_is_forgotten() {
        let mapping = mapping("c", MetricKind::Counter, &[]);
        let (there, gone) = (exposition::parse("c 5").0, exposition::parse("other 1").0);
        let mut amounts = Amounts::new();
        let hour = 3_600_000;
        let mut known = count_on(&mapping, &there, None, 0, &mut amounts);
        for n in 1..=7 * 24 {
            known = count_on(&mapping, &gone, Some(&known), n * hour, &mut amounts);
            assert_eq!((known.counters.len(), known.missed.len()), (1, 1), "{n}");
        }
        let back = count_on(&mapping, &there, Some(&known), 8 * 24 * hour, &mut amounts);
        assert_eq!((back.counters.len(), back.missed.len(), amounts.len()), (1, 0, 0));
        known = count_on(&mapping, &gone, Some(&known), (7 * 24 + 1) * hour, &mut amounts);
        assert_eq!((known.counters.len(), known.missed.len()), (0, 0));
    }

    #[test]
    fn what_was_counted_is_known_by_all_that_says_what_is_counted() {
        let one = mapping("c", MetricKind::Counter, &[]);
        let mut others = vec![note("u", "v/0", &one), note("w", "u/0", &one)];
        others.push(note("u", "u/0", &mapping("d", MetricKind::Counter, &[])));
        others.push(note("u", "u/0", &Mapping { meter: "other".to_owned(), ..one.clone() }));
        let matching = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        others.push(note("u", "u/0", &Mapping { matching, ..one.clone() }));
        let this = note("u", "u/0", &one);
        assert!(!others.contains(&this), "{this}");
        assert_eq!(note("u", "u/0", &mapping("c", MetricKind::Counter, &["az"])), this);
    }

    #[test]
    fn a_series_that_comes_later_counts_from_zero_and_one_that_comes_back_from_where_it_was() {
        let mapping = mapping("c", MetricKind::Counter, &["a"]);
        let texts =
            ["c{a=\"1\"} 5", "c{a=\"1\"} 5\nc{a=\"2\"} 3", "c{a=\"2\"} 3", "c{a=\"1\"} 7\nc{a=\"2\"} 3"];
        assert_eq!(run(&mapping, &texts), ["", "m-c[\"2\"]=3", "", "m-c[\"1\"]=2"]);
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
        assert_eq!(run(&only_posts, &[&text(1), &text(4)]), ["", "m-c[\"1\"]=6"]);
    }

    #[test]
    fn a_reading_that_could_not_count_is_left_out_and_the_others_stay() {
        let labelled = |metric: &str, label: &str| format!("{metric}{{az=\"{label}\"}} 2\n");
        let long = "x".repeat(16 * 1024);
        let text = [
            labelled("c", "a"),
            labelled("c", &long),
            labelled("d", "b"),
            // One has many digits before the point, and one many behind.
            "e{n=\"1\"} 1234567890123\ne{n=\"2\"} 0.000000000000000001\n".to_owned(),
        ];
        let samples = exposition::parse(&text.concat()).0;
        let mut amounts = Amounts::new();
        for metric in ["c", "d", "e"] {
            let mapping = mapping(metric, MetricKind::Counter, &["az"]);
            count_on(&mapping, &samples, Some(&Known::default()), 0, &mut amounts);
        }
        let source = Source { model: "m".to_owned(), ..Source::default() };
        let (taken, left_out) = readings(amounts.clone(), &source, Timestamp::default());
        let taken: Vec<(String, String)> =
            taken.into_iter().map(|reading| (reading.metric.key, reading.metric.value)).collect();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(taken, [pair("m-c", "2"), pair("m-d", "2")]);
        let meters: Vec<&str> = left_out.iter().map(|(meter, _)| meter.as_str()).collect();
        assert_eq!(meters, ["m-c", "m-e"]);
        assert!(left_out.iter().all(|(_, reason)| reason.len() < 200), "{left_out:?}");
        let source = Source { unit: "u".repeat(2_000), ..source };
        assert_eq!(readings(amounts, &source, Timestamp::default()).0.len(), 0);
    }

    #[test]
    fn gauges_are_read_as_they_are() {
        let mapping = mapping("g", MetricKind::Gauge, &[]);
        let read = |text: &str| {
            let values = meant(&mapping, &exposition::parse(text).0)
                .map(|(_, value)| value.to_string())
                .collect::<Vec<_>>();
            values.join(" ")
        };
        assert_eq!(["g 5", "g 0", "g NaN", "h 1"].map(read), ["5", "0", "", ""]);
    }
}
