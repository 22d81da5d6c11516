//! Finds a broadcast by its name and run, or creates it.

use std::time::Duration;

use crate::core::BroadcastStatus;
use crate::ledger::sql::sql;
use crate::ledger::state::stage::{BUILDING, CANCELLED, FINISHED, READY};
use crate::ledger::store::{Transaction, millis, stored};
use crate::ledger::{AppId, BroadcastStage, Ledger, LedgerError};

use super::{Broadcast, BroadcastId, StoredSpec};

/// The result of looking up a name and a run.
#[derive(Debug, Clone, PartialEq)]
pub enum BroadcastLookup {
    /// There was none: this one was created.
    New(Broadcast),
    /// Its plan was never fixed, and nothing of it was sent.
    Unbuilt(Broadcast),
    /// Its plan is fixed, and something is left to send.
    Unfinished(Broadcast),
    /// Nothing is left to send.
    Finished(Broadcast),
}

impl BroadcastLookup {
    /// The broadcast, whatever its state.
    pub fn broadcast(&self) -> &Broadcast {
        let (Self::New(found) | Self::Unbuilt(found) | Self::Unfinished(found) | Self::Finished(found)) =
            self;
        found
    }
}

/// A filter for listing broadcasts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BroadcastFilter {
    /// Only broadcasts of this app.
    pub app: Option<AppId>,
    /// Only broadcasts with this name.
    pub name: Option<String>,
    /// Only broadcasts that have not finished.
    pub unfinished: bool,
    /// Only broadcasts that have finished.
    pub finished: bool,
    /// Only broadcasts with recipients in doubt.
    pub in_doubt: bool,
    /// Only broadcasts with this [`Broadcast::status`].
    pub state: Option<BroadcastStatus>,
    /// Only broadcasts that were created before this one.
    pub before: Option<BroadcastId>,
    /// Only broadcasts that were created at this instant or later.
    pub since: Option<Duration>,
    /// The most broadcasts to return; the newest come first. 0 means 1,000.
    pub limit: u64,
}

impl Ledger {
    /// Returns the broadcast with this name and run in this app. If there is none, creates it with `spec`.
    pub async fn find_or_create(
        &self,
        app: AppId,
        name: &str,
        run: &str,
        spec: &StoredSpec,
    ) -> Result<BroadcastLookup, LedgerError> {
        let json = serde_json::to_string(spec).map_err(|error| self.store().record(error))?;
        let (made, found) = self.store().transaction(async |write| {
            let insert = sql(
                "INSERT INTO broadcasts (app, name, run, spec, created_at, corrects) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            );
            let insert = insert.bind(app.0).bind(name).bind(run).bind(json).bind(self.store().now());
            let insert = insert.bind(spec.corrects.as_ref().map(|corrected| corrected.id));
            let made = write.run(insert).await?;
            Ok((made, named(write, app, name, run).await?))
        }).await?;
        let found = found.ok_or_else(|| self.store().record("a broadcast that was not made"))?;
        Ok(match found.stage {
            _ if made > 0 => BroadcastLookup::New(found),
            BroadcastStage::Building => BroadcastLookup::Unbuilt(found),
            BroadcastStage::Ready => BroadcastLookup::Unfinished(found),
            BroadcastStage::Finished | BroadcastStage::Cancelled => BroadcastLookup::Finished(found),
        })
    }

    /// Returns a broadcast by its number.
    pub async fn show(&self, id: BroadcastId) -> Result<Broadcast, LedgerError> {
        let text = format!("{} WHERE b.id = ?2", self.store().driver.texts().broadcasts);
        let found: Option<Broadcast> =
            self.store().row(sql(text).bind(self.store().dead_before()).bind(id.0)).await?;
        found.map(|found| self.with_living_driver(found)).ok_or(LedgerError::Unknown(id))
    }

    /// Returns those of these broadcasts that were not pruned, in this order.
    pub(in crate::ledger) async fn show_each(&self, ids: Vec<(i64,)>) -> Result<Vec<Broadcast>, LedgerError> {
        let mut found = Vec::with_capacity(ids.len());
        for (id,) in ids {
            match self.show(BroadcastId(id)).await {
                Ok(broadcast) => found.push(broadcast),
                Err(LedgerError::Unknown(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    pub async fn find(&self, app: AppId, name: &str, run: &str) -> Result<Option<Broadcast>, LedgerError> {
        let select = self.store().driver.texts().broadcasts;
        let text = format!("{select} WHERE b.app = ?2 AND b.name = ?3 AND b.run = ?4");
        let mut read = self.store().read().await?;
        let question = sql(text).bind(self.store().dead_before()).bind(app.0).bind(name).bind(run);
        let found: Option<Broadcast> = read.row(question).await?;
        read.done();
        Ok(found.map(|found| self.with_living_driver(found)))
    }

    /// Returns broadcasts, the newest first.
    pub async fn list(&self, filter: &BroadcastFilter) -> Result<Vec<Broadcast>, LedgerError> {
        // The broadcast's row alone does not tell whether a live process drives it.
        let by_driver = filter.state.filter(|state| {
            use BroadcastStatus::{Building, Interrupted, Ready};
            matches!(state, Building | Ready | Interrupted)
        });
        let limit = if filter.limit == 0 { 1_000 } else { filter.limit };
        let text = format!(
            "{} WHERE (?2 IS NULL OR b.app = ?2) AND (?3 IS NULL OR b.name = ?3)
                AND (NOT ?4 OR b.state IN ({BUILDING}, {READY})) AND b.created_at >= ?5 AND NOT b.draft
                AND (NOT ?7 OR b.state IN ({FINISHED}, {CANCELLED})) AND (?8 IS NULL OR b.id < ?8) AND (?9 IS NULL OR ?9 = {})
                AND (NOT ?10 OR b.n_in_doubt > 0)
                ORDER BY b.id DESC LIMIT ?6",
            self.store().driver.texts().broadcasts,
            Broadcast::STATUS
        );
        let question = sql(text)
            .bind(self.store().dead_before())
            .bind(filter.app.map(|app| app.0))
            .bind(filter.name.as_deref())
            .bind(filter.unfinished || by_driver.is_some())
            .bind(filter.since.map_or(0, millis))
            .bind(if by_driver.is_some() { i64::MAX } else { stored(limit) })
            .bind(filter.finished)
            .bind(filter.before.map(|before| before.0))
            .bind(filter.state.filter(|_| by_driver.is_none()).map(BroadcastStatus::name))
            .bind(filter.in_doubt);
        let found: Vec<Broadcast> = self.store().rows(question).await?;
        let found = found.into_iter().map(|found| self.with_living_driver(found));
        let wanted = found.filter(|found| by_driver.is_none_or(|state| found.status() == state));
        Ok(wanted.take(usize::try_from(limit).unwrap_or(usize::MAX)).collect())
    }

    /// Removes the driver from a broadcast if the driver is dead or its lease has expired.
    fn with_living_driver(&self, mut broadcast: Broadcast) -> Broadcast {
        let store = self.store();
        broadcast.driver = broadcast.driver.filter(|driver| store.driver.drives(store, driver));
        broadcast
    }
}

async fn named(
    write: &mut Transaction<'_>,
    app: AppId,
    name: &str,
    run: &str,
) -> Result<Option<Broadcast>, LedgerError> {
    let select = write.store.driver.texts().broadcasts;
    let text = format!("{select} WHERE b.app = ?2 AND b.name = ?3 AND b.run = ?4");
    write.row(sql(text).bind(write.store.dead_before()).bind(app.0).bind(name).bind(run)).await
}
