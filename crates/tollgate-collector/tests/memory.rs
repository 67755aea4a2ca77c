//! How much memory hostile bodies can take. Alone in its process, so that what is measured is theirs.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tollgate_collector::{Collector, Settings};
use tollgate_ledger::MemoryLedger;

const MIB: usize = 1 << 20;

/// A quarter of a MiB that becomes 256 MiB.
fn gzip_bomb() -> Vec<u8> {
    let mut bomb = Vec::new();
    let zeros = std::io::repeat(b' ').take(256 << 20);
    flate2::read::GzEncoder::new(zeros, flate2::Compression::best())
        .read_to_end(&mut bomb)
        .expect("compress");
    assert!(bomb.len() < MIB, "{}", bomb.len());
    bomb
}

/// Some kB that become 256 MiB.
fn zstd_bomb() -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).expect("an encoder");
    for _ in 0..256 {
        encoder.write_all(&vec![b' '; MIB]).expect("compress");
    }
    encoder.finish().expect("compress")
}

/// Frames whose headers claim windows of 2^31 and of 2^27 bytes; the second is what the library would allow.
fn zstd_windows() -> [Vec<u8>; 2] {
    [21, 17].map(|exponent| vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, exponent << 3, 0x11, 0x00, 0x00, b'[', b']'])
}

/// What a line of this process' status says, in bytes.
fn status_bytes(key: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("the line");
    let kib: usize = line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1024
}

async fn post(wire: SocketAddr, encoding: &str, body: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(wire).await.expect("connect");
    let head = format!(
        "POST /metrics HTTP/1.1\r\nhost: c\r\ncontent-encoding: {encoding}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("write");
    stream.write_all(body).await.expect("write");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.expect("an answer");
    std::str::from_utf8(&answer[9..]).expect("digits").parse().expect("a status")
}

async fn post_owned(wire: SocketAddr, body: String) -> u16 {
    post(wire, "identity", body.as_bytes()).await
}

/// Posts `body` from many clients at once, answered by one of `expected` (alone, by the first), and gives by how much
/// memory rose at its highest.
async fn rise(
    wire: SocketAddr,
    n_posts: usize,
    encoding: &'static str,
    body: Vec<u8>,
    expected: &[u16],
) -> usize {
    // Once alone first: threads and buffers of the runtime are nobody's attack.
    assert_eq!(post(wire, encoding, &body).await, expected[0]);
    let before = status_bytes("VmRSS");
    let mut highest = before;
    let body: std::sync::Arc<[u8]> = body.into();
    let mut posts = JoinSet::new();
    for _ in 0..n_posts {
        let body = body.clone();
        posts.spawn(async move { post(wire, encoding, &body).await });
    }
    let mut n_expected = 0;
    loop {
        tokio::select! {
            ended = posts.join_next() => match ended {
                Some(status) => n_expected += usize::from(expected.contains(&status.expect("no panic"))),
                None => break,
            },
            () = sleep(Duration::from_millis(1)) => {}
        }
        highest = highest.max(status_bytes("VmRSS"));
    }
    assert_eq!(n_expected, n_posts);
    highest - before
}

/// As many batches as fit into a body of 32 MiB, each from `batch`, which is given a number.
fn full_body(batch: impl Fn(usize) -> String) -> Vec<u8> {
    let mut body = String::from("[");
    for n in 0.. {
        let batch = batch(n);
        if (32 * MIB) < body.len() + batch.len() + 1 {
            break;
        }
        body.push_str(if n == 0 { "" } else { "," });
        body.push_str(&batch);
    }
    body.push(']');
    body.into_bytes()
}

/// 825 bytes with three metrics, as controllers send.
fn honest_batch(n: usize) -> String {
    let metric = |key: &str| format!(r#"{{"key":"{key}","value":"5","time":"2018-03-22T10:15:28Z"}}"#);
    let metrics = ["pings", "juju-units", "requests"].map(metric).join(",");
    format!(
        r#"{{"uuid":"{n:036}","env-uuid":"deadbeef-0bad-400d-8000-4b1d0d06f00d","model-name":"controller","unit-name":"metered/{}","charm-url":"ch:amd64/jammy/metered-17","created":"2018-03-22T10:15:30.123Z","metrics":[{metrics}],"credentials":"{}","reseller-credentials":null,"sla-credentials":null}}"#,
        n % 100,
        "bWFj".repeat(88)
    )
}

/// As many metrics as are admitted, each as short as can be.
fn hostile_batch(n: usize) -> String {
    let metrics = vec![r#"{"value":"0"}"#; 10_000].join(",");
    format!(r#"{{"uuid":"{n}","env-uuid":"m","metrics":[{metrics}]}}"#)
}

/// What makes glibc give back at once what is freed: otherwise each thread's arena keeps its own share of it, and the process has up to
/// twice of what the collector holds, or not, as the threads take turns. It is read when a process starts.
const GIVING_BACK: [(&str, &str); 2] = [("MALLOC_ARENA_MAX", "1"), ("MALLOC_MMAP_THRESHOLD_", "1048576")];

#[test]
fn hostile_bodies_take_time_and_no_more_memory_than_allowed() {
    if GIVING_BACK.iter().all(|(name, value)| std::env::var(name).is_ok_and(|set| set == *value)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        return runtime.expect("a runtime").block_on(post_hostile_bodies());
    }
    let this = std::env::current_exe().expect("this test");
    let again = Command::new(this).envs(GIVING_BACK).args(["--nocapture"]).status().expect("start");
    assert!(again.success(), "{again}");
}

#[expect(clippy::print_stdout, reason = "how near a bound is can be seen")]
async fn post_hostile_bodies() {
    let Settings { listen, admin, .. } = Settings::for_testing();
    let settings = Settings { listen, admin, ..Settings::default() };
    let collector = Collector::bind(settings, MemoryLedger::default().open()).await.expect("free ports");
    let wire = collector.listen_addr();
    let run = tokio::spawn(collector.run(std::future::pending()));

    let [beyond_all, beyond_ours] = zstd_windows();
    for (name, encoding, body, expected) in [
        ("gzip bomb", "gzip", gzip_bomb(), 413),
        ("zstd bomb", "zstd", zstd_bomb(), 413),
        ("zstd window of 2 GiB", "zstd", beyond_all, 400),
        ("zstd window of 128 MiB", "zstd", beyond_ours, 400),
    ] {
        let n_bytes = body.len();
        let rise = timeout(Duration::from_secs(120), rise(wire, 64, encoding, body, &[expected]))
            .await
            .expect("hangs");
        println!("{name}: 64 at once of {n_bytes} bytes raised memory by {} KiB", rise / 1024);
        // What came (64 bodies) is held while it waits for its turn; what it becomes is not.
        let allowed = 64 * n_bytes + 32 * MIB;
        assert!(rise < allowed, "{name}: {rise} bytes");
    }

    let hostile = full_body(hostile_batch);
    let rise = rise(wire, 16, "identity", hostile, &[413, 503]).await;
    println!("metrics of 14 bytes: 16 at once raised memory by {} KiB", rise / 1024);
    // A quarter as much again is the allocator's: buffers that grow.
    assert!(rise < Settings::default().in_flight_bytes_max * 5 / 4, "{rise} bytes");

    // Each needs most of the budget: they must not refuse one another to the last.
    let half = format!("[{}]", (0..120).map(hostile_batch).collect::<Vec<_>>().join(","));
    let posts: Vec<_> = (0..4).map(|_| tokio::spawn(post_owned(wire, half.clone()))).collect();
    let mut statuses = Vec::new();
    for post in posts {
        statuses.push(post.await.expect("no panic"));
    }
    assert!(statuses.contains(&200), "{statuses:?}");

    let honest = full_body(honest_batch);
    assert_eq!(post(wire, "identity", &honest).await, 200, "the largest body of a controller passes");
    run.abort();
}
