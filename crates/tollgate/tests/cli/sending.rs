//! The sending side: `record`, `send`, `spool`, `meter-status`, `agent`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use crate::collector::Collector;
use crate::tollgate::{Run, command, run};

/// A folder for a spool and a ledger.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs a command of the sending side on the spool here.
    fn run(&self, args: &[&str]) -> Run {
        let spool = self.path("spool");
        run(&[args, &["--spool", spool.to_str().expect("UTF-8")]].concat())
    }

    #[track_caller]
    fn check(&self, args: &[&str], exit: i32, stdout: &str) {
        let run = self.run(args);
        assert_eq!((run.exit, run.stdout.as_str()), (Some(exit), stdout), "{}", run.stderr);
    }

    /// The batches in the ledger here.
    fn export(&self) -> Vec<String> {
        let run = run(&["export", self.path("ledger").to_str().expect("UTF-8")]);
        assert_eq!(run.exit, Some(0), "{}", run.stderr);
        run.stdout.lines().map(str::to_owned).collect()
    }
}

fn record(place: &Place, value: &str) -> Run {
    place.run(&[
        "record",
        "--model",
        "m1",
        "--unit",
        "web/0",
        &format!("requests={value}"),
        "--label",
        "az=eu-1",
    ])
}

#[test]
fn what_is_recorded_is_sent_once() {
    let place = Place::new();
    let collector = Collector::start(&place.path("ledger"));
    let url = format!("http://{}", collector.listen);
    let id = record(&place, "3.50").stdout;
    assert_eq!(id.trim_end().len(), 36);
    place.check(&["send", "--to", &url], 0, "1 batch acknowledged in 1 request; nothing waits\n");
    place.check(&["send", "--to", &url], 0, "0 batches acknowledged in 0 requests; nothing waits\n");
    place.check(&["meter-status"], 0, "GREEN\n");
    place.check(&["spool", "list", "--format", "json"], 0, "[]\n");
    drop(collector);
    let batches = place.export();
    assert_eq!(batches.len(), 1);
    assert!(batches[0].contains(id.trim_end()) && batches[0].contains(r#""value":"3.50""#), "{batches:?}");
    assert!(batches[0].contains(r#""labels":{"az":"eu-1"}"#), "{batches:?}");
}

#[test]
fn without_a_collector_it_stays_and_says_why() {
    let place = Place::new();
    let id = record(&place, "1").stdout;
    let gone =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let sent = place.run(&["send", "--to", &format!("http://{gone}")]);
    assert_eq!(
        (sent.exit, sent.stdout.as_str()),
        (Some(1), "0 batches acknowledged in 1 request; 1 batch still waits\n")
    );
    assert!(
        sent.stderr.contains(&format!("tollgate: failed to send to http://{gone}/metrics: could not post: ")),
        "{}",
        sent.stderr
    );
    assert!(sent.stderr.contains("refused"), "{}", sent.stderr);

    let listed = place.run(&["spool", "list"]);
    assert!(listed.stdout.contains(id.trim_end()) && listed.stdout.contains("web/0"), "{}", listed.stdout);
    let shown = place.run(&["spool", "show"]);
    assert!(
        shown.stdout.starts_with("1 batch still waits of 1 recorded here; 0 refused, 0 given up\n"),
        "{}",
        shown.stdout
    );
    assert!(shown.stdout.contains("the last attempt failed: could not post: "), "{}", shown.stdout);
    let exported = place.run(&["spool", "export"]);
    assert_eq!(place.run(&["spool", "show", id.trim_end()]).stdout, exported.stdout);
    assert!(exported.stdout.starts_with(&format!("{{\"uuid\":\"{}\"", id.trim_end())), "{}", exported.stdout);
    let file = place.path("exported");
    std::fs::write(&file, &exported.stdout).expect("write");
    let other = place.path("other");
    let import =
        ["spool", "import", file.to_str().expect("UTF-8"), "--spool", other.to_str().expect("UTF-8")];
    assert_eq!(run(&import).stdout, "1 batch recorded\n");
    assert_eq!(run(&["spool", "export", "--spool", other.to_str().expect("UTF-8")]).stdout, exported.stdout);
    place.check(&["spool", "verify"], 0, "ok: 1 batch still waits; 3 records in 2 groups\n");
    place.check(&["spool", "release", "--send-again"], 0, "0 batches will be sent again\n");
    place.check(&["spool", "release", "--give-up", id.trim_end()], 0, "1 batch given up\n");
    assert_eq!(place.run(&["spool", "release", "--give-up", id.trim_end()]).exit, Some(1));
}

#[test]
fn what_could_never_count_is_refused_at_once() {
    let place = Place::new();
    for (value, reason) in [("twelve", "is not a number"), ("-1", "is negative"), ("NaN", "")] {
        let run = record(&place, value);
        assert_eq!(run.exit, Some(2), "{value}");
        assert!(
            run.stderr.contains("failed to record what no collector could count: metrics[0].value"),
            "{}",
            run.stderr
        );
        assert!(run.stderr.contains(reason), "{}", run.stderr);
    }
    let homeless = place.run(&["record", "requests=1"]);
    assert_eq!(homeless.exit, Some(2));
    assert!(homeless.stderr.contains("it needs a model; give --model"), "{}", homeless.stderr);
    assert!(!place.path("spool").exists(), "nothing was made");
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let place = Place::new();
    std::fs::write(place.path("spool"), "a file").expect("write");
    let run = record(&place, "1");
    assert_eq!(run.exit, Some(1));
    assert!(run.stderr.contains("failed to open") && run.stderr.contains("spool"), "{}", run.stderr);
    let run = Place::new().run(&["meter-status"]);
    assert_eq!(run.exit, Some(1));
    assert!(run.stderr.contains("No such file"), "{}", run.stderr);
}

#[test]
fn a_disk_that_takes_no_more_loses_nothing_and_counts_nothing_twice() {
    let place = Place::new();
    let spool = place.path("spool");
    let mut ids = Vec::new();
    let refusal = loop {
        let mut shell = with_small_files(4);
        shell.args(["record", "--model", "m1", "requests=1", "--spool"]).arg(&spool);
        let output = shell.output().expect("run record");
        if !output.status.success() {
            break output;
        }
        ids.push(String::from_utf8(output.stdout).expect("an id").trim_end().to_owned());
    };
    let stderr = String::from_utf8_lossy(&refusal.stderr);
    assert_eq!((refusal.status.code(), refusal.stdout.len()), (Some(1), 0), "{stderr}");
    assert!(stderr.contains("append to"), "{stderr}");
    assert!(!ids.is_empty());
    let exported = || place.run(&["spool", "export"]).stdout;
    let all = exported();
    assert!(ids.iter().all(|id| all.matches(id.as_str()).count() == 1), "{ids:?} in {all}");
    // With room again it goes on behind what there is.
    ids.push(record(&place, "1").stdout.trim_end().to_owned());
    let all = exported();
    assert_eq!((all.lines().count(), all.matches(&ids[ids.len() - 1]).count()), (ids.len(), 1), "{all}");
}

#[test]
fn a_folder_that_may_only_be_read_is_read_and_left_alone() {
    let place = Place::new();
    let id = record(&place, "1").stdout;
    let spool = place.path("spool");
    let set_mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set who may do what");
    };
    set_mode(place.dir.path(), 0o755);
    set_mode(&spool, 0o555);
    for entry in std::fs::read_dir(&spool).expect("list") {
        set_mode(&entry.expect("list").path(), 0o444);
    }
    let is_root = std::fs::metadata(&spool).expect("there").uid() == 0;
    let run = |args: &[&str]| {
        let mut command = command(args);
        command.arg("--spool").arg(&spool);
        if is_root {
            // Who may do everything is not stopped by a mode.
            command.uid(65_534).gid(65_534);
        }
        command.output()
    };
    let Ok(shown) = run(&["spool", "show"]) else {
        eprintln!("skipped: nobody else may run the program here");
        return;
    };
    let shown = String::from_utf8(shown.stdout).expect("text");
    assert!(shown.starts_with("1 batch still waits"), "{shown}");
    let contents = || {
        let mut files: Vec<(PathBuf, Vec<u8>)> = std::fs::read_dir(&spool)
            .expect("list")
            .map(|entry| entry.expect("list").path())
            .map(|path| (path.clone(), std::fs::read(path).expect("read")))
            .collect();
        files.sort();
        files
    };
    let before = contents();
    for args in [&["record", "--model", "m1", "requests=2"][..], &["send", "--to", "http://127.0.0.1:1"]] {
        let refused = run(args).expect("run");
        let stderr = String::from_utf8_lossy(&refused.stderr);
        assert_eq!((refused.status.code(), refused.stdout.len()), (Some(1), 0), "{stderr}");
        assert!(stderr.contains("Permission denied") && stderr.contains("spool"), "{stderr}");
        assert_eq!(contents(), before);
    }
    set_mode(&spool, 0o755);
    assert!(place.run(&["spool", "export"]).stdout.contains(id.trim_end()));
}

#[test]
fn a_damaged_spool_gives_what_is_left() {
    let place = Place::new();
    let collector = Collector::start(&place.path("ledger"));
    for value in ["1", "2", "3"] {
        assert_eq!(record(&place, value).exit, Some(0));
    }
    let segment = place.path("spool").join("0000000000000001.segment");
    let mut bytes = std::fs::read(&segment).expect("read");
    bytes[220] ^= 1;
    std::fs::write(&segment, bytes).expect("write");
    let sent = place.run(&["send", "--to", &format!("http://{}", collector.listen)]);
    assert_eq!(
        (sent.exit, sent.stdout.as_str()),
        (Some(0), "2 batches acknowledged in 1 request; nothing waits\n")
    );
    assert!(sent.stderr.contains("the spool was damaged"), "{}", sent.stderr);
    assert!(place.path("spool").join("set-aside").join("0000000000000001.segment-128").exists());
    drop(collector);
    assert_eq!(place.export().len(), 2);
}

/// Writes an agent's configuration on the spool and socket here, and gives its path.
fn configure(place: &Place, configuration: &str) -> String {
    let path = place.path("agent.toml");
    let (spool, socket) = (place.path("spool"), place.path("socket"));
    let text = format!("sender.spool = {spool:?}\nagent.socket = {socket:?}\n{configuration}");
    std::fs::write(&path, text).expect("write");
    path.to_str().expect("UTF-8").to_owned()
}

/// The program, which cannot write files longer than `n_blocks` of 512 bytes; its arguments are to be added.
fn with_small_files(n_blocks: u32) -> std::process::Command {
    let script = format!("trap '' XFSZ; ulimit -f {n_blocks}; exec \"$0\" \"$@\"");
    let mut shell = std::process::Command::new("/bin/sh");
    shell.args(["-c", &script]).arg(command(&[]).get_program());
    shell
}

/// A running agent. Killed when it is dropped.
struct Agent {
    child: Child,
    stdout: BufReader<ChildStdout>,
    socket: PathBuf,
    ready_line: String,
}

impl Agent {
    fn start(place: &Place, configuration: &str) -> Self {
        let path = configure(place, configuration);
        Self::start_as(place, command(&["agent", "--config", &path]))
    }

    /// An agent as [`with_small_files`].
    fn start_with_small_files(place: &Place, configuration: &str, n_blocks: u32) -> Self {
        let path = configure(place, configuration);
        let mut shell = with_small_files(n_blocks);
        shell.args(["agent", "--config", &path]);
        Self::start_as(place, shell)
    }

    fn start_as(place: &Place, mut command: std::process::Command) -> Self {
        let socket = place.path("socket");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("start an agent");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut ready_line = String::new();
        stdout.read_line(&mut ready_line).expect("read the ready line");
        assert!(ready_line.starts_with("ready socket="), "{ready_line:?}");
        Self { child, stdout, socket, ready_line }
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = UnixStream::connect(&self.socket).expect("connect");
        exchange(&mut stream, method, path, body, "host: agent\r\n")
    }

    fn exit(mut self) -> Option<i32> {
        wait_for("the end", || self.child.try_wait().expect("wait").is_some());
        self.child.wait().expect("wait").code()
    }

    fn terminate(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(std::process::Command::new("kill").arg(&id).status().expect("run kill").success());
        let status = self.child.wait().expect("wait");
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("read");
        assert_eq!(rest, "", "one line is all");
        status.code()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn exchange(
    stream: &mut (impl std::io::Read + std::io::Write),
    method: &str,
    path: &str,
    body: &str,
    headers: &str,
) -> (u16, String) {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).expect("send");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("read the answer");
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    (status, body.to_owned())
}

#[track_caller]
fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(30), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn an_agent_takes_readings_and_delivers_them_once_over_kills() {
    let place = Place::new();
    let collector = Collector::start(&place.path("ledger"));
    let configuration = format!(
        "sender.to = \"http://{}\"\nsender.every_ms = 100\nsender.hook = 'echo $JUJU_METER_STATUS $TOLLGATE_METER_CHANGE >> {}'\n\
         agent.model = \"m1\"\nagent.unit = \"web/0\"\nagent.batch_age_ms = 300\nagent.heartbeat = \"juju-units\"\n",
        collector.listen,
        place.path("hook").display()
    );
    let mut agent = Agent::start(&place, &configuration);
    assert_eq!(
        agent.ask("POST", "/readings", r#"{"meter":"requests","value":0.10}"#),
        (200, r#"{"recorded":1}"#.to_owned())
    );
    let two = r#"[{"meter":"requests","value":"2","unit":"web/1"},{"meter":"requests","value":3,"labels":{"az":"a"}}]"#;
    assert_eq!(agent.ask("POST", "/readings", two), (200, r#"{"recorded":2}"#.to_owned()));
    // What was answered is durable.
    agent.child.kill().expect("kill");
    agent.child.wait().expect("wait");
    let agent = Agent::start(&place, &configuration);
    let (status, refused) = agent.ask("POST", "/readings", r#"{"meter":"requests","value":"twelve"}"#);
    assert_eq!(status, 400);
    assert!(refused.contains("is not a number"), "{refused}");
    assert_eq!(agent.ask("GET", "/nowhere", "").0, 404);
    wait_for("delivery", || {
        let (_, spool) = agent.ask("GET", "/spool", "");
        spool.contains("\"pending\":0")
            && spool.contains("\"readings\":0")
            && !spool.contains("\"recorded\":0")
    });
    assert_eq!(agent.ask("GET", "/healthz", ""), (200, "ok\n".to_owned()));
    assert_eq!(
        agent.ask("GET", "/meter-status?model=m1&unit=web/0", ""),
        (200, r#"{"status":"GREEN","info":""}"#.to_owned())
    );
    assert_eq!(
        agent.ask("POST", "/spool/release", r#"{"action":"send-again"}"#),
        (200, r#"{"released":0}"#.to_owned())
    );
    // Another one does not get the spool or the socket, and beside it the folder can be looked at.
    assert_eq!(place.run(&["meter-status"]).exit, Some(0));
    wait_for("the hook", || !lines(&place.path("hook")).is_empty());
    assert_eq!(agent.terminate(), Some(0));
    assert!(!place.path("socket").exists());
    // Only for the change at which it was killed it may have run twice, with the same number.
    let mut hooked = lines(&place.path("hook"));
    let n_hooked = hooked.len();
    hooked.dedup();
    assert!(n_hooked <= hooked.len() + 1, "{hooked:?}");
    let numbered = (1..).zip(["GREEN"]).map(|(number, status)| format!("{status} {number}"));
    assert_eq!(hooked, numbered.collect::<Vec<_>>());
    drop(collector);
    let batches = place.export().join("\n");
    let n_times = |text: &str| batches.matches(text).count();
    assert_eq!(
        (n_times(r#""value":"0.10""#), n_times(r#""value":"2""#), n_times(r#""value":"3""#)),
        (1, 1, 1),
        "{batches}"
    );
    // The first agent may have been killed before it read one.
    assert!(1 <= n_times(r#""key":"juju-units","value":"1""#), "{batches}");
}

#[test]
fn an_agent_on_a_loopback_address_takes_no_requests_of_web_pages() {
    let place = Place::new();
    let agent = Agent::start(&place, "agent.model = \"m1\"\nagent.listen = \"127.0.0.1:0\"\n");
    let address = agent
        .ready_line
        .split(' ')
        .find_map(|word| word.strip_prefix("listen="))
        .expect("an address")
        .to_owned();
    let ask = |headers: &str| {
        let mut stream = TcpStream::connect(&address).expect("connect");
        exchange(&mut stream, "POST", "/readings", r#"{"meter":"a","value":1}"#, headers).0
    };
    assert_eq!(ask("host: 127.0.0.1:80\r\n"), 200);
    assert_eq!(ask("host: localhost\r\n"), 200);
    assert_eq!(ask("host: evil.example\r\n"), 403);
    assert_eq!(ask("host: 127.0.0.1\r\norigin: http://evil.example\r\n"), 403);
    assert_eq!(agent.terminate(), Some(0));
}

/// An endpoint that gives what `text` makes of the number of the request, from 0.
fn endpoint(text: impl Fn(u64) -> String + Send + 'static) -> SocketAddr {
    let endpoint = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = endpoint.local_addr().expect("an address");
    std::thread::spawn(move || {
        for n in 0.. {
            let Ok((mut stream, _)) = endpoint.accept() else { return };
            let mut request = [0; 1024];
            let _ = stream.read(&mut request);
            let body = text(n);
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
    address
}

#[test]
fn what_is_counted_first_begins_with_what_it_finds() {
    let place = Place::new();
    let address = endpoint(|n| format!("c_total {}\nd_total {}\n", 100 + 5 * n, 1_000 + 7 * n));
    let entry = |unit: &str| {
        format!(
            "[[agent.scrape]]\nurl = \"http://{address}/metrics\"\nevery_seconds = 1\nunit = \"{unit}\"\n"
        )
    };
    let mapping = |metric: &str, meter: &str| {
        format!("[[agent.scrape.meters]]\nmetric = \"{metric}\"\nmeter = \"{meter}\"\nkind = \"counter\"\n")
    };
    let head = "agent.model = \"m1\"\nagent.batch_age_ms = 100\n";
    let exported = || place.run(&["spool", "export"]).stdout;
    // Two entries for one address, each with its unit and meter.
    let first =
        [head, &entry("a/0"), &mapping("c_total", "a"), &entry("b/0"), &mapping("c_total", "b")].concat();
    let agent = Agent::start(&place, &first);
    wait_for("readings", || [r#""key":"a""#, r#""key":"b""#].iter().all(|key| exported().contains(key)));
    assert_eq!(agent.terminate(), Some(0));
    // And later another meter of an address that is known.
    let second = [head, &entry("a/0"), &mapping("c_total", "a"), &mapping("d_total", "later")].concat();
    let agent = Agent::start(&place, &second);
    wait_for("readings", || exported().contains(r#""key":"later""#));
    assert_eq!(agent.terminate(), Some(0));
    let exported = exported();
    let values =
        exported.split(r#""value":""#).skip(1).map(|rest| rest.split('"').next().unwrap_or_default());
    let values: Vec<u64> = values.map(|value| value.parse().expect("a number")).collect();
    // A few requests may lie between two readings of the same, and never all that was there before.
    assert!(values.iter().all(|&value| value < 100), "{values:?} in {exported}");
}

#[test]
fn a_spool_that_fails_under_what_only_reads_ends_the_agent() {
    let address = endpoint(|n| format!("g {n}\n"));
    let scrape = format!(
        "[[agent.scrape]]\nurl = \"http://{address}/metrics\"\nevery_seconds = 1\n\
         [[agent.scrape.meters]]\nmetric = \"g\"\nmeter = \"g\"\nkind = \"gauge\"\n"
    );
    for reads in ["agent.heartbeat = \"juju-units\"\nagent.heartbeat_seconds = 1\n", &scrape] {
        let place = Place::new();
        let head = "agent.model = \"m1\"\nagent.batch_age_ms = 3600000\n";
        let agent = Agent::start_with_small_files(&place, &format!("{head}{reads}"), 2);
        assert_eq!(agent.exit(), Some(70), "{reads}");
    }
}

#[test]
fn a_spool_that_fails_while_the_agent_stops_ends_it_as_at_any_time() {
    let place = Place::new();
    let agent =
        Agent::start_with_small_files(&place, "agent.model = \"m1\"\nagent.batch_age_ms = 3600000\n", 2);
    // There is room for the reading, and none for the batch that is made of it at the end.
    let label: String = (0..300_u32).map(|n| char::from(b'a' + (n * n % 251 % 26) as u8)).collect();
    let reading = format!(r#"{{"meter":"requests","value":1,"labels":{{"az":"{label}"}}}}"#);
    assert_eq!(agent.ask("POST", "/readings", &reading).0, 200);
    assert_eq!(agent.terminate(), Some(70));
    // And it is there at the next start.
    let agent = Agent::start(&place, "agent.model = \"m1\"\n");
    assert_eq!(agent.terminate(), Some(0));
    assert!(place.run(&["spool", "show"]).stdout.starts_with("1 batch still waits"), "it is there");
}

#[test]
fn a_second_agent_is_refused_and_told_who_has_the_spool() {
    let place = Place::new();
    let configuration = "agent.model = \"m1\"\nsender.to = \"http://127.0.0.1:1\"\n";
    let agent = Agent::start(&place, configuration);
    let path = configure(&place, configuration);
    let second = run(&["agent", "--config", &path]);
    assert_eq!(second.exit, Some(1), "{}", second.stderr);
    let refusal = format!("process {} has it", agent.child.id());
    assert!(second.stderr.contains(&refusal) && !second.stderr.contains("panicked"), "{}", second.stderr);
    assert_eq!(agent.terminate(), Some(0));
}

#[test]
fn an_agent_that_waits_for_an_answer_stops_all_the_same() {
    let place = Place::new();
    let silent = TcpListener::bind("127.0.0.1:0").expect("bind");
    let to = silent.local_addr().expect("an address");
    let agent = Agent::start(
        &place,
        &format!(
            "agent.model = \"m1\"\nagent.batch_age_ms = 1\nsender.to = \"http://{to}\"\nsender.every_ms = 100\n"
        ),
    );
    assert_eq!(agent.ask("POST", "/readings", r#"{"meter":"requests","value":1}"#).0, 200);
    let _request = silent.accept().expect("the sender connects");
    let started = Instant::now();
    assert_eq!(agent.terminate(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert!(place.run(&["spool", "show"]).stdout.starts_with("1 batch still waits"), "it is there");
}

#[test]
fn an_agent_reads_an_endpoint_into_meters() {
    let place = Place::new();
    let address =
        endpoint(|n| format!("# TYPE c counter\nc_total{{az=\"a\",code=\"200\"}} {}\ng 7.5\n", 100 + 5 * n));
    let agent = Agent::start(
        &place,
        &format!(
            "agent.model = \"m1\"\nagent.batch_age_ms = 100\n[[agent.scrape]]\nurl = \"http://{address}/metrics\"\nevery_seconds = 1\n\
             [[agent.scrape.meters]]\nmetric = \"c_total\"\nmeter = \"requests\"\nkind = \"counter\"\nlabels = [\"az\"]\n\
             [[agent.scrape.meters]]\nmetric = \"g\"\nmeter = \"storage\"\nkind = \"gauge\"\n"
        ),
    );
    let exported = || place.run(&["spool", "export"]).stdout;
    wait_for("readings", || exported().contains(r#"{"key":"requests","value":"5","#));
    assert_eq!(agent.terminate(), Some(0));
    let batches = exported();
    assert!(
        batches.contains(r#""labels":{"az":"a"}"#) && batches.contains(r#"{"key":"storage","value":"7.5","#),
        "{batches}"
    );
    assert!(!batches.contains(r#""value":"100""#), "what was counted before is not");
}

#[test]
fn an_agent_that_cannot_be_is_refused_with_what_to_mend() {
    let place = Place::new();
    for (configuration, reason) in [
        ("agent.socket = \"\"", "set `socket` or `listen` in [agent]"),
        ("agent.listen = \"0.0.0.0:1\"", "it is not a loopback address"),
        ("agent.heartbeat = \"juju-units\"", "they need `model` in [agent]"),
        ("sender.to = \"collector:1\"", "it is neither http nor https"),
        (
            "agent.model = \"m1\"\n[[agent.scrape]]\nurl = \"https://e\"\nmeters = []",
            "only http:// endpoints can be read",
        ),
        (
            "agent.model = \"m1\"\n[[agent.scrape]]\nurl = \"http://e\"\n\
             meters = [{ metric = \"c\", meter = \"d\", kind = \"counter\" }]\n[[agent.scrape]]\nurl = \"http://e\"\n\
             meters = [{ metric = \"c\", meter = \"d\", kind = \"counter\" }]",
            "\"c\" becomes \"d\" twice",
        ),
        (
            "sender.to = \"https://c\"\nsender.authorities = \"/nowhere\"",
            "failed to read an authority's certificate /nowhere",
        ),
        ("sender.credentials = \"/nowhere\"", "failed to read the credentials /nowhere"),
    ] {
        let path = place.path("t.toml");
        let spool = place.path("spool");
        std::fs::write(&path, format!("sender.spool = {spool:?}\n{configuration}")).expect("write");
        let run = run(&["agent", "--config", path.to_str().expect("UTF-8")]);
        assert!(run.exit == Some(2) || run.exit == Some(1), "{configuration}: {run:?}");
        assert!(run.stderr.contains(reason), "{configuration}: {}", run.stderr);
    }
}
