//! Random groups, the same ones each time, held to the reference.

use tollgate_rules::Reason;
use tollgate_wire::{MetricBatch, Status};

use super::Check;
use super::sample::{batch, canonical, entry, posted, seconds, status};
use super::subject::Subject;
use crate::{Act, Entry, HandStatus};

pub(super) const CHECKS: &[Check] = &[
    ("random groups with seed 1", |subject| random_groups(subject, 1)),
    ("random groups with seed 2", |subject| random_groups(subject, 2)),
    ("random groups with seed 3", |subject| random_groups(subject, 3)),
    ("random groups with seed 4", |subject| random_groups(subject, 4)),
];

/// Few ids and few contents, so that most elements meet an earlier one.
fn random_groups(subject: &mut Subject<'_>, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..60 {
        let n_elements = random.usize(0..12);
        let release = random_release(&mut random, subject.n_quarantined());
        let elements = (0..n_elements).map(|_| match random.u32(0..8) {
            0 => random_act(&mut random),
            _ => random_element(&mut random),
        });
        subject.record(release.into_iter().chain(elements).collect::<Vec<_>>());
        match random.u32(0..20) {
            0 => subject.reopen(),
            1 => subject.abandon(),
            2..5 => subject.compare("between groups"),
            _ => {}
        }
    }
}

const MODELS: [&str; 4] = ["", "deadbeef-0bad-400d-8000-4b1d0d06f00d", "MODEL", "model"];

/// Few topics and few contents, for the same reason.
fn random_act(random: &mut fastrand::Rng) -> Entry {
    let model_uuid: Box<str> = MODELS[random.usize(1..4)].into();
    let unit_name: Box<str> = ["", "metered/0"][random.usize(0..2)].into();
    Entry::Act(match random.u32(0..6) {
        0 => Act::ClearStatus { model_uuid, unit_name },
        1 => Act::Revoke { credential_id: format!("credential {}", random.u32(0..9)).into() },
        2 => Act::Declare { model_uuid, user: ["bob", "eve"][random.usize(0..2)].into() },
        _ => {
            let colour = [Status::Red, Status::Amber][random.usize(0..2)];
            let expires = [None, Some(seconds(random.i64(0..2)))][random.usize(0..2)];
            Act::SetStatus(HandStatus { expires, ..status(&model_uuid, &unit_name, colour) })
        }
    })
}

/// Now and then one, of any element that there is.
fn random_release(random: &mut fastrand::Rng, n_quarantined: u64) -> Option<Entry> {
    if n_quarantined == 0 || random.u32(0..3) != 0 {
        return None;
    }
    let quarantine_id = random.u64(1..=n_quarantined);
    let batch = match random_element(random) {
        Entry::Batch(batch) | Entry::Refused(batch, _) => Some(batch),
        _ => None,
    };
    Some(Entry::Act(Act::Release { quarantine_id, batch }))
}

fn random_element(random: &mut fastrand::Rng) -> Entry {
    const VALUES: [&str; 6] = ["0.1", "5", "1_000", "0x1p-3", "NaN", "-1"];
    let model_uuid = random.choice(MODELS).unwrap_or_default();
    let n_batch = random.u32(0..30);
    let uuid = match n_batch {
        0 => String::new(),
        n if n % 2 == 0 => format!("{n:08x}-0bad-400d-8000-4b1d0d06f00d"),
        n => format!("batch {n}"),
    };
    // Mostly the same content for the same id.
    let value = if random.u32(0..5) != 0 { VALUES[n_batch as usize % 4] } else { VALUES[random.usize(0..6)] };
    let mut batch = MetricBatch {
        unit_name: ["", "metered/0", "metered/1"][n_batch as usize % 3].to_owned(),
        created: seconds(i64::from(n_batch / 3)),
        ..batch(model_uuid, &uuid, value)
    };
    batch.model_name = format!("name {}", n_batch % 4);
    let minutes = i64::from(n_batch) * 37 % 300;
    batch.metrics.as_mut().expect("a sample has metrics")[0].time = seconds(60 * minutes);
    match random.u32(0..20) {
        0 => posted(&canonical(&batch).replace("\"metrics\":[", "\"metrics\":[7,")),
        1 => posted(&canonical(&batch).replace("\",\"", "\", \"")),
        2..4 => match entry(&batch) {
            Entry::Batch(batch) => Entry::Refused(batch, Reason::MissingUuid),
            entry => entry,
        },
        _ => entry(&batch),
    }
}
