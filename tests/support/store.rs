//! The store of a project: a file in its folder, or a schema on the Postgres server that `MOONCAST_TEST_STORE` names.

use std::path::Path;
use std::str::FromStr;
use std::sync::{OnceLock, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mooncast::LedgerLocation;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};
use sqlx_postgres::PgConnectOptions;
use sqlx_sqlite::SqliteConnectOptions;

/// Returns the server for the tests. None if their stores are files.
pub fn server() -> Option<String> {
    std::env::var("MOONCAST_TEST_STORE").ok()
}

/// How often a server refuses to write.
#[derive(Debug, Clone, Copy)]
pub enum Refusal {
    Once,
    ForGood,
}

/// A schema of a server. It is created when its address is first requested, and dropped with this.
#[derive(Debug, Default)]
pub struct Schema(OnceLock<(String, String)>);

impl Schema {
    /// Returns its address, if the tests have a server.
    pub fn address(&self) -> Option<String> {
        server().map(|server| self.on(&server).to_owned())
    }

    /// Returns the location of a ledger: this schema, or a file in this folder if the tests have no server.
    pub fn place(&self, folder: &Path) -> LedgerLocation {
        self.address().map_or_else(
            || LedgerLocation::Folder(folder.to_owned()),
            |address| LedgerLocation::Server(address.into()),
        )
    }

    /// Returns its address on this server.
    pub fn on(&self, server: &str) -> &str {
        let (address, _) = self.0.get_or_init(|| {
            let name = format!("t{:016x}", rand::random::<u64>());
            run(server, &format!("CREATE SCHEMA {name}")).unwrap();
            (format!("{server}?options[search_path]={name}"), format!("DROP SCHEMA {name} CASCADE"))
        });
        address
    }

    /// Makes the server report a full disk, from this write on or once. Each writing statement counts, from 0.
    pub fn fill_disk(&self, from: u64, refusal: Refusal) {
        let comparison = match refusal {
            Refusal::Once => "=",
            Refusal::ForGood => ">=",
        };
        let statements = format!(
            "CREATE SEQUENCE disk_writes MINVALUE 0;
            CREATE FUNCTION disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF nextval('disk_writes') {comparison} {from} THEN
                    RAISE EXCEPTION 'could not extend a file: No space left on device' USING ERRCODE = '53100';
                END IF;
                RETURN NULL;
            END $$;
            DO $$ DECLARE name text; BEGIN
                FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() LOOP
                    EXECUTE format('CREATE TRIGGER disk BEFORE INSERT OR UPDATE ON %I EXECUTE FUNCTION disk()', name);
                END LOOP;
            END $$"
        );
        let (address, _) = self.0.get().unwrap();
        // A concurrent writer may have locked the tables in another order.
        let filled = (0..20).find_map(|_| match run(address, &statements) {
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("40P01") => None,
            ran => Some(ran),
        });
        filled.unwrap().unwrap();
    }

    /// Frees the disk. Returns how many statements have written, or tried to.
    pub fn free_disk(&self) -> i64 {
        let (address, _) = self.0.get().unwrap();
        let tried = alone(async {
            let mut connection =
                PgConnectOptions::from_str(address)?.disable_statement_logging().connect().await?;
            let question = "SELECT CASE WHEN is_called THEN last_value + 1 ELSE 0 END FROM disk_writes";
            sqlx::query_scalar(question).fetch_one(&mut connection).await
        });
        self.run("DROP FUNCTION disk() CASCADE; DROP SEQUENCE disk_writes");
        tried.unwrap()
    }

    /// Locks a table of it until this query returns true, for at most a minute. Returns the thread, whose result says
    /// whether the query returned true.
    pub fn hold(&self, table: &'static str, until_so: &'static str) -> JoinHandle<bool> {
        let (address, _) = self.0.get().unwrap();
        let (address, (holds, held)) = (address.clone(), mpsc::channel());
        let until = Instant::now() + Duration::from_mins(1);
        let holding = std::thread::spawn(move || {
            let was_so = alone(async {
                let mut connection = PgConnectOptions::from_str(&address)?.connect().await?;
                let lock = format!("BEGIN; LOCK TABLE {table}");
                connection.execute(sqlx::raw_sql(AssertSqlSafe(lock))).await?;
                let _ = holds.send(());
                let mut so = false;
                while !so && Instant::now() < until {
                    so = sqlx::query_scalar(until_so).fetch_one(&mut connection).await?;
                    connection.execute("SELECT pg_sleep(0.02)").await?;
                }
                connection.execute("COMMIT").await.map(|_| so)
            });
            was_so.unwrap()
        });
        held.recv().unwrap();
        holding
    }

    /// Returns a number that a query gives.
    pub fn number(&self, question: &str) -> i64 {
        let (address, _) = self.0.get().unwrap();
        alone(async {
            let mut connection =
                PgConnectOptions::from_str(address)?.disable_statement_logging().connect().await?;
            sqlx::query_scalar(AssertSqlSafe(question)).fetch_one(&mut connection).await
        })
        .unwrap()
    }

    /// Runs statements in it, from outside of the program.
    pub fn run(&self, statements: &str) {
        let (address, _) = self.0.get().unwrap();
        run(address, statements).unwrap();
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        if let Some((address, drop)) = self.0.get() {
            // A process that a failed test has left may still use it.
            let server = address.split('?').next().unwrap_or_default();
            let _ = run(server, &format!("SET lock_timeout = '5s'; {drop}"));
        }
    }
}

/// Runs statements in a file.
pub fn run_in_file(path: &Path, statements: &str) {
    alone(async {
        let mut connection = SqliteConnectOptions::new().filename(path).connect().await?;
        connection.execute(sqlx::raw_sql(AssertSqlSafe(statements))).await.map(drop)
    })
    .unwrap();
}

/// Returns a number that a query of a file gives.
pub fn number_in_file(path: &Path, question: &str) -> i64 {
    alone(async {
        let mut connection = SqliteConnectOptions::new().filename(path).connect().await?;
        sqlx::query_scalar(AssertSqlSafe(question)).fetch_one(&mut connection).await
    })
    .unwrap()
}

fn run(server: &str, statements: &str) -> Result<(), sqlx::Error> {
    alone(async {
        let options = PgConnectOptions::from_str(server)?.disable_statement_logging();
        let mut connection = options.connect().await?;
        let quiet = format!("SET client_min_messages = warning; {statements}");
        connection.execute(sqlx::raw_sql(AssertSqlSafe(quiet))).await.map(drop)
    })
}

/// Runs on a separate thread, since the test may have a runtime.
fn alone<T: Send>(work: impl Future<Output = Result<T, sqlx::Error>> + Send) -> Result<T, sqlx::Error> {
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work)
    };
    std::thread::scope(|scope| scope.spawn(work).join()).unwrap()
}
