//! Access tokens of the page and its API, with read or operator rights. Only their hashes are stored.

use std::fmt;

use super::sql::sql;
use super::{Ledger, LedgerError};

/// What the holder of a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenRole {
    /// Read everything.
    Read,
    /// Read everything and act.
    Operate,
}

impl TokenRole {
    /// Both roles.
    pub const ALL: [Self; 2] = [Self::Operate, Self::Read];

    /// The role's name, as it is stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
        }
    }
}

impl fmt::Display for TokenRole {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl Ledger {
    /// Stores the hash of the token of each role. Without `renew`, stores nothing if any token exists. Returns whether
    /// the hashes were stored.
    pub async fn keep_tokens(
        &self,
        tokens: &[(TokenRole, String)],
        renew: bool,
    ) -> Result<bool, LedgerError> {
        let mut write = self.store().write().await?;
        let result = async {
            let (there,) = write.row(sql("SELECT count(*) FROM tokens")).await?.unwrap_or((0_i64,));
            if there > 0 && !renew {
                return Ok(false);
            }
            for (role, hash) in tokens {
                let statement = sql("INSERT INTO tokens (role, hash, made_at) VALUES (?, ?, ?)
                        ON CONFLICT (role) DO UPDATE SET hash = excluded.hash, made_at = excluded.made_at");
                let now = write.store.now();
                write.run(statement.bind(role.name()).bind(hash).bind(now)).await?;
            }
            Ok(true)
        }
        .await;
        write.end(result).await
    }

    /// Returns the hashes of all tokens.
    pub async fn tokens(&self) -> Result<Vec<(TokenRole, String)>, LedgerError> {
        let mut read = self.store().read_now().await?;
        let rows: Vec<(String, String)> =
            read.rows(sql("SELECT role, hash FROM tokens ORDER BY role")).await?;
        read.done();
        let role = |name: &str| TokenRole::ALL.into_iter().find(|role| role.name() == name);
        Ok(rows.into_iter().filter_map(|(name, hash)| Some((role(&name)?, hash))).collect())
    }
}
