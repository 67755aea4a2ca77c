//! A bad network between sender and collector.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result};
use fastrand::Rng;

/// Takes connections and passes them on, or does not.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    upstream: Arc<Mutex<Option<SocketAddr>>>,
    figures: Arc<Figures>,
}

/// What it did to connections.
#[derive(Debug, Default)]
pub struct Figures {
    /// Connections that were taken.
    pub n_connections: AtomicU64,
    /// Of those, the ones that were closed before a byte.
    pub n_refused: AtomicU64,
    /// Those cut on the way to the collector.
    pub n_cut: AtomicU64,
    /// Those whose answer did not come back, in part or as a whole.
    pub n_dropped: AtomicU64,
}

impl Proxy {
    /// Listens on a free port, and does by `seed` what networks do.
    ///
    /// # Errors
    ///
    /// When there is no port.
    pub fn start(seed: u64) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("listen for the proxy")?;
        let address = listener.local_addr().context("learn the proxy's address")?;
        let upstream = Arc::<Mutex<Option<SocketAddr>>>::default();
        let figures = Arc::<Figures>::default();
        let (to, of) = (upstream.clone(), figures.clone());
        thread::spawn(move || {
            let mut random = Rng::with_seed(seed);
            // Ends with the process.
            for client in listener.incoming().flatten() {
                let upstream = *to.lock().unwrap_or_else(PoisonError::into_inner);
                of.n_connections.fetch_add(1, Ordering::Relaxed);
                let Some(upstream) = upstream else { continue };
                pass(client, upstream, &mut random, &of);
            }
        });
        Ok(Self { address, upstream, figures })
    }

    /// Where connections go from now on; nowhere when there is no collector.
    pub fn lead_to(&self, upstream: Option<SocketAddr>) {
        *self.upstream.lock().unwrap_or_else(PoisonError::into_inner) = upstream;
    }

    /// What it did.
    #[must_use]
    pub fn figures(&self) -> &Figures {
        &self.figures
    }
}

/// Passes one connection on, as far as it goes.
fn pass(client: TcpStream, upstream: SocketAddr, random: &mut Rng, figures: &Figures) {
    let count = |figure: &AtomicU64| {
        figure.fetch_add(1, Ordering::Relaxed);
    };
    // A request has hundreds of bytes to some ten thousand, an answer a few hundred.
    let (mut up, mut down) = (u64::MAX, u64::MAX);
    match random.u32(..100) {
        ..10 => return count(&figures.n_refused),
        10..20 => {
            up = random.u64(..8_000);
            count(&figures.n_cut);
        }
        20..30 => {
            down = 0;
            count(&figures.n_dropped);
        }
        30..45 => {
            down = random.u64(1..2_000);
            count(&figures.n_dropped);
        }
        _ => {}
    }
    let Ok(server) = TcpStream::connect(upstream) else { return };
    let (Ok(client_again), Ok(server_again)) = (client.try_clone(), server.try_clone()) else { return };
    thread::spawn(move || copy(client, server, up));
    thread::spawn(move || copy(server_again, client_again, down));
}

/// Copies up to `limit` bytes, and then cuts both ways.
fn copy(mut from: TcpStream, mut to: TcpStream, limit: u64) {
    let mut left = limit;
    let mut buffer = [0; 4096];
    while let Ok(n_read) = from.read(&mut buffer)
        && 0 < n_read
    {
        let n_passed = usize::try_from(left).unwrap_or(usize::MAX).min(n_read);
        if to.write_all(&buffer[..n_passed]).is_err() {
            break;
        }
        left -= n_passed as u64;
        if left == 0 && limit != u64::MAX {
            break;
        }
    }
    // Whoever is gone already is gone.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
