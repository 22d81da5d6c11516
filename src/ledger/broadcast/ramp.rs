//! The stages of a ramp: how many recipients are released, for all drivers of a broadcast, and until when it waits.

use std::time::Duration;

use crate::core::StopCounts;
use crate::ledger::sql::sql;
use crate::ledger::store::{count, from_millis, millis, stored};
use crate::ledger::{Ledger, LedgerError};

use super::{BroadcastId, Lease, holds};

/// What a driver may do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RampTurn {
    /// Send to all that is left: the last stage has ended.
    SendAll,
    /// Send to at most this many recipients, which are released to this driver.
    Send(u64),
    /// Wait until the calls in flight are settled.
    Settle,
    /// Wait before the next stage.
    Wait {
        /// The stage that has ended, from 1.
        stage: u32,
        /// Since 1970.
        until: Duration,
    },
}

#[derive(sqlx::FromRow)]
struct RampRow {
    ramp_stage: i64,
    ramp_released: i64,
    ramp_until: Option<i64>,
    n_sending: i64,
    /// The recipients to whom a request was made, whatever its outcome.
    n_reached: i64,
}

impl Ledger {
    /// Returns what a driver of a broadcast with these stages may do now. `most` is how many recipients it can take.
    pub async fn ramp_turn(
        &self,
        lease: Lease,
        limits: &[u64],
        pause: Duration,
        most: u64,
    ) -> Result<RampTurn, LedgerError> {
        let id = lease.broadcast;
        self.store()
            .transaction(async |write| {
                if !holds(write, lease).await? {
                    return Err(LedgerError::LeaseLost(id));
                }
                let question = sql(
                    "SELECT ramp_stage, ramp_released, ramp_until, n_sending, n_sent + n_rejected + n_in_doubt AS n_reached
                        FROM broadcasts WHERE id = ?",
                );
                let row: Option<RampRow> = write.row(question.bind(id.0)).await?;
                let RampRow { ramp_stage: mut stage, ramp_released: mut released, ramp_until: until, n_sending, n_reached } =
                    row.ok_or(LedgerError::Unknown(id))?;
                let now = write.store.now();
                let update =
                    "UPDATE broadcasts SET ramp_stage = ?, ramp_released = ?, ramp_until = ? WHERE id = ?";
                let shown = |stage: i64| u32::try_from(stage + 1).unwrap_or(u32::MAX);
                if let Some(until) = until {
                    if now < until {
                        return Ok(RampTurn::Wait { stage: shown(stage), until: from_millis(until) });
                    }
                    stage += 1;
                    write.run(sql(update).bind(stage).bind(released).bind(None::<i64>).bind(id.0)).await?;
                }
                let driver = &write.store.driver;
                // A driver that asks has ended its turn, even if it could not write that.
                driver.set_ramp_turn(write, lease, false).await?;
                let limit = usize::try_from(stage).ok().and_then(|stage| limits.get(stage));
                let Some(limit) = limit else { return Ok(RampTurn::SendAll) };
                let others_send = driver.others_have_ramp_turns(write, lease).await?;
                if !others_send {
                    // No driver sends to the others that were released: their driver died, or their sends were given up
                    // or settled as not sent.
                    released = released.min(n_reached.saturating_add(n_sending));
                }
                let left = limit.saturating_sub(count(released)).min(most);
                if left > 0 {
                    let released = released.saturating_add(stored(left));
                    write.run(sql(update).bind(stage).bind(released).bind(None::<i64>).bind(id.0)).await?;
                    driver.set_ramp_turn(write, lease, true).await?;
                    return Ok(RampTurn::Send(left));
                }
                if n_sending > 0 || (others_send && n_reached < released) {
                    return Ok(RampTurn::Settle);
                }
                let until = now.saturating_add(millis(pause));
                write.run(sql(update).bind(stage).bind(released).bind(until).bind(id.0)).await?;
                Ok(RampTurn::Wait { stage: shown(stage), until: from_millis(until) })
            })
            .await
    }

    /// Ends a turn: gives back released recipients that were not sent to. Does nothing after the lease was lost.
    pub async fn end_ramp_turn(&self, lease: Lease, unused: u64) -> Result<(), LedgerError> {
        let driver = &self.store().driver;
        if unused == 0 && !driver.is_shared() {
            return Ok(());
        }
        let statement = sql(format!(
            "UPDATE broadcasts SET ramp_released = ramp_released - ?1 WHERE id = ?2 AND {}",
            (driver.texts().lease_is_held)("?3")
        ));
        let statement = statement.bind(stored(unused)).bind(lease.broadcast.0).bind(lease.number);
        self.store()
            .transaction(async |write| {
                write.run(statement).await?;
                driver.set_ramp_turn(write, lease, false).await
            })
            .await
    }

    /// Returns how many sent messages are missing at the service, and the counts of which `stop_if` takes no account: those of
    /// its last stop.
    pub async fn stop_counts(&self, id: BroadcastId) -> Result<(u64, StopCounts), LedgerError> {
        let question = sql("SELECT n_missing, stop_counts FROM broadcasts WHERE id = ?");
        let row: Option<(Option<i64>, Option<String>)> = self.store().row_now(question.bind(id.0)).await?;
        let (missing, before) = row.ok_or(LedgerError::Unknown(id))?;
        let before = before.map(|text| serde_json::from_str(&text)).transpose();
        let before = before.map_err(|error| self.store().record(error))?;
        Ok((count(missing.unwrap_or_default()), before.unwrap_or_default()))
    }

    /// Stores the counts at a stop.
    pub async fn store_stop_counts(&self, lease: Lease, counts: StopCounts) -> Result<(), LedgerError> {
        let counts = serde_json::to_string(&counts).map_err(|error| self.store().record(error))?;
        let statement = sql("UPDATE broadcasts SET stop_counts = ? WHERE id = ?");
        self.store().change(statement.bind(counts).bind(lease.broadcast.0)).await.map(drop)
    }
}
