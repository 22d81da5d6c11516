//! The cost of a broadcast, from its audience to its last outcome.
//!
//! `cargo bench --bench broadcast` prints
//!
//! - sending: messages per second and CPU with durable intents and outcomes, and the same messages through the same
//!   code without a ledger, both in this process;
//! - a million recipients through the binary: the time to build the plan from a CSV with duplicates, with a plain
//!   message and with a function for each recipient, and how much more memory host and worker use than for an empty
//!   script;
//! - a rehearsal of 720,000 messages, which are ten hours at 20 per second.
//!
//! `cargo bench --bench broadcast -- 100000` uses fewer recipients. The server is a separate process on the same two
//! cores. Ledgers are made in `target/`, on the project's disk.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench measures real time, and fails by panicking"
)]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use mooncast::{
    App, AppLimits, BroadcastProgress, Call, Clock, Credentials, Delivery, LEASE, Ledger, NewMessage,
    NewRecipient, SendCounters, SendOptions, StoredSpec, Timeouts,
};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

const MILLION: u32 = 1_000_000;
/// Messages that are sent to compare sending with and without a ledger.
const SENT: u32 = 200_000;
const REHEARSED: u32 = 720_000;
const TEXT: &str = "Hello from the load bench, a text of the length that an announcement has, more or less, so that it is about 250 bytes on the wire in all.";
const FIRST_GROUP: u64 = 184_524_748_161_025;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    if arguments.iter().any(|argument| argument == "--serve") {
        return serve();
    }
    let many = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(MILLION);
    let scale = |full: u32| u32::try_from(u64::from(full) * u64::from(many) / u64::from(MILLION)).unwrap();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    sending(folder.path(), scale(SENT));
    audience(folder.path(), many);
    rehearsal(folder.path(), scale(REHEARSED));
}

// Sending, with and without a ledger.

fn sending(folder: &Path, many: u32) {
    let server = Server::start();
    let clock = Clock::real();
    let without = clock.block_on(without_ledger(&road(&server, &clock), many)).unwrap();
    println!("sending {many} without a ledger: {without}");
    let with = clock.block_on(with_ledger(&road(&server, &clock), &clock, folder, many)).unwrap();
    println!("sending {many} as a broadcast, durable: {with}, {:.2} times the CPU", with.cpu / without.cpu);
}

fn road(server: &Server, clock: &Clock) -> Delivery {
    let app = App {
        name: "default".into(),
        prefix: server.prefix.clone(),
        credentials: Credentials::Token("token".into()),
        limits: AppLimits { group_per_second: 1_000_000, ..AppLimits::default() },
        records: mooncast::RecordSettings::default(),
        timeouts: Timeouts::default(),
    };
    Delivery::new(&app, clock.clone(), None).unwrap()
}

/// The time and CPU of sending.
struct Took {
    many: u32,
    seconds: f64,
    cpu: f64,
}

impl Took {
    fn since(many: u32, begun: Instant, used: Duration) -> Self {
        Self { many, seconds: begun.elapsed().as_secs_f64(), cpu: cpu().saturating_sub(used).as_secs_f64() }
    }
}

impl std::fmt::Display for Took {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let many = f64::from(self.many);
        write!(f, "{:.0} a second, {:.2} CPU s per 100,000", many / self.seconds, self.cpu / many * 1e5)
    }
}

/// Returns the CPU that this process has used.
fn cpu() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec.unsigned_abs(), u32::try_from(used.tv_nsec).unwrap())
}

fn group(number: u32) -> String {
    (FIRST_GROUP + u64::from(number)).to_string()
}

async fn without_ledger(road: &Delivery, many: u32) -> Took {
    let tally = SendCounters::default();
    let stop = CancellationToken::new();
    let (begun, used) = (Instant::now(), cpu());
    stream::iter(0..many)
        .for_each_concurrent(64, async |number| {
            let message = json!({ "to": [group(number)], "type": "txt", "body": { "msg": TEXT } });
            let message = road.check(Call::Group, message).unwrap();
            road.send(&message, SendOptions::default(), &stop, &tally).await.unwrap();
        })
        .await;
    Took::since(many, begun, used)
}

async fn with_ledger(road: &Delivery, clock: &Clock, folder: &Path, many: u32) -> Took {
    let ledger = Ledger::open(&folder.join("sending"), clock.clone()).await.unwrap();
    let instance = ledger.register("bench").await.unwrap();
    let app = ledger.app("app").await.unwrap();
    let spec = StoredSpec::new(Call::Group);
    let found = ledger.find_or_create(app, "news", "1", &spec).await.unwrap();
    let lease = ledger.claim(found.broadcast().id, &instance, LEASE).await.unwrap().unwrap();
    let draft = road.check_draft(Call::Group, json!({ "type": "txt", "body": { "msg": TEXT } })).unwrap();
    let message = NewMessage { content: draft.to_json(), size: draft.size() as u64, known_as: None };
    for first in (0..many).step_by(1_000) {
        let batch: Vec<_> = (first..many.min(first + 1_000))
            .map(|number| NewRecipient {
                zone: None,
                group_id: group(number),
                users: Vec::new(),
                message: Some(message.clone()),
                fields: Vec::new(),
                target: None,
            })
            .collect();
        ledger.append(lease, &batch).await.unwrap();
    }
    ledger.fix_plan(lease, None, None).await.unwrap();
    let stop = CancellationToken::new();
    let (begun, used) = (Instant::now(), cpu());
    let driven = road.drive(&ledger, lease, &spec, &stop, &BroadcastProgress::default()).await.unwrap();
    assert_eq!(driven.report.sent, u64::from(many));
    Took::since(many, begun, used)
}

// A million recipients through the binary.

fn audience(folder: &Path, many: u32) {
    let mut csv = String::from("group_id,name\n");
    for number in 0..many {
        // One in a hundred occurs twice.
        let number = if number % 100 == 99 { number - 50 } else { number };
        writeln!(csv, "{},Name {number}", group(number)).unwrap();
    }
    std::fs::write(folder.join("audience.csv"), csv).unwrap();
    let empty = Run::of(folder, "", &[]).into_end();
    println!("an empty script: {} MiB in host and worker", empty.mebibytes);

    let server = Server::start();
    let plain = format!(r#"{{ type = "txt", body = {{ msg = "{TEXT}" }} }}"#);
    let ran = Run::of(folder, &broadcast("plain", &plain), &server.settings()).into_end();
    println!(
        "{many} from a CSV, plain: plan in {:.1} s, sent in {:.1} s in all, {} MiB in host and worker, {} more than an empty script",
        server.first_request(ran.began),
        ran.seconds,
        ran.mebibytes,
        ran.mebibytes.saturating_sub(empty.mebibytes)
    );

    let server = Server::start();
    let each = r#"function(row) return { type = "txt", body = { msg = "Hello " .. row.name } } end"#;
    let run = Run::of(folder, &broadcast("each", each), &server.settings());
    let began = run.began;
    let seconds = server.first_request(began);
    let mebibytes = run.kill();
    println!(
        "{many} from a CSV, a function each: plan in {seconds:.1} s, {mebibytes} MiB in host and worker, {} more than an empty script",
        mebibytes.saturating_sub(empty.mebibytes)
    );
}

fn broadcast(name: &str, message: &str) -> String {
    format!(r#"im.broadcast {{ name = "{name}", to = "audience.csv", message = {message} }}"#)
}

fn rehearsal(folder: &Path, many: u32) {
    let script = format!(
        r#"local n = 0
im.broadcast {{ name = "ten hours", message = {{ type = "txt", body = {{ msg = "{TEXT}" }} }}, to = function()
  n = n + 1
  if n <= {many} then return tostring({FIRST_GROUP} + n) end
end }}
"#
    );
    let mut run = Run::starting(folder, "rehearse", &script, &[]);
    run.watch();
    println!(
        "rehearsing {many} messages: {:.1} s, {} MiB in host and worker",
        run.began.elapsed().as_secs_f64(),
        run.mebibytes()
    );
}

/// A running command of the binary, and the peak memory of it and its workers.
struct Run {
    child: Child,
    began: Instant,
    /// By process id, in kibibytes.
    peaks: std::collections::BTreeMap<u32, u64>,
}

/// The measurements of a run.
struct Ended {
    began: Instant,
    seconds: f64,
    mebibytes: u64,
}

impl Run {
    fn of(folder: &Path, script: &str, variables: &[(&str, String)]) -> Self {
        Self::starting(folder, "run", script, variables)
    }

    fn starting(folder: &Path, command: &str, script: &str, variables: &[(&str, String)]) -> Self {
        std::fs::write(folder.join("bench.lua"), script).unwrap();
        let settings = "[app]\n[app.limits]\ngroup_per_second = 1000000\n[scripts]\ntimeout = \"12h\"\n";
        let (settings, simulator) =
            if variables.is_empty() { ("", command == "run") } else { (settings, false) };
        std::fs::write(folder.join("mooncast.toml"), settings).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_mooncast"));
        process.current_dir(folder).arg(command).args(simulator.then_some("--simulator")).arg("bench.lua");
        process.envs(variables.iter().map(|(name, value)| (name, value)));
        let child = process.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
        Self { child, began: Instant::now(), peaks: std::collections::BTreeMap::new() }
    }

    fn into_end(mut self) -> Ended {
        self.watch();
        let seconds = self.began.elapsed().as_secs_f64();
        Ended { began: self.began, seconds, mebibytes: self.mebibytes() }
    }

    fn watch(&mut self) {
        loop {
            self.look();
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn kill(mut self) -> u64 {
        self.look();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.mebibytes()
    }

    /// Records the peaks. A process's peak never decreases, so its last value counts.
    fn look(&mut self) {
        let host = self.child.id();
        let children =
            std::fs::read_to_string(format!("/proc/{host}/task/{host}/children")).unwrap_or_default();
        for process in children.split_whitespace().filter_map(|id| id.parse().ok()).chain([host]) {
            let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
            let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"));
            if let Some(peak) = peak.and_then(|peak| peak.trim().parse().ok()) {
                self.peaks.insert(process, peak);
            }
        }
    }

    fn mebibytes(&self) -> u64 {
        self.peaks.values().sum::<u64>() / 1024
    }
}

// The server: a separate process of this bench, which returns a message id for every group.

struct Server {
    child: Child,
    prefix: String,
    said: std::sync::mpsc::Receiver<Instant>,
}

impl Server {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("--serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.next().unwrap().unwrap();
        let (say, said) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            if lines.next().is_some_and(|line| line.is_ok()) {
                let _ = say.send(Instant::now());
            }
        });
        Self { child, prefix: format!("http://{address}/org/app"), said }
    }

    fn settings(&self) -> [(&'static str, String); 4] {
        let address = self.prefix.trim_end_matches("/org/app").to_owned();
        [
            ("MOONCAST_BASE_URL", address),
            ("MOONCAST_ORG", "org".to_owned()),
            ("MOONCAST_APP", "app".to_owned()),
            ("MOONCAST_TOKEN", "token".to_owned()),
        ]
    }

    /// Waits for the first request and returns the seconds since `began`.
    fn first_request(&self, began: Instant) -> f64 {
        self.said.recv().unwrap().duration_since(began).as_secs_f64()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Prints the server's address, and a word at the first request.
fn serve() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        let first = Rc::new(std::cell::Cell::new(true));
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            connection.set_nodelay(true).unwrap();
            tokio::task::spawn_local(answer(connection, Rc::clone(&first)));
        }
    });
}

async fn answer(mut connection: tokio::net::TcpStream, first: Rc<std::cell::Cell<bool>>) {
    let mut buffer = Vec::with_capacity(16 << 10);
    let mut answer = String::new();
    loop {
        while let Some(length) = request_length(&buffer) {
            if first.replace(false) {
                println!("first");
                std::io::stdout().flush().unwrap();
            }
            let text = String::from_utf8_lossy(&buffer[..length]);
            let group = text.split_once(r#""to":[""#).map_or("", |(_, rest)| rest.split('"').next().unwrap());
            let body = format!(
                r#"{{"path":"/messages/chatgroups","timestamp":1657254052191,"organization":"org","action":"post","data":{{"{group}":"1029544257947437432"}},"duration":0,"applicationName":"app"}}"#
            );
            write!(
                answer,
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
            buffer.drain(..length);
        }
        if !answer.is_empty() {
            if connection.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
            answer.clear();
        }
        if !matches!(connection.read_buf(&mut buffer).await, Ok(1..)) {
            return;
        }
    }
}

/// Returns the length of the request at the beginning of the buffer, if the request is complete.
fn request_length(buffer: &[u8]) -> Option<usize> {
    let head = buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let headers = std::str::from_utf8(&buffer[..head]).ok()?.to_ascii_lowercase();
    let length = headers.split_once("content-length:")?.1.lines().next()?.trim().parse::<usize>().ok()?;
    (buffer.len() >= head + length).then_some(head + length)
}
