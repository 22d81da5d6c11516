//! Tests of ledgers that earlier releases made: they recorded only the number of their last step.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use sqlx_postgres::PgConnection;
use sqlx_sqlite::SqliteConnection;

use super::*;

/// The steps of a driver with their numbers, in their order.
fn steps(driver: &str) -> Vec<(i64, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/ledger/{driver}/migrations"));
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let step = |file: &std::path::PathBuf| {
        let name = file.file_name().unwrap().to_str().unwrap();
        let number = name.split_once('_').unwrap().0.parse().unwrap();
        (number, std::fs::read_to_string(file).unwrap())
    };
    files.iter().map(step).collect()
}

/// Checks that a ledger works and records each step once.
async fn check(location: &LedgerLocation, clock: &Clock, found: i64, steps: &[(i64, String)]) {
    let known = steps.last().unwrap().0;
    let (ledger, before, after) = Ledger::migrate(location, clock.clone()).await.unwrap();
    assert_eq!((before, after), (found, known));
    assert_eq!(ledger.known_app("old").await.unwrap(), Some(AppId(1)));
    let instance = ledger.register("run").await.unwrap();
    planned(&ledger, &instance, &spec(), 3).await;
    if found < known {
        let mut read = ledger.store().read().await.unwrap();
        let recorded: Vec<(i64,)> =
            read.rows(sql("SELECT version FROM _sqlx_migrations ORDER BY version")).await.unwrap();
        read.done();
        assert_eq!(recorded, steps.iter().map(|(number, _)| (*number,)).collect::<Vec<_>>());
    }
    drop((instance, ledger));
    let (_, before, after) = Ledger::migrate(location, clock.clone()).await.unwrap();
    assert_eq!((before, after), (known, known));
}

#[test]
fn a_file_of_each_earlier_version_opens() {
    let steps = steps("sqlite");
    for (version, _) in &steps {
        with_folder(|folder, clock| {
            let steps = &steps;
            async move {
                std::fs::create_dir_all(&folder).unwrap();
                let file = format!("sqlite://{}?mode=rwc", folder.join("ledger.db").display());
                let mut connection = SqliteConnection::connect(&file).await.unwrap();
                for (number, step) in steps.iter().filter(|(number, _)| number <= version) {
                    let step = format!("BEGIN; {step}; PRAGMA user_version = {number}; COMMIT");
                    connection.execute(sqlx::raw_sql(AssertSqlSafe(step))).await.unwrap();
                }
                connection.execute("INSERT INTO apps (key) VALUES ('old')").await.unwrap();
                connection.close().await.unwrap();
                check(&LedgerLocation::Folder(folder), &clock, *version, steps).await;
            }
        });
    }
}

#[test]
fn a_schema_of_each_earlier_version_opens() {
    if server::address().is_none() {
        return;
    }
    let steps = steps("postgres");
    for (version, _) in &steps {
        with_folder(|folder, clock| {
            let steps = &steps;
            async move {
                let location = server::location(&folder).await;
                let LedgerLocation::Server(address) = &location else { panic!() };
                let mut connection = PgConnection::connect(address.expose_secret()).await.unwrap();
                let table = "CREATE TABLE schema_version (version BIGINT NOT NULL, least BIGINT NOT NULL)";
                connection.execute(table).await.unwrap();
                for (number, step) in steps.iter().filter(|(number, _)| number <= version) {
                    let done = format!(
                        "BEGIN; {step}; DELETE FROM schema_version; INSERT INTO schema_version VALUES ({number}, 1); COMMIT"
                    );
                    connection.execute(sqlx::raw_sql(AssertSqlSafe(done))).await.unwrap();
                }
                connection.execute("INSERT INTO apps (key) VALUES ('old')").await.unwrap();
                connection.close().await.unwrap();
                check(&location, &clock, *version, steps).await;
            }
        });
    }
}
