//! What a collector logs: nothing of what senders wrote, and one line for each record.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tollgate_collector::{Collector, Settings};
use tollgate_ledger::MemoryLedger;

/// In every field that a sender can fill, with what would break a log.
const CANARY: &str = "canary\n\u{1b}[2Jcanary\r\"\\";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn post(wire: SocketAddr, path: &str, headers: &str, body: &str) -> u16 {
    let mut stream = TcpStream::connect(wire).expect("connect");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let head = format!("POST {path} HTTP/1.1\r\nhost: c\r\n{headers}content-length: {}\r\n\r\n", body.len());
    stream.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice()).expect("write");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("an answer");
    std::str::from_utf8(&answer[9..]).expect("digits").parse().expect("a status")
}

fn batch(value: &str, key: &str) -> Value {
    json!({
        "uuid": CANARY, "env-uuid": CANARY, "model-name": CANARY, "unit-name": CANARY, "charm-url": CANARY,
        "metrics": [{"key": key, "value": value, "labels": {CANARY: CANARY}}],
        "credentials": "Y2FuYXJ5",
    })
}

#[test]
fn nothing_that_a_sender_wrote_is_logged() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .init();

    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let collector = runtime
        .block_on(Collector::bind(Settings::for_testing(), MemoryLedger::default().open()))
        .expect("free ports");
    let wire = collector.listen_addr();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let run = runtime.spawn(collector.run(async {
        stopped.await.ok();
    }));

    let good = json!([batch("1", CANARY)]).to_string();
    let conflicting =
        json!([batch("2", CANARY), batch("canary", "k"), {"uuid": 1, "env-uuid": CANARY}]).to_string();
    for (expected, path, headers, body) in [
        (200, "/metrics", "", good.as_str()),
        (200, "/metrics", "x-canary: canary\r\nuser-agent: canary\r\n", conflicting.as_str()),
        (400, "/metrics", "", "[{\"canary\n\u{1b}\":"),
        (415, "/metrics", "content-encoding: canary\r\n", "[]"),
        (400, "/metrics", "content-encoding: gzip\r\n", "canary canary canary"),
        (404, "/canary%0acanary?canary", "", "[]"),
    ] {
        assert_eq!(post(wire, path, headers, body), expected, "{path} {headers} {body}");
    }
    stop.send(()).expect("it runs");
    runtime.block_on(run).expect("no panic").expect("a clean end");

    let log = String::from_utf8(log.0.lock().expect("no panic").clone()).expect("text");
    let records: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).expect("a line is a record")).collect();
    let of = |message: &str| {
        let is = |record: &&Value| record["fields"]["message"] == message;
        records.iter().filter(is).map(|record| record["fields"].clone()).collect::<Vec<_>>()
    };
    let refused: Vec<Value> =
        of("refused a request").iter().map(|fields| fields["problem"].clone()).collect();
    assert_eq!(refused, ["bad-json", "unsupported-encoding", "bad-compression", "no-such-path"]);
    assert_eq!(of("answered a request").len(), 2);
    let parted = of("a post is durable, part of it in quarantine");
    assert_eq!((&parted[0]["n_batches"], &parted[0]["n_conflicts"]), (&json!(3), &json!(1)));
    assert!(!log.to_lowercase().contains("canary"), "{log}");
}
