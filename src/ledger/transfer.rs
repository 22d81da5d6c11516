//! Copies a whole ledger into another store: from a file to a server, or back.
//!
//! No other process may use either store meanwhile: an exclusive write holds both, and a live instance is an error.
//! The copy is one commit. It is made only after the rows were read back and found equal, so until then the other
//! store stays empty. Rows are copied page by page, so memory does not grow with their number.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::clock::Clock;
use crate::core::Actor;

use super::instance::{InstanceRow, lives, reap};
use super::sql::sql;
use super::store::Transaction;
use super::table_row::{CellValue, TableRow};
use super::tables::{NUMBERED, TABLES, TableSchema, used_table};
use super::{InstanceName, Ledger, LedgerError, LedgerLocation};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopySummary {
    /// The source: a file, or a server's address without credentials.
    pub from: PathBuf,
    /// The target, in the same form.
    pub to: PathBuf,
    /// The tables; each is equal on both sides.
    pub tables: Vec<CopiedTable>,
    /// Single sends that dead processes had in flight. They are in doubt now, in both stores.
    pub in_doubt: u64,
}

/// A table that is equal on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedTable {
    pub name: &'static str,
    /// How many rows it has.
    pub rows: u64,
    /// SHA-256 of all rows in the order of their keys, in hexadecimal.
    pub hash: String,
}

/// Why a ledger was not copied. The target is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// A store failed.
    #[error(transparent)]
    Store(#[from] LedgerError),
    /// A process uses one of the stores, or used it a moment ago.
    #[error(
        "{path}: `{name}` (process {pid}) uses this ledger, or did so until a moment ago; stop it, then copy",
        path = path.display(), name = by.name, pid = by.pid
    )]
    InUse {
        /// The store that is in use.
        path: PathBuf,
        /// The process that uses it.
        by: InstanceName,
    },
    /// The target is not empty.
    #[error("{path}: the target store is not empty: `{table}` has rows; copy into an empty store", path = path.display())]
    NotEmpty {
        /// The target.
        path: PathBuf,
        /// The first table that has rows.
        table: &'static str,
    },
    /// Both are the same store.
    #[error("{}: a ledger cannot be copied into itself", .0.display())]
    Same(PathBuf),
    /// The rows that were read back differ from the source.
    #[error(
        "`{table}` differed when it was read back (it has {there} rows, and the source has {here}), so nothing was copied; please report this"
    )]
    Differs {
        table: &'static str,
        /// How many rows were read from the source.
        here: u64,
        /// How many rows were read back.
        there: u64,
    },
}

impl Ledger {
    /// Copies the whole ledger in `from` into the empty store `to`, and reads it back. An actor gets an entry in the audit of
    /// each.
    ///
    /// # Errors
    ///
    /// [`CopyError`]. Nothing is in `to` then.
    pub async fn transfer(
        from: &LedgerLocation,
        to: &LedgerLocation,
        clock: &Clock,
        by: Option<&Actor>,
    ) -> Result<CopySummary, CopyError> {
        let (source, target) =
            (Self::open_at(from, clock.clone()).await?, Self::open_at(to, clock.clone()).await?);
        let (from, to) = (source.path().to_owned(), target.path().to_owned());
        if from == to {
            return Err(CopyError::Same(from));
        }
        let mut write = target.store().write().await?;
        idle(&mut write).await?;
        if let Some(by) = living(&mut write).await? {
            return Err(CopyError::InUse { path: to, by });
        }
        if let Some(table) = used_table(&mut write).await? {
            return Err(CopyError::NotEmpty { path: to, table });
        }
        let mut read = source.store().write().await?;
        idle(&mut read).await?;
        if let Some(by) = living(&mut read).await? {
            return Err(CopyError::InUse { path: from, by });
        }
        let in_doubt = end_dead(&mut read).await?;
        let tables = copy_rows(&mut read, &mut write).await?;
        compare(&mut write, &tables).await?;
        if let Some(by) = by {
            let act = by.act("ledger.copy", format!("{} -> {}", from.display(), to.display()));
            write.append_audit(&act).await?;
            read.append_audit(&act).await?;
        }
        write.end(Ok(())).await?;
        read.end(Ok(())).await?;
        Ok(CopySummary { from, to, tables, in_doubt })
    }
}

impl Ledger {
    /// Copies the ledger in `location` as it is at one instant into the folder `to`, so that a command can try something
    /// on the copy. Other processes continue to use the ledger, which does not change.
    pub async fn snapshot_into(
        location: &LedgerLocation,
        to: &Path,
        clock: &Clock,
    ) -> Result<(), LedgerError> {
        const SNAPSHOT: &str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";
        if let LedgerLocation::Folder(from) = location {
            return Self::copy(from, to).await;
        }
        let source = Self::open_at(location, clock.clone()).await?;
        let target = Self::open_scratch(to, clock.clone()).await?;
        let mut read = source.store().write_group(false).await?;
        read.run(sql(SNAPSHOT)).await?;
        idle(&mut read).await?;
        let mut write = target.store().write().await?;
        copy_rows(&mut read, &mut write).await?;
        write.end(Ok(())).await?;
        read.end(Ok(())).await
    }
}

/// Copies the rows of all tables into an empty store. New rows there get numbers that neither store has used.
pub(super) async fn copy_rows(
    read: &mut Transaction<'_>,
    write: &mut Transaction<'_>,
) -> Result<Vec<CopiedTable>, LedgerError> {
    let mut tables = Vec::with_capacity(TABLES.len());
    for (table, theirs) in TableSchema::all(write).await?.iter().zip(TableSchema::all(read).await?) {
        if !table.is_like(&theirs) {
            return Err(read
                .store
                .record(format_args!("`{}` has other columns than in the target", table.name)));
        }
        let mut seen = TableDigest::default();
        each_page(read, table, async |page| {
            seen.look(&page);
            write.run(table.insert(&page)).await.map(drop)
        })
        .await?;
        tables.push(seen.of(table));
    }
    for table in NUMBERED {
        let highest = highest(read, table).await?.max(highest(write, table).await?);
        advance_sequence(write, table, highest).await?;
    }
    Ok(tables)
}

/// Reads the copied rows back and compares them.
pub(super) async fn compare(write: &mut Transaction<'_>, tables: &[CopiedTable]) -> Result<(), CopyError> {
    for (table, copied) in TableSchema::all(write).await?.iter().zip(tables) {
        let mut seen = TableDigest::default();
        each_page_there(write, table, |page| seen.look(page)).await?;
        let there = seen.of(table);
        if there != *copied {
            let (here, there) = (copied.rows, there.rows);
            return Err(CopyError::Differs { table: table.name, here, there });
        }
    }
    Ok(())
}

/// The number and the hash of the rows of a table.
#[derive(Default)]
struct TableDigest {
    rows: u64,
    hash: Sha256,
}

impl TableDigest {
    fn look(&mut self, page: &[TableRow]) {
        for row in page {
            self.rows += 1;
            for cell in &row.0 {
                let (kind, bytes): (u8, &[u8]) = match cell {
                    CellValue::Nothing => (0, &[]),
                    CellValue::Number(number) => (1, &number.to_be_bytes()),
                    CellValue::Text(text) => (2, text.as_bytes()),
                    CellValue::Bytes(bytes) => (3, bytes),
                };
                self.hash.update([kind]);
                self.hash.update((bytes.len() as u64).to_be_bytes());
                self.hash.update(bytes);
            }
        }
    }

    fn of(self, table: &TableSchema) -> CopiedTable {
        let hash = data_encoding::HEXLOWER.encode(&self.hash.finalize());
        CopiedTable { name: table.name, rows: self.rows, hash }
    }
}

/// Passes the rows of a table to a callback page by page, in the order of their keys.
async fn each_page(
    read: &mut Transaction<'_>,
    table: &TableSchema,
    mut give: impl AsyncFnMut(Vec<TableRow>) -> Result<(), LedgerError>,
) -> Result<(), LedgerError> {
    let by_bytes = read.store.driver.texts().by_bytes;
    let mut after: Option<Vec<CellValue>> = None;
    loop {
        let page: Vec<TableRow> = read.rows(table.page(by_bytes, after.as_deref())).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.0[..table.key].to_vec());
        let over = table.is_last(page.len());
        give(page).await?;
        if over {
            return Ok(());
        }
    }
}

/// The same for a callback that only reads.
async fn each_page_there(
    read: &mut Transaction<'_>,
    table: &TableSchema,
    mut look: impl FnMut(&[TableRow]),
) -> Result<(), LedgerError> {
    each_page(read, table, async |page| {
        look(&page);
        Ok(())
    })
    .await
}

pub(super) async fn idle(write: &mut Transaction<'_>) -> Result<(), LedgerError> {
    match write.store.driver.texts().wait_longer {
        Some(text) => write.run(sql(text)).await.map(drop),
        None => Ok(()),
    }
}

/// Returns a live instance, if there is one.
pub(super) async fn living(write: &mut Transaction<'_>) -> Result<Option<InstanceName>, LedgerError> {
    let instances: Vec<InstanceRow> =
        write.rows(sql("SELECT id, name, pid FROM instances ORDER BY id")).await?;
    for row in instances {
        if lives(write, row.id).await? {
            return Ok(Some(row.name));
        }
    }
    Ok(None)
}

/// Ends dead instances, so that an instance that was only silent cannot write any more. All instances must be dead.
/// Returns how many of their single sends are in doubt now.
async fn end_dead(write: &mut Transaction<'_>) -> Result<u64, LedgerError> {
    let instances: Vec<(i64,)> = write.rows(sql("SELECT id FROM instances")).await?;
    let mut in_doubt = 0;
    for (id,) in instances {
        in_doubt += reap(write, id).await?;
    }
    write.store.driver.end_drivers(write, None).await?;
    Ok(in_doubt)
}

/// Returns the highest id in a table, or the highest that the store remembers to have given.
pub(super) async fn highest(read: &mut Transaction<'_>, table: &str) -> Result<i64, LedgerError> {
    let rows = read.row::<(i64,)>(sql(format!("SELECT coalesce(max(id), 0) FROM {table}"))).await?;
    let given = sql(read.store.driver.texts().last_id);
    let given = read.row::<(i64,)>(given.bind(table)).await?;
    Ok(rows.unwrap_or_default().0.max(given.unwrap_or_default().0))
}

/// Makes a table's next id higher than `highest`. Instances are not copied, but rows name them: a new instance must
/// not get the number of a dead one.
pub(super) async fn advance_sequence(
    write: &mut Transaction<'_>,
    table: &str,
    highest: i64,
) -> Result<(), LedgerError> {
    if highest == 0 {
        return Ok(());
    }
    write.store.driver.advance_ids(write, table, highest).await
}

impl CopySummary {
    /// The number of rows of all tables together.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }
}

/// Returns the tables whose next id is already taken, which means that a restore went wrong.
pub(super) async fn tables_with_stale_sequence(
    write: &mut Transaction<'_>,
) -> Result<Vec<&'static str>, LedgerError> {
    let mut found = Vec::new();
    for table in NUMBERED {
        let last = sql(write.store.driver.texts().last_id).bind(*table);
        let Some((last,)) = write.row::<(i64,)>(last).await? else { continue };
        let highest = sql(format!("SELECT coalesce(max(id), 0) FROM {table}"));
        if write.row::<(i64,)>(highest).await?.is_some_and(|(highest,)| highest > last) {
            found.push(*table);
        }
    }
    Ok(found)
}
