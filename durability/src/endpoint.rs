//! An application that is read by others: a Prometheus endpoint with one counter.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use fastrand::Rng;

/// The counter's name, and that of the meter that it becomes.
pub const COUNTER: &str = "counted";

/// How long it may take until somebody reads it.
const READ_WITHIN: Duration = Duration::from_secs(60);

/// Counts on whenever it is read.
#[derive(Debug)]
pub struct Endpoint {
    address: SocketAddr,
    counted: Arc<Mutex<Counted>>,
}

#[derive(Debug, Default)]
struct Counted {
    /// What it stood at when it was read first, and stands at now.
    first: u64,
    now: u64,
    n_reads: u64,
    is_still: bool,
}

impl Endpoint {
    /// Listens on a free port.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn start(seed: u64) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("listen for the endpoint")?;
        let address = listener.local_addr().context("learn the endpoint's address")?;
        let counted = Arc::<Mutex<Counted>>::default();
        let shared = counted.clone();
        thread::spawn(move || {
            let mut random = Rng::with_seed(seed);
            // Ends with the process.
            for mut client in listener.incoming().flatten() {
                // Who is killed meanwhile does not hear it, which is what this is for.
                let _ = answer(&mut client, &shared, random.u64(1..1_000_000));
            }
        });
        Ok(Self { address, counted })
    }

    /// The configuration of who reads it.
    pub fn configuration(&self) -> String {
        let address = self.address;
        format!(
            "[[agent.scrape]]\nurl = \"http://{address}/metrics\"\nevery_seconds = 1\n\
             [[agent.scrape.meters]]\nmetric = \"{COUNTER}\"\nmeter = \"{COUNTER}\"\nkind = \"counter\"\n"
        )
    }

    /// Waits until somebody who reads it again and again has recorded what it read first.
    ///
    /// # Errors
    ///
    /// When nobody comes.
    pub fn wait_until_read(&self) -> Result<()> {
        let n_reads = || self.counted.lock().unwrap_or_else(PoisonError::into_inner).n_reads;
        let (started, before) = (Instant::now(), n_reads());
        while n_reads() < before + 2 {
            if READ_WITHIN < started.elapsed() {
                bail!("nobody reads the endpoint");
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Counts no more.
    pub fn stand_still(&self) {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner).is_still = true;
    }

    /// How far it counted since it was read first.
    pub fn grown(&self) -> u64 {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.now - counted.first
    }
}

fn answer(client: &mut TcpStream, counted: &Mutex<Counted>, step: u64) -> std::io::Result<()> {
    let mut request = [0; 1024];
    if client.read(&mut request)? == 0 {
        return Ok(());
    }
    let body = {
        let mut counted = counted.lock().unwrap_or_else(PoisonError::into_inner);
        if !counted.is_still {
            counted.now += step;
        }
        if counted.n_reads == 0 {
            counted.first = counted.now;
        }
        counted.n_reads += 1;
        format!("{COUNTER} {}\n", counted.now)
    };
    let length = body.len();
    write!(client, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
}
