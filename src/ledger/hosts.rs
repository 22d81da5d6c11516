//! The hosts of a fleet: daemons, with what each does and which scripts it has.

use std::time::Duration;

use super::instance::lives;
use super::sql::sql;
use super::store::{count, from_millis};
use super::{Instance, Ledger, LedgerError};

/// A daemon, as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its number; a daemon that starts again has another.
    pub id: u64,
    /// The machine that it runs on.
    pub host: String,
    /// Its process there.
    pub pid: u64,
    /// The version of the program.
    pub program: String,
    /// What it does: `schedule`, `send` and `page`, with commas between them.
    pub roles: String,
    /// What stands for its scripts: equal where all of them are.
    pub scripts: String,
    /// Since when it runs.
    pub since: Duration,
    /// Until when it counts as alive, where it has to say so: on a store that many machines share.
    pub alive_until: Option<Duration>,
    /// Whether it is alive.
    pub alive: bool,
}

impl Ledger {
    /// Says of a daemon what it does, and what stands for its scripts.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn describe(&self, owner: &Instance, roles: &str, scripts: &str) -> Result<(), LedgerError> {
        let statement = sql("UPDATE owners SET roles = ?, scripts = ? WHERE id = ?");
        self.change(statement.bind(roles).bind(scripts).bind(owner.id())).await.map(drop)
    }

    /// Says through which apps a daemon sends. All living daemons of a ledger have the same: where another one has others,
    /// nothing is written, and its process and its apps are given.
    ///
    /// # Errors
    ///
    /// Faults of the store.
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

    /// All daemons, the one that runs longest first; those that are dead stay in sight until somebody buries them.
    ///
    /// # Errors
    ///
    /// Faults of the store.
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
