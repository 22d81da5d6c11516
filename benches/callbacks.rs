//! Callbacks of the service at 2,000 a second, most of them foreign, to a daemon beside a broadcast at 400 a second. Prints
//! the times of the answers, the memory and processor time of the daemon, and the rate of the broadcast with and without
//! the callbacks. A time of an answer begins when the callback was due, so a slow answer counts for those behind it too.
//!
//! Run with `cargo bench --bench callbacks`. `SECONDS` sets the length, 60 by default, and `PER_SECOND` the rate of the
//! callbacks.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a benchmark may panic, and measures real time"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use md5::{Digest, Md5};

const CONNECTIONS: u64 = 40;

/// One of so many callbacks is about a message of the daemon.
const OWN: u64 = 20;

/// Messages per second of the broadcast.
const RATE: u64 = 400;

const SECRET: &str = "secret";

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (seconds, per_second) = (number("SECONDS", 60), number("PER_SECOND", 2000));
    let folder = tempfile::tempdir().unwrap();
    let settings = format!("simulator = true\n[app.limits]\ngroup_per_second = {RATE}\n");
    std::fs::write(folder.path().join("mooncast.toml"), settings).unwrap();
    println!("broadcast alone: {:.0} messages a second", broadcast(folder.path(), "alone", seconds));
    let (mut daemon, address) = serve(folder.path());
    let cpu = processor_time(&daemon);
    let began = Instant::now();
    let (rate, mut times, memory) = std::thread::scope(|scope| {
        let broadcast = scope.spawn(|| broadcast(folder.path(), "beside", seconds));
        let posters: Vec<_> = (0..CONNECTIONS)
            .map(|poster| (poster, &address))
            .map(|(poster, address)| scope.spawn(move || post(address, poster, per_second, seconds)))
            .collect();
        // At the start and after each quarter.
        let sample = |quarter: u64| {
            let due = began + Duration::from_secs(seconds) * u32::try_from(quarter).unwrap() / 4;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            format!("{:.1}", resident(&daemon))
        };
        let memory = (0..=4).map(sample).collect::<Vec<_>>().join(", ");
        let times: Vec<(Duration, bool)> =
            posters.into_iter().flat_map(|poster| poster.join().unwrap()).collect();
        println!("callbacks: {:.0} a second", times.len() as f64 / began.elapsed().as_secs_f64());
        (broadcast.join().unwrap(), times, memory)
    });
    println!("broadcast beside callbacks: {rate:.0} messages a second");
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].0.as_secs_f64() * 1000.0;
    let refused = times.iter().filter(|(_, taken)| !taken).count();
    println!(
        "{} callbacks in {seconds} s, one of {OWN} stored, {refused} not answered with 200: p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
        times.len(),
        at(50),
        at(99),
        at(100)
    );
    let used = (processor_time(&daemon).saturating_sub(cpu)).as_secs_f64() / seconds as f64;
    println!("daemon: {memory} MiB at the start and after each quarter; {:.0} % of a core", used * 100.0);
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}

/// Sends a broadcast; returns its messages per second.
fn broadcast(folder: &Path, name: &str, seconds: u64) -> f64 {
    let script = format!(
        "local to = {{}} for number = 1, {} do to[number] = 'g' .. number end
        im.broadcast {{ name = '{name}', to = to, message = {{ type = 'txt', from = 'shop', body = {{ msg = 'hi' }} }} }}",
        RATE * seconds
    );
    let file = format!("{name}.lua");
    std::fs::write(folder.join(&file), script).unwrap();
    let began = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_mooncast"))
        .args(["run", &file])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (RATE * seconds) as f64 / began.elapsed().as_secs_f64()
}

fn serve(folder: &Path) -> (Child, String) {
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_mooncast"))
        .args(["serve", "--listen", "127.0.0.1:0"])
        .current_dir(folder)
        .env("MOONCAST_CALLBACK_SECRET", SECRET)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(daemon.stderr.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.find(|line| line.contains("listening: the page is at")).unwrap();
    let address =
        line.split("address=").nth(1).unwrap().split(' ').next().unwrap().trim_matches('"').to_owned();
    std::thread::spawn(move || lines.for_each(drop));
    (daemon, address)
}

/// Posts callbacks on one connection at its part of the rate; returns how long each answer took, and whether it was 200.
fn post(address: &str, poster: u64, per_second: u64, seconds: u64) -> Vec<(Duration, bool)> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let interval = Duration::from_secs(CONNECTIONS) / u32::try_from(per_second).unwrap();
    let began =
        Instant::now() + interval * u32::try_from(poster).unwrap() / u32::try_from(CONNECTIONS).unwrap();
    let many = seconds * per_second / CONNECTIONS;
    let mut times = Vec::new();
    let mut answer = [0; 4096];
    for number in 0..many {
        let due = began + interval * u32::try_from(number).unwrap();
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let body = callback(poster, number);
        let head =
            format!("POST /callbacks/default HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all((head + &body).as_bytes()).unwrap();
        let mut length = 0;
        // A refusal has a body, so the end of its head is not the end of the answer.
        let ends = |answer: &[u8]| {
            let head = answer.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
            let text = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
            let body = text.split("content-length: ").nth(1)?.split("\r\n").next()?.parse::<usize>().ok()?;
            (answer.len() >= head + body).then_some(())
        };
        while ends(&answer[..length]).is_none() {
            let read = stream.read(&mut answer[length..]).unwrap();
            assert!(read > 0, "the connection ended: {}", String::from_utf8_lossy(&answer[..length]));
            length += read;
        }
        times.push((due.elapsed(), answer.starts_with(b"HTTP/1.1 200")));
    }
    times
}

fn callback(poster: u64, number: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let from = if number.is_multiple_of(OWN) { "shop".to_owned() } else { format!("user{number}") };
    let id = format!("{poster}-{number}");
    let security = data_encoding::HEXLOWER.encode(&Md5::digest(format!("{id}{SECRET}{now}")));
    let text = "A message of about the length that users write to each other in a group.";
    format!(
        r#"{{"callId":"{id}","eventType":"chat","timestamp":{now},"chat_type":"groupchat","group_id":"184524748161025","from":"{from}","to":"184524748161025","msg_id":"{id}","payload":{{"bodies":[{{"type":"txt","msg":"{text}"}}],"ext":{{"em_ignore_notification":true}}}},"securityVersion":"1.0.0","security":"{security}","appkey":"simulator#demo","host":"h","content_type":"chat:group:text"}}"#
    )
}

/// Returns the daemon's own processor time, without its children's.
fn processor_time(daemon: &Child) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", daemon.id())).unwrap();
    let fields: Vec<u64> =
        stat.rsplit_once(')').unwrap().1.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
    // In hundredths of a second, which Linux reports to every program.
    Duration::from_millis((fields[11] + fields[12]) * 10)
}

/// Returns the memory in `MiB`.
fn resident(daemon: &Child) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}
