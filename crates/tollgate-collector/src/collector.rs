//! A collector from start to end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tollgate_ledger::Ledger;
use tracing::info;

use crate::admin_routes::{self, Admin};
use crate::credential_routes::Issuer;
use crate::credentials::Credentials;
use crate::health::Health;
use crate::metrics::{ListenerName, Metrics};
use crate::observe::observed;
use crate::post::Post;
use crate::server::{ConnectionLimits, Phase, Server};
use crate::standings::Keeper;
use crate::{CollectorError, CurrentTerms, Settings, Terms, commit, wire_routes};

/// Connections of operators, at most: some browsers, a scraper, a probe.
const ADMIN_CONNECTIONS_MAX: usize = 64;

/// Connections that the kernel keeps until they are accepted, at most: senders that all come back after an outage wait
/// there instead of being turned away.
const WAITING_CONNECTIONS_MAX: u32 = 1_024;

/// When the ledger has failed, how long the answers that say so may take to leave. The process should end soon, so that
/// it is started again.
const FAILED_DRAIN_MS: u64 = 500;

/// Where others record into the same ledger, how old a total may be that a status is worked out of: how long two collectors may
/// differ about it.
const SHARED_FRESH_MS: u64 = 1_000;

/// How long operators' requests in flight may take when all else is done.
const ADMIN_DRAIN_MS: u64 = 500;

/// A collector whose listeners are bound and do not answer yet.
pub struct Collector {
    settings: Settings,
    terms: Arc<CurrentTerms>,
    ledger: Ledger,
    wire: TcpListener,
    admin: TcpListener,
    listen_addr: SocketAddr,
    admin_addr: SocketAddr,
}

impl Collector {
    /// Binds both listeners. Who connects from now on is answered once [`Collector::run`] runs.
    ///
    /// # Errors
    ///
    /// When a setting cannot work or an address cannot be bound. The ledger is dropped then, and nothing was written.
    pub async fn bind(settings: Settings, ledger: Ledger) -> Result<Self, CollectorError> {
        settings.check()?;
        let terms = Terms { grace_period: settings.grace_period(), ..Terms::default() };
        let terms = Arc::new(CurrentTerms::new(terms));
        let (wire, listen_addr) = bind("wire", settings.listen).await?;
        let (admin, admin_addr) = bind("admin", settings.admin).await?;
        Ok(Self { settings, terms, ledger, wire, admin, listen_addr, admin_addr })
    }

    /// With these keys and plans instead of none.
    #[must_use]
    pub fn with_credentials(self, credentials: Credentials) -> Self {
        let terms = Terms { credentials: Arc::new(credentials), ..Terms::clone(&self.terms.get()) };
        self.under(Arc::new(CurrentTerms::new(terms)))
    }

    /// With these terms instead of the settings' grace period alone; whoever keeps them can replace what they say.
    #[must_use]
    pub fn under(self, terms: Arc<CurrentTerms>) -> Self {
        Self { terms, ..self }
    }

    /// Where senders post: the port is a real one also when port 0 was asked for.
    #[must_use]
    pub fn listen_addr(&self) -> SocketAddr {
        self.listen_addr
    }

    /// Where operators look: the port is a real one also when port 0 was asked for.
    #[must_use]
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin_addr
    }

    /// Serves until `shutdown` is ready or the ledger fails for good.
    ///
    /// At a shutdown readiness goes first; then requests in flight are answered, what waits is recorded, and the ledger
    /// is closed.
    ///
    /// # Errors
    ///
    /// When the ledger failed for good: everybody who waited was answered 503, and the process should exit non-zero so
    /// that the next one recovers. Also when a part of the collector panicked, and at once when the settings require credentials
    /// and there are no keys.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), CollectorError> {
        let settings = self.settings;
        self.terms.get().credentials.check(&settings)?;
        let metrics = Arc::new(Metrics::new());
        let health = Arc::new(Health::new());
        let reader = self.ledger.writer.reader().unwrap_or_else(|| self.ledger.reader.clone());
        let fresh_for = reader.is_shared().then(|| Duration::from_millis(SHARED_FRESH_MS));
        let keeper = Keeper::new(reader, self.terms.clone(), fresh_for);
        let (queue, mut committer) =
            commit::start(self.ledger.writer, keeper, &settings, metrics.clone(), health.clone())?;
        let post = Arc::new(Post::new(
            &settings,
            self.terms,
            self.ledger.preparer,
            self.ledger.reader.clone(),
            queue.clone(),
            metrics.clone(),
        ));
        let issuer = Arc::new(Issuer::new(post.clone(), &settings));
        let admin = Admin { reader: self.ledger.reader, health: health.clone(), post: post.clone() };

        let limits = ConnectionLimits::of(&settings);
        let wire = Listener::start(Server {
            name: ListenerName::wire,
            listener: self.wire,
            router: observed(wire_routes::router(post, issuer), ListenerName::wire, metrics.clone()),
            limits,
            metrics: metrics.clone(),
        });
        let admin = Listener::start(Server {
            name: ListenerName::admin,
            listener: self.admin,
            router: observed(admin_routes::router(Arc::new(admin)), ListenerName::admin, metrics.clone()),
            limits: ConnectionLimits {
                connections_max: ADMIN_CONNECTIONS_MAX,
                address_connections_max: ADMIN_CONNECTIONS_MAX,
                ..limits
            },
            metrics,
        });

        let failed = tokio::select! {
            () = shutdown => None,
            ended = committer.ended() => Some(ended),
        };
        health.set_draining();
        let drain_ms = if failed.is_some() { FAILED_DRAIN_MS } else { settings.drain_timeout_ms };
        info!(drain_ms, "stopping: no more posts are taken, those in flight are answered");
        let wire_ended = wire.drain(drain_ms).await;
        queue.close();
        let committer_ended = match failed {
            Some(ended) => ended,
            None => committer.ended().await,
        };
        let admin_ended = admin.drain(ADMIN_DRAIN_MS).await;
        committer_ended.and(wire_ended).and(admin_ended)
    }
}

async fn bind(name: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), CollectorError> {
    let failed = |source| CollectorError::Bind { listener: name, address, source };
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(failed)?;
    // A restart binds while connections of the process before are still winding down.
    socket.set_reuseaddr(true).map_err(failed)?;
    socket.bind(address).map_err(failed)?;
    let listener = socket.listen(WAITING_CONNECTIONS_MAX).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// A server at work. Dropping it cuts its connections off.
struct Listener {
    name: ListenerName,
    phase: watch::Sender<Phase>,
    task: JoinSet<()>,
}

impl Listener {
    fn start(server: Server) -> Self {
        let (phase, observed_phase) = watch::channel(Phase::Serving);
        let name = server.name;
        let mut task = JoinSet::new();
        task.spawn(server.serve(observed_phase));
        Self { name, phase, task }
    }

    async fn drain(mut self, time_max_ms: u64) -> Result<(), CollectorError> {
        self.phase.send_replace(Phase::Draining { time_max: Duration::from_millis(time_max_ms) });
        match self.task.join_next().await {
            Some(Err(error)) if error.is_panic() => {
                Err(CollectorError::Listener { listener: self.name.as_str() })
            }
            _ => Ok(()),
        }
    }
}
