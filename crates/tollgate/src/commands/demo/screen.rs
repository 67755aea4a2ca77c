//! The live figures: a block that is redrawn in place on a terminal, a line now and then in a pipe.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use console::{Term, style, truncate_str};
use indicatif::{HumanBytes, HumanCount};

use super::figures::{Figures, Rates};
use super::folder_bytes;
use super::supervisor::Running;
use super::tally::Shared;

/// Lines in a pipe come this far apart.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// What does not change while the demo runs.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    pub(super) n_models: usize,
    pub(super) n_units: usize,
    pub(super) ledger: PathBuf,
    /// Batches in all, for a run that ends.
    pub(super) n_batches_planned: Option<u64>,
}

/// Draws the figures.
pub(super) struct Screen {
    scene: Scene,
    term: Term,
    n_lines_drawn: usize,
    last_line: Option<Instant>,
    started: Instant,
    rates: Rates,
}

impl Screen {
    pub(super) fn new(scene: Scene) -> Self {
        Self {
            scene,
            term: Term::stdout(),
            n_lines_drawn: 0,
            last_line: None,
            started: Instant::now(),
            rates: Rates::default(),
        }
    }

    /// Shows the figures of now. Fails when the reader of standard output has gone.
    pub(super) fn show(&mut self, tally: &Shared, collector: Option<&Running>) -> anyhow::Result<()> {
        // The lock is free again before anything is drawn: a terminal that stands still must not hold up the senders.
        let figures = Figures::of(&tally.lock(), &mut self.rates);
        if self.term.is_term() {
            self.redraw(&block(&self.scene, &figures, collector))
        } else if self.last_line.is_none_or(|last| LINE_EVERY <= last.elapsed()) {
            self.last_line = Some(Instant::now());
            let line = line(self.started.elapsed(), &figures, collector);
            self.term.write_line(&line).map_err(crate::output::mark).context("write the figures")
        } else {
            Ok(())
        }
    }

    /// One write, so that nothing flickers: up to the first line, each line anew, and what is left below cleared.
    fn redraw(&mut self, lines: &[String]) -> anyhow::Result<()> {
        let (rows, columns) = self.term.size();
        let mut frame = String::new();
        if 0 < self.n_lines_drawn {
            frame.push_str(&format!("\x1b[{}A\r", self.n_lines_drawn));
        }
        // A line that wraps, or a block higher than the window, could not be drawn over again.
        let lines = &lines[..lines.len().min(usize::from(rows).saturating_sub(1).max(1))];
        for line in lines {
            frame.push_str(&truncate_str(line, usize::from(columns), "…"));
            frame.push_str("\x1b[K\n");
        }
        frame.push_str("\x1b[J");
        self.n_lines_drawn = lines.len();
        self.term
            .write_str(&frame)
            .and_then(|()| self.term.flush())
            .map_err(crate::output::mark)
            .context("draw")
    }
}

/// The block for a terminal.
fn block(scene: &Scene, figures: &Figures, collector: Option<&Running>) -> Vec<String> {
    let count = |n: u64| format!("{:>12}", HumanCount(n).to_string());
    let row = |name: &str, n: u64, rest: String| {
        format!("  {} {}  {rest}", style(format!("{name:<11}")).dim(), count(n))
    };
    let [green, amber, red] = figures.n_units_by_status;
    let planned = match scene.n_batches_planned {
        Some(n_planned) => format!(" of {}", HumanCount(n_planned)),
        None => String::new(),
    };
    let mut lines = vec![
        format!(
            "{}  {} models, {} units, 3 meters",
            style("Tollgate demo").bold(),
            scene.n_models,
            HumanCount(scene.n_units as u64)
        ),
        String::new(),
        row(
            "batches",
            figures.n_batches,
            format!("{:<34} {}", format!("acknowledged{planned}"), per_second(figures.batches_per_second)),
        ),
        row(
            "metrics",
            figures.n_metrics,
            format!("{:<34} {}", "acknowledged", per_second(figures.metrics_per_second)),
        ),
        row("late", figures.n_late, "measured up to thirty days before".to_owned()),
        row("duplicates", figures.n_sent_again, "sent again, counted once".to_owned()),
        row(
            "quarantine",
            figures.n_broken + figures.n_conflicts,
            format!(
                "{} broken, {} in conflict",
                HumanCount(figures.n_broken),
                HumanCount(figures.n_conflicts)
            ),
        ),
        row(
            "units",
            green + amber + red,
            format!(
                "{} GREEN   {} AMBER   {} RED",
                style(green).green(),
                style(amber).yellow(),
                style(red).red()
            ),
        ),
        row("requests", figures.n_requests, requests(figures)),
        format!(
            "  {} {:>12}  {}",
            style(format!("{:<11}", "ledger")).dim(),
            HumanBytes(folder_bytes(&scene.ledger)).to_string(),
            scene.ledger.display()
        ),
        String::new(),
    ];
    lines.extend(addresses(collector));
    lines.push(String::new());
    lines.push(match scene.n_batches_planned {
        Some(_) => "Then the ledger is compared with what was sent. Ctrl-C gives up.".to_owned(),
        None => "Ctrl-C ends the demo and removes its folder.".to_owned(),
    });
    lines
}

fn requests(figures: &Figures) -> String {
    let mut text = match figures.answer_times {
        Some((median, most)) => {
            format!("median {}, 99 of 100 in {}", milliseconds(median), milliseconds(most))
        }
        None => "none answered yet".to_owned(),
    };
    if 0 < figures.n_requests_failed {
        text.push_str(&format!("; {} failed", HumanCount(figures.n_requests_failed)));
    }
    text
}

/// What to try by hand.
fn addresses(collector: Option<&Running>) -> Vec<String> {
    let Some(Running { listen, admin, pid, n_died }) = collector else {
        return vec![format!("  {}", style("The collector is down; it is being started.").red())];
    };
    let died = match n_died {
        0 => String::new(),
        1 => " (the collector died once so far)".to_owned(),
        n => format!(" (the collector died {n} times so far)"),
    };
    let hint = |command: String, why: &str| format!("  {command:<55} {}", style(why).dim());
    vec![
        format!("Try in another terminal{died}:"),
        hint(format!("curl -s 'http://{admin}/api/v1/models?limit=1'"), "a model and its usage"),
        hint(format!("tollgate models --url http://{admin}"), "all of them"),
        hint(format!("curl -s --data '[]' http://{listen}/metrics"), "post as a sender does"),
        hint(format!("kill -9 {pid}"), "it comes back whole"),
    ]
}

/// One line for a pipe.
fn line(elapsed: Duration, figures: &Figures, collector: Option<&Running>) -> String {
    let [green, amber, red] = figures.n_units_by_status;
    let seconds = elapsed.as_secs();
    let place = match collector {
        Some(running) => format!("listen={} admin={}", running.listen, running.admin),
        None => "collector down".to_owned(),
    };
    format!(
        "{:02}:{:02}  {} batches ({}), {} metrics ({}), {} duplicates, {} in quarantine, \
         units {green} GREEN {amber} AMBER {red} RED, {} requests failed, {place}",
        seconds / 60,
        seconds % 60,
        HumanCount(figures.n_batches),
        per_second(figures.batches_per_second),
        HumanCount(figures.n_metrics),
        per_second(figures.metrics_per_second),
        HumanCount(figures.n_sent_again),
        HumanCount(figures.n_broken + figures.n_conflicts),
        HumanCount(figures.n_requests_failed),
    )
}

fn per_second(rate: f64) -> String {
    format!("{}/s", HumanCount(rate.round() as u64))
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1_000.0)
}
