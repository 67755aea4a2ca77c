//! Clients that do as little as they can: what they cost, the server does not get.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};

use crate::chunk::Chunk;
use crate::document::batches;
use crate::http::Message;

/// What was acknowledged, and how long it took.
#[derive(Debug, Default, Clone)]
pub struct Load {
    /// Batches that each connection had acknowledged; their numbers are 0 to this.
    pub n_batches_each: Vec<u64>,
    /// Of these, how many were acknowledged before the time counted.
    pub n_untimed: u64,
    /// From the first request to the last answer.
    pub took: Duration,
    /// From each request to its answer, shortest first.
    pub latencies: Vec<Duration>,
}

impl Load {
    /// All batches that were acknowledged.
    #[must_use]
    pub fn n_batches(&self) -> u64 {
        self.n_batches_each.iter().sum()
    }

    /// Batches acknowledged in a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        (self.n_batches() - self.n_untimed) as f64 / self.took.as_secs_f64()
    }

    /// The latency that this share of the requests stays within.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let rank = (self.latencies.len() as f64 * share) as usize;
        self.latencies.get(rank.min(self.latencies.len().saturating_sub(1))).copied().unwrap_or_default()
    }
}

/// Which batches are sent.
#[derive(Debug, Clone, Copy)]
pub enum Batches<'l> {
    /// Ones that were never sent.
    New,
    /// Ones that were acknowledged in an earlier load.
    Again(&'l Load),
}

/// Posts chunks of 1,000 batches for `time`: each connection a thread that waits for an answer before it posts again.
///
/// # Errors
///
/// When a batch is not acknowledged.
pub fn post_chunks(
    address: SocketAddr,
    n_connections: usize,
    what: Batches<'_>,
    time: Duration,
) -> Result<Load> {
    let chunk = Chunk::of_request(&batches());
    let started = Instant::now();
    let lanes: Vec<Result<(u64, Vec<Duration>)>> = thread::scope(|scope| {
        let start = |lane: usize| {
            let (chunk, chunk_bytes) = (chunk.clone(), chunk.n_batches() as u64);
            let n_known = match what {
                Batches::New => u64::MAX,
                Batches::Again(before) => before.n_batches_each[lane],
            };
            scope.spawn(move || post_lane(address, lane, chunk, n_known / chunk_bytes, started + time))
        };
        let threads: Vec<_> = (0..n_connections).map(start).collect();
        threads.into_iter().map(|thread| thread.join().expect("a client does not panic")).collect()
    });
    let took = started.elapsed();
    let mut load = Load { took, ..Load::default() };
    for lane in lanes {
        let (n_batches, latencies) = lane?;
        load.n_batches_each.push(n_batches);
        load.latencies.extend(latencies);
    }
    load.latencies.sort_unstable();
    Ok(load)
}

fn post_lane(
    address: SocketAddr,
    lane: usize,
    mut chunk: Chunk,
    n_chunks_known: u64,
    end: Instant,
) -> Result<(u64, Vec<Duration>)> {
    let mut stream = connect(address)?;
    let mut answer = Message::default();
    let mut latencies = Vec::new();
    let n_batches = chunk.n_batches() as u64;
    for n in 0.. {
        chunk.number(lane, n % n_chunks_known * n_batches);
        let sent = Instant::now();
        stream.write_all(chunk.text()).context("send a request")?;
        answer.clear();
        while !answer.read(&mut stream)? {}
        latencies.push(sent.elapsed());
        answer.check_acknowledges(&chunk)?;
        if end <= Instant::now() {
            break;
        }
    }
    Ok((latencies.len() as u64 * n_batches, latencies))
}

/// How often single batches are posted.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// On each connection as soon as the answer before is there.
    Unbounded,
    /// So many in a second over all connections, whether answers come or not, as long as a connection is free. The time of an
    /// answer counts from when its request was due.
    PerSecond(u32),
}

impl Pace {
    /// When the request with this number is due.
    pub(crate) fn due(self, started: Instant, n: u64) -> Option<Instant> {
        match self {
            Self::Unbounded => None,
            Self::PerSecond(rate) => {
                Some(started + Duration::from_secs(1).mul_f64(n as f64 / f64::from(rate)))
            }
        }
    }
}

/// Posts single batches for `time`, from one thread for all connections; none of them posts before its last answer is there. Each
/// posts once before the time counts: what a server does for a new connection is not what is measured.
///
/// # Errors
///
/// When a batch is not acknowledged.
pub fn post_singles(address: SocketAddr, n_connections: usize, pace: Pace, time: Duration) -> Result<Load> {
    let chunk = Chunk::of_request(&batches()[..1]);
    let first_lane = match pace {
        Pace::Unbounded => FIRST_SINGLE_LANE,
        Pace::PerSecond(_) => FIRST_PACED_LANE,
    };
    let mut clients: Vec<Single> = (0..n_connections)
        .map(|n| Ok(Single::new(first_lane + n, connect(address)?, chunk.clone())))
        .collect::<Result<_>>()?;
    let answers = epoll::create(epoll::CreateFlags::CLOEXEC).context("wait for several connections")?;
    for (index, client) in clients.iter().enumerate() {
        let data = epoll::EventData::new_u64(index as u64);
        epoll::add(&answers, &client.stream, data, epoll::EventFlags::IN).context("wait for a connection")?;
    }
    for client in &mut clients {
        client.send(Instant::now())?;
        while !client.answer.read(&mut client.stream)? {}
        client.answer.check_acknowledges(&client.chunk)?;
    }
    let mut ready: Vec<epoll::Event> = Vec::with_capacity(n_connections);

    // Growing takes a millisecond or more, in which the requests that are due wait.
    let mut latencies = Vec::with_capacity(MOST_SINGLES);
    let started = Instant::now();
    let mut free: Vec<usize> = (0..n_connections).collect();
    let mut n_sent = 0;
    loop {
        let over = time <= started.elapsed();
        let mut wait = HANGS;
        while !over && let Some(&client) = free.last() {
            let now = Instant::now();
            let due = pace.due(started, n_sent).unwrap_or(now);
            if now < due {
                wait = due - now;
                break;
            }
            free.pop();
            clients[client].send(due)?;
            n_sent += 1;
        }
        if over && free.len() == n_connections {
            break;
        }
        let timeout = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) };
        // Milliseconds are all that epoll itself can wait for.
        let n_ready = poll(&mut [PollFd::new(&answers, PollFlags::IN)], Some(&timeout));
        ensure!(n_ready.context("wait for answers")? != 0 || wait != HANGS, "no answer came for {HANGS:?}");
        ready.clear();
        epoll::wait(&answers, spare_capacity(&mut ready), Some(&NOW))
            .context("see which answers are there")?;
        for event in &ready {
            let index = event.data.u64() as usize;
            let client = &mut clients[index];
            if !client.answer.read(&mut client.stream)? {
                continue;
            }
            latencies.push(client.due.elapsed());
            client.answer.check_acknowledges(&client.chunk)?;
            free.push(index);
        }
    }
    let took = started.elapsed();
    latencies.sort_unstable();
    let n_batches_each = clients.iter().map(|client| client.n_sent).collect();
    Ok(Load { n_batches_each, n_untimed: n_connections as u64, took, latencies })
}

/// Lanes below are those of chunks, in the same ledger.
const FIRST_SINGLE_LANE: usize = 1_000;
const FIRST_PACED_LANE: usize = 2_000;

/// More than are posted in ten seconds.
pub(crate) const MOST_SINGLES: usize = 1 << 21;

const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// An answer that takes longer does not come.
const HANGS: Duration = Duration::from_secs(20);

struct Single {
    lane: usize,
    stream: TcpStream,
    chunk: Chunk,
    answer: Message,
    n_sent: u64,
    due: Instant,
}

impl Single {
    fn new(lane: usize, stream: TcpStream, chunk: Chunk) -> Self {
        Self { lane, stream, chunk, answer: Message::default(), n_sent: 0, due: Instant::now() }
    }

    /// A request of one batch always fits the kernel's buffer.
    fn send(&mut self, due: Instant) -> Result<()> {
        self.chunk.number(self.lane, self.n_sent);
        self.n_sent += 1;
        self.answer.clear();
        self.due = due;
        self.stream.write_all(self.chunk.text()).context("send a request")
    }
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).with_context(|| format!("connect to {address}"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
