//! A history file with a million lines, of which few are the program's own, is read in little memory and settles all that
//! is in doubt.
//!
//! Store: file

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::random::soak;
use super::{in_state, project, rows, shim};
use crate::support::service::{Request, Service, json};
use crate::support::{Project, Ran, store};

const RECIPIENTS: usize = 1000;

/// Longer than until the history of the last hour is complete.
const A_DAY_LATER: i64 = 27 * 60 * 60;

/// The memory that the file may take, in kilobytes.
const MEMORY: u64 = 64 * 1024;

/// The groups that have the message, with the time in milliseconds since 1970.
type Accepted = Arc<Mutex<BTreeMap<String, u64>>>;

/// The history files by the path that serves them.
type Files = Arc<OnceLock<BTreeMap<String, Vec<u8>>>>;

/// Accepts the message to every second group, and answers each request for one with an error.
fn service(accepted: &Accepted, files: &Files) -> Service {
    let (accepted, files) = (Arc::clone(accepted), Arc::clone(files));
    Service::answering(move |_, request| {
        let files = || files.get().unwrap();
        if let Some(hour) = request.path.strip_prefix("/org/app/chatmessages/") {
            let url = format!("http://{}/files/{hour}", request.header("host").unwrap());
            return json(200, &serde_json::json!({ "data": [{ "url": url }] }).to_string());
        }
        if let Some(file) = request.path.strip_prefix("/files/").and_then(|hour| files().get(hour)) {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", file.len());
            return [head.as_bytes(), file].concat();
        }
        accept_silently(request, &accepted);
        json(502, "{}")
    })
}

fn accept_silently(request: &Request, accepted: &Accepted) {
    let message = request.json();
    let group = message["to"][0].as_str().unwrap();
    if group.parse::<usize>().unwrap().is_multiple_of(2) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        accepted.lock().unwrap().insert(group.to_owned(), u64::try_from(now.as_millis()).unwrap());
    }
}

/// Writes the files of all hours in which messages were accepted, each with so many lines of others.
fn write_files(accepted: &BTreeMap<String, u64>, lines: u64) -> BTreeMap<String, Vec<u8>> {
    const HOUR: u64 = 3_600_000;
    // An intent near the start of an hour asks for the hour before it too.
    let hours: BTreeSet<u64> =
        accepted.values().flat_map(|at| [(at - 120_000) / HOUR, at / HOUR, (at + 180_000) / HOUR]).collect();
    let mut files = BTreeMap::new();
    for hour in hours {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        let mut line = |id: &str, at: u64, group: &str, from: &str, text: &str, ext: &str| {
            writeln!(gzip, r#"{{"msg_id":"{id}","timestamp":{at},"direction":"outgoing","chat_type":"groupchat","from":"org#app_{from}","to":"org#app_{group}@conference","payload":{{"bodies":[{{"type":"txt","msg":"{text}"}}],"ext":{ext},"from":"{from}","to":"{group}"}}}}"#).unwrap();
        };
        for number in 0..lines {
            let at = hour * HOUR + number * HOUR / lines;
            let text =
                format!("A message that user {} wrote to the group at {at}, as users do.", number % 9973);
            line(
                &format!("1{number:018}"),
                at,
                &format!("18{:013}", number % 4999),
                "someone",
                &text,
                r#"{"em_ignore_notification":true}"#,
            );
        }
        for (group, at) in accepted.iter().filter(|(_, at)| **at / HOUR == hour) {
            line(&format!("2{group:0>18}"), *at, group, "admin", "once", "{}");
        }
        let name = jiff::Timestamp::from_second(i64::try_from(hour * 3600).unwrap()).unwrap();
        files.insert(name.strftime("%Y%m%d%H").to_string(), gzip.finish().unwrap());
    }
    files
}

/// Runs a command; returns its result and its greatest memory in kilobytes.
fn measured(mut command: Command) -> (Ran, u64) {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse().ok());
        most = most.max(peak.unwrap_or_default());
        // Only how often the memory is looked at depends on this.
        std::thread::sleep(Duration::from_millis(5));
    }
    (Ran::of(&child.wait_with_output().unwrap()), most)
}

/// Leaves a broadcast in doubt, and settles it a day later by files with so many lines. Returns the memory and the time.
fn settled_by_a_file_of(lines: u64) -> (u64, Duration) {
    let (accepted, files) = (Accepted::default(), Files::default());
    let service = service(&accepted, &files);
    let project: Project = project(RECIPIENTS, ", stop_after_failures = 1000000");
    let mut command = project.command_against(&service, &["run", "scripts/main.lua"]);
    Ran::of(&command.output().unwrap()).exits(3);
    assert_eq!(in_state(&rows(&project), "in_doubt"), RECIPIENTS);
    let accepted = accepted.lock().unwrap().clone();
    files.set(write_files(&accepted, lines)).unwrap();

    let mut command = project.command_against(&service, &["runs", "settle", "news", "--from-service"]);
    shim::clock_apart(&mut command, A_DAY_LATER);
    let began = Instant::now();
    let (ran, memory) = measured(command);
    let time = began.elapsed();
    ran.exits(3)
        .prints(&format!("{} messages in doubt are settled", RECIPIENTS / 2))
        .prints("--again --proven");
    let sent = rows(&project).into_iter().filter(|(_, row)| row.state == "sent").map(|(group, _)| group);
    assert!(sent.eq(accepted.into_keys()), "only what arrived counts as sent");
    (memory, time)
}

#[test]
fn a_long_file_is_read_in_little_memory() {
    if store::server().is_some() {
        // A server's clock decides there.
        return;
    }
    let lines = if soak() { 1_000_000 } else { 50_000 };
    let (base, _) = settled_by_a_file_of(1);
    let (memory, time) = settled_by_a_file_of(lines);
    println!("{lines} lines: {} KiB over {base} KiB, in {time:.1?}", memory.saturating_sub(base));
    assert!(memory < base + MEMORY, "{memory} KiB, and {base} KiB with one line");
}
