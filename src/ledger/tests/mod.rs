//! Tests of the ledger.

mod app_keys;
mod approval;
mod audit;
mod broadcasts;
mod callbacks;
mod caps;
mod command_runs;
mod doubts;
mod drivers;
mod events;
mod faults;
mod hooks;
mod hosts;
mod jobs;
mod kept_outcomes;
mod late_outcomes;
mod leases;
mod left_out;
mod lost_answers;
mod migrations;
mod model;
mod ramps;
mod rest;
mod run_output;
pub(crate) mod server;
mod shares;
mod sketch;
mod transfer;

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;

use super::broadcast::TakeoverCounts;
use super::instance::Reaped;
use super::job_registry::JobControl;
use super::*;
use crate::core::Call;

/// 2026-01-01T00:00:00.123Z.
const START: Duration = Duration::from_millis(1_767_225_600_123);
const HOUR: Duration = Duration::from_hours(1);
const LEASE: Duration = Duration::from_secs(30);

/// Runs a test with a simulated clock and its own folder.
fn with_folder<F, Fut>(test: F)
where
    F: FnOnce(std::path::PathBuf, Clock) -> Fut,
    Fut: Future<Output = ()>,
{
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::simulated(START);
    let project = folder.path().join("project");
    clock.block_on(test(project.clone(), clock.clone())).unwrap();
    clock.block_on(server::clean(&project)).unwrap();
}

/// A kind of store, each with a driver of its own.
#[derive(Debug, Clone, Copy)]
enum StoreKind {
    File,
    Scratch,
    Server,
}

thread_local! {
    /// The store that this test runs on, if it runs on each.
    static STORE: Cell<Option<StoreKind>> = const { Cell::new(None) };
}

/// Runs a test on each store: what all drivers must do alike. The server is left out if the tests are given none.
fn with_each_store<F, Fut>(test: F)
where
    F: Fn(std::path::PathBuf, Clock) -> Fut,
    Fut: Future<Output = ()>,
{
    for kind in [StoreKind::File, StoreKind::Scratch, StoreKind::Server] {
        if matches!(kind, StoreKind::Server) && server::address().is_none() {
            continue;
        }
        println!("on {kind:?}");
        STORE.set(Some(kind));
        with_folder(&test);
    }
    STORE.set(None);
}

/// Opens the ledger of a folder: on the store of [`with_each_store`] or, in other tests, a file in the folder or a schema
/// for it on the server that the tests are given.
async fn open(folder: &Path, clock: &Clock) -> Ledger {
    let opened = match STORE.get() {
        Some(StoreKind::File) => Ledger::open(folder, clock.clone()).await,
        Some(StoreKind::Scratch) => Ledger::open_scratch(folder, clock.clone()).await,
        Some(StoreKind::Server) | None => {
            Ledger::open_at(&server::location(folder).await, clock.clone()).await
        }
    };
    opened.unwrap()
}

/// Lets the process of an instance die, and waits until every other process can know that.
async fn dies(ledger: &Ledger, instance: Instance, clock: &Clock) {
    drop(instance);
    if ledger.has_fleet() {
        clock.sleep(postgres::LIFE + Duration::from_secs(1)).await;
    }
}

fn plain() -> NewMessage {
    NewMessage {
        content: Bytes::from_static(br#"{"type":"txt","body":{"msg":"hi"}}"#),
        size: 12,
        known_as: None,
    }
}

fn groups(range: std::ops::Range<u32>, message: &NewMessage) -> Vec<NewRecipient> {
    range
        .map(|group| NewRecipient {
            zone: None,
            target: None,
            group_id: format!("g{group}"),
            users: vec![],
            message: Some(message.clone()),
            fields: vec![],
        })
        .collect()
}

/// Creates a broadcast to `many` groups with its plan fixed; returns the lease of `instance`.
async fn planned(ledger: &Ledger, instance: &Instance, spec: &StoredSpec, many: u32) -> Lease {
    let app = ledger.app("https://service/org/app").await.unwrap();
    let found = ledger.find_or_create(app, "news", "1", spec).await.unwrap();
    let lease = ledger.claim_alone(found.broadcast().id, instance, LEASE).await.unwrap().unwrap();
    ledger.append(lease, &groups(0..many, &plain())).await.unwrap();
    let plan = ledger.fix_plan(lease, None, None).await.unwrap();
    assert_eq!(plan.total, u64::from(many));
    lease
}

/// Counts the rows of a broadcast by state, and checks that the stored counts are equal.
async fn counted(ledger: &Ledger, id: BroadcastId) -> RecipientCounts {
    let kept = ledger.counts(id).await.unwrap();
    let mut counted = RecipientCounts::default();
    for row in ledger.export(id, 0, u32::MAX).await.unwrap() {
        *match row.state {
            RecipientState::Pending => &mut counted.pending,
            RecipientState::Sending => &mut counted.sending,
            RecipientState::Sent => &mut counted.sent,
            RecipientState::Rejected => &mut counted.rejected,
            RecipientState::InDoubt => &mut counted.in_doubt,
            RecipientState::Skipped => &mut counted.skipped,
            RecipientState::Cancelled => &mut counted.cancelled,
        } += 1;
    }
    assert_eq!(kept, counted);
    counted
}

fn spec() -> StoredSpec {
    StoredSpec::new(Call::Group)
}

/// Polls a future once; returns whether it is ready.
async fn poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
    std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_ready())).await
}
