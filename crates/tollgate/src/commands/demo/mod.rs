//! `tollgate demo`: a collector, a fleet of senders, and what came of it.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use indicatif::HumanCount;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::exit::Exit;
use crate::output;

mod comparison;
mod figures;
mod fleet;
mod screen;
mod sender;
mod supervisor;
mod tally;

use comparison::Found;
use fleet::Model;
use screen::{Scene, Screen};
use sender::{Pace, Surroundings};
use supervisor::{Folder, Order, Running};
use tally::{Shared, Standing, Tally, Truth};

/// Runs a collector and a fleet that reports to it.
///
/// Nothing has to be configured or cleaned up: the ledger is in a temporary folder, and 200 models with 2,000 units
/// report three meters through eight senders with a durable spool each, with duplicates, late batches, conflicts and broken ones. Runs until Ctrl-C.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tollgate demo
  tollgate demo --once

With --once a fixed number of batches is sent, the collector is killed (SIGKILL) in the middle and
started again, and what its ledger then holds is compared with what was sent, batch by batch.

Exit codes: 0 all is equal, or Ctrl-C; 1 something differs, or the demo could not run; 2 wrong usage")]
pub(crate) struct Args {
    /// Send a fixed amount, kill the collector in the middle, compare, and end.
    #[arg(long)]
    once: bool,
    /// Batches a second in all [default: 1000, or 4000 with --once].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Leave the folder with the ledger behind, and say where it is.
    #[arg(long)]
    keep: bool,
    #[arg(long, hide = true, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..))]
    models: u16,
    #[arg(long, hide = true, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    units_per_model: u16,
    /// With --once: how many batches each unit sends.
    #[arg(long, hide = true, default_value_t = 24, value_parser = clap::value_parser!(u32).range(2..))]
    rounds: u32,
    #[arg(long, hide = true, default_value_t = 1)]
    seed: u64,
}

/// How often the figures are drawn.
const DRAW_EVERY: Duration = Duration::from_millis(250);
/// A demo that was forgotten must not fill the disk: at this size of the ledger it ends.
const LEDGER_BYTES_MAX: u64 = 4 << 30;

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let root =
        tempfile::Builder::new().prefix("tollgate-demo-").tempdir().context("make a temporary folder")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // A thread for each model and site, and some for the rest.
        .max_blocking_threads(usize::from(args.models) + 64)
        .build()
        .context("start the threads of the fleet")?;
    let result = runtime.block_on(async { Demo::new(args, root.path()).play(args).await });
    // Ends whatever senders there still are; the collector's process ends with its handle.
    drop(runtime);
    if args.keep {
        let kept = root.keep();
        writeln!(std::io::stderr(), "The ledger is in {}", kept.join("ledger").display())
            .context("say where the ledger is")?;
        return result;
    }
    let removed = root.close().context("remove the temporary folder");
    result.and_then(|exit| removed.map(|()| exit))
}

/// What takes part.
struct Demo {
    folder: Folder,
    tally: Arc<Shared>,
    collector: watch::Receiver<Option<Running>>,
    orders: mpsc::Sender<Order>,
    supervisor: JoinHandle<anyhow::Result<()>>,
    /// Tells the fleet's threads to end.
    is_over: Arc<AtomicBool>,
}

/// How a stretch of the demo ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// Every sender has everything acknowledged.
    Delivered,
    /// Somebody asked us to stop.
    Signal,
    /// The ledger is as large as a demo's may get.
    LedgerFull,
}

impl Demo {
    fn new(args: &Args, root: &Path) -> Self {
        let folder = Folder::new(root);
        let truth = Truth { contents: args.once.then(HashMap::new), ..Truth::default() };
        let standings = vec![Standing::default(); usize::from(args.models)];
        let tally = Arc::new(Shared::new(Tally { truth, standings, ..Tally::default() }));
        let (tell, collector) = watch::channel(None);
        let (orders, receiver) = mpsc::channel(4);
        let supervisor = tokio::spawn(supervisor::keep_running(folder.clone(), tell, receiver));
        Self { folder, tally, collector, orders, supervisor, is_over: Arc::default() }
    }

    async fn play(mut self, args: &Args) -> anyhow::Result<Exit> {
        let scene = Scene {
            n_models: args.models.into(),
            n_units: usize::from(args.models) * usize::from(args.units_per_model),
            ledger: self.folder.ledger(),
            n_batches_planned: args.once.then(|| n_batches(args)),
        };
        let mut screen = Screen::new(scene);
        self.collector.wait_for(Option::is_some).await.context("wait for the collector")?;
        let mut fleet = self.set_out(args)?;
        let end = self.watch(&mut screen, &mut fleet, args).await;
        // Also when the watching failed: the collector stops in order before its folder goes.
        self.is_over.store(true, Ordering::Relaxed);
        while fleet.join_next().await.is_some() {}
        let stopped = self.stop().await;
        let end = end?;
        stopped?;
        match end {
            End::Delivered => self.conclude().await,
            End::Signal if args.once => bail!("finish the demo: it was stopped before everything was sent"),
            End::Signal => self.farewell("Stopped"),
            End::LedgerFull => {
                self.farewell("The demo's ledger has grown to 4 GiB, which is enough. Stopped")
            }
        }
    }

    /// Starts the sites and their models, each model at its own moment within the period.
    fn set_out(&self, args: &Args) -> anyhow::Result<JoinSet<anyhow::Result<()>>> {
        let n_models = usize::from(args.models);
        let n_units = n_models * usize::from(args.units_per_model);
        let rate = args.rate.unwrap_or(if args.once { 4_000 } else { 1_000 });
        let period = Duration::from_secs_f64(n_units as f64 / f64::from(rate)).max(Duration::from_millis(1));
        let pace = Pace { period, n_rounds: args.once.then_some(args.rounds.into()) };
        let models = (0..n_models).map(|index| Model::new(args.seed, index, args.units_per_model.into()));
        let models: Vec<Model> = models.collect();
        let indices = models.iter().enumerate().map(|(index, model)| (model.uuid.clone(), index));
        let around = Surroundings {
            client: sender::client()?,
            tally: Arc::clone(&self.tally),
            collector: self.collector.clone(),
            handle: Handle::current(),
            models: Arc::new(indices.collect()),
            is_over: self.is_over.clone(),
            acknowledged: Arc::default(),
            n_recording: Arc::new(AtomicUsize::new(n_models)),
        };
        let mut fleet = JoinSet::new();
        let mut spools = Vec::new();
        for site in 0..sender::N_SITES.min(n_models) {
            let spool = sender::spool(&self.folder.spool(site))?;
            let (around, seed) = (around.clone(), args.seed.wrapping_add(site as u64));
            spools.push(spool.clone());
            fleet.spawn_blocking(move || sender::send(&spool, seed, &around));
        }
        for (index, model) in models.into_iter().enumerate() {
            let first_after = period.mul_f64(index as f64 / n_models as f64);
            let (around, spool) = (around.clone(), spools[index % spools.len()].clone());
            fleet.spawn_blocking(move || sender::measure(model, &spool, first_after, pace, &around));
        }
        Ok(fleet)
    }

    /// Draws until the fleet is done or somebody asks to stop. With --once the collector is killed half-way.
    async fn watch(
        &mut self,
        screen: &mut Screen,
        fleet: &mut JoinSet<anyhow::Result<()>>,
        args: &Args,
    ) -> anyhow::Result<End> {
        let mut interrupt = signal(SignalKind::interrupt()).context("listen for signals")?;
        let mut terminate = signal(SignalKind::terminate()).context("listen for signals")?;
        let mut hangup = signal(SignalKind::hangup()).context("listen for signals")?;
        let mut kill_at = args.once.then(|| n_batches(args) / 2);
        let mut draw = tokio::time::interval(DRAW_EVERY);
        loop {
            tokio::select! {
                _ = interrupt.recv() => return Ok(End::Signal),
                _ = terminate.recv() => return Ok(End::Signal),
                _ = hangup.recv() => return Ok(End::Signal),
                ended = &mut self.supervisor => {
                    ended.context("keep a collector running")??;
                    bail!("keep a collector running: it was not told to stop");
                }
                sender = fleet.join_next() => match sender {
                    Some(done) => done.context("run a sender")??,
                    None => {
                        self.draw(screen)?;
                        return Ok(End::Delivered);
                    }
                },
                _ = draw.tick() => {
                    let n_acknowledged = self.tally.lock().traffic.n_batches_acknowledged;
                    if kill_at.is_some_and(|at| at <= n_acknowledged) {
                        kill_at = None;
                        self.orders.send(Order::Kill).await.context("kill the collector")?;
                    }
                    self.draw(screen)?;
                    if !args.once && LEDGER_BYTES_MAX < folder_bytes(&self.folder.ledger()) {
                        return Ok(End::LedgerFull);
                    }
                }
            }
        }
    }

    fn draw(&self, screen: &mut Screen) -> anyhow::Result<()> {
        let collector = self.collector.borrow().clone();
        screen.show(&self.tally, collector.as_ref())
    }

    /// Tells the collector to stop and waits until it has.
    async fn stop(&mut self) -> anyhow::Result<()> {
        // When the supervisor has ended already, its error was the reason why we are here.
        if self.orders.send(Order::Stop).await.is_err() {
            return Ok(());
        }
        (&mut self.supervisor).await.context("stop the collector")?
    }

    /// Compares, prints, and gives the exit code.
    async fn conclude(&self) -> anyhow::Result<Exit> {
        let dir = self.folder.ledger();
        let found = tokio::task::spawn_blocking(move || Found::read(&dir))
            .await
            .context("read the ledger")?
            .context("read the ledger")?;
        let tally = self.tally.lock();
        let rows = comparison::compare(&tally, &found);
        let all_equal = rows.iter().all(comparison::Row::is_equal);
        let traffic = &tally.traffic;
        let mut out = output::stdout();
        writeln!(
            out,
            "\nThe collector was killed once in the middle. Of {} requests {} failed;\n\
             {} batches were sent again and {} came late. Read from the ledger's\n\
             folder, after the collector had stopped:\n\n{}\n\n{}",
            HumanCount(traffic.n_requests),
            HumanCount(traffic.n_requests_failed),
            HumanCount(traffic.n_sent_again),
            HumanCount(tally.truth.n_late),
            comparison::table(&rows),
            if all_equal {
                "Nothing was lost and nothing was counted twice."
            } else {
                "THE LEDGER IS WRONG."
            },
        )
        .and_then(|()| out.flush())
        .context("write the comparison")?;
        Ok(if all_equal { Exit::Ok } else { Exit::Failed })
    }

    fn farewell(&self, what: &str) -> anyhow::Result<Exit> {
        let tally = self.tally.lock();
        let mut out = output::stdout();
        let n_batches = HumanCount(tally.traffic.n_batches_acknowledged);
        writeln!(out, "\n{what} after {n_batches} batches; the demo has cleaned up after itself.")
            .and_then(|()| out.flush())
            .context("say goodbye")?;
        Ok(Exit::Ok)
    }
}

fn n_batches(args: &Args) -> u64 {
    u64::from(args.models) * u64::from(args.units_per_model) * u64::from(args.rounds)
}

/// The size of the files in a folder and its folders; what cannot be read counts nothing.
fn folder_bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => folder_bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}
