//! The cost of the ledger: a plan of a million recipients, intents and outcomes of 100,000, single sends.
//!
//! `cargo bench --bench ledger` prints the rate and the CPU of the whole process for each part;
//! `cargo bench --bench ledger -- 100000` uses a smaller plan. The ledger is made in `target/`, on the project's
//! disk.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use mooncast::{
    BeginSendResult, BroadcastId, BroadcastLookup, Call, Clock, Instance, Lease, Ledger, LedgerError,
    NewMessage, NewRecipient, NewSend, RecipientOutcome, RecipientState, SendOutcome, StoredSpec,
};
use rustix::time::{ClockId, clock_gettime};

/// Recipients that are sent to.
const SENT: u32 = 100_000;
/// Requests in flight.
const IN_FLIGHT: usize = 256;
const LEASE: Duration = Duration::from_mins(10);

/// Returns the CPU of all the process's threads.
fn cpu() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec.unsigned_abs(), u32::try_from(used.tv_nsec).unwrap_or_default())
}

/// Returns the process's peak memory, in kilobytes.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(String::new, |line| line.trim().to_owned())
}

/// Runs a part and prints its measurements.
async fn part<T>(clock: &Clock, what: &str, many: u32, work: impl Future<Output = T>) -> T {
    let (begun, used) = (clock.now(), cpu());
    let output = work.await;
    let (elapsed, used) = ((clock.now() - begun).as_secs_f64(), cpu().saturating_sub(used).as_secs_f64());
    println!(
        "{what}: {many} in {elapsed:.2} s, {:.0} a second, {:.2} s of CPU per 100,000, peak {}",
        f64::from(many) / elapsed,
        used / f64::from(many) * 100_000.0,
        peak()
    );
    output
}

async fn claimed(ledger: &Ledger, instance: &Instance, name: &str) -> Result<Option<Lease>, LedgerError> {
    let app = ledger.app("https://service/org/app").await?;
    let found: BroadcastLookup = ledger.find_or_create(app, name, "1", &StoredSpec::new(Call::Group)).await?;
    let id: BroadcastId = found.broadcast().id;
    ledger.claim(id, instance, LEASE).await
}

/// One recipient in a hundred occurs twice.
async fn build(
    ledger: &Ledger,
    lease: Lease,
    many: u32,
    message: impl Fn(u32) -> NewMessage,
) -> Result<(), LedgerError> {
    for first in (0..many).step_by(1_000) {
        let batch: Vec<_> = (first..many.min(first + 1_000))
            .map(|index| NewRecipient {
                zone: None,
                group_id: (184_524_748_161_025
                    + u64::from(if index % 100 == 99 { index - 50 } else { index }) * 7)
                    .to_string(),
                users: Vec::new(),
                message: Some(message(index)),
                fields: Vec::new(),
                target: None,
            })
            .collect();
        ledger.append(lease, &batch).await?;
    }
    Ok(())
}

/// Sends to the first recipients: intent, no request, outcome, each recipient separately.
async fn send(ledger: &Ledger, lease: Lease) -> Result<(), LedgerError> {
    let page = RefCell::new((VecDeque::new(), 0));
    let turn = tokio::sync::Mutex::new(());
    let left = std::cell::Cell::new(SENT);
    let sender = async || -> Result<(), LedgerError> {
        while left.get() > 0 {
            left.set(left.get() - 1);
            let next = {
                let _turn = turn.lock().await;
                if page.borrow().0.is_empty() {
                    let after = page.borrow().1;
                    let recipients = ledger.pending(lease, after, 2_000).await?;
                    let last = recipients.last().map_or(after, |one| one.seq);
                    *page.borrow_mut() = (VecDeque::from(recipients), last);
                }
                let Some(next) = page.borrow_mut().0.pop_front() else { return Ok(()) };
                next
            };
            ledger.intend(lease, vec![next.seq]).await?;
            let id = (1_234_567_890_123_456_789_u64 + next.seq.unsigned_abs()).to_string();
            ledger.settle(lease, vec![RecipientOutcome::sent(next.seq, id, 1)]).await?;
        }
        Ok(())
    };
    futures_util::future::try_join_all((0..IN_FLIGHT).map(|_| sender())).await.map(drop)
}

async fn single(ledger: &Ledger, instance: &Instance) -> Result<(), LedgerError> {
    let app = ledger.app("https://service/org/app").await?;
    let left = std::cell::Cell::new(SENT);
    let sender = async || -> Result<(), LedgerError> {
        while left.get() > 0 {
            left.set(left.get() - 1);
            let send = NewSend {
                app,
                once: None,
                hash: "5f".repeat(32),
                recipients: "[\"184524748161025\"]".to_owned(),
                origin: "hello.lua".to_owned(),
                fingerprints: String::new(),
                files: None,
                job_run: None,
            };
            let BeginSendResult::New(mut ticket) = ledger.begin_send(instance, send).await? else { continue };
            ledger.intend_send(&mut ticket).await?;
            let receipts = vec![("184524748161025".to_owned(), "1234567890123456789".to_owned())];
            let outcome = SendOutcome { state: RecipientState::Sent, receipts, error: None, attempts: 1 };
            ledger.settle_send(&ticket, outcome).await?;
        }
        Ok(())
    };
    futures_util::future::try_join_all((0..IN_FLIGHT).map(|_| sender())).await.map(drop)
}

async fn all(clock: &Clock, folder: &Path, many: u32) -> Result<(), LedgerError> {
    let ledger = Ledger::open(folder, clock.clone()).await?;
    let instance = ledger.register("bench").await?;
    let plain = NewMessage {
        content: Bytes::from(format!(
            "{{\"type\":\"txt\",\"body\":{{\"msg\":\"{}\"}}}}",
            "hello ".repeat(30)
        )),
        size: 200,
        known_as: None,
    };
    let Some(lease) = claimed(&ledger, &instance, "plain").await? else { return Ok(()) };
    part(clock, "built, one message for all", many, build(&ledger, lease, many, |_| plain.clone())).await?;
    let fixed = part(clock, "plan fixed", many, ledger.fix_plan(lease, None, None)).await?;
    println!("  {} to send, {} duplicates", fixed.total, fixed.duplicates);
    part(clock, "intent and outcome", SENT, send(&ledger, lease)).await?;
    part(clock, "single sends", SENT, single(&ledger, &instance)).await?;
    let counts = ledger.counts(lease.broadcast).await?;
    println!("  {} sent, {} pending", counts.sent, counts.pending);
    ledger.finish(lease, "{}").await.ok();

    let Some(lease) = claimed(&ledger, &instance, "each its own").await? else { return Ok(()) };
    let own = |index: u32| NewMessage {
        content: Bytes::from(format!(
            "{{\"type\":\"txt\",\"body\":{{\"msg\":\"{index} {}\"}}}}",
            "hello ".repeat(30)
        )),
        size: 200,
        known_as: None,
    };
    part(clock, "built, a message for each", many, build(&ledger, lease, many, own)).await?;
    part(clock, "plan fixed", many, ledger.fix_plan(lease, None, None)).await?;
    part(clock, "intent and outcome, a message for each", SENT, send(&ledger, lease)).await
}

fn main() {
    let many = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(1_000_000);
    let folder = match tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")) {
        Ok(folder) => folder,
        Err(error) => return eprintln!("no folder for the ledger: {error}"),
    };
    let clock = Clock::real();
    match clock.block_on(all(&clock, folder.path(), many)) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => eprintln!("{error}"),
        Err(error) => eprintln!("no runtime: {error}"),
    }
}
