//! `tollgate send`: the spool to a collector.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tollgate_sender::{HttpTransport, Sender, ShellHook};

use crate::configuration::SenderFlags;
use crate::exit::Exit;
use crate::words::count;
use crate::{output, progress, sending};

/// Sends what a spool holds, oldest first, until a collector has acknowledged it.
///
/// What is not acknowledged stays in the spool, however often it is tried.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tollgate send --spool /var/lib/tollgate-spool --to https://collector.example
  tollgate send --to http://127.0.0.1:8480 --for 600

Exit codes: 0 everything is acknowledged, 1 something still waits (the reason is on standard error), 2 wrong usage")]
pub(crate) struct Args {
    /// Try again after errors, for so many seconds.
    #[arg(long = "for", value_name = "SECONDS", default_value_t = 0)]
    for_seconds: u64,
    #[command(flatten)]
    flags: SenderFlags,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    crate::logging::start(crate::logging::Format::Text)?;
    let settings = args.flags.load()?.sender;
    let transport = HttpTransport::new(&settings).map_err(sending::client_failure)?;
    let spool = sending::open_spool(&settings)?;
    let n_pending = spool.summary().n_pending;
    let bar = progress::Bar::up_to("sending", n_pending);
    let mut sender = Sender::new(spool.clone(), transport, &settings, fastrand::Rng::new());
    let mut hook = (!settings.hook.is_empty()).then(|| ShellHook {
        command: settings.hook.clone(),
        timeout: Duration::from_secs(settings.hook_timeout_seconds),
    });
    let ends = Instant::now() + Duration::from_secs(args.for_seconds);
    let (mut n_acknowledged, mut n_requests) = (0, 0);
    let error = loop {
        let round = sender.round(|n| {
            bar.set_count(n_acknowledged + n);
            true
        })?;
        n_acknowledged += round.n_acknowledged;
        n_requests += round.n_requests;
        if let Some(hook) = &mut hook {
            spool.run_hook(hook)?;
        }
        if spool.summary().n_pending == 0 || round.n_requests == 0 {
            break None;
        }
        if ends <= Instant::now() + round.next_in {
            break round.error;
        }
        std::thread::sleep(round.next_in);
    };
    bar.clear();
    spool.close()?;
    let n_pending = spool.summary().n_pending;
    let mut out = output::stdout();
    writeln!(
        out,
        "{} acknowledged in {}; {}",
        count(n_acknowledged, "batch", "batches"),
        count(n_requests, "request", "requests"),
        sending::still_wait(n_pending),
    )
    .and_then(|()| out.flush())
    .context("write what was sent")?;
    if n_pending == 0 {
        return Ok(Exit::Ok);
    }
    match error {
        Some(error) => anyhow::bail!("send to {}: {error}", sender.transport().url()),
        None => anyhow::bail!(
            "deliver {}: the collector answers and does not acknowledge; `tollgate spool list` shows what",
            count(n_pending, "batch", "batches")
        ),
    }
}
