//! Which history files are due, and their reading.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::BufReader;
use std::sync::Arc;
use std::time::Duration;

use crate::client::{CallError, FailureClass};
use crate::core::{HistoryResult, HistoryZone, unix_time};
use crate::ledger::{AppId, HistoryRead, HistoryTurn, Ledger, LedgerError, ServiceRecord};
use crate::records::{
    Doubt, Fingerprint, HistoryEnd, HistoryReader, HistorySummary, Hour, KEPT_MS, MessageRecord, hours_of,
};

use super::doubts::{DoubtId, hex};
use super::{Ask, HistoryError, ReconcileTarget, Reconciler, ms};

const HOUR_MS: i64 = 60 * 60 * 1000;

/// How long after the end of a doubt's last hour its files are asked for (contract: often complete after 1 hour, after 24
/// hours at the latest).
const ASK_AFTER_MS: [i64; 4] = [HOUR_MS, 3 * HOUR_MS, 6 * HOUR_MS, 24 * HOUR_MS];

/// How long after a failed read a complete file is asked for again.
const RETRY_MS: i64 = 10 * 60 * 1000;

/// How far outside of its hour a record of a file may be. More shows that the hours are those of another time zone.
const TOLERANCE_MS: i64 = 5 * 60 * 1000;

/// The history files that are due, and when the next one is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct DueHours {
    pub(super) hours: BTreeSet<Hour>,
    pub(super) next_ms: Option<i64>,
}

impl DueHours {
    pub(super) fn of<'a>(
        doubts: impl Iterator<Item = &'a Doubt<DoubtId>>,
        reads: &BTreeMap<i64, HistoryRead>,
        ask: Ask,
        now_ms: i64,
    ) -> Self {
        let mut due = Self::default();
        for doubt in doubts {
            let Some(last) = hours_of(doubt.from_ms, doubt.until_ms).next_back() else { continue };
            for hour in hours_of(doubt.from_ms, doubt.until_ms) {
                let read = reads.get(&hour.start_ms());
                due.add(hour, last, read, ask, now_ms);
            }
        }
        due
    }

    fn add(&mut self, hour: Hour, last: Hour, read: Option<&HistoryRead>, ask: Ask, now_ms: i64) {
        let Some(next) = next_ask_ms(hour, last, read, now_ms).filter(|_| ask != Ask::Nothing) else {
            return;
        };
        if ask == Ask::Now {
            if hour.end_ms() <= now_ms {
                self.hours.insert(hour);
            }
        } else if next <= now_ms {
            self.hours.insert(hour);
        } else {
            self.next_ms = Some(self.next_ms.map_or(next, |known| known.min(next)));
        }
    }
}

/// Returns when an hour's file is asked for next, for a doubt whose last hour is `last`; a time that has passed if it is due.
/// None if the file was read whole when it was complete, or is no longer kept.
pub(super) fn next_ask_ms(hour: Hour, last: Hour, read: Option<&HistoryRead>, now_ms: i64) -> Option<i64> {
    let is_final =
        |read: &HistoryRead| read.result == HistoryResult::Whole && ms(read.read_at) >= last.complete_ms();
    if read.is_some_and(is_final) {
        return None;
    }
    let read_ms = read.map_or(i64::MIN, |read| ms(read.read_at));
    let stages = ASK_AFTER_MS.map(|after| last.end_ms() + after);
    let missed = stages.into_iter().rev().find(|stage| *stage <= now_ms && read_ms < *stage);
    let next = stages.into_iter().find(|stage| *stage > now_ms);
    // After the last stage, a file that was not read whole is asked for again and again.
    let at = missed.or(next).unwrap_or(read_ms.saturating_add(RETRY_MS));
    let kept_ms = hour.start_ms() + KEPT_MS;
    (now_ms.max(at) < kept_ms).then_some(at)
}

/// Which records of a file are kept.
#[derive(Debug, Default)]
pub(super) struct WantedRecords {
    pub(super) fingerprints: HashSet<Fingerprint>,
    pub(super) marks: HashSet<String>,
    /// Messages that are only looked for. Their records are not kept.
    pub(super) message_ids: HashSet<String>,
}

impl WantedRecords {
    fn take(&self, record: MessageRecord) -> Option<ServiceRecord> {
        let key = record.key?;
        let is_marked = key.mark.as_ref().is_some_and(|mark| self.marks.contains(mark));
        let is_wanted = is_marked || self.fingerprints.contains(&key.fingerprint);
        is_wanted.then(|| ServiceRecord {
            message_id: record.message_id,
            at: unix_time(record.at_ms),
            fingerprint: hex(key.fingerprint),
            mark: key.mark,
        })
    }
}

/// What was read of a file.
struct FileContent {
    records: Vec<ServiceRecord>,
    found: HashSet<String>,
    summary: HistorySummary,
    inside: u64,
    outside: u64,
}

impl Reconciler {
    /// Asks for an hour's file and stores what it says. With [`Ask::Now`] this waits for the hour's turn. Returns those of
    /// [`WantedRecords::message_ids`] that have a record; None if the file may not be asked for yet, or if no file was read.
    pub(super) async fn read_hour(
        &self,
        target: ReconcileTarget<'_>,
        hour: Hour,
        ask: Ask,
        wanted: &Arc<WantedRecords>,
    ) -> Result<Option<HashSet<String>>, HistoryError> {
        let start = unix_time(hour.start_ms());
        let name = hour.name(self.zone);
        let read_at = loop {
            match target.ledger.claim_history_read(target.app, start).await? {
                HistoryTurn::Ask(at) => break at,
                HistoryTurn::Wait(wait) if ask == Ask::Now => {
                    let (app, seconds) = (&self.name, wait.as_secs_f64().ceil());
                    tracing::info!(
                        app,
                        hour = name,
                        "waiting {seconds} s for a history file: within a minute, each file is asked for once, and ten files of an app"
                    );
                    self.clock.sleep(wait).await;
                }
                HistoryTurn::Wait(_) => return Ok(None),
            }
        };
        let content = match self.fetch(target, hour, &name, wanted).await {
            Ok(content) => content,
            Err(HistoryError::Call(failure)) => {
                let result = self.unread(hour, &name, &failure);
                let read = HistoryRead { hour: start, read_at, result, zone: Some(self.zone), lines: 0 };
                target.ledger.finish_history_read(target.app, read, &[]).await?;
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let result = self.judge(&content, &name);
        let lines = i64::try_from(content.summary.lines).unwrap_or(i64::MAX);
        let read = HistoryRead { hour: start, read_at, result, zone: Some(self.zone), lines };
        target.ledger.finish_history_read(target.app, read, &content.records).await?;
        tracing::info!(app = self.name, hour = name, lines, %result, "read a history file");
        Ok(Some(content.found))
    }

    /// Logs why there is no file.
    fn unread(&self, hour: Hour, name: &str, failure: &CallError) -> HistoryResult {
        let app = &self.name;
        if failure.class != FailureClass::Permanent {
            tracing::warn!(app, hour = name, "cannot read a history file, trying again: {failure}");
            return HistoryResult::Failed;
        }
        if self.now_ms() < hour.complete_ms() {
            tracing::info!(app, hour = name, "the service has no history file yet, trying again: {failure}");
        } else {
            tracing::warn!(
                app,
                hour = name,
                "the service has no history file of an hour that ended 24 hours ago, so nothing proves that a message did not arrive; check in the service's console that the app's messages are kept, and that `history_zone` is right; trying again: {failure}"
            );
        }
        HistoryResult::NoFile
    }

    async fn fetch(
        &self,
        target: ReconcileTarget<'_>,
        hour: Hour,
        name: &str,
        wanted: &Arc<WantedRecords>,
    ) -> Result<FileContent, HistoryError> {
        let address = target.client.history_address(name).await?;
        let wanted = Arc::clone(wanted);
        let within = hour.start_ms() - TOLERANCE_MS..hour.end_ms() + TOLERANCE_MS;
        let read = target.client.fetch_history(&address, move |download| {
            let mut reader = HistoryReader::new(BufReader::new(download));
            let (mut records, mut found) = (Vec::new(), HashSet::new());
            let (mut inside, mut outside) = (0, 0);
            for record in &mut reader {
                *(if within.contains(&record.at_ms) { &mut inside } else { &mut outside }) += 1;
                if wanted.message_ids.contains(&record.message_id) {
                    found.insert(record.message_id.clone());
                }
                records.extend(wanted.take(record));
            }
            FileContent { records, found, summary: reader.finish(), inside, outside }
        });
        Ok(read.await?)
    }

    /// Whether the absence of a record in the file proves anything: only in one that was read whole.
    fn judge(&self, content: &FileContent, name: &str) -> HistoryResult {
        let FileContent { summary, inside, outside, .. } = content;
        if *outside > 0 {
            let other = if self.zone == HistoryZone::Utc { HistoryZone::Shanghai } else { HistoryZone::Utc };
            tracing::error!(
                app = self.name,
                hour = name,
                "the history file has {outside} records of other hours, so it cannot show that a message is missing; if the service's hours are in {other}, set `history_zone = \"{other}\"`"
            );
            return HistoryResult::OtherHours;
        }
        if summary.end != HistoryEnd::Whole || summary.bad > 0 {
            let (end, bad) = (&summary.end, summary.bad);
            tracing::warn!(app = self.name, hour = name, ?end, bad, "the history file was not read whole");
        }
        if !summary.proves_absence() {
            return HistoryResult::Broken;
        }
        // An empty file does not show in which zone its hour is.
        if *inside > 0 || self.zone_is_set { HistoryResult::Whole } else { HistoryResult::Empty }
    }

    /// Returns the reads of all hours by the start of the hour.
    pub(super) async fn reads(
        &self,
        target: ReconcileTarget<'_>,
    ) -> Result<BTreeMap<i64, HistoryRead>, LedgerError> {
        let reads = history_reads(target.ledger, target.app).await?;
        Ok(reads.into_iter().map(|read| (ms(read.hour), read)).collect())
    }
}

/// Returns the latest read of each hour.
///
/// # Errors
///
/// An error if the store fails.
pub(super) async fn history_reads(ledger: &Ledger, app: AppId) -> Result<Vec<HistoryRead>, LedgerError> {
    let mut reads = ledger.history_reads(app).await?;
    count_empty_files(&mut reads);
    Ok(reads)
}

/// Once a file with records has shown the zone of the app's hours, an empty file that was asked for by the same zone is as
/// good as any other that was read whole.
fn count_empty_files(reads: &mut [HistoryRead]) {
    let shows = |read: &HistoryRead| read.result == HistoryResult::Whole && read.lines > 0;
    let zones: Vec<HistoryZone> =
        reads.iter().filter(|read| shows(read)).filter_map(|read| read.zone).collect();
    for read in reads.iter_mut().filter(|read| read.result == HistoryResult::Empty) {
        if read.zone.is_some_and(|zone| zones.contains(&zone)) {
            read.result = HistoryResult::Whole;
        }
    }
}

/// The end of the wait for history files: the earliest next one, and at most a minute.
pub(super) fn next_look(now: Duration, due: &DueHours) -> Duration {
    const MOST: Duration = Duration::from_mins(1);
    due.next_ms.map_or(now + MOST, |next| unix_time(next).min(now + MOST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::BroadcastId;
    use crate::records::MatchKey;

    const START: i64 = 1_767_225_600_000;

    fn doubt(from_ms: i64) -> Doubt<DoubtId> {
        Doubt {
            id: DoubtId::Recipient(BroadcastId(1), 1),
            key: MatchKey { fingerprint: Fingerprint::from_bytes([0; 16]), mark: None },
            from_ms,
            until_ms: from_ms + 120_000,
            sent_to: "g".into(),
        }
    }

    #[test]
    fn files_are_asked_for_after_1_3_6_and_24_hours_and_then_until_one_was_read_whole() {
        let doubts = [doubt(START + 30 * 60_000)];
        let mut reads = BTreeMap::new();
        let mut asked = Vec::new();
        for minute in 0..80 * 60 {
            let now = START + minute * 60_000;
            let due = DueHours::of(doubts.iter(), &reads, Ask::Due, now);
            assert!(due.hours.len() <= 1);
            for hour in due.hours {
                let result = if asked.len() == 6 { HistoryResult::Whole } else { HistoryResult::NoFile };
                asked.push(minute);
                let read = HistoryRead {
                    hour: unix_time(hour.start_ms()),
                    read_at: unix_time(now),
                    result,
                    zone: None,
                    lines: 0,
                };
                reads.insert(hour.start_ms(), read);
            }
        }
        let after = |hours: i64| (1 + hours) * 60;
        assert_eq!(
            asked,
            [after(1), after(3), after(6), after(24), after(24) + 10, after(24) + 20, after(24) + 30]
        );
    }

    #[test]
    fn a_doubt_over_the_end_of_an_hour_asks_for_both_files_and_an_old_one_for_none() {
        let doubts = [doubt(START + HOUR_MS - 60_000)];
        let reads = BTreeMap::new();
        let due = |ask, now| DueHours::of(doubts.iter(), &reads, ask, now);
        assert_eq!(due(Ask::Due, START + 3 * HOUR_MS).hours.len(), 2);
        let waits = due(Ask::Due, START + 3 * HOUR_MS - 1);
        assert_eq!((waits.hours.len(), waits.next_ms), (0, Some(START + 3 * HOUR_MS)));
        assert_eq!(due(Ask::Now, START + HOUR_MS).hours.len(), 1, "the second hour has not ended");
        assert_eq!(due(Ask::Now, START + 2 * HOUR_MS).hours.len(), 2);
        assert_eq!(due(Ask::Due, START + KEPT_MS + 2 * HOUR_MS), DueHours::default());
    }

    #[test]
    fn an_empty_file_counts_only_beside_one_with_records_of_the_same_zone() {
        use HistoryResult::{Empty, NoFile, OtherHours, Whole};
        use HistoryZone::{Shanghai, Utc};
        let counts = |zone: Option<HistoryZone>, other: (HistoryResult, Option<HistoryZone>, i64)| {
            let read = |hour: u64, result, zone, lines| {
                let hour = Duration::from_hours(hour);
                HistoryRead { hour, read_at: Duration::from_hours(100), result, zone, lines }
            };
            let mut reads = [read(1, Empty, zone, 0), read(2, other.0, other.1, other.2)];
            count_empty_files(&mut reads);
            assert_eq!(reads[1].result, other.0);
            reads[0].result == Whole
        };
        assert!(counts(Some(Utc), (Whole, Some(Utc), 1)));
        for (zone, other) in [
            // The zone was set to another one in between.
            (Some(Utc), (Whole, Some(Shanghai), 1)),
            // An empty file that was read whole only because the settings name the zone shows nothing.
            (Some(Utc), (Whole, Some(Utc), 0)),
            (Some(Utc), (OtherHours, Some(Utc), 1)),
            (Some(Utc), (NoFile, Some(Utc), 0)),
            // Reads of earlier versions do not say their zone.
            (None, (Whole, Some(Utc), 1)),
            (None, (Whole, None, 1)),
            (Some(Utc), (Whole, None, 1)),
        ] {
            assert!(!counts(zone, other), "{zone:?} {other:?}");
        }
    }
}
