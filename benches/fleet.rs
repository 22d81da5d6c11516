//! The throughput of one Postgres: four processes share a quota without a limit and drive one broadcast together.
//! Each message has its permit, its intent and its outcome; only the request is left out. For comparison, one process
//! does the same with a ledger file. The bench prints the CPU per message of both, including the server's. It needs
//! Debian's postgresql.
//!
//! `cargo bench --bench fleet` sends to 400,000 recipients; `-- 100000` to that many; `-- 400000 2` with two
//! processes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench fails by panicking")]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use mooncast::{
    AppLimits, Call, Clock, Instance, Lease, Ledger, LedgerError, LedgerLocation, LentSlots, NewMessage,
    NewRecipient, PermitOutcome, Priority, Quota, QuotaClaim, Quotas, Recipient, RecipientOutcome,
    StoredSpec,
};

const MANY: u32 = 400_000;
const PROCESSES: usize = 4;
/// Messages in flight in each process.
const IN_FLIGHT: usize = 512;
/// Messages per second: far above the reachable rate.
const LIMIT: u32 = 1_000_000;
const LEASE: Duration = Duration::from_mins(10);
const APP: &str = "https://service/org/app";

fn location(text: &str) -> LedgerLocation {
    if text.contains("://") {
        LedgerLocation::Server(text.to_owned().into())
    } else {
        LedgerLocation::Folder(text.into())
    }
}

/// Makes a broadcast with a fixed plan for this many recipients.
async fn plan(ledger: &Ledger, instance: &Instance, many: u32) -> Result<(), LedgerError> {
    let app = ledger.app(APP).await?;
    let found = ledger.find_or_create(app, "news", "1", &StoredSpec::new(Call::Group)).await?;
    let lease = ledger.claim(found.broadcast().id, instance, LEASE).await?.expect("nobody else has it");
    let message = NewMessage {
        content: Bytes::from(format!(r#"{{"type":"txt","body":{{"msg":"{}"}}}}"#, "hello ".repeat(30))),
        size: 200,
        known_as: None,
    };
    let group = |index: u32| (184_524_748_161_025 + u64::from(index) * 7).to_string();
    for first in (0..many).step_by(5_000) {
        let one = |index| NewRecipient {
            zone: None,
            group_id: group(index),
            users: Vec::new(),
            message: Some(message.clone()),
            fields: Vec::new(),
            target: None,
        };
        ledger.append(lease, &(first..many.min(first + 5_000)).map(one).collect::<Vec<_>>()).await?;
    }
    ledger.fix_plan(lease, None, None).await?;
    ledger.release(lease).await
}

/// One process: drives the broadcast until no recipient is pending.
async fn host(ledger: Ledger, clock: Clock) -> Result<u32, LedgerError> {
    let instance = ledger.register("bench").await?;
    let app = ledger.app(APP).await?;
    let limits = AppLimits { group_per_second: LIMIT, ..AppLimits::default() };
    let quota = Quotas::shared(&limits, &clock).group;
    let lender = tokio::task::spawn_local(lend(ledger.clone(), instance.clone(), app, quota.clone(), clock));
    let found = ledger.find(app, "news", "1").await?.expect("it was planned");
    let lease = ledger.claim(found.id, &instance, LEASE).await?.expect("there is room for one more");
    ledger.take_over(lease).await?;
    let sent = send(&ledger, lease, &quota).await?;
    ledger.hand_back(lease).await?;
    ledger.release(lease).await?;
    lender.abort();
    Ok(sent)
}

/// Claims slots of the quota, as the delivery code does.
async fn lend(ledger: Ledger, instance: Instance, app: mooncast::AppId, quota: Quota, clock: Clock) {
    let lease = Duration::from_secs(1);
    loop {
        let demand = quota.demand();
        let until = clock.now() + lease;
        let claim = QuotaClaim {
            app,
            quota: quota.name(),
            total: demand.total,
            need: demand.need.max(1),
            least: demand.least,
            keep: demand.need,
            used: demand.used,
            pace: demand.pace,
            weight: demand.weight,
            lease,
            cool: demand.cool,
        };
        let share = ledger.claim_slots(&instance, claim).await.expect("slots are claimed");
        quota.lend(LentSlots { slots: share.slots.min(share.fair), until });
        clock.sleep(Duration::from_millis(250)).await;
    }
}

async fn send(ledger: &Ledger, lease: Lease, quota: &Quota) -> Result<u32, LedgerError> {
    let page: RefCell<(VecDeque<Recipient>, i64, bool)> = RefCell::default();
    let turn = tokio::sync::Mutex::new(());
    let sent = Cell::new(0);
    let sender = async || -> Result<(), LedgerError> {
        loop {
            let next = {
                let _turn = turn.lock().await;
                let (empty, after, over) = {
                    let page = page.borrow();
                    (page.0.is_empty(), page.1, page.2)
                };
                if empty && !over {
                    let recipients = ledger.pending(lease, after, 2_000).await?;
                    let last = recipients.last().map_or(after, |one| one.seq);
                    let over = recipients.is_empty();
                    *page.borrow_mut() = (recipients.into(), last, over);
                }
                let Some(next) = page.borrow_mut().0.pop_front() else { return Ok(()) };
                next
            };
            let mut permit =
                quota.acquire(1, Priority::Normal).await.expect("one message is no more than a call");
            ledger.intend(lease, vec![next.seq]).await?;
            permit.written();
            permit.settle(PermitOutcome::Accepted);
            let id = (1_234_567_890_123_456_789_u64 + next.seq.unsigned_abs()).to_string();
            ledger.settle(lease, vec![RecipientOutcome::sent(next.seq, id, 1)]).await?;
            sent.set(sent.get() + 1);
        }
    };
    futures_util::future::try_join_all((0..IN_FLIGHT).map(|_| sender())).await?;
    Ok(sent.get())
}

/// Returns the CPU seconds of a process, its threads and the children that it has waited for, and its child
/// processes.
fn used(process: u32) -> (f64, Vec<u32>) {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 = (11..15).filter_map(|field| fields.get(field)?.parse::<f64>().ok()).sum();
    let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    let children = children.unwrap_or_default();
    (ticks / 100.0, children.split_whitespace().filter_map(|id| id.parse().ok()).collect())
}

/// Returns the CPU seconds of a server and its processes.
fn server_cpu(postmaster: u32) -> f64 {
    let (own, children) = used(postmaster);
    own + children.into_iter().map(|child| used(child).0).sum::<f64>()
}

struct Postgres {
    folder: String,
    address: String,
    postmaster: u32,
}

impl Postgres {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap().path().display().to_string();
        // Acknowledged writes are on the disk, as with the file.
        let output = Command::new("tests/postgres")
            .args(["start", &folder])
            .env("MOONCAST_TEST_FSYNC", "on")
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success());
        let address = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        let pid = std::fs::read_to_string(format!("{folder}/data/postmaster.pid")).unwrap();
        Self { folder, address, postmaster: pid.lines().next().unwrap().parse().unwrap() }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = Command::new("tests/postgres").args(["stop", &self.folder]).status();
    }
}

/// Runs this many processes on the planned broadcast. Returns the elapsed seconds and the CPU seconds of all.
fn race(store: &str, processes: usize) -> (f64, f64) {
    let clock = Clock::real();
    let began = clock.now();
    let start = |_| -> Child {
        let program = std::env::current_exe().unwrap();
        Command::new(program).args(["--host", store]).stdout(Stdio::piped()).spawn().unwrap()
    };
    let hosts: Vec<Child> = (0..processes).map(start).collect();
    let mut cpu = 0.0;
    for host in hosts {
        let output = host.wait_with_output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        let (sent, used) = text.trim().split_once(' ').unwrap();
        println!("  a process: {sent} messages, {used} s of CPU");
        cpu += used.parse::<f64>().unwrap();
    }
    ((clock.now() - began).as_secs_f64(), cpu)
}

fn as_host(store: &str) {
    let clock = Clock::real();
    let sent = clock.block_on(async {
        let ledger = Ledger::open_at(&location(store), clock.clone()).await?;
        host(ledger, clock.clone()).await
    });
    println!("{} {:.2}", sent.unwrap().unwrap(), used(std::process::id()).0);
}

fn planned(store: &str, many: u32) {
    let clock = Clock::real();
    let began = clock.now();
    let planned = clock.block_on(async {
        let ledger = Ledger::open_at(&location(store), clock.clone()).await?;
        let instance = ledger.register("bench").await?;
        plan(&ledger, &instance, many).await?;
        ledger.unregister(&instance).await
    });
    planned.unwrap().unwrap();
    println!("a plan of {many}: {:.1} s", (clock.now() - began).as_secs_f64());
}

fn all_sent(store: &str, many: u32) {
    let clock = Clock::real();
    let counts = clock.block_on(async {
        let ledger = Ledger::open_at(&location(store), clock.clone()).await?;
        let app = ledger.app(APP).await?;
        Ok::<_, LedgerError>(ledger.find(app, "news", "1").await?.expect("it was planned").counts)
    });
    let counts = counts.unwrap().unwrap();
    assert_eq!((counts.sent, counts.total()), (u64::from(many), u64::from(many)), "{counts:?}");
}

fn told(what: &str, many: u32, seconds: f64, cpu: f64) -> f64 {
    let each = cpu / f64::from(many) * 100_000.0;
    println!("{what}: {:.0} messages a second, {each:.2} s of CPU per 100,000", f64::from(many) / seconds);
    each
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    if let Some(at) = words.iter().position(|word| word == "--host") {
        return as_host(&words[at + 1]);
    }
    if words.iter().any(|word| word == "--test") {
        return;
    }
    let mut numbers = words.iter().filter_map(|word| word.parse::<u32>().ok());
    let many = numbers.next().unwrap_or(MANY);
    let processes = numbers.next().map_or(PROCESSES, |many| many as usize);

    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = Path::new(folder.path()).join("ledger").display().to_string();
    planned(&file, many);
    let (seconds, cpu) = race(&file, 1);
    all_sent(&file, many);
    let on_file = told("one process on a file", many, seconds, cpu);

    let postgres = Postgres::start();
    planned(&postgres.address, many);
    let before = server_cpu(postgres.postmaster);
    let (seconds, cpu) = race(&postgres.address, processes);
    let server = server_cpu(postgres.postmaster) - before;
    all_sent(&postgres.address, many);
    println!("  the server: {server:.2} s of CPU, {:.0} % of it all", server / (server + cpu) * 100.0);
    let on_server = told(&format!("{processes} processes on Postgres"), many, seconds, cpu + server);
    println!("a message costs {:.1} times as much as on a file", on_server / on_file);
}
