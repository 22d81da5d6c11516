//! Tests of copies between stores: from a file to a file and, if the tests are given a server, from and to that
//! server.

use std::path::PathBuf;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use sqlx_sqlite::SqliteConnectOptions;
use sqlx_sqlite::SqliteConnection;

use super::*;
use crate::ledger::table_row::{CellValue, ColumnKind, TableRow};
use crate::ledger::tables::{NOT_COPIED, TABLES, TableSchema};

/// Opens the file of a folder directly, without the ledger.
async fn file(folder: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(folder.join("ledger.db")).connect().await.unwrap()
}

async fn asked<T>(connection: &mut SqliteConnection, question: String) -> Vec<T>
where
    T: Send + Unpin + for<'r> sqlx::FromRow<'r, sqlx_sqlite::SqliteRow>,
{
    sqlx::query_as(AssertSqlSafe(question)).fetch_all(connection).await.unwrap()
}

/// Returns a random text with characters that are hard to copy.
fn text(random: &mut StdRng, number: usize) -> String {
    const PIECES: [&str; 8] =
        ["", "grüße", "消息", "\u{1F680}", "'; --", "\"\\\n\t", "null", "0123456789abcdef"];
    let pieces = (0..random.random_range(0..4)).map(|_| PIECES[random.random_range(0..PIECES.len())]);
    format!("{}{number}", pieces.collect::<String>())
}

/// The columns that are booleans on a server.
const FLAGS: [&str; 5] = ["handed_to_daemon", "overrides", "draft", "not_rerunnable", "rerun"];

/// Fills a table of a file with rows of all values that its columns can hold.
async fn fill(connection: &mut SqliteConnection, table: &TableSchema, rows: usize, random: &mut StdRng) {
    let info: Vec<(String, bool)> =
        asked(connection, format!("SELECT name, \"notnull\" FROM pragma_table_info('{}')", table.name)).await;
    let must = |name: &str| info.iter().any(|(known, must)| known == name && *must);
    let rows = (1..=rows).map(|number| {
        let cells = table.columns.iter().enumerate().map(|(at, (name, kind))| {
            let number_of_row = i64::try_from(number).unwrap();
            let is_key = at < table.key;
            if !is_key && !must(name) && random.random_bool(0.3) {
                return CellValue::Nothing;
            }
            match kind {
                ColumnKind::Number if *name == "app" || (*name == "broadcast" && is_key) => {
                    CellValue::Number(1)
                }
                ColumnKind::Number if is_key => CellValue::Number(number_of_row),
                // A file has no type of its own for them.
                ColumnKind::Flag | ColumnKind::Number if FLAGS.contains(&name.as_str()) => {
                    CellValue::Number(random.random_bool(0.5).into())
                }
                ColumnKind::Flag | ColumnKind::Number => {
                    CellValue::Number(random.random_range(-5..i64::from(u32::MAX) * 1000))
                }
                ColumnKind::NoInstance | ColumnKind::Expired => CellValue::Number(7),
                ColumnKind::Bytes => {
                    CellValue::Bytes((0..random.random_range(0..2000)).map(|_| random.random()).collect())
                }
                ColumnKind::Text => CellValue::Text(text(random, number)),
            }
        });
        TableRow(cells.collect())
    });
    for page in rows.collect::<Vec<_>>().chunks(100) {
        let (text, given) = table.insert(page).for_sqlite().unwrap();
        sqlx::query_with(text, given).execute(&mut *connection).await.unwrap();
    }
}

/// Returns all rows of a file, without what a copy leaves out. Uses none of the copying code.
async fn dump(folder: &Path) -> Vec<(String, Vec<Vec<CellValue>>)> {
    let mut connection = file(folder).await;
    let names: Vec<(String,)> = asked(
        &mut connection,
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
            .to_owned(),
    )
    .await;
    let mut dump = Vec::new();
    for (name,) in names {
        if NOT_COPIED.contains(&name.as_str()) {
            continue;
        }
        let columns: Vec<(String,)> = asked(
            &mut connection,
            format!(
                "SELECT name FROM pragma_table_info('{name}') WHERE name NOT IN ('lease_until', 'lease_for')
                    AND NOT (name = 'owner' AND '{name}' = 'broadcasts')"
            ),
        )
        .await;
        let columns: Vec<String> = columns.into_iter().map(|(column,)| format!("\"{column}\"")).collect();
        let rows: Vec<TableRow> =
            asked(&mut connection, format!("SELECT {0} FROM {name} ORDER BY {0}", columns.join(", "))).await;
        dump.push((name, rows.into_iter().map(|row| row.0).collect()));
    }
    dump
}

/// Creates a file with rows in all tables, of a process that died.
async fn filled(folder: &Path, clock: &Clock, seed: u64) -> i64 {
    let ledger = Ledger::open(folder, clock.clone()).await.unwrap();
    for app in ["first", "second"] {
        ledger.app(app).await.unwrap();
    }
    let instance = ledger.register("run").await.unwrap();
    let number = instance.id();
    drop(instance);
    drop(ledger);
    let mut random = StdRng::seed_from_u64(seed);
    let tables = schemas(&Ledger::open(folder, clock.clone()).await.unwrap()).await;
    let mut connection = file(folder).await;
    sqlx::query("DELETE FROM apps WHERE id > 1").execute(&mut connection).await.unwrap();
    for table in tables.iter().filter(|table| table.name != "apps") {
        // Some of these numbers give several pages with a partial last one, and some give exactly full pages.
        let rows =
            [1, 20, 500, 733][random.random_range(0..4)].min(if table.name == "data" { 45 } else { 1000 });
        fill(&mut connection, table, rows, &mut random).await;
    }
    number
}

async fn schemas(ledger: &Ledger) -> Vec<TableSchema> {
    ledger.store().transaction(async |write| TableSchema::all(write).await).await.unwrap()
}

async fn sequences(folder: &Path) -> Vec<(String, i64)> {
    asked(&mut file(folder).await, "SELECT name, seq FROM sqlite_sequence ORDER BY name".to_owned()).await
}

/// Returns another store for a test: a server's if there is one.
async fn between(folder: &Path) -> (PathBuf, LedgerLocation) {
    let folder = folder.join("between");
    let location = server::location(&folder).await;
    (folder, location)
}

#[test]
fn all_of_a_ledger_comes_through_another_store_as_it_was() {
    with_folder(|folder, clock| async move {
        let seed = rand::random();
        println!("seed {seed}");
        let (from, to) = (folder.join("from"), folder.join("to"));
        filled(&from, &clock, seed).await;
        let (folder_between, between) = between(&folder).await;
        let from_place = LedgerLocation::Folder(from.clone());
        let there = Ledger::transfer(&from_place, &between, &clock, None).await.unwrap();
        let back =
            Ledger::transfer(&between, &LedgerLocation::Folder(to.clone()), &clock, None).await.unwrap();
        assert!(there.tables.iter().all(|table| table.rows > 0), "{there:?}");
        assert_eq!(there.tables, back.tables);
        let (before, after) = (dump(&from).await, dump(&to).await);
        assert_eq!(before.len(), TABLES.len());
        for ((name, before), (_, after)) in before.iter().zip(&after) {
            assert!(before == after, "{name} differs, seed {seed}");
        }
        assert_eq!(sequences(&from).await, sequences(&to).await);
        let again = Ledger::transfer(&from_place, &between, &clock, None).await;
        assert!(matches!(again, Err(CopyError::NotEmpty { table: "apps", .. })), "{again:?}");
        let itself = Ledger::transfer(&from_place, &from_place, &clock, None).await;
        assert!(matches!(itself, Err(CopyError::Same(_))), "{itself:?}");
        server::clean(&folder_between).await;
    });
}

#[test]
fn a_copy_goes_on_where_the_ledger_was() {
    with_folder(|folder, clock| async move {
        let (from, there) = (folder.join("from"), between(&folder).await);
        let ledger = Ledger::open(&from, clock.clone()).await.unwrap();
        let instance = ledger.register("run").await.unwrap();
        let dead = instance.id();
        let lease = planned(&ledger, &instance, &spec(), 10).await;
        ledger.intend(lease, vec![1, 2, 3, 4]).await.unwrap();
        ledger
            .settle(
                lease,
                vec![
                    RecipientOutcome::sent(1, "m1", 1),
                    RecipientOutcome::failed(2, RecipientState::Rejected, "no", 1),
                ],
            )
            .await
            .unwrap();
        let app = ledger.app("https://service/org/app").await.unwrap();
        let send = |once: &str| NewSend {
            app,
            once: Some(once.to_owned()),
            hash: "h".to_owned(),
            recipients: "[\"g\"]".to_owned(),
            origin: "scripts/main.lua:1".to_owned(),
            fingerprints: String::new(),
            files: None,
            job_run: None,
        };
        let BeginSendResult::New(mut ticket) = ledger.begin_send(&instance, send("flying")).await.unwrap()
        else {
            panic!()
        };
        ledger.intend_send(&mut ticket).await.unwrap();
        let places = (LedgerLocation::Folder(from.clone()), there.1.clone());
        let refused = Ledger::transfer(&places.0, &places.1, &clock, None).await;
        assert!(matches!(refused, Err(CopyError::InUse { .. })), "{refused:?}");
        drop(instance);
        let copied = Ledger::transfer(&places.0, &places.1, &clock, None).await.unwrap();
        assert_eq!(copied.in_doubt, 1);

        let ledger = Ledger::open_at(&places.1, clock.clone()).await.unwrap();
        let instance = ledger.register("serve").await.unwrap();
        assert!(instance.id() > dead, "{} is the number of one that is dead", instance.id());
        assert!(matches!(
            ledger.begin_send(&instance, send("flying")).await.unwrap(),
            BeginSendResult::InDoubt { .. }
        ));
        let examined = ledger.examine().await.unwrap();
        // A copied send in flight has no holder until a process drives it.
        assert_eq!(examined.faults.len(), 1, "{examined:?}");
        assert!(
            examined.faults[0].starts_with("news/1: 2 recipients in flight of a process that died"),
            "{examined:?}"
        );
        let lease = ledger.claim_alone(lease.broadcast, &instance, LEASE).await.unwrap().unwrap();
        ledger.take_over(lease).await.unwrap();
        let counts = counted(&ledger, lease.broadcast).await;
        assert_eq!((counts.sent, counts.rejected, counts.in_doubt, counts.pending), (1, 1, 2, 6));
        assert_eq!(ledger.pending(lease, 0, 99).await.unwrap().len(), 6);
        assert_eq!(ledger.examine().await.unwrap().faults, Vec::<String>::new());
        drop(instance);
        drop(ledger);
        server::clean(&there.0).await;
    });
}

#[test]
fn a_ledger_that_contradicts_itself_is_told() {
    with_folder(|folder, clock| async move {
        let ledger = Ledger::open(&folder, clock.clone()).await.unwrap();
        let instance = ledger.register("run").await.unwrap();
        let lease = planned(&ledger, &instance, &spec(), 4).await;
        ledger.intend(lease, vec![1]).await.unwrap();
        let faults = async || ledger.examine().await.unwrap().faults;
        assert_eq!(faults().await, Vec::<String>::new());
        let mut connection = file(&folder).await;
        for (break_it, said) in [
            (
                "UPDATE broadcasts SET n_sent = 3",
                "news/1: the stored count of sent recipients is 3, and 0 rows have this state",
            ),
            (
                "DELETE FROM recipients WHERE seq = 4",
                "news/1: the plan numbers 4 recipients, and 3 rows exist",
            ),
            ("UPDATE recipients SET message = 9 WHERE seq = 3", "news/1: without a message: 1 recipient"),
            (
                "UPDATE broadcasts SET state = 2",
                "news/1: it has ended with 3 recipients still pending or sending",
            ),
        ] {
            sqlx::query(break_it).execute(&mut connection).await.unwrap();
            let faults = faults().await;
            assert!(faults.iter().any(|fault| fault == said), "{faults:?}");
        }
        drop(instance);
        let faults = faults().await;
        assert!(faults.iter().any(|fault| fault.contains("in flight of a process that died")), "{faults:?}");
    });
}

#[test]
fn no_table_and_no_column_is_forgotten() {
    with_folder(|folder, clock| async move {
        let in_file = schemas(&Ledger::open(&folder.join("file"), clock.clone()).await.unwrap()).await;
        let mut connection = file(&folder.join("file")).await;
        let names: Vec<(String,)> = asked(
            &mut connection,
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'".to_owned(),
        )
        .await;
        let is_known =
            |name: &str| NOT_COPIED.contains(&name) || in_file.iter().any(|table| table.name == name);
        for (name,) in names {
            assert!(is_known(&name), "{name} is neither copied nor of the moment");
        }
        for table in &in_file {
            assert!((1..=table.columns.len()).contains(&table.key), "{table:?}");
        }
        let recipients = in_file.iter().find(|table| table.name == "recipients").unwrap();
        let names: Vec<&str> = recipients.columns.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names[..4], ["broadcast", "seq", "attempts", "error"]);
        let Some(_) = server::address() else { return };
        let ledger = open(&folder, &clock).await;
        for (table, there) in in_file.iter().zip(schemas(&ledger).await) {
            assert!(table.is_like(&there), "{table:?} {there:?}");
            let flags = there.columns.iter().filter(|(_, kind)| *kind == ColumnKind::Flag);
            assert!(flags.map(|(name, _)| name.as_str()).all(|name| FLAGS.contains(&name)), "{there:?}");
        }
        let mut read = ledger.store().read_now().await.unwrap();
        let question = "SELECT CAST(table_name AS TEXT) FROM information_schema.tables
            WHERE table_schema = current_schema()";
        let names: Vec<(String,)> = read.rows(sql(question)).await.unwrap();
        read.done();
        for (name,) in names {
            assert!(is_known(&name), "{name} is neither copied nor of the moment");
        }
    });
}
