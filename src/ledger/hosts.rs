//! The hosts of a fleet: its daemons, with their roles and their scripts.

use std::collections::BTreeSet;
use std::time::Duration;

use super::columns::{Millis, OptionalMillis};
use super::instance::lives;
use super::sql::sql;
use super::store::stored;
use super::{Instance, Ledger, LedgerError};
use crate::config::canonical_address;

/// A daemon, as the ledger records it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
#[expect(clippy::struct_field_names, reason = "a machine is called a host in the table and on the page")]
pub struct Host {
    /// Its number; a daemon that restarts gets a new one.
    #[sqlx(try_from = "i64")]
    pub id: u64,
    /// The name of its machine.
    pub host: String,
    /// Its process id on that machine.
    #[sqlx(try_from = "i64")]
    pub pid: u64,
    /// The version of the program.
    pub program: String,
    /// Its roles: `schedule`, `send` and `page`, separated by commas.
    pub roles: String,
    /// A fingerprint of its scripts; equal for two hosts if all of their scripts are equal.
    pub scripts: String,
    /// When it started.
    #[sqlx(try_from = "Millis")]
    pub since: Duration,
    /// When its heartbeat expires; `None` on a file store, which needs no heartbeats.
    #[sqlx(try_from = "OptionalMillis")]
    pub alive_until: Option<Duration>,
    #[sqlx(skip)]
    pub alive: bool,
}

/// A daemon that sends through other apps.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct OtherDaemon {
    id: i64,
    /// Its process id.
    #[sqlx(try_from = "i64")]
    pub pid: u64,
    /// Its apps, in the form of [`Ledger::claim_apps`].
    pub apps: String,
}

impl Ledger {
    /// Records the roles of a daemon, and the fingerprint of its scripts.
    pub async fn describe(&self, instance: &Instance, roles: &str, scripts: &str) -> Result<(), LedgerError> {
        let statement = sql("UPDATE instances SET roles = ?, scripts = ? WHERE id = ?");
        self.change(statement.bind(roles).bind(scripts).bind(instance.id())).await.map(drop)
    }

    /// Records the apps through which a daemon sends. All live daemons of a ledger must have the same apps. If another
    /// one has different apps, nothing is written, and that one is returned.
    pub async fn claim_apps(
        &self,
        instance: &Instance,
        apps: &str,
    ) -> Result<Option<OtherDaemon>, LedgerError> {
        self.store()
            .transaction(async |write| {
                let question =
                    sql("SELECT id, pid, apps FROM instances WHERE apps IS NOT NULL AND id <> ? ORDER BY id");
                let others: Vec<OtherDaemon> = write.rows(question.bind(instance.id())).await?;
                // An older program wrote the addresses as its settings spell them.
                let same = |other: &str| other.split(", ").map(canonical_address).collect::<BTreeSet<_>>();
                for other in others {
                    if same(&other.apps) != same(apps) && lives(write, other.id).await? {
                        return Ok(Some(other));
                    }
                }
                write
                    .run(sql("UPDATE instances SET apps = ? WHERE id = ?").bind(apps).bind(instance.id()))
                    .await?;
                Ok(None)
            })
            .await
    }

    /// Returns all daemons, the longest-running first. Dead ones are included until they are reaped.
    pub async fn hosts(&self) -> Result<Vec<Host>, LedgerError> {
        self.store()
            .transaction(async |write| {
                let question = sql(
                    "SELECT id, coalesce(host, '') AS host, pid, coalesce(program, '') AS program, roles,
                        coalesce(scripts, '') AS scripts, since, alive_until FROM instances
                        WHERE roles IS NOT NULL ORDER BY since, id",
                );
                let mut hosts: Vec<Host> = write.rows(question).await?;
                for host in &mut hosts {
                    host.alive = lives(write, stored(host.id)).await?;
                }
                Ok(hosts)
            })
            .await
    }
}
