//! Connections: accepting them, limiting them, and letting them end.
//!
//! HTTP/1.1 only: senders send few, large requests, and half of what can be abused in a server is HTTP/2.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower_service::Service;
use tracing::{debug, error, warn};

use crate::Settings;
use crate::metrics::{ListenerName, Metrics};
use crate::sources::Sources;
use crate::timed_writes::TimedWrites;

/// Heads are small: a dozen headers of a Go client. What is larger is answered 431.
const HEADERS_MAX: usize = 64;

/// The most that a connection buffers of what it reads: a head has to fit, a body passes through.
const READ_BUFFER_BYTES_MAX: usize = 64 << 10;

/// After no connection could be accepted for want of files or memory, how long until the next try.
const ACCEPT_PAUSE_MS: u64 = 100;

/// When the server stops, how long a connection that never sent a request may still begin one.
const SILENT_GRACE_MS: u64 = 200;

/// Who sent a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// How connections are treated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionLimits {
    pub(crate) connections_max: usize,
    pub(crate) address_connections_max: usize,
    pub(crate) header_timeout: Duration,
    pub(crate) write_timeout: Duration,
}

impl ConnectionLimits {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            connections_max: settings.connections_max,
            address_connections_max: settings.address_connections_max,
            header_timeout: Duration::from_millis(settings.header_timeout_ms),
            write_timeout: Duration::from_millis(settings.write_timeout_ms),
        }
    }
}

/// One listener and what answers its requests.
pub(crate) struct Server {
    pub(crate) name: ListenerName,
    pub(crate) listener: TcpListener,
    pub(crate) router: Router,
    pub(crate) limits: ConnectionLimits,
    pub(crate) metrics: Arc<Metrics>,
}

/// Whether a server goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Connections are accepted.
    Serving,
    /// No connection is accepted any more; requests in flight may end within this time.
    Draining {
        /// Then they are cut off.
        time_max: Duration,
    },
}

impl Server {
    /// Serves until the phase says otherwise, then lets the requests in flight end.
    pub(crate) async fn serve(self, mut phase: watch::Receiver<Phase>) {
        let slots = Arc::new(Semaphore::new(self.limits.connections_max));
        let sources = Sources::new(self.limits.address_connections_max);
        let mut connections = JoinSet::new();
        loop {
            // No slot, no accept: who comes now waits in the kernel's queue.
            let slot = tokio::select! {
                slot = slots.clone().acquire_owned() => slot.expect("the semaphore is never closed"),
                _ = draining(&mut phase) => break,
            };
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = draining(&mut phase) => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let Some(share) = sources.share(peer.ip()) else {
                        self.metrics.count_connection_refusal();
                        debug!(listener = self.name.as_str(), %peer, "closed a connection: its address has too many");
                        continue;
                    };
                    let connection = self.connection(stream, Peer(peer), phase.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop((slot, share));
                    });
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    self.metrics.count_accept_failure();
                    warn!(listener = self.name.as_str(), %error, "no connection can be accepted: waiting");
                    sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
                }
            }
            while let Some(ended) = connections.try_join_next() {
                log_panic(self.name, ended);
            }
        }

        drop(self.listener);
        let time_max = draining(&mut phase).await;
        let all_ended = async {
            while let Some(ended) = connections.join_next().await {
                log_panic(self.name, ended);
            }
        };
        if timeout(time_max, all_ended).await.is_err() {
            warn!(
                listener = self.name.as_str(),
                n_connections = connections.len(),
                "cut off the connections that did not end in time"
            );
            connections.shutdown().await;
        }
    }

    /// Serves one connection until it ends, or until it has nothing to do while the server drains.
    fn connection(
        &self,
        stream: TcpStream,
        peer: Peer,
        mut phase: watch::Receiver<Phase>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let name = self.name;
        let open = self.metrics.count_connection(name);
        let limits = self.limits;
        let router = self.router.clone();
        async move {
            let _open = open;
            // Answers are small and wanted at once. Where this cannot be set they come a little later.
            stream.set_nodelay(true).ok();
            let io = TokioIo::new(TimedWrites::new(stream, limits.write_timeout));

            let began = Arc::new(AtomicBool::new(false));
            let service = {
                let began = began.clone();
                hyper::service::service_fn(move |mut request: Request<Incoming>| {
                    began.store(true, Ordering::Relaxed);
                    request.extensions_mut().insert(peer);
                    router.clone().call(request)
                })
            };
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limits.header_timeout)
                .max_headers(HEADERS_MAX)
                .max_buf_size(READ_BUFFER_BYTES_MAX)
                .serve_connection(io, service);
            let mut connection = pin!(connection);

            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                _ = draining(&mut phase) => {
                    connection.as_mut().graceful_shutdown();
                    // hyper closes a connection that idles after a request, but waits for the first one.
                    tokio::select! {
                        ended = connection.as_mut() => ended,
                        () = silence(&began) => Ok(()),
                    }
                }
            };
            if let Err(error) = ended {
                debug!(
                    listener = name.as_str(),
                    peer = %peer.0,
                    error = %tollgate_ledger::chain(&error),
                    "a connection broke off"
                );
            }
        }
    }
}

/// Waits until the server drains, and says for how long.
async fn draining(phase: &mut watch::Receiver<Phase>) -> Duration {
    let draining = phase.wait_for(|phase| *phase != Phase::Serving).await;
    match draining.as_deref() {
        Ok(Phase::Draining { time_max }) => *time_max,
        // Whoever could let it go on is gone.
        Ok(Phase::Serving) | Err(_) => Duration::ZERO,
    }
}

/// Ends when a connection had its time to begin a first request and did not.
async fn silence(began: &AtomicBool) {
    sleep(Duration::from_millis(SILENT_GRACE_MS)).await;
    if began.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

/// Whether an error of `accept` is about the connection that would have been accepted, and not about us.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

fn log_panic(listener: ListenerName, ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        error!(listener = listener.as_str(), "a connection's task panicked: a bug");
    }
}
