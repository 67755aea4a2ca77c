//! What was measured in turns, and the medians of it.

use std::fmt::{self, Display};
use std::time::Duration;

use crate::load::Load;

/// One turn of a contender.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// Batches in a second.
    pub rate: f64,
    /// Within this half of the requests were answered.
    pub half: Duration,
    /// Within this 99 of 100 were.
    pub most: Duration,
    /// Processor time that the server used for one batch; `None` when it is not one process.
    pub server: Option<Duration>,
}

impl Measured {
    /// Of a load, for which the server used so much processor time.
    #[must_use]
    pub fn of(load: &Load, server: Option<Duration>) -> Self {
        let each = |time: Duration| time.div_f64(load.n_batches() as f64);
        Self {
            rate: load.rate(),
            half: load.quantile(0.5),
            most: load.quantile(0.99),
            server: server.map(each),
        }
    }
}

/// Contenders that did the same thing, in the order in which they first had a turn.
#[derive(Debug)]
pub struct Table {
    title: String,
    /// The contender that the others' rates are divided by.
    yardstick: &'static str,
    rows: Vec<(&'static str, Vec<Measured>)>,
}

impl Table {
    /// Without rows.
    #[must_use]
    pub fn new(title: impl Into<String>, yardstick: &'static str) -> Self {
        Self { title: title.into(), yardstick, rows: Vec::new() }
    }

    /// Adds a turn of a contender.
    pub fn add(&mut self, contender: &'static str, measured: Measured) {
        match self.rows.iter_mut().find(|(name, _)| *name == contender) {
            Some((_, turns)) => turns.push(measured),
            None => self.rows.push((contender, vec![measured])),
        }
    }

    /// The median of a figure over a contender's turns.
    #[must_use]
    pub fn median(&self, contender: &str, figure: impl Fn(&Measured) -> f64) -> Option<f64> {
        let (_, turns) = self.rows.iter().find(|(name, _)| *name == contender)?;
        let mut figures: Vec<f64> = turns.iter().map(figure).collect();
        figures.sort_unstable_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied()
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<44} {:>10} {:>8} {:>10} {:>10} {:>10}",
            self.title, "batches/s", "times Go", "median ms", "p99 ms", "server µs"
        )?;
        let yardstick = self.median(self.yardstick, |turn| turn.rate);
        for (name, _) in &self.rows {
            let figure = |figure: fn(&Measured) -> f64| self.median(name, figure).unwrap_or_default();
            let (rate, half) = (figure(|turn| turn.rate), figure(|turn| milliseconds(turn.half)));
            let most = figure(|turn| milliseconds(turn.most));
            let server = figure(|turn| turn.server.map_or(f64::NAN, |each| each.as_secs_f64() * 1e6));
            let ratio = yardstick.map_or("-".to_owned(), |yardstick| format!("{:.1}", rate / yardstick));
            let server = if server.is_nan() { "-".to_owned() } else { format!("{server:.1}") };
            writeln!(f, "{name:<44} {rate:>10.0} {ratio:>8} {half:>10.2} {most:>10.2} {server:>10}")?;
        }
        Ok(())
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
