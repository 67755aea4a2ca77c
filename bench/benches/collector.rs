//! Whole collectors over HTTP, their peers, and the disk below: batches acknowledged in a second.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the tables are what this program is for")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Parser as _;
use tollgate_bench::bare::{load_syncing, start_null};
use tollgate_bench::chunk::Chunk;
use tollgate_bench::disk::{append_and_sync, append_and_sync_at};
use tollgate_bench::document::batches;
use tollgate_bench::load::{Batches, Load, Pace, post_chunks, post_singles};
use tollgate_bench::postgres::{self, Cluster};
use tollgate_bench::server::{Program, Server};
use tollgate_bench::table::{Measured, Table};

/// Connections that post chunks: some controllers at the same time.
const N_CHUNK_CONNECTIONS: usize = 8;

/// Connections that post single batches.
const N_SINGLE_CONNECTIONS: usize = 64;

/// Connections to PostgreSQL: more do not make it faster on two cores.
const N_POSTGRES_CONNECTIONS: usize = 4;

const NOTHING: &str = "a server that does nothing";
const SYNCING: &str = "a server that appends, syncs and answers";
const DISK: &str = "append and fdatasync, nothing else";
const TOLLGATE: &str = "tollgate";
const LIMITED: &str = "tollgate with 10,000 allowances";
const GO: &str = "Go collector";
const POSTGRES: &str = "PostgreSQL, without HTTP and decoding";
const POSTGRES_ALONE: &str = "the same by a single client";
const SHARED: &str = "tollgate on PostgreSQL";
const SHARED_LIMITED: &str = "the same with 10,000 allowances";

/// Measures whole collectors beside their peers.
#[derive(Debug, clap::Parser)]
struct Args {
    /// One round of a second each: whether it works, not how fast it is.
    #[arg(long)]
    quick: bool,
    /// Rounds; the tables have the medians.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long each load of a round is.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Where ledgers are for a while, on the disk to be measured [default: the system's temporary folder].
    #[arg(long)]
    folder: Option<PathBuf>,
    /// A `tollgate` that was built before, such as one of another commit [default: this workspace's, built now].
    #[arg(long)]
    tollgate: Option<PathBuf>,
    /// Single batches a second where the time of an answer is what is measured: with more than a server can take, that would be
    /// the length of its queue.
    #[arg(long, default_value_t = 20_000)]
    pace: u32,
    /// Leave the peers out.
    #[arg(long)]
    alone: bool,
    /// Post single batches alone.
    #[arg(long)]
    singles: bool,
    /// What cargo passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let folder = args.folder.unwrap_or_else(std::env::temp_dir);
    let n_rounds = if args.quick { 1 } else { args.rounds.max(1) };
    let time = Duration::from_secs_f64(if args.quick { 1.0 } else { args.seconds });
    let tollgate = Program::tollgate(args.tollgate)?;
    let built = tempfile::tempdir().context("make a folder for the peer")?;
    let limited = with_allowances(&tollgate, built.path()).context("configure allowances")?;
    let go = if args.alone { None } else { go_collector(built.path()) };
    let postgres = if args.alone { None } else { postgres_programs() };

    let batch_bytes = Chunk::of_request(&batches()).text().len() / batches().len();
    println!(
        "{n_rounds} rounds in turns, {time:?} each, {batch_bytes} bytes a batch, every batch acknowledged; \
         the ledgers in {}\n",
        folder.display()
    );
    let mut tables = Tables {
        new: Table::new("1,000 batches a request, 8 connections", GO),
        again: Table::new("the same batches again", GO),
        single: Table::new("one batch a request, 64 connections", GO),
        paced: Table::new(format!("the same, {} requests a second", args.pace), GO),
        pace: args.pace,
        singles: args.singles,
    };
    for round in 1..=n_rounds {
        eprintln!("round {round} of {n_rounds}");
        tables.collector(TOLLGATE, &tollgate, &folder, time)?;
        tables.collector(LIMITED, &limited, &folder, time)?;
        if let Some(go) = &go {
            tables.collector(GO, go, &folder, time)?;
        }
        if let Some(programs) = &postgres {
            tables.postgres(programs, &folder, time)?;
            tables.shared(SHARED, &tollgate, programs, &folder, time)?;
            tables.shared(SHARED_LIMITED, &limited, programs, &folder, time)?;
        }
        tables.limits(&folder, time)?;
    }
    println!("{}\n{}\n{}\n{}", tables.new, tables.again, tables.single, tables.paced);
    tables.print_latency();
    Ok(())
}

struct Tables {
    new: Table,
    again: Table,
    single: Table,
    paced: Table,
    pace: u32,
    /// Leave the chunks out.
    singles: bool,
}

impl Tables {
    /// Chunks and single batches each on a server of their own: what one load leaves to be done is not counted with the next.
    fn collector(
        &mut self,
        name: &'static str,
        program: &Program,
        folder: &Path,
        time: Duration,
    ) -> Result<()> {
        if !self.singles {
            self.chunks(name, program, folder, time)?;
        }
        let Self { single, paced, pace, .. } = self;
        loaded(name, program, folder, |server| {
            let post = |pace| move || post_singles(server.listen, N_SINGLE_CONNECTIONS, pace, time);
            let most = measure(name, server, single, post(Pace::Unbounded))?;
            let paced = measure(name, server, paced, post(Pace::PerSecond(*pace)))?;
            Ok(most.n_batches() + paced.n_batches())
        })
    }

    fn postgres(&mut self, programs: &Path, folder: &Path, time: Duration) -> Result<()> {
        let cluster = Cluster::start(programs, folder).context("start PostgreSQL")?;
        let load = cluster.record(N_POSTGRES_CONNECTIONS, time).context("record in PostgreSQL")?;
        self.new.add(POSTGRES, Measured::of(&load, None));
        let (n_committed, n_recorded) = (load.n_batches(), cluster.n_recorded()?);
        ensure!(n_committed == n_recorded, "PostgreSQL committed {n_committed} rows and holds {n_recorded}");
        drop(cluster);
        let cluster = Cluster::start(programs, folder).context("start PostgreSQL")?;
        let load = cluster.record(1, time).context("record in PostgreSQL")?;
        self.new.add(POSTGRES_ALONE, Measured::of(&load, None));
        let (n_committed, n_recorded) = (load.n_batches(), cluster.n_recorded()?);
        ensure!(n_committed == n_recorded, "PostgreSQL committed {n_committed} rows and holds {n_recorded}");
        Ok(())
    }

    fn chunks(&mut self, name: &'static str, program: &Program, folder: &Path, time: Duration) -> Result<()> {
        let Self { new, again, .. } = self;
        loaded(name, program, folder, |server| {
            let post = |what| move || post_chunks(server.listen, N_CHUNK_CONNECTIONS, what, time);
            let load = measure(name, server, new, post(Batches::New))?;
            measure(name, server, again, post(Batches::Again(&load)))?;
            Ok(load.n_batches())
        })
    }

    /// A collector on a ledger in PostgreSQL: rollups, folding and statuses included.
    fn shared(
        &mut self,
        name: &'static str,
        program: &Program,
        programs: &Path,
        folder: &Path,
        time: Duration,
    ) -> Result<()> {
        let cluster = Cluster::start(programs, folder).context("start PostgreSQL")?;
        let program = Program { location: Some(cluster.url()), ..program.clone() };
        self.chunks(name, &program, folder, time)
    }

    /// What the load costs by itself, and what the disk does.
    fn limits(&mut self, folder: &Path, time: Duration) -> Result<()> {
        let null = start_null()?;
        let load = post_chunks(null, N_CHUNK_CONNECTIONS, Batches::New, time).context("load nothing")?;
        self.new.add(NOTHING, Measured::of(&load, None));
        let pace = Pace::PerSecond(self.pace);
        for (table, pace) in [(&mut self.single, Pace::Unbounded), (&mut self.paced, pace)] {
            let load = post_singles(null, N_SINGLE_CONNECTIONS, pace, time).context("load nothing")?;
            table.add(NOTHING, Measured::of(&load, None));
            settle_disk();
            let post = |address| post_singles(address, N_SINGLE_CONNECTIONS, pace, time);
            let load = load_syncing(folder, post).context("load one that syncs")?;
            table.add(SYNCING, Measured::of(&load, None));
        }

        settle_disk();
        let mut chunk = Chunk::of_request(&batches());
        self.new.add(DISK, Measured::of(&append_and_sync(folder, &mut chunk, time)?, None));
        let mut chunk = Chunk::of_request(&batches()[..N_SINGLE_CONNECTIONS]);
        self.single.add(DISK, Measured::of(&append_and_sync(folder, &mut chunk, time)?, None));
        let mut chunk = Chunk::of_request(&batches()[..1]);
        let load = append_and_sync_at(folder, &mut chunk, self.pace, time)?;
        self.paced.add(DISK, Measured::of(&load, None));
        Ok(())
    }

    fn print_latency(&self) {
        let most = self.paced.median(TOLLGATE, |turn| turn.most.as_secs_f64());
        let sync = self.single.median(DISK, |turn| turn.half.as_secs_f64());
        if let (Some(most), Some(sync)) = (most, sync) {
            println!(
                "at {} requests a second, 99 of 100 are answered within {:.1} times one append and sync of 64",
                self.pace,
                most / sync
            );
        }
    }
}

/// Starts a server, has it loaded, and compares how many batches it acknowledged with how many it says it has.
fn loaded(
    name: &str,
    program: &Program,
    folder: &Path,
    load: impl FnOnce(&Server) -> Result<u64>,
) -> Result<()> {
    settle_disk();
    let server = Server::start(program, folder).with_context(|| format!("start {name}"))?;
    let n_acknowledged = load(&server)?;
    let n_recorded = server.n_recorded()?;
    ensure!(
        n_acknowledged == n_recorded,
        "{name} acknowledged {n_acknowledged} batches and says that it recorded {n_recorded}"
    );
    eprintln!("  {name}: {n_recorded} batches, at most {} MiB", server.resident_bytes_max()? >> 20);
    server.stop().with_context(|| format!("stop {name}"))
}

/// Gives the disk back now what was removed, and not while what comes next is measured.
fn settle_disk() {
    rustix::fs::sync();
}

/// One load of a server, with the processor time that it took there.
fn measure(
    name: &'static str,
    server: &Server,
    table: &mut Table,
    post: impl FnOnce() -> Result<Load>,
) -> Result<Load> {
    let before = server.processor_time()?;
    let load = post().with_context(|| format!("load {name}"))?;
    table.add(name, Measured::of(&load, Some(server.processor_time()? - before)));
    Ok(load)
}

/// The same with allowances for every meter of the model that posts, in the present month and in total, and for as many other models
/// as make ten thousand.
fn with_allowances(tollgate: &Program, folder: &Path) -> Result<Program> {
    const N_ALLOWANCES: usize = 10_000;
    let posted = batches();
    let first = posted.first().context("a batch")?;
    let meters: BTreeSet<&str> =
        posted.iter().flat_map(|batch| batch.metrics.iter().flatten()).map(|metric| &*metric.key).collect();
    let mut text = String::new();
    let mut n_written = 0;
    let mut write = |model: &str, meter: &str, per: &str| {
        n_written += 1;
        let limit = "limit = '1e30'";
        text.push_str(&format!(
            "[[allowance]]\nname = 'a{n_written}'\nmodels = ['{model}']\nmeter = '{meter}'\nper = '{per}'\n{limit}\n"
        ));
        n_written
    };
    for meter in &meters {
        write(&first.model_uuid, meter, "month");
        write(&first.model_uuid, meter, "total");
    }
    let meter = meters.first().context("a meter")?;
    let mut n_others = 0;
    while write(&format!("another-{n_others}"), meter, "month") < N_ALLOWANCES {
        n_others += 1;
    }
    let file = folder.join("allowances.toml");
    std::fs::write(&file, text).context("write a configuration")?;
    let mut arguments = vec!["serve".to_owned(), "--config".to_owned(), file.display().to_string()];
    arguments.extend(tollgate.arguments.iter().skip(1).cloned());
    Ok(Program { arguments, ..tollgate.clone() })
}

/// `None`, and a line that says so, where there is no Go.
fn go_collector(folder: &Path) -> Option<Program> {
    let path = folder.join("collector");
    let built = Command::new("go")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance"))
        .args(["build", "-o"])
        .arg(&path)
        .arg("./cmd/collector")
        .status();
    if !built.is_ok_and(|status| status.success()) {
        println!(
            "the Go collector did not run: `go build` of conformance/cmd/collector failed or there is no Go here"
        );
        return None;
    }
    Some(Program { path, arguments: Vec::new(), location: None, counted_by: "collector_batches " })
}

/// `None`, and a line that says so, where there is no PostgreSQL.
fn postgres_programs() -> Option<PathBuf> {
    let programs = postgres::programs();
    if programs.is_none() {
        println!("PostgreSQL did not run: there is none in /usr/lib/postgresql");
    }
    programs
}
