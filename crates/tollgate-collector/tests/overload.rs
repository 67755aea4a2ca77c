//! Many times what the ledger takes, from clients good and bad at once. Alone in its process, so that what is measured is
//! theirs.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tollgate_collector::{Collector, Settings};
use tollgate_ledger::{Entry, Ledger, LedgerError, MemoryLedger, Outcome, Received, Writer};

const MIB: usize = 1 << 20;
const HANGS: Duration = Duration::from_secs(60);

/// What a group takes: with at most 100 batches in one, some 3,000 a second.
const GROUP_TAKES: Duration = Duration::from_millis(30);

/// Requests of each client that posts as fast as it can.
const N_POSTS: usize = 200;

/// Batches by model.
type Recorded = Arc<Mutex<HashMap<Box<str>, usize>>>;

/// Takes its time, and remembers no more than how many batches a model has.
struct SlowWriter(Recorded);

impl Writer for SlowWriter {
    fn record(&mut self, group: Vec<Entry>, _: Received) -> Result<Vec<Outcome>, LedgerError> {
        thread::sleep(GROUP_TAKES);
        let mut recorded = self.0.lock().expect("no panic");
        for entry in &group {
            // What is set aside would be missing in the end.
            if let Entry::Batch(batch) = entry {
                *recorded.entry(batch.id().model_uuid.into()).or_default() += 1;
            }
        }
        Ok(vec![Outcome::Recorded; group.len()])
    }

    fn close(self: Box<Self>) -> Result<(), LedgerError> {
        Ok(())
    }
}

/// A post of so many batches whose ids are unique and begin with `id`.
fn body(model: &str, id: &str, n_batches: usize) -> String {
    let batch = |n| {
        format!(
            r#"{{"uuid":"{id}-{n}","env-uuid":"{model}","unit-name":"metered/{}","charm-url":"ch:metered-1","created":"2026-11-22T10:15:30Z","metrics":[{{"key":"pings","value":"1","time":"2026-11-22T10:15:28Z"}}],"credentials":"{}"}}"#,
            n % 20,
            "bWFj".repeat(60)
        )
    };
    let batches: Vec<String> = (0..n_batches).map(batch).collect();
    format!("[{}]", batches.join(","))
}

fn head(n_bytes: usize, more: &str) -> String {
    format!("POST /metrics HTTP/1.1\r\nhost: c\r\ncontent-length: {n_bytes}\r\n{more}\r\n")
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    /// Whether it was taken; if not, it has to say when to come again.
    #[track_caller]
    fn is_taken(&self, n_batches: usize) -> bool {
        if self.status == 200 {
            let text = String::from_utf8_lossy(&self.body);
            let acks = text.split_once(r#""acks":["#).and_then(|(_, acks)| acks.split_once(']'));
            assert_eq!(acks.map(|(acks, _)| acks.split(',').count()), Some(n_batches), "{text}");
            return true;
        }
        assert_eq!(self.status, 503, "{self:?}");
        assert!(self.head.contains("retry-after: 5"), "{self:?}");
        false
    }
}

/// Reads one answer; `None` when the connection ends before it is whole.
async fn read_answer(stream: &mut TcpStream) -> Option<Answer> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        timeout(HANGS, stream.read_buf(&mut bytes)).await.expect("hangs").ok().filter(|n| *n != 0)?;
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length = length.map_or(0, |length| length.parse().expect("a number"));
    while bytes.len() < end + length {
        timeout(HANGS, stream.read_buf(&mut bytes)).await.expect("hangs").ok().filter(|n| *n != 0)?;
    }
    let status = head[9..12].parse().expect("a status");
    Some(Answer { status, body: bytes.split_off(end), head })
}

async fn connect(address: SocketAddr) -> TcpStream {
    timeout(HANGS, TcpStream::connect(address)).await.expect("hangs").expect("connect")
}

async fn post(stream: &mut TcpStream, body: &str) -> Answer {
    stream.write_all(head(body.len(), "").as_bytes()).await.expect("write");
    stream.write_all(body.as_bytes()).await.expect("write");
    read_answer(stream).await.expect("every request is answered")
}

async fn metric(admin: SocketAddr, name: &str) -> usize {
    let mut stream = connect(admin).await;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("write");
    let page = read_answer(&mut stream).await.expect("the page").body;
    let page = String::from_utf8(page).expect("text");
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.expect("the metric").parse().expect("a whole number")
}

/// What the clients found out.
#[derive(Debug, Default)]
struct Findings {
    n_taken: AtomicUsize,
    n_refused: AtomicUsize,
    /// Refused with nothing sent but the head.
    n_refused_by_head: AtomicUsize,
    over: AtomicBool,
}

impl Findings {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Counts an answer and gives the batches that it acknowledges.
    #[track_caller]
    fn count(&self, answer: &Answer, n_batches: usize) -> usize {
        let is_taken = answer.is_taken(n_batches);
        let counter = if is_taken { &self.n_taken } else { &self.n_refused };
        counter.fetch_add(1, Ordering::SeqCst);
        if is_taken { n_batches } else { 0 }
    }
}

/// Posts as fast as it is answered, and does not care for `Retry-After`. Gives how many batches were acknowledged.
async fn hammer(
    wire: SocketAddr,
    model: String,
    n_batches: usize,
    n_posts: usize,
    findings: Arc<Findings>,
) -> usize {
    let mut stream = connect(wire).await;
    let mut n_acknowledged = 0;
    for n in 0..n_posts {
        let answer = post(&mut stream, &body(&model, &n.to_string(), n_batches)).await;
        n_acknowledged += findings.count(&answer, n_batches);
    }
    n_acknowledged
}

/// Sends a body so slowly that it is told, again and again.
async fn dawdle(wire: SocketAddr, findings: Arc<Findings>) {
    let body = body("slow", "slow", 10);
    while !findings.is_over() {
        let mut stream = connect(wire).await;
        stream.write_all(head(body.len(), "").as_bytes()).await.expect("write");
        for byte in body.as_bytes().chunks(1) {
            if stream.write_all(byte).await.is_err() || findings.is_over() {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A post that has an answer of 6 MB: more than the kernel keeps for who does not read.
fn long_answered() -> Vec<u8> {
    let batches: Vec<String> =
        (0..12_000).map(|n| format!(r#"{{"uuid":"{n:0>500}","env-uuid":"deaf"}}"#)).collect();
    let body = format!("[{}]", batches.join(","));
    [head(body.len(), "").into_bytes(), body.into_bytes()].concat()
}

/// Posts and never reads the answer, again and again.
async fn ignore_answers(wire: SocketAddr, request: Arc<Vec<u8>>, findings: Arc<Findings>) {
    while !findings.is_over() {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(64 << 10).expect("a small buffer");
        let mut stream = timeout(HANGS, socket.connect(wire)).await.expect("hangs").expect("connect");
        // Refused and closed, or taken: it does not look.
        stream.write_all(&request).await.ok();
        sleep(Duration::from_secs(1)).await;
    }
}

/// Asks whether to send a body, and sends it when it may.
async fn ask_first(wire: SocketAddr, findings: Arc<Findings>) -> usize {
    let mut n_acknowledged = 0;
    for n in 0.. {
        if findings.is_over() {
            break;
        }
        let mut stream = connect(wire).await;
        let body = body("polite", &n.to_string(), 10);
        stream.write_all(head(body.len(), "expect: 100-continue\r\n").as_bytes()).await.expect("write");
        let mut answer = read_answer(&mut stream).await.expect("an answer to the head");
        if answer.status == 100 {
            stream.write_all(body.as_bytes()).await.expect("write");
            answer = read_answer(&mut stream).await.expect("an answer");
        } else {
            findings.n_refused_by_head.fetch_add(1, Ordering::SeqCst);
        }
        n_acknowledged += findings.count(&answer, 10);
    }
    n_acknowledged
}

/// Sends one batch after the other, each until it is acknowledged; it waits between tries, though less than it is asked to.
async fn honest(wire: SocketAddr, n_batches: usize) -> usize {
    let mut stream = connect(wire).await;
    let mut n_tries = 0;
    for n in 0..n_batches {
        let body = body("honest", &n.to_string(), 1);
        loop {
            n_tries += 1;
            if post(&mut stream, &body).await.is_taken(1) {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
    n_tries
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the line");
    let kib: usize = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_times_what_the_ledger_takes_is_refused_in_order_and_memory_stays() {
    let settings = Settings {
        body_bytes_max: 16 * MIB,
        compressed_bytes_max: MIB,
        request_batches_max: 20_000,
        in_flight_bytes_max: 64 * MIB,
        queue_batches_max: 100,
        turn_timeout_ms: 300,
        connections_max: 256,
        address_connections_max: 256,
        write_timeout_ms: 400,
        header_timeout_ms: 60_000,
        ..Settings::for_testing()
    };
    let (in_flight_bytes_max, queue_batches_max) = (settings.in_flight_bytes_max, settings.queue_batches_max);
    let recorded = Recorded::default();
    let ledger = Ledger { writer: Box::new(SlowWriter(recorded.clone())), ..MemoryLedger::default().open() };
    let collector = Collector::bind(settings, ledger).await.expect("free ports");
    let (wire, admin) = (collector.listen_addr(), collector.admin_addr());
    let run = tokio::spawn(collector.run(std::future::pending()));

    let findings = Arc::new(Findings::default());
    let mut forever = JoinSet::new();
    for _ in 0..16 {
        forever.spawn(dawdle(wire, findings.clone()));
    }
    let long_answered = Arc::new(long_answered());
    for _ in 0..3 {
        forever.spawn(ignore_answers(wire, long_answered.clone(), findings.clone()));
    }
    let polite = tokio::spawn(ask_first(wire, findings.clone()));
    let mut hammers = HashMap::new();
    for (kind, n_clients, n_batches, n_posts) in [("small", 48, 10, N_POSTS), ("large", 6, 300, N_POSTS / 20)]
    {
        for n in 0..n_clients {
            let model = format!("{kind}-{n}");
            let hammer = hammer(wire, model.clone(), n_batches, n_posts, findings.clone());
            hammers.insert(model, tokio::spawn(hammer));
        }
    }
    let honest = tokio::spawn(honest(wire, 20));

    let (mut highest, mut in_flight, mut n_waiting) = (0, 0, 0);
    let before = resident_bytes();
    while !hammers.values().all(tokio::task::JoinHandle::is_finished) {
        highest = highest.max(resident_bytes());
        in_flight = in_flight.max(metric(admin, "tollgate_in_flight_bytes").await);
        n_waiting = n_waiting.max(metric(admin, "tollgate_queue_batches").await);
        sleep(Duration::from_millis(5)).await;
    }
    let n_tries = timeout(HANGS, honest).await.expect("an honest client gets through").expect("no panic");
    findings.over.store(true, Ordering::SeqCst);
    let n_polite = timeout(HANGS, polite).await.expect("hangs").expect("no panic");
    while let Some(ended) = timeout(HANGS, forever.join_next()).await.expect("hangs") {
        ended.expect("no panic");
    }

    let rise = highest.saturating_sub(before);
    println!("{findings:?}; the honest client tried {n_tries} times for 20 batches");
    println!("memory rose by {} KiB, in flight {in_flight} bytes, waiting {n_waiting} batches", rise / 1024);
    let (n_taken, n_refused) =
        (findings.n_taken.load(Ordering::SeqCst), findings.n_refused.load(Ordering::SeqCst));
    assert!(3 * n_taken < n_refused, "it was too much: {findings:?}");
    assert!(0 < findings.n_refused_by_head.load(Ordering::SeqCst), "{findings:?}");
    assert!(in_flight <= in_flight_bytes_max);
    // One large request waits beside the others.
    assert!(n_waiting <= queue_batches_max + 12_000, "{n_waiting}");
    // Twice, as the settings say, and the clients are in this process too.
    assert!(rise < 2 * in_flight_bytes_max + 64 * MIB, "{rise} bytes");

    let mut expected = HashMap::from([("honest".to_owned(), 20), ("polite".to_owned(), n_polite)]);
    for (model, hammer) in hammers {
        expected.insert(model, hammer.await.expect("no panic"));
    }
    for (model, n_acknowledged) in expected {
        let n_recorded = recorded.lock().expect("no panic").get(&*model).copied().unwrap_or_default();
        assert_eq!(
            n_recorded, n_acknowledged,
            "{model}: what is refused is not recorded, and the rest is told"
        );
    }

    let drained = async {
        while metric(admin, "tollgate_in_flight_bytes").await != 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(HANGS, drained).await.expect("all that was held is given back");
    assert_eq!(metric(admin, "tollgate_queue_batches").await, 0);
    let mut stream = connect(wire).await;
    for (id, n_batches) in [("after-1", 10), ("after-2", 300), ("after-3", 1)] {
        assert!(
            post(&mut stream, &body("after", id, n_batches)).await.is_taken(n_batches),
            "all is taken again"
        );
    }
    run.abort();
}
