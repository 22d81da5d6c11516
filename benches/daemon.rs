//! The cost of an idle daemon: processor time and memory of `mooncast serve` with 1,000 and with 10,000 jobs, none of
//! which becomes due during the measurement.
//!
//! Run with `cargo bench --bench daemon`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a benchmark may panic, and measures real time"
)]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The length of the measurement.
const LOOK: Duration = Duration::from_secs(20);

/// Jobs per script.
const A_SCRIPT: usize = 100;

fn main() {
    for jobs in [1_000, 10_000] {
        idle(jobs);
    }
}

/// Measures a daemon with this many jobs.
fn idle(jobs: usize) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("scripts")).unwrap();
    for script in 0..jobs / A_SCRIPT {
        let mut text = "local schedule = require('schedule')\n".to_owned();
        for job in 0..A_SCRIPT {
            writeln!(
                text,
                "schedule.cron('{} 3 29 2 *', {{ name = 'job {script}/{job}' }}, function() end)",
                job % 60
            )
            .unwrap();
        }
        std::fs::write(folder.path().join(format!("scripts/s{script}.lua")), text).unwrap();
    }
    let began = Instant::now();
    let mut daemon = serve(folder.path());
    let ready = began.elapsed();
    // The daemon has finished its startup by then.
    std::thread::sleep(Duration::from_secs(5));
    let before = cpu(&daemon);
    std::thread::sleep(LOOK);
    let used = cpu(&daemon).saturating_sub(before);
    let percent = 100.0 * used.as_secs_f64() / LOOK.as_secs_f64();
    println!(
        "{jobs} jobs: ready after {:.2} s; idle: {percent:.2}% of a core over {} s, {:.1} MiB resident",
        ready.as_secs_f64(),
        LOOK.as_secs(),
        resident(&daemon)
    );
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}

fn serve(folder: &Path) -> Child {
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_mooncast"))
        .arg("serve")
        .current_dir(folder)
        .env("MOONCAST_BASE_URL", "http://127.0.0.1:9")
        .env("MOONCAST_ORG", "org")
        .env("MOONCAST_APP", "app")
        .env("MOONCAST_TOKEN", "token")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(daemon.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains(" serving")), "it never serves");
    std::thread::spawn(move || lines.for_each(drop));
    daemon
}

/// Returns the daemon's own processor time, without its children's.
fn cpu(daemon: &Child) -> Duration {
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
