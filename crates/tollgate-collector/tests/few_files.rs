//! A collector that runs out of file descriptors: it waits, it does not spin, and it recovers by itself.
//!
//! The collector is this same test in a process of its own, with 40 descriptors.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tollgate_collector::{Collector, Settings};
use tollgate_ledger::MemoryLedger;

const CHILD: &str = "TOLLGATE_TEST_FEW_FILES";

#[test]
fn out_of_files_it_waits_and_recovers() {
    if std::env::var_os(CHILD).is_some() {
        return serve();
    }
    let mut child = start_with_few_files();
    let lines = BufReader::new(child.0.stdout.take().expect("piped"));
    let mut addresses = lines.lines().filter_map(|line| {
        let line = line.expect("text");
        let (_, address) = line.split_once("address=")?;
        address.parse::<SocketAddr>().ok()
    });
    let (wire, admin) = (addresses.next().expect("wire"), addresses.next().expect("admin"));

    // One connection for operators before the flood.
    let mut operator = TcpStream::connect(admin).expect("connect");
    assert!(scrape(&mut operator).contains("tollgate_accept_failures_total 0"));
    let flood: Vec<TcpStream> =
        (0..100).map(|_| TcpStream::connect(wire).expect("the kernel's queue")).collect();
    let deadline = Instant::now() + Duration::from_secs(20);
    while scrape(&mut operator).contains("tollgate_accept_failures_total 0") {
        assert!(Instant::now() < deadline, "it never ran out of files");
        std::thread::sleep(Duration::from_millis(20));
    }
    let before = cpu_ticks(&child.0);
    std::thread::sleep(Duration::from_secs(1));
    let n_ticks = cpu_ticks(&child.0) - before;
    assert!(n_ticks < 30, "it spins: {n_ticks} ticks of 10 ms in a second");

    drop(flood);
    let mut sender = TcpStream::connect(wire).expect("connect");
    sender.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    sender.write_all(b"POST /metrics HTTP/1.1\r\nhost: c\r\ncontent-length: 2\r\n\r\n[]").expect("write");
    let mut status = [0; 12];
    sender.read_exact(&mut status).expect("an answer");
    assert_eq!(&status, b"HTTP/1.1 200");
}

/// The child's part.
fn serve() {
    let settings = Settings { connections_max: 4_096, header_timeout_ms: 60_000, ..Settings::for_testing() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let collector = Collector::bind(settings, MemoryLedger::default().open()).await.expect("free ports");
        let (wire, admin) = (collector.listen_addr(), collector.admin_addr());
        writeln!(std::io::stdout(), "\naddress={wire}\naddress={admin}").expect("the parent reads");
        // A parent that dies without killing this must not leave it behind.
        let forgotten = tokio::time::sleep(Duration::from_secs(60));
        collector.run(forgotten).await.expect("a clean end");
    });
}

struct KilledAtEnd(Child);

impl Drop for KilledAtEnd {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn start_with_few_files() -> KilledAtEnd {
    let this = std::env::current_exe().expect("this test");
    let child = Command::new("sh")
        .args(["-c", "ulimit -n 40 && exec \"$0\" --nocapture"])
        .arg(this)
        .env(CHILD, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn();
    KilledAtEnd(child.expect("a child"))
}

fn scrape(operator: &mut TcpStream) -> String {
    operator.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    operator.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("write");
    let mut page = Vec::new();
    let mut piece = [0; 4096];
    while !page.ends_with(b"# EOF\n") {
        let n_read = operator.read(&mut piece).expect("the page");
        assert_ne!(n_read, 0, "the end of the connection");
        page.extend_from_slice(&piece[..n_read]);
    }
    String::from_utf8(page).expect("text")
}

fn cpu_ticks(child: &Child) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("Linux");
    // After the name, which is in parentheses: utime and stime are fields 14 and 15.
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |field: usize| fields[field - 3].parse::<u64>().expect("a number");
    ticks(14) + ticks(15)
}
