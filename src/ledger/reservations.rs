//! Caps: counts the messages to a group over all broadcasts of an app, and records intents only below the cap.
//!
//! A reservation is an intent with a condition. All reservations of an app follow one another, in all processes: in a file
//! no two writes run at once, and on a server a reservation locks the row of its app. So no two of them count the same
//! messages. Messages in flight count, as do those that were sent or are in doubt. A message that the service refused, or
//! that was not sent, counts no longer, because only rows in these states are counted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use const_format::formatcp;

use super::broadcast::{Lease, json, skip};
use super::reservation::{CapRule, Reservation, Unreserved};
use super::sql::sql;
use super::state::recipient::{IN_DOUBT, SENDING, SENT};
use super::store::{Transaction, count, millis};
use super::{AppId, LedgerError, RecipientState};

/// How long a message in flight may still be proved not to be sent. After that its sender has most likely died, and it
/// counts as one that was sent.
const SETTLES: Duration = Duration::from_mins(2);

/// A recipient for which a message is reserved.
#[derive(sqlx::FromRow)]
struct ReservedRow {
    seq: i64,
    group_id: String,
    state: RecipientState,
}

/// The messages to a group that count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sqlx::FromRow)]
struct GroupCounts {
    /// Sent, in doubt, or in flight for long.
    used: i64,
    /// In flight.
    in_flight: i64,
}

/// What a cap decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Reserve,
    Skip,
    Wait,
}

impl GroupCounts {
    /// Decides about one more message to the group.
    fn decide(self, per_group: u32) -> Decision {
        let most = i64::from(per_group);
        if self.used >= most {
            Decision::Skip
        } else if self.used + self.in_flight >= most {
            Decision::Wait
        } else {
            Decision::Reserve
        }
    }
}

/// Keeps other processes from counting messages of these apps until the transaction ends.
pub(super) async fn lock_apps(
    write: &mut Transaction<'_>,
    reservations: &BTreeMap<Lease, Vec<&Reservation>>,
) -> Result<(), LedgerError> {
    let Some(lock) = write.store.driver.texts().lock_app else { return Ok(()) };
    let apps: BTreeSet<AppId> = reservations.values().flatten().map(|one| one.rule.app).collect();
    for app in apps {
        write.row::<(i64,)>(sql(lock).bind(app.0)).await?;
    }
    Ok(())
}

/// Decides about the reservations of one broadcast. Skips the recipients that are at their cap, and returns those whose
/// intents are to be written.
pub(super) async fn reserve(
    write: &mut Transaction<'_>,
    lease: Lease,
    reservations: &[&Reservation],
) -> Result<Vec<i64>, LedgerError> {
    let Some(rule) = reservations.first().map(|one| Arc::clone(&one.rule)) else { return Ok(Vec::new()) };
    let seqs: Vec<i64> = reservations.iter().flat_map(|one| one.seqs.iter().copied()).collect();
    let seqs = json(write, &seqs)?;
    let question = sql("SELECT seq, group_id, state FROM recipients WHERE broadcast = ? AND seq IN
        (SELECT CAST(atom AS BIGINT) FROM json_each(?))");
    let rows: Vec<ReservedRow> = write.rows(question.bind(lease.broadcast.0).bind(&seqs)).await?;
    let mut counts = counted(write, lease, &rule, &rows, &seqs).await?;
    let rows: HashMap<i64, ReservedRow> = rows.into_iter().map(|row| (row.seq, row)).collect();
    let mut intents = Vec::new();
    let mut skipped: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for reservation in reservations {
        let mut unreserved = Unreserved::default();
        let mut groups = Vec::new();
        for seq in &reservation.seqs {
            // The intent refuses a recipient that does not exist.
            let Some(row) = rows.get(seq) else { continue };
            // A commit that is repeated finds what it has written.
            if row.state == RecipientState::Skipped {
                unreserved.skipped.push(*seq);
                continue;
            }
            let group = counts.get(&row.group_id).copied().unwrap_or_default();
            match group.decide(rule.cap.per_group) {
                Decision::Reserve => groups.push(&row.group_id),
                Decision::Wait => unreserved.undecided.push(*seq),
                Decision::Skip => {
                    unreserved.skipped.push(*seq);
                    skipped.entry(rule.cap.why(count(group.used))).or_default().push(*seq);
                }
            }
        }
        if unreserved == Unreserved::default() {
            for group in groups {
                counts.entry(group.clone()).or_default().in_flight += 1;
            }
            intents.extend(&reservation.seqs);
        }
        reservation.decided(unreserved);
    }
    skip(write, lease, &skipped).await?;
    Ok(intents)
}

/// Counts the messages to the groups of these rows, without those rows themselves.
async fn counted(
    write: &mut Transaction<'_>,
    lease: Lease,
    rule: &CapRule,
    rows: &[ReservedRow],
    seqs: &str,
) -> Result<HashMap<String, GroupCounts>, LedgerError> {
    #[derive(sqlx::FromRow)]
    struct Row {
        group_id: String,
        #[sqlx(flatten)]
        counts: GroupCounts,
    }
    let groups: BTreeSet<&str> = rows.iter().map(|row| row.group_id.as_str()).collect();
    let now = write.store.now();
    let question = sql(formatcp!(
        "SELECT r.group_id,
            count(CASE WHEN r.state = {SENDING} AND r.updated_at > ?1 THEN NULL ELSE 1 END) AS used,
            count(CASE WHEN r.state = {SENDING} AND r.updated_at > ?1 THEN 1 END) AS in_flight
            FROM recipients r JOIN broadcasts b ON b.id = r.broadcast
            WHERE r.group_id IN (SELECT atom FROM json_each(?2)) AND r.state IN ({SENDING}, {SENT}, {IN_DOUBT})
                AND r.updated_at > ?3 AND b.app = ?4 AND b.kind = 'group' AND (?5 IS NULL OR b.tag = ?5)
                AND NOT (r.broadcast = ?6 AND r.seq IN (SELECT CAST(atom AS BIGINT) FROM json_each(?7)))
            GROUP BY r.group_id"
    ))
    .bind(now.saturating_sub(millis(SETTLES)))
    .bind(json(write, &groups)?)
    .bind(now.saturating_sub(millis(rule.within)))
    .bind(rule.app.0)
    .bind(&rule.cap.tag)
    .bind(lease.broadcast.0)
    .bind(seqs);
    let rows: Vec<Row> = write.rows(question).await?;
    Ok(rows.into_iter().map(|row| (row.group_id, row.counts)).collect())
}
