//! Events of the chat service that start runs of jobs. They are stored like the requests of hooks, and begin in the order
//! of their arrival.

use std::collections::{BTreeMap, HashSet};

use serde_json::json;

use super::hooks::{MOST, MOST_BYTES, MOST_OF_ALL, WaitingRequests};
use super::sql::sql;
use super::store::{Transaction, stored};
use super::{Ledger, LedgerError};
use crate::core::{EVENT_HEAD, JobCommand};

/// An event that starts a run of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJobEvent {
    pub job: String,
    /// The group of the event. Runs of a job for one group follow each other.
    pub group: String,
    /// The argument of the job's function.
    pub json: String,
}

impl Ledger {
    /// Returns how many events of a job wait for their runs to be claimed.
    pub async fn waiting_events(&self, job: &str) -> Result<u64, LedgerError> {
        let question = sql("SELECT count(*) FROM job_commands c JOIN hook_requests q
                ON q.job = c.job AND q.scheduled_at = c.scheduled_at WHERE c.job = ? AND q.head LIKE 'event %'");
        let count: Option<(i64,)> = self.store().row_now(question.bind(job)).await?;
        Ok(count.map_or(0, |(count,)| count.unsigned_abs()))
    }

    /// Drops the events of a job that waited when a command was given. Returns how many there were.
    pub async fn drop_waiting_events(&self, job: &str, command: i64) -> Result<u64, LedgerError> {
        self.store().transaction(async |write| drop_oldest(write, job, command, i64::MAX).await).await
    }
}

/// Requests the runs of events, in their order. Of a job with too many waiting events, the oldest are dropped. Returns the
/// number of dropped events by job.
pub(super) async fn insert_events(
    write: &mut Transaction<'_>,
    events: &[&NewJobEvent],
) -> Result<BTreeMap<String, u64>, LedgerError> {
    let mut by_job: BTreeMap<&str, Vec<&NewJobEvent>> = BTreeMap::new();
    for event in events {
        by_job.entry(&event.job).or_default().push(event);
    }
    let mut dropped = BTreeMap::new();
    for (job, events) in by_job {
        let (events, lost) = make_room(write, job, &events).await?;
        insert_job_events(write, job, events).await?;
        if lost > 0 {
            dropped.insert(job.to_owned(), lost);
        }
    }
    Ok(dropped)
}

/// Drops the oldest waiting events of a job until the new ones fit, and then the oldest of the new ones. Returns the new
/// ones that are left, and the number of dropped events.
async fn make_room<'events>(
    write: &mut Transaction<'_>,
    job: &str,
    mut new: &'events [&'events NewJobEvent],
) -> Result<(&'events [&'events NewJobEvent], u64), LedgerError> {
    let WaitingRequests { of_all, of_job, bytes } = WaitingRequests::count(write, job).await?;
    let count = stored(new.len() as u64);
    let more: i64 = new.iter().map(|event| stored((event.json.len() + event.group.len()) as u64)).sum();
    let mut over = (of_job + count - MOST).max(of_all + count - MOST_OF_ALL);
    if bytes + more > MOST_BYTES {
        // An event makes room for about one other.
        over = over.max(count);
    }
    if over <= 0 {
        return Ok((new, 0));
    }
    let dropped = drop_oldest(write, job, i64::MAX, over).await?;
    let left_out = usize::try_from(over - stored(dropped)).unwrap_or_default().min(new.len());
    new = &new[left_out..];
    Ok((new, dropped + left_out as u64))
}

/// Drops at most `most` waiting events of a job, the oldest first, whose commands are older than `command`. Returns how many
/// there were.
async fn drop_oldest(
    write: &mut Transaction<'_>,
    job: &str,
    command: i64,
    most: i64,
) -> Result<u64, LedgerError> {
    let question = sql("SELECT c.id, c.scheduled_at FROM job_commands c JOIN hook_requests q
            ON q.job = c.job AND q.scheduled_at = c.scheduled_at
            WHERE c.job = ? AND c.id < ? AND q.head LIKE 'event %' ORDER BY c.id LIMIT ?");
    let oldest: Vec<(i64, i64)> = write.rows(question.bind(job).bind(command).bind(most)).await?;
    let (ids, times): (Vec<i64>, Vec<i64>) = oldest.into_iter().unzip();
    let statement =
        sql("DELETE FROM job_commands WHERE id IN (SELECT CAST(atom AS BIGINT) FROM json_each(?))");
    write.run(statement.bind(json!(ids).to_string())).await?;
    let statement = sql("DELETE FROM hook_requests WHERE job = ?
            AND scheduled_at IN (SELECT CAST(atom AS BIGINT) FROM json_each(?))");
    write.run(statement.bind(job).bind(json!(times).to_string())).await?;
    Ok(ids.len() as u64)
}

/// Requests the run of each event. No two runs of a job have the same scheduled time.
async fn insert_job_events(
    write: &mut Transaction<'_>,
    job: &str,
    events: &[&NewJobEvent],
) -> Result<(), LedgerError> {
    let now = write.store.now();
    let question = sql("SELECT scheduled_at FROM job_runs WHERE job = ?1 AND scheduled_at >= ?2
            UNION SELECT scheduled_at FROM job_commands WHERE job = ?1 AND scheduled_at >= ?2");
    let taken: Vec<(i64,)> = write.rows(question.bind(job).bind(now)).await?;
    let taken: HashSet<i64> = taken.into_iter().map(|(at,)| at).collect();
    let mut rows = Vec::new();
    for (event, at) in events.iter().zip((now..).filter(|at| !taken.contains(at))) {
        rows.push(json!([at]));
        let statement = sql("INSERT INTO hook_requests (job, scheduled_at, head, body) VALUES (?, ?, ?, ?)");
        let head = format!("{EVENT_HEAD}{}", event.group);
        write.run(statement.bind(job).bind(at).bind(head).bind(event.json.as_bytes())).await?;
    }
    let statement = sql("INSERT INTO job_commands (job, command, scheduled_at, requested_at)
            SELECT ?1, ?2, CAST(value ->> 0 AS BIGINT), ?3 FROM json_each(?4) WHERE true ORDER BY key");
    let statement = statement.bind(job).bind(JobCommand::Run).bind(now).bind(json!(rows).to_string());
    write.run(statement).await.map(drop)
}
