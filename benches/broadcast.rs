//! What broadcasts cost in whole runs of the program: planning a million recipients, rehearsing ten hours, and the
//! memory of both beside a run that does nothing. `cargo bench --bench broadcast`; a part of them with `-- COUNT`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a benchmark measures real time, and fails by panicking"
)]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Recipients of the plans; one in ten is named twice.
const PLANNED: u64 = 1_000_000;

/// Ten hours at 20 a second.
const REHEARSED: u64 = 720_000;

/// `max_recipients` refuses the plan once it is counted and hashed: what is measured is the planning alone.
const PLAIN: &str = r#"
local ok, problem = pcall(im.broadcast, { name = "plain", to = "list.csv", max_recipients = 1,
  message = { type = "txt", body = { msg = "Good morning, and welcome to all of you." } } })
assert(not ok and problem.field == "max_recipients", tostring(problem))
"#;

const MADE: &str = r#"
local ok, problem = pcall(im.broadcast, { name = "made", to = "list.csv", max_recipients = 1, message = function(row)
  return { type = "txt", body = { msg = "Good morning " .. row.name .. ", and welcome." } }
end })
assert(not ok and problem.field == "max_recipients", tostring(problem))
"#;

const REHEARSAL: &str = r#"
local n, last = 0, tonumber(arg[1])
local report = im.broadcast { name = "all", message = { type = "txt", body = { msg = "Good morning" } }, to = function()
  n = n + 1
  if n <= last then return "g" .. n end
end }
assert(report.sent == last)
"#;

/// The most memory that a process and its worker had, in `MiB`, as far as a look now and then tells.
fn memory(pid: u32) -> [f64; 2] {
    let peak = |pid: &str| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
    };
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    [peak(&pid.to_string()), children.split_whitespace().map(peak).fold(0.0, f64::max)]
}

fn measure(what: &str, folder: &Path, args: &[&str]) {
    let began = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_mooncast"))
        .args(args)
        .current_dir(folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut most = [0.0_f64; 2];
    let status = loop {
        for (most, now) in most.iter_mut().zip(memory(child.id())) {
            *most = most.max(now);
        }
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    assert!(status.success(), "{what}: {status}");
    let seconds = began.elapsed().as_secs_f64();
    println!("{what:<48} {seconds:>7.2} s, {:>6.1} MiB host, {:>6.1} MiB worker", most[0], most[1]);
}

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let asked = std::env::args().skip(1).find_map(|argument| argument.parse::<u64>().ok());
    let (planned, rehearsed) = (asked.unwrap_or(PLANNED), asked.unwrap_or(REHEARSED));
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let mut list = String::from("group_id,name\n");
    for number in 0..planned {
        // One in ten repeats the one before.
        let group = if number % 10 == 9 { number - 1 } else { number };
        writeln!(list, "{},Person {group}", 184_524_748_161_025 + group).unwrap();
    }
    write("list.csv", &list);
    write("empty.lua", "");
    write("plain.lua", PLAIN);
    write("made.lua", MADE);
    write("rehearsal.lua", REHEARSAL);
    let run = ["run", "--simulator"];
    measure("an empty run", folder.path(), &[&run[..], &["empty.lua"]].concat());
    measure(
        &format!("a plan of {planned} from a CSV, one message"),
        folder.path(),
        &[&run[..], &["plain.lua"]].concat(),
    );
    measure(
        &format!("a plan of {planned} from a CSV, a message for each"),
        folder.path(),
        &[&run[..], &["made.lua"]].concat(),
    );
    let count = rehearsed.to_string();
    measure(
        &format!("a rehearsal of {rehearsed} messages"),
        folder.path(),
        &["rehearse", "--json", "rehearsal.lua", &count],
    );
}
