//! Random groups, the same ones each time, held to the reference.

use tollgate_wire::MetricBatch;

use super::Check;
use super::sample::{batch, canonical, entry, posted, seconds};
use super::subject::Subject;
use crate::Entry;

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
        subject.record((0..n_elements).map(|_| random_element(&mut random)).collect::<Vec<_>>());
        match random.u32(0..20) {
            0 => subject.reopen(),
            1 => subject.abandon(),
            2..5 => subject.compare("between groups"),
            _ => {}
        }
    }
}

fn random_element(random: &mut fastrand::Rng) -> Entry {
    const MODELS: [&str; 4] = ["", "deadbeef-0bad-400d-8000-4b1d0d06f00d", "MODEL", "model"];
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
    match random.u32(0..20) {
        0 => posted(&canonical(&batch).replace("\"metrics\":[", "\"metrics\":[7,")),
        1 => posted(&canonical(&batch).replace("\",\"", "\", \"")),
        _ => entry(&batch),
    }
}
