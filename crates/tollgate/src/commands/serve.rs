//! `tollgate serve`: the collector.

use std::convert::Infallible;
use std::io::Write as _;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tollgate_collector::{Collector, CollectorError, CurrentTerms};
use tracing::{error, info, warn};

use crate::configuration::{self, Configuration};
use crate::exit::{self, Exit};
use crate::{ledger, logging, open_files, output};

/// Runs a collector until SIGTERM or SIGINT (Ctrl-C).
///
/// When it is ready it prints one line on standard output, `ready listen=ADDR admin=ADDR ledger=…`; logs go to
/// standard error. Without any configuration it keeps its ledger in ./tollgate-ledger.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tollgate serve
  tollgate serve --ledger /var/lib/tollgate --listen 0.0.0.0:8480
  tollgate serve --config /etc/tollgate.toml --log-format json
  curl -X POST --data '[]' http://127.0.0.1:8480/metrics

Every key of the configuration is also an environment variable: see `tollgate config --help`.
RUST_LOG chooses what is logged, such as RUST_LOG=debug.
SIGHUP reads meters, users, allowances, credentials' keys and plans, and the grace period again; when anything
in it is bad, nothing changes.

Exit codes:
  0  told to stop; every request in flight was answered, or the ledger was still being opened
  1  it could not start or go on
  2  the command line or the configuration is wrong
 70  the ledger failed while serving; what was acknowledged is durable, start it again")]
pub(crate) struct Args {
    /// How log lines look.
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        env = "TOLLGATE_LOG_FORMAT",
        hide_env_values = true
    )]
    log_format: logging::Format,
    #[command(flatten)]
    flags: configuration::Flags,
    /// Also stop when standard input closes: whoever started this process has gone.
    #[arg(long, hide = true)]
    until_stdin_closes: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let configuration = args.flags.load()?.configuration;
    let terms = Arc::new(CurrentTerms::new(configuration.terms()?));
    logging::start(args.log_format)?;
    open_files::allow(configuration.collector.connections_max);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the threads that serve requests")?;
    let ended = runtime.block_on(serve(args, configuration, terms));
    // Not dropped: that waits for work on blocking threads, and a read of a dead disk never ends. Nothing on them is
    // promised to anybody; the thread that records has ended, or has been given up by name.
    runtime.shutdown_background();
    ended
}

async fn serve(args: &Args, configuration: Configuration, terms: Arc<CurrentTerms>) -> anyhow::Result<Exit> {
    let until_stdin_closes = args.until_stdin_closes;
    // From here on: a process that does not listen for it would end.
    let hangup = signal(SignalKind::hangup()).context("listen for signals")?;
    let mut stop = Stop::listen().context("listen for signals")?;
    let mut again = Stop::listen().context("listen for signals")?;
    let location = configuration.ledger.location.clone();
    let started_with = configuration.clone();
    // On a thread of its own: a long journal takes minutes to read, and who asks to stop should not wait for that.
    let opening = spawn_blocking(move || ledger::open(&configuration.ledger));
    let ledger = tokio::select! {
        opened = opening => opened.context("open the ledger")??,
        name = stop.signalled() => {
            // Opening is recovery, which may stop anywhere and begins again at the next start.
            info!(signal = name, "stopped while the ledger was being opened");
            return Ok(Exit::Ok);
        }
    };
    let collector = Collector::bind(configuration.collector, ledger).await.map_err(usage_or_failure)?;
    let collector = collector.under(terms.clone());
    announce(&collector, &ledger::Location::printable(&location));

    let first = async {
        tokio::select! {
            name = stop.signalled() => info!(signal = name, "stopping: answering what is in flight"),
            // In a block of its own, which nobody enters unless asked: standard input is not ours to read.
            () = async { drop(stdin_closed().await) }, if until_stdin_closes => info!("stopping: standard input was closed"),
        }
    };
    let run = collector.run(first);
    tokio::select! {
        ended = run => ended.map_err(usage_or_failure)?,
        never = reload(&args.flags, hangup, &started_with, &terms) => match never {},
        name = again.second() => anyhow::bail!("answer what is in flight: {name} came a second time"),
    }
    info!("stopped");
    Ok(Exit::Ok)
}

/// Reads the configuration again at each SIGHUP. What can change while a collector runs counts from the next request on, if all of
/// it is good; otherwise nothing changes.
async fn reload(
    flags: &configuration::Flags,
    mut hangup: Signal,
    started_with: &Configuration,
    terms: &CurrentTerms,
) -> Infallible {
    loop {
        if hangup.recv().await.is_none() {
            // The signals of this process end with it.
            std::future::pending::<()>().await;
        }
        let loaded = flags.load().and_then(|loaded| {
            let terms = loaded.configuration.terms()?;
            Ok((loaded.configuration, terms))
        });
        match loaded {
            Ok((configuration, new)) => {
                let n_allowances = new.policy.allowances.list().len();
                terms.replace(new);
                info!(n_allowances, "SIGHUP: the configuration was read again and counts from now on");
                if configuration.has_other_fixed_parts(started_with) {
                    warn!("[collector] or [ledger] have changed, which counts from the next start on only");
                }
            }
            Err(error) => {
                error!(
                    error = format!("{error:#}"),
                    "SIGHUP: the configuration is not used, the one before stays"
                );
            }
        }
    }
}

/// The one line on standard output.
fn announce(collector: &Collector, location: &str) {
    let (listen, admin) = (collector.listen_addr(), collector.admin_addr());
    let mut out = output::stdout();
    let line =
        writeln!(out, "ready listen={listen} admin={admin} ledger={location}").and_then(|()| out.flush());
    // Senders do not read that line: they are served all the same.
    if let Err(error) = line {
        warn!(%error, "could not write the ready line to standard output");
    }
    info!(%listen, %admin, ledger = location, "ready");
}

fn usage_or_failure(error: CollectorError) -> anyhow::Error {
    match error {
        CollectorError::AdminExposed { .. }
        | CollectorError::Setting { .. }
        | CollectorError::Plan { .. } => exit::as_usage(&error.into()),
        CollectorError::Ledger { .. } | CollectorError::Committer => exit::as_ledger_failure(&error.into()),
        CollectorError::Bind { .. } | CollectorError::Thread { .. } | CollectorError::Listener { .. } => {
            error.into()
        }
    }
}

/// The signals that ask a process to stop.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one of them, and gives its name.
    async fn signalled(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// Waits for the second: whoever asks twice does not want to wait for slow requests.
    async fn second(&mut self) -> &'static str {
        self.signalled().await;
        self.signalled().await
    }
}

/// A thread of its own: the runtime could not end while one of its threads waits for input.
fn stdin_closed() -> oneshot::Receiver<()> {
    let (closed, wait) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = closed.send(());
    });
    wait
}
