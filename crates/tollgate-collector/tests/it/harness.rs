//! A running collector, a client that writes exact bytes, and a ledger that does what a test says.

#![expect(clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tollgate_collector::{Collector, CollectorError, Credentials, CurrentTerms, Settings};
use tollgate_ledger::{
    Content, Entry, Ledger, LedgerError, MemoryLedger, Outcome, Prepared, Preparer, Preparing, Reader,
    Received, Remedy, Writer,
};

/// Far beyond every limit in [`Settings::for_testing`]: what takes longer hangs.
pub(crate) const HANGS: Duration = Duration::from_secs(20);

/// Awaits what must come; panics when it hangs.
#[track_caller]
pub(crate) fn soon<T>(future: impl Future<Output = T>) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move { timeout(HANGS, future).await.unwrap_or_else(|_| panic!("hangs: {caller}")) }
}

pub(crate) struct Running {
    pub(crate) wire: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) ledger: MemoryLedger,
    stop: oneshot::Sender<()>,
    run: JoinHandle<Result<(), CollectorError>>,
}

impl Running {
    pub(crate) async fn start() -> Self {
        Self::with(Settings::for_testing()).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let ledger = MemoryLedger::default();
        Self::on(settings, ledger.open(), ledger).await
    }

    /// With a writer that consults `script` and then records in memory.
    pub(crate) async fn scripted(settings: Settings, script: Script) -> Self {
        let memory = MemoryLedger::default();
        let ledger = memory.open();
        let writer = Box::new(ScriptedWriter { script, writer: ledger.writer });
        Self::on(settings, Ledger { writer, ..ledger }, memory).await
    }

    /// With a read half of the test's own.
    pub(crate) async fn reading(reader: impl Reader + 'static) -> Self {
        let memory = MemoryLedger::default();
        let ledger = Ledger { reader: Arc::new(reader), ..memory.open() };
        Self::on(Settings::for_testing(), ledger, memory).await
    }

    /// With a ledger that takes nothing but what it has prepared itself.
    pub(crate) async fn preparing() -> Self {
        let memory = MemoryLedger::default();
        let Ledger { writer, reader, .. } = memory.open();
        let writer = Box::new(OwnWriter(writer));
        Self::on(Settings::for_testing(), Ledger { preparer: Arc::new(OwnPreparer), writer, reader }, memory)
            .await
    }

    /// On a ledger that is there already, under terms that the test may replace.
    pub(crate) async fn under(terms: &Arc<CurrentTerms>, memory: &MemoryLedger) -> Self {
        let collector = Collector::bind(Settings::for_testing(), memory.open()).await.expect("free ports");
        Self::run(collector.under(terms.clone()), memory.clone())
    }

    /// With keys and plans.
    pub(crate) async fn issuing(credentials: Credentials) -> Self {
        Self::requiring(Settings::for_testing(), credentials).await
    }

    /// The same with settings that may want a credential of every batch.
    pub(crate) async fn requiring(settings: Settings, credentials: Credentials) -> Self {
        let memory = MemoryLedger::default();
        let collector = Collector::bind(settings, memory.open()).await.expect("free ports");
        Self::run(collector.with_credentials(credentials), memory)
    }

    async fn on(settings: Settings, ledger: Ledger, memory: MemoryLedger) -> Self {
        let collector = Collector::bind(settings, ledger).await.expect("free ports");
        Self::run(collector, memory)
    }

    fn run(collector: Collector, memory: MemoryLedger) -> Self {
        let (wire, admin) = (collector.listen_addr(), collector.admin_addr());
        let (stop, stopped) = oneshot::channel();
        let run = tokio::spawn(collector.run(async {
            stopped.await.ok();
        }));
        Self { wire, admin, ledger: memory, stop, run }
    }

    /// Stops it and gives what its run came to.
    pub(crate) async fn stop(self) -> Result<(), CollectorError> {
        self.stop.send(()).ok();
        soon(self.run).await.expect("no panic")
    }

    /// Waits for an end that nobody asked for.
    pub(crate) async fn ended(self) -> Result<(), CollectorError> {
        soon(self.run).await.expect("no panic")
    }

    /// Begins to stop, and gives what waits for the end.
    pub(crate) fn begin_stop(self) -> JoinHandle<Result<(), CollectorError>> {
        self.stop.send(()).ok();
        self.run
    }

    pub(crate) async fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        self.post_with(path, &[], body).await
    }

    pub(crate) async fn post_with(&self, path: &str, headers: &[&str], body: impl AsRef<[u8]>) -> Answer {
        Client::connect(self.wire).await.request("POST", path, headers, body.as_ref()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Client::connect(self.admin).await.request("GET", path, &[], b"").await
    }

    /// The value of one line of the metrics page; 0 when there is no such line yet.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        metric(self.admin, name).await
    }

    pub(crate) async fn wait_for_metric(&self, name: &str, expected: f64) {
        soon(async {
            while self.metric(name).await != expected {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }

    pub(crate) fn counts(&self) -> tollgate_ledger::Counts {
        self.ledger.open().reader.counts()
    }
}

pub(crate) async fn metric(admin: SocketAddr, name: &str) -> f64 {
    let page = Client::connect(admin).await.request("GET", "/metrics", &[], b"").await;
    let page = String::from_utf8(page.body).expect("text");
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().expect("a number"))
}

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// Checks that this is a problem document of that status and kind, and gives it.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, slug: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["type"], format!("urn:tollgate:problem:{slug}"), "{problem}");
        assert_eq!(problem["status"], status);
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()), "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
        problem
    }

    /// Checks that this is an answer that acknowledges, and gives the ids acknowledged for a model.
    #[track_caller]
    pub(crate) fn acks(&self, model: &str) -> Vec<String> {
        assert_eq!(self.status, 200, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/json"));
        let acks = &self.json()["env-responses"][model]["acks"];
        acks.as_array().into_iter().flatten().map(|ack| ack.as_str().expect("a string").to_owned()).collect()
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = soon(TcpStream::connect(address)).await.expect("connect");
        stream.set_nodelay(true).expect("nodelay");
        Self { stream, unread: Vec::new() }
    }

    /// From another address of loopback.
    pub(crate) async fn connect_from(source: [u8; 4], address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((source, 0).into()).expect("all of 127/8 is ours");
        let stream = soon(socket.connect(address)).await.expect("connect");
        Self { stream, unread: Vec::new() }
    }

    pub(crate) async fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: &[u8],
    ) -> Answer {
        self.send(&request_bytes(method, path, headers, body)).await;
        self.answer_to(method).await
    }

    /// Writes bytes; that the other end has closed meanwhile shows when reading.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).await.ok();
    }

    pub(crate) async fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        soon(self.stream.write_all(bytes)).await
    }

    pub(crate) async fn answer(&mut self) -> Answer {
        self.answer_to("POST").await
    }

    async fn answer_to(&mut self, method: &str) -> Answer {
        soon(self.read_answer(method)).await.expect("an answer before the end of the connection")
    }

    /// The next answer, or `None` when the connection ends without one.
    pub(crate) async fn answer_or_end(&mut self) -> Option<Answer> {
        soon(self.read_answer("POST")).await
    }

    async fn read_answer(&mut self, method: &str) -> Option<Answer> {
        let end_of_head = loop {
            if let Some(at) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            self.read_more().await?;
        };
        let head: Vec<u8> = self.unread.drain(..end_of_head).collect();
        let head = String::from_utf8(head).expect("a text head");
        let mut lines = head.trim_end().split("\r\n");
        let status_line = lines.next().expect("a status line");
        let status = status_line.split(' ').nth(1).expect("a status").parse().expect("a number");
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(':').expect("a header"))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut answer = Answer { status, headers, body: Vec::new() };
        if method != "HEAD" && 200 <= status && status != 204 {
            let length = answer.header("content-length").expect("a length").parse().expect("a number");
            while self.unread.len() < length {
                self.read_more().await?;
            }
            answer.body = self.unread.drain(..length).collect();
        }
        Some(answer)
    }

    async fn read_more(&mut self) -> Option<()> {
        // A reset is an end as well.
        match self.stream.read_buf(&mut self.unread).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(()),
        }
    }
}

pub(crate) fn request_bytes(method: &str, path: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
    for header in headers {
        request.push_str(header);
        request.push_str("\r\n");
    }
    if !body.is_empty() {
        request.push_str(&format!("content-length: {}\r\n", body.len()));
    } else if method == "POST" {
        request.push_str("content-length: 0\r\n");
    }
    request.push_str("\r\n");
    [request.as_bytes(), body].concat()
}

/// A batch that a controller might send.
pub(crate) fn batch(model: &str, uuid: &str, unit: &str, value: &str) -> Value {
    json!({
        "uuid": uuid,
        "env-uuid": model,
        "model-name": "controller",
        "unit-name": unit,
        "charm-url": "ch:metered-1",
        "created": "2026-11-22T10:15:30.123Z",
        "metrics": [{"key": "pings", "value": value, "time": "2026-11-22T10:15:28Z"}],
        "credentials": "",
        "reseller-credentials": null,
        "sla-credentials": null,
    })
}

/// A post of batches of one model, in uuid order of `uuids`.
pub(crate) fn post_of(model: &str, uuids: &[&str]) -> Vec<u8> {
    let batches: Vec<Value> = uuids.iter().map(|uuid| batch(model, uuid, "metered/0", "1")).collect();
    serde_json::to_vec(&batches).expect("JSON")
}

/// What a scripted writer does with its next group.
pub(crate) enum Step {
    /// Records it.
    Record,
    /// Says that it began, waits for the word, then goes on with the step that comes with it.
    Wait(mpsc::SyncSender<()>, mpsc::Receiver<Step>),
    /// Writes nothing and fails with this remedy.
    Fail(Remedy),
    /// Has a bug.
    Panic,
}

type Steps = Arc<Mutex<Vec<Step>>>;

/// What the writer's next groups come to, and what it was given.
#[derive(Clone, Default)]
pub(crate) struct Script {
    steps: Steps,
    /// The sizes of the groups, as they came.
    pub(crate) groups: Arc<Mutex<Vec<usize>>>,
    /// Whether the writer was closed in order.
    pub(crate) closed: Arc<Mutex<bool>>,
}

/// A group that waits for the word of the test.
pub(crate) struct Held {
    began: mpsc::Receiver<()>,
    word: mpsc::SyncSender<Step>,
}

impl Script {
    /// When the script is at its end, groups are recorded.
    pub(crate) fn of(steps: impl IntoIterator<Item = Step>) -> Self {
        let mut steps: Vec<Step> = steps.into_iter().collect();
        steps.reverse();
        Self { steps: Arc::new(Mutex::new(steps)), ..Self::default() }
    }

    pub(crate) fn groups(&self) -> Vec<usize> {
        self.groups.lock().expect("no panic").clone()
    }

    pub(crate) fn is_closed(&self) -> bool {
        *self.closed.lock().expect("no panic")
    }
}

impl Held {
    /// A step that waits, and what it waits for.
    pub(crate) fn step() -> (Step, Self) {
        let (begin, began) = mpsc::sync_channel(1);
        let (word, words) = mpsc::sync_channel(1);
        (Step::Wait(begin, words), Self { began, word })
    }

    /// Waits until the writer is at this step.
    pub(crate) async fn began(&self) {
        soon(async {
            while self.began.try_recv().is_err() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }

    pub(crate) fn go_on(&self, step: Step) {
        self.word.send(step).expect("the writer waits");
    }
}

struct ScriptedWriter {
    script: Script,
    writer: Box<dyn Writer>,
}

impl Writer for ScriptedWriter {
    fn record(&mut self, group: Vec<Entry>, received: Received) -> Result<Vec<Outcome>, LedgerError> {
        self.script.groups.lock().expect("no panic").push(group.len());
        let next = self.script.steps.lock().expect("no panic").pop();
        let mut step = next.unwrap_or(Step::Record);
        loop {
            step = match step {
                Step::Record => return self.writer.record(group, received),
                Step::Wait(begin, words) => {
                    begin.send(()).ok();
                    words.recv_timeout(HANGS).expect("the test's word")
                }
                Step::Fail(remedy) => {
                    return Err(LedgerError::new(remedy, "sync segment 7").because("input/output error"));
                }
                Step::Panic => panic!("a bug in the writer, on purpose"),
            }
        }
    }

    fn close(self: Box<Self>) -> Result<(), LedgerError> {
        *self.script.closed.lock().expect("no panic") = true;
        self.writer.close()
    }
}

struct OwnPreparer;

/// What [`OwnPreparer`] makes of a request.
struct Own {
    entries: Vec<Entry>,
    received: Received,
}

impl Preparer for OwnPreparer {
    fn begin(&self, received: Received) -> Box<dyn Preparing + '_> {
        Box::new(Own { entries: Vec::new(), received })
    }
}

impl Preparing for Own {
    fn add(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    fn finish(self: Box<Self>) -> Prepared {
        Prepared { n_entries: self.entries.len(), received: self.received, content: Content::Own(self) }
    }
}

struct OwnWriter(Box<dyn Writer>);

impl Writer for OwnWriter {
    fn record(&mut self, _: Vec<Entry>, _: Received) -> Result<Vec<Outcome>, LedgerError> {
        panic!("what was not prepared came to the writer")
    }

    fn record_prepared(&mut self, requests: Vec<Prepared>) -> Result<Vec<Outcome>, LedgerError> {
        let mut outcomes = Vec::new();
        for request in requests {
            let Content::Own(own) = request.content else { panic!("a request was not prepared") };
            let Own { entries, .. } = *own.downcast().expect("our own");
            outcomes.extend(self.0.record(entries, request.received)?);
        }
        Ok(outcomes)
    }

    fn close(self: Box<Self>) -> Result<(), LedgerError> {
        self.0.close()
    }
}
