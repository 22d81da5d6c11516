//! The hosts of a fleet: its daemons, with their roles and their scripts.

use std::time::Duration;

use super::instance::lives;
use super::sql::sql;
use super::store::{count, from_millis};
use super::{Instance, Ledger, LedgerError};

/// A daemon, as the ledger records it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "a machine is called a host in the table and on the page")]
pub struct Host {
    /// Its number; a daemon that restarts gets a new one.
    pub id: u64,
    /// The machine that it runs on.
    pub host: String,
    /// Its process id on that machine.
    pub pid: u64,
    /// The version of the program.
    pub program: String,
    /// Its roles: `schedule`, `send` and `page`, separated by commas.
    pub roles: String,
    /// A fingerprint of its scripts; equal for two hosts if all of their scripts are equal.
    pub scripts: String,
    /// When it started.
    pub since: Duration,
    /// When its heartbeat expires; `None` on a file store, which needs no heartbeats.
    pub alive_until: Option<Duration>,
    pub alive: bool,
}

impl Ledger {
    /// Records the roles of a daemon, and the fingerprint of its scripts.
    pub async fn describe(&self, owner: &Instance, roles: &str, scripts: &str) -> Result<(), LedgerError> {
        let statement = sql("UPDATE owners SET roles = ?, scripts = ? WHERE id = ?");
        self.change(statement.bind(roles).bind(scripts).bind(owner.id())).await.map(drop)
    }

    /// Records the apps through which a daemon sends. All live daemons of a ledger must have the same apps. If another
    /// one has different apps, nothing is written, and its process id and its apps are returned.
    pub async fn claim_apps(
        &self,
        owner: &Instance,
        apps: &str,
    ) -> Result<Option<(u64, String)>, LedgerError> {
        let mut write = self.store().write().await?;
        let result = async {
            let question =
                sql("SELECT id, pid, apps FROM owners WHERE apps IS NOT NULL AND apps <> ? AND id <> ? ORDER BY id");
            let others: Vec<(i64, i64, String)> = write.rows(question.bind(apps).bind(owner.id())).await?;
            for (id, pid, others) in others {
                if lives(&mut write, id).await? {
                    return Ok(Some((count(pid), others)));
                }
            }
            write.run(sql("UPDATE owners SET apps = ? WHERE id = ?").bind(apps).bind(owner.id())).await?;
            Ok(None)
        }
        .await;
        write.end(result).await
    }

    /// Returns all daemons, the longest-running first. Dead ones are included until they are reaped.
    pub async fn hosts(&self) -> Result<Vec<Host>, LedgerError> {
        type Row = (i64, Option<String>, i64, Option<String>, String, Option<String>, i64, Option<i64>);
        let mut write = self.store().write().await?;
        let result = async {
            let question =
                sql("SELECT id, host, pid, program, roles, scripts, since, alive_until FROM owners
                WHERE roles IS NOT NULL ORDER BY since, id");
            let rows: Vec<Row> = write.rows(question).await?;
            let mut hosts = Vec::with_capacity(rows.len());
            for (id, host, pid, program, roles, scripts, since, alive_until) in rows {
                hosts.push(Host {
                    id: count(id),
                    host: host.unwrap_or_default(),
                    pid: count(pid),
                    program: program.unwrap_or_default(),
                    roles,
                    scripts: scripts.unwrap_or_default(),
                    since: from_millis(since),
                    alive_until: alive_until.map(from_millis),
                    alive: lives(&mut write, id).await?,
                });
            }
            Ok(hosts)
        }
        .await;
        write.end(result).await
    }
}
