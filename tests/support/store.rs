//! The store of a project: a file in its folder, or where `MOONCAST_TEST_STORE` names a Postgres server, a schema there.

use std::path::Path;
use std::str::FromStr;
use std::sync::OnceLock;

use mooncast::ledger::Place;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};

/// The server that the tests are given; none where their stores are files.
pub fn server() -> Option<String> {
    std::env::var("MOONCAST_TEST_STORE").ok()
}

/// A schema of a server, made when somebody asks for its address; dropped with this.
#[derive(Debug, Default)]
pub struct Schema(OnceLock<(String, String)>);

impl Schema {
    /// Its address, where the tests are given a server.
    pub fn address(&self) -> Option<String> {
        server().map(|server| self.on(&server).to_owned())
    }

    /// What a ledger is opened at: this schema, or where the tests are given no server, a file in this folder.
    pub fn place(&self, folder: &Path) -> Place {
        self.address()
            .map_or_else(|| Place::Folder(folder.to_owned()), |address| Place::Server(address.into()))
    }

    /// Its address on this server.
    pub fn on(&self, server: &str) -> &str {
        let (address, _) = self.0.get_or_init(|| {
            let name = format!("t{:016x}", rand::random::<u64>());
            run(server, &format!("CREATE SCHEMA {name}")).unwrap();
            (format!("{server}?options[search_path]={name}"), format!("DROP SCHEMA {name} CASCADE"))
        });
        address
    }

    /// Runs statements in it, as somebody from outside would.
    pub fn run(&self, statements: &str) {
        let (address, _) = self.0.get().unwrap();
        run(address, statements).unwrap();
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        if let Some((address, drop)) = self.0.get() {
            // A process that a failed test has left may be at it still.
            let server = address.split('?').next().unwrap_or_default();
            let _ = run(server, &format!("SET lock_timeout = '5s'; {drop}"));
        }
    }
}

/// On a thread of its own, for the test may have a runtime.
fn run(server: &str, statements: &str) -> Result<(), sqlx::Error> {
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let options = PgConnectOptions::from_str(server)?.disable_statement_logging();
            let mut connection = options.connect().await?;
            let quiet = format!("SET client_min_messages = warning; {statements}");
            connection.execute(sqlx::raw_sql(AssertSqlSafe(quiet))).await.map(drop)
        })
    };
    std::thread::scope(|scope| scope.spawn(work).join()).unwrap()
}
