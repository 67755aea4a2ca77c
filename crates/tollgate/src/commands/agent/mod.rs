//! `tollgate agent`: readings of a machine's applications, to a collector.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tollgate_sender::{
    HttpTransport, Opened, Remedy, Sender, ShellHook, Source, Spool, SpoolError, SystemClock,
};
use tollgate_wire::Metric;
use tracing::{debug, error, info, warn};

mod amount;
mod api;
mod exposition;
mod notify;
mod scrape;
mod settings;

pub(crate) use settings::Settings;

use crate::configuration::{Configuration, SenderFlags};
use crate::exit::{self, Exit};
use crate::{logging, output, sending};
use api::Agent;
use notify::notify;
use settings::Mapping;

/// How often it is looked at least whether readings have become old enough for a batch.
const BATCH_EVERY_MS: u64 = 200;

/// How often it is looked whether the meter status has changed by time alone.
const HOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a last round may take after the agent was told to stop, and what was begun before it. What is not sent is durable.
const LAST_ROUND: Duration = Duration::from_secs(5);

/// How often it is looked whether a thread has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Takes readings from applications, batches them, and sends them until a collector has acknowledged them.
///
/// Applications post readings to a Unix socket, and to a loopback address if one is configured. A reading is durable when
/// the post is answered. Prometheus endpoints are read as the configuration says. When it is ready it prints one line on
/// standard output; logs go to standard error.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tollgate agent --config /etc/tollgate.toml
  tollgate agent --spool /var/lib/tollgate-spool --to https://collector.example
  curl --unix-socket tollgate-agent.sock http://agent/readings -d '{\"model\":\"m1\",\"meter\":\"requests\",\"value\":12}'
  curl --unix-socket tollgate-agent.sock http://agent/meter-status

Paths: POST /readings (one or an array), GET /meter-status?model=&unit=, GET /spool, POST /spool/release, GET /healthz

Exit codes: 0 told to stop; 1 it could not start or go on; 2 wrong usage; 70 the spool failed, start it again")]
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
    flags: SenderFlags,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let configuration = args.flags.load()?;
    logging::start(args.log_format)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the threads that serve requests")?;
    let ended = runtime.block_on(serve(configuration));
    runtime.shutdown_background();
    ended
}

async fn serve(configuration: Configuration) -> anyhow::Result<Exit> {
    let mut terminate = signal(SignalKind::terminate()).context("listen for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for signals")?;
    let Configuration { sender, agent: settings, .. } = configuration;
    let source = Source {
        model: settings.model.clone(),
        model_name: settings.model_name.clone(),
        unit: settings.unit.clone(),
        charm: settings.charm.clone(),
        credentials: sending::credentials(&sender)?,
    };
    if settings.model.is_empty() && (!settings.heartbeat.is_empty() || !settings.scrape.is_empty()) {
        return Err(exit::usage("read a heartbeat or endpoints: they need `model` in [agent]"));
    }
    let counters = counters(&settings)?;
    let transport = match sender.to.is_empty() {
        true => None,
        false => Some(HttpTransport::new(&sender).map_err(sending::client_failure)?),
    };
    let (spool, opened) = Spool::open(&sender.spool, sender.spool_options(), Arc::new(SystemClock))
        .with_context(|| format!("open {}", sender.spool.display()))?;
    sending::tell(&sender.spool, &opened);
    let Opened { n_pending, .. } = opened;
    info!(spool.dir = %sender.spool.display(), n_pending, "opened the spool");

    let failed = Arc::new(Notify::new());
    let agent = Agent { spool: spool.clone(), source: source.clone(), failed: failed.clone() };
    let (stop, stopped) = watch::channel(false);
    let listeners = Listeners::bind(&settings).await?;
    let where_it_listens = listeners.to_string();
    let serving = listeners.serve(agent, &stopped);
    let batches = Worker::start("batches", &failed, batches(spool.clone(), &settings))?;
    let mut threads = Vec::new();
    if let Some(transport) = transport {
        let sender = Sender::new(spool.clone(), transport, &sender, fastrand::Rng::new());
        threads.push(Worker::start("sender", &failed, rounds(sender, stopped.clone()))?);
    } else {
        warn!("nothing is sent: `to` in [sender] is empty");
    }
    if !sender.hook.is_empty() {
        let timeout = Duration::from_secs(sender.hook_timeout_seconds);
        let hook = ShellHook { command: sender.hook.clone(), timeout };
        threads.push(Worker::start("hook", &failed, hooks(spool.clone(), hook))?);
    }
    if let Err(error) = scrape::forget_all_but(&counters, &spool) {
        warn!(
            error = format!("{:#}", anyhow::Error::from(error)),
            "could not forget what is not counted any more"
        );
    }
    read_all(&spool, &source, &settings, &failed)?;

    let mut out = output::stdout();
    let line = writeln!(out, "ready {where_it_listens} spool={}", sender.spool.display());
    // Applications do not read that line: they are served all the same.
    if let Err(error) = line.and_then(|()| out.flush()) {
        warn!(%error, "could not write the ready line to standard output");
    }
    notify("READY=1");
    let has_failed = tokio::select! {
        _ = terminate.recv() => false,
        _ = interrupt.recv() => false,
        () = failed.notified() => true,
    };
    notify("STOPPING=1");
    info!("stopping");
    // Whoever posts is answered before anything else ends.
    stop.send_replace(true);
    serving.await;
    let closing = tokio::task::spawn_blocking(move || {
        let until = Instant::now() + LAST_ROUND;
        // The last round sends the last readings.
        batches.tell_to_stop();
        batches.join(until);
        threads.iter().for_each(Worker::tell_to_stop);
        threads.into_iter().for_each(|thread| thread.join(until));
        (spool.close(), spool.is_closed())
    });
    let (closed, is_closed) = closing.await.context("end the threads")?;
    // Also while it stopped, when nobody listened any more: then what was noticed is still there to be heard.
    let has_failed_since = is_closed || tokio::time::timeout(Duration::ZERO, failed.notified()).await.is_ok();
    if has_failed || has_failed_since {
        return Err(exit::as_ledger_failure(&anyhow::anyhow!(
            "keep the spool; what was recorded is durable"
        )));
    }
    closed.map_err(|error| match error.remedy() {
        Remedy::Restart => exit::as_ledger_failure(&error.into()),
        Remedy::Retry | Remedy::Mend => error.into(),
    })?;
    info!("stopped");
    Ok(Exit::Ok)
}

/// Where requests come in.
struct Listeners {
    socket: Option<(UnixListener, std::path::PathBuf)>,
    tcp: Option<(TcpListener, SocketAddr)>,
}

impl Listeners {
    async fn bind(settings: &Settings) -> anyhow::Result<Self> {
        let mut listeners = Self { socket: None, tcp: None };
        if !settings.socket.as_os_str().is_empty() {
            let path = &settings.socket;
            let failed = || format!("listen on {}", path.display());
            remove_left(path).with_context(failed)?;
            let listener = UnixListener::bind(path).with_context(failed)?;
            // Who may write to the folder's group may post.
            fs::set_permissions(path, fs::Permissions::from_mode(0o660)).with_context(failed)?;
            listeners.socket = Some((listener, path.clone()));
        }
        if !settings.listen.is_empty() {
            let address: SocketAddr = settings.listen.parse().map_err(|_| {
                exit::usage("use `listen` in [agent]: expected an address such as 127.0.0.1:8482")
            })?;
            if !address.ip().is_loopback() {
                let text = "use `listen` in [agent]: it is not a loopback address, and whoever reaches it could post";
                return Err(exit::usage(text));
            }
            let listener =
                TcpListener::bind(address).await.with_context(|| format!("listen on {address}"))?;
            let address = listener.local_addr().context("learn the address")?;
            listeners.tcp = Some((listener, address));
        }
        if listeners.socket.is_none() && listeners.tcp.is_none() {
            return Err(exit::usage("take readings: set `socket` or `listen` in [agent]"));
        }
        Ok(listeners)
    }

    /// Serves until told to stop, and then until what was begun is answered.
    fn serve(self, agent: Agent, stopped: &watch::Receiver<bool>) -> impl Future<Output = ()> + use<> {
        let until = |mut stopped: watch::Receiver<bool>| async move {
            // When nobody can tell any more it is time as well.
            let _ = stopped.wait_for(|&is_stopped| is_stopped).await;
        };
        let socket = self.socket.map(|(listener, path)| {
            let serve = axum::serve(listener, api::router(agent.clone(), false));
            (tokio::spawn(serve.with_graceful_shutdown(until(stopped.clone())).into_future()), path)
        });
        let tcp = self.tcp.map(|(listener, _)| {
            let serve = axum::serve(listener, api::router(agent, true));
            tokio::spawn(serve.with_graceful_shutdown(until(stopped.clone())).into_future())
        });
        async move {
            let (tasks, paths): (Vec<_>, Vec<_>) = socket.into_iter().unzip();
            for task in tasks.into_iter().chain(tcp) {
                // An idle connection must not hold up the end.
                let _ = tokio::time::timeout(LAST_ROUND, task).await;
            }
            paths.iter().for_each(|path| drop(fs::remove_file(path)));
        }
    }
}

impl std::fmt::Display for Listeners {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut separator = "";
        if let Some((_, path)) = &self.socket {
            write!(f, "socket={}", path.display())?;
            separator = " ";
        }
        if let Some((_, address)) = &self.tcp {
            write!(f, "{separator}listen={address}")?;
        }
        Ok(())
    }
}

/// Removes the socket of an agent that is gone.
fn remove_left(path: &Path) -> anyhow::Result<()> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        bail!("there is a file of that name that is no socket");
    }
    if UnixStream::connect(path).is_ok() {
        bail!("another process listens there");
    }
    fs::remove_file(path).context("remove the socket of one that is gone")
}

/// A thread that does something again and again until it is told to stop.
struct Worker {
    name: &'static str,
    stop: SyncSender<()>,
    thread: JoinHandle<()>,
}

/// What a worker does: once, and then it says how long to wait. `is_last` when it is told to stop.
type Work = Box<dyn FnMut(bool) -> Result<Duration, SpoolError> + Send>;

impl Worker {
    fn start(name: &'static str, failed: &Arc<Notify>, work: Work) -> anyhow::Result<Self> {
        let (stop, stopped) = sync_channel(1);
        let failed = failed.clone();
        let thread = thread::Builder::new().name(name.to_owned());
        let thread = thread
            .spawn(move || work_until(&stopped, work, &failed))
            .with_context(|| format!("start the thread for {name}"))?;
        Ok(Self { name, stop, thread })
    }

    fn tell_to_stop(&self) {
        // It has ended already when the spool failed.
        let _ = self.stop.try_send(());
    }

    /// Waits for its end, and leaves it where it is when that has not come `until` then.
    fn join(self, until: Instant) {
        while !self.thread.is_finished() {
            if until <= Instant::now() {
                return warn!(
                    thread = self.name,
                    "left in the middle of something, to be done again at the next start"
                );
            }
            thread::sleep(LOOK_EVERY);
        }
        let _ = self.thread.join();
    }
}

fn work_until(stopped: &Receiver<()>, mut work: Work, failed: &Notify) {
    let mut is_last = false;
    loop {
        let wait = match work(is_last) {
            Ok(wait) => wait,
            Err(error) if error.remedy() == Remedy::Restart => {
                error!(error = format!("{:#}", anyhow::Error::from(error)), "the spool failed");
                return failed.notify_one();
            }
            Err(error) => {
                warn!(error = format!("{:#}", anyhow::Error::from(error)), "could not go on just now");
                HOOK_EVERY
            }
        };
        if is_last {
            return;
        }
        is_last = match stopped.recv_timeout(wait) {
            Err(RecvTimeoutError::Timeout) => false,
            Ok(()) | Err(RecvTimeoutError::Disconnected) => true,
        };
    }
}

fn batches(spool: Spool, settings: &Settings) -> Work {
    let n_readings = settings.batch_readings;
    let age_ms = i64::try_from(settings.batch_age_ms).unwrap_or(i64::MAX);
    let every = Duration::from_millis((settings.batch_age_ms / 4).clamp(1, BATCH_EVERY_MS));
    Box::new(move |is_last| {
        let n_batches = match is_last {
            true => spool.batch_readings(0, 0)?,
            false => spool.batch_readings(n_readings, age_ms)?,
        };
        if 0 < n_batches {
            debug!(n_batches, "made batches of readings");
        }
        Ok(every)
    })
}

fn rounds(mut sender: Sender<HttpTransport>, stopped: watch::Receiver<bool>) -> Work {
    let mut has_failed = false;
    Box::new(move |is_last| {
        if is_last && has_failed {
            // It would only fail again, and somebody waits.
            return Ok(Duration::ZERO);
        }
        let started = Instant::now();
        // A round that was begun before is ended by the signal, the last one by the time.
        let round = sender.round(|_| match is_last {
            true => started.elapsed() < LAST_ROUND,
            false => !*stopped.borrow(),
        })?;
        has_failed = round.error.is_some();
        match &round.error {
            Some(error) => warn!(
                error,
                n_acknowledged = round.n_acknowledged,
                next_in = ?round.next_in,
                "could not send everything; it stays and is tried again"
            ),
            None if 0 < round.n_requests => info!(
                n_acknowledged = round.n_acknowledged,
                n_refused = round.n_refused,
                n_requests = round.n_requests,
                "sent"
            ),
            None => {}
        }
        Ok(round.next_in)
    })
}

fn hooks(spool: Spool, mut hook: ShellHook) -> Work {
    Box::new(move |is_last| {
        if !is_last {
            spool.run_hook(&mut hook)?;
        }
        Ok(HOOK_EVERY)
    })
}

/// Under which names it is kept what was counted; fails when an endpoint cannot be read as the settings say.
fn counters(settings: &Settings) -> anyhow::Result<BTreeSet<String>> {
    let mut notes = BTreeSet::new();
    for endpoint in &settings.scrape {
        let url = &endpoint.url;
        if !url.starts_with("http://") {
            let text = format!("read {url:?}: only http:// endpoints can be read; put the agent beside it");
            return Err(exit::usage(text));
        }
        for mapping in &endpoint.meters {
            if !notes.insert(scrape::note(url, endpoint.unit(&settings.unit), mapping)) {
                let Mapping { metric, meter, .. } = mapping;
                let text = format!(
                    "read {url:?}: {metric:?} becomes {meter:?} twice, and would count twice; leave one"
                );
                return Err(exit::usage(text));
            }
        }
    }
    Ok(notes)
}

/// Tells when an error is the spool's end.
fn tell_failed(failed: &Notify, error: &anyhow::Error) {
    let error = error.downcast_ref::<SpoolError>();
    if error.is_some_and(|error| error.remedy() == Remedy::Restart) {
        failed.notify_one();
    }
}

/// Starts what reads on its own: the heartbeat and the endpoints.
fn read_all(spool: &Spool, source: &Source, settings: &Settings, failed: &Arc<Notify>) -> anyhow::Result<()> {
    if !settings.heartbeat.is_empty() {
        let (spool, source, key) = (spool.clone(), source.clone(), settings.heartbeat.clone());
        let failed = failed.clone();
        let mut ticks = tokio::time::interval(Duration::from_secs(settings.heartbeat_seconds.max(1)));
        tokio::spawn(async move {
            loop {
                ticks.tick().await;
                let now = scrape::now();
                let metric =
                    Metric { key: key.clone(), value: "1".to_owned(), time: now, ..Metric::default() };
                let (spool, reading) = (spool.clone(), scrape::reading(&source, metric, now));
                let kept = tokio::task::spawn_blocking(move || spool.add_readings(vec![reading], Vec::new()));
                if let Ok(Err(error)) = kept.await {
                    let error = anyhow::Error::from(error);
                    warn!(error = format!("{error:#}"), "a heartbeat was not kept");
                    tell_failed(&failed, &error);
                }
            }
        });
    }
    if settings.scrape.is_empty() {
        return Ok(());
    }
    let client = reqwest::Client::builder().no_proxy().build().context("make an HTTP client")?;
    for endpoint in settings.scrape.iter().cloned() {
        let (spool, client, failed) = (spool.clone(), client.clone(), failed.clone());
        let source = Source { unit: endpoint.unit(&source.unit).to_owned(), ..source.clone() };
        let mut ticks = tokio::time::interval(Duration::from_secs(endpoint.every_seconds.max(1)));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tokio::spawn(async move {
            let mut told = BTreeSet::new();
            loop {
                ticks.tick().await;
                match scrape::scrape(&client, &endpoint, &source, &spool, &mut told).await {
                    Ok(n_readings) => debug!(url = endpoint.url, n_readings, "read an endpoint"),
                    Err(error) => {
                        warn!(url = endpoint.url, error = format!("{error:#}"), "could not read an endpoint");
                        tell_failed(&failed, &error);
                    }
                }
            }
        });
    }
    Ok(())
}
