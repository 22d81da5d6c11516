//! What the stored records and reads of history files prove about each doubt.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::config::Timeouts;
use crate::core::HistoryResult;
use crate::ledger::{AppId, Doubts, Ledger, LedgerError, ServiceRecord};
use crate::records::{CLOCK_SKEW_MS, DoubtState, HistoryFile, Hour, settle};

use super::doubts::{DoubtId, DoubtSet};
use super::history::history_reads;
use super::{Outlook, ms};

/// Sends that ended this long before a doubt cannot have its record.
const EARLIER: Duration = Duration::from_hours(1);

/// Returns what the doubts of an app wait for, without settling any. A process that does not know the app's timeouts can
/// call it.
///
/// # Errors
///
/// An error if the store fails.
pub async fn look(ledger: &Ledger, app: AppId, now: Duration) -> Result<Outlook, LedgerError> {
    look_at(ledger, app, &ledger.doubts(app, true).await?, now).await
}

/// The same for single sends alone. This is cheap even if a broadcast has many doubts. A record that fits a broadcast's
/// message too counts as that of the single send.
///
/// # Errors
///
/// An error if the store fails.
pub async fn look_at_sends(ledger: &Ledger, app: AppId, now: Duration) -> Result<Outlook, LedgerError> {
    let sends = ledger.send_doubts(app, true).await?;
    look_at(ledger, app, &Doubts { sends, ..Doubts::default() }, now).await
}

async fn look_at(
    ledger: &Ledger,
    app: AppId,
    doubts: &Doubts,
    now: Duration,
) -> Result<Outlook, LedgerError> {
    let window = Timeouts::default().overall + Duration::from_millis(CLOCK_SKEW_MS.unsigned_abs());
    let set = DoubtSet::new(doubts, window);
    let (states, _) = states(ledger, app, &set, ms(now)).await?;
    Ok(Outlook::new(&states, &set, &history_reads(ledger, app).await?, now))
}

/// Decides about each doubt by the stored records and reads. Also returns the records that fit some doubt.
pub(super) async fn states(
    ledger: &Ledger,
    app: AppId,
    set: &DoubtSet,
    now_ms: i64,
) -> Result<(BTreeMap<DoubtId, DoubtState>, Vec<ServiceRecord>), LedgerError> {
    let mut records = ledger.records_alike(app, &set.fingerprints()).await?;
    let reads = history_reads(ledger, app).await?;
    let file = |read: crate::ledger::HistoryRead| HistoryFile {
        hour: Hour::of(ms(read.hour)),
        asked_at_ms: ms(read.read_at),
        proves_absence: read.result == HistoryResult::Whole,
    };
    let files: Vec<HistoryFile> = reads.into_iter().map(file).collect();
    let mut states = decide(ledger, app, set, &records, &files, now_ms).await?;
    let marks = set.marks();
    if !marks.is_empty() && states.values().any(|state| *state == DoubtState::Absent) {
        // A record with the mark and other contents prevents a proof of absence.
        let known: BTreeSet<String> = records.iter().map(|one| one.message_id.clone()).collect();
        let marked = ledger.records_marked(app, &marks).await?;
        records.extend(marked.into_iter().filter(|one| !known.contains(&one.message_id)));
        states = decide(ledger, app, set, &records, &files, now_ms).await?;
    }
    Ok((states, records))
}

async fn decide(
    ledger: &Ledger,
    app: AppId,
    set: &DoubtSet,
    records: &[ServiceRecord],
    files: &[HistoryFile],
    now_ms: i64,
) -> Result<BTreeMap<DoubtId, DoubtState>, LedgerError> {
    let ids: Vec<String> = records.iter().map(|record| record.message_id.clone()).collect();
    let used = match set.span() {
        Some((from, until)) if !ids.is_empty() => {
            ledger.known_messages(app, &ids, from.saturating_sub(EARLIER), until + EARLIER).await?
        }
        _ => Vec::new(),
    };
    let sightings = set.sightings(records, &used.into_iter().collect());
    Ok(settle(&set.doubts, &sightings, files, now_ms))
}
