//! A collector under test: a real process on real ports.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::tollgate::command;

/// A running `tollgate serve`. Killed when it is dropped.
pub(crate) struct Collector {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub(crate) ready_line: String,
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Collector {
    /// Starts on free ports and waits until it is ready.
    pub(crate) fn start(ledger: &Path) -> Self {
        Self::start_with(ledger, |command| command)
    }

    /// As `start`, with more in its command.
    pub(crate) fn start_with(ledger: &Path, more: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        let mut command =
            command(&["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--ledger"]);
        Self::spawn(more(command.arg(ledger)))
    }

    /// Starts what `command` says, and waits until it is ready.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut collector = Self::spawn_unready(command);
        collector.stdout.read_line(&mut collector.ready_line).expect("read the ready line");
        let address = |name: &str| {
            let mut words = collector.ready_line.split(' ');
            let word = words.find_map(|word| word.strip_prefix(name)).expect("an address");
            word.parse().expect("an address")
        };
        (collector.listen, collector.admin) = (address("listen="), address("admin="));
        collector
    }

    /// Starts what `command` says. It has no addresses, as it may never be ready.
    pub(crate) fn spawn_unready(command: &mut Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("start a collector");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let none = (Ipv4Addr::UNSPECIFIED, 0).into();
        Self { child, stdout, ready_line: String::new(), listen: none, admin: none }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Posts a body to `/metrics`; status and answer.
    pub(crate) fn post(&self, body: &str) -> (u16, String) {
        self.post_to("/metrics", body)
    }

    pub(crate) fn post_to(&self, path: &str, body: &str) -> (u16, String) {
        exchange(
            self.listen,
            &format!(
                "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            ),
        )
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        exchange(self.admin, &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"))
    }

    pub(crate) fn admin_url(&self) -> String {
        format!("http://{}", self.admin)
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    /// Sends a signal, by its name.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().expect("run kill").success());
    }

    /// Waits until SIGTERM and SIGINT would not kill it.
    pub(crate) fn wait_until_it_handles_signals(&self) {
        const INTERRUPT_AND_TERMINATE: u64 = 1 << (2 - 1) | 1 << (15 - 1);
        let started = Instant::now();
        let caught = || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("Linux");
            let line = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("the line");
            u64::from_str_radix(line.trim(), 16).expect("a mask")
        };
        while caught() & INTERRUPT_AND_TERMINATE != INTERRUPT_AND_TERMINATE {
            assert!(started.elapsed() < Duration::from_secs(60), "the collector handles no signals");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until it has ended, and gives how, and what else it printed.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                break status;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "the collector does not end");
            std::thread::sleep(Duration::from_millis(20));
        };
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("read");
        (status, rest)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn exchange(addr: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(addr).expect("connect");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("set a time limit");
    stream.write_all(request.as_bytes()).expect("send");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("read the answer");
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    (status, body.to_owned())
}

/// A batch in its canonical form.
pub(crate) fn batch(model: &str, uuid: &str, value: &str) -> String {
    format!(
        r#"{{"uuid":"{uuid}","env-uuid":"{model}","model-name":"team/{model}","unit-name":"web/0","charm-url":"ch:web-1","created":"2026-01-02T03:04:05.678Z","metrics":[{{"key":"requests","value":"{value}","time":"2026-01-02T03:04:05Z"}}],"credentials":null,"reseller-credentials":null,"sla-credentials":null}}"#
    )
}
