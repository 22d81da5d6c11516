//! `mooncast store`, and the connection to a server: what is shown of its URL, and what TLS requires of the server.
//! Tests that need a server run if `MOONCAST_TEST_STORE` names one.

use std::path::PathBuf;
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::support::service::{Service, accept, json};
use crate::support::store::{Schema, server};
use crate::support::{Project, Ran};

const PASSWORD: &str = "CANARY-7d1f";

const SENDS: &str = r#"
    im.broadcast { name = "news", to = { "1", "2", "3" }, message = { type = "txt", body = { msg = "hi" } } }
    im.group_send({ to = "4", type = "txt", body = { msg = "hi" } }, { once = "k" })
    require("store").set("key", { "grüße" })"#;

/// A project that has sent something to the simulator.
fn sent() -> Project {
    let project = Project::with_script(SENDS);
    of_file(&project, &["run", "--simulator", "scripts/main.lua"]).exits(0);
    project
}

/// Returns a test's own schema and its URL, if the tests have a server.
fn schema() -> Option<(Schema, String)> {
    let schema = Schema::default();
    let address = schema.address()?;
    Some((schema, address))
}

/// Runs the command with the ledger in a file, or in the store of the settings. The simulator runs inside the
/// command.
fn of_file(project: &Project, args: &[&str]) -> Ran {
    Ran::of(&project.within(args).output().unwrap())
}

fn with_store(project: &Project, store: &str, args: &[&str]) -> Ran {
    Ran::of(&project.command(args).env("MOONCAST_STORE", store).output().unwrap())
}

#[test]
fn a_file_is_copied_into_another_and_goes_on_there() {
    let project = sent();
    let to = Project::with_script(SENDS).file("mooncast.toml", "");
    let (from, there) = (project.path(".mooncast/simulator"), to.path(".mooncast/simulator"));
    let (from, there) = (from.to_str().unwrap(), there.to_str().unwrap());
    let ran = of_file(&project, &["store", "copy", from, there]).exits(0);
    ran.prints("recipients                3  ").prints("read back and compared");
    // Sent messages count as sent.
    of_file(&to, &["run", "--simulator", "scripts/main.lua"]).exits(0).says("nothing is sent again");
    of_file(&project, &["store", "copy", from, there])
        .exits(2)
        .says("the target store is not empty")
        .says("apps");
    of_file(&project, &["store", "copy", from, from]).exits(2).says("into itself");
    let nowhere = project.path("nowhere");
    of_file(&project, &["store", "copy", nowhere.to_str().unwrap(), from]).exits(2).says("FROM: there is no");
    assert!(!nowhere.exists());
}

#[test]
fn a_copy_s_ends_are_named_in_several_ways_and_shown_in_none() {
    let project = sent();
    let copy = |from: &str, to: &str| {
        let mut command = project.command(&["store", "copy", from, to, "--log", "trace"]);
        command
            .env_remove("MOONCAST_STORE")
            .env("NOWHERE", format!("postgres://u:{PASSWORD}@127.0.0.1:9/db"))
            .env("WORD", PASSWORD);
        Ran::of(&command.output().unwrap()).exits(2).never_says(PASSWORD)
    };
    copy("env:NOWHERE", "x").says("postgres://127.0.0.1:9/db: the store cannot be reached");
    copy(&format!("postgres://u:{PASSWORD}@127.0.0.1:9/db?application_name=x"), "x")
        .says("postgres://127.0.0.1:9/db");
    copy(&format!("postgres://u@127.0.0.1:9/db?passwrod={PASSWORD}"), "x")
        .says("it has no setting `passwrod`");
    copy(&format!("mysql://u:{PASSWORD}@h/db"), "x").says("FROM: an address must begin with postgres://");
    copy("env:WORD", "x").says("FROM: WORD is not the address of a Postgres server");
    copy("env:UNSET", "x").says("FROM: UNSET is not set, and neither is UNSET_FILE");
    copy("MOONCAST_STORE", "x").says("FROM: MOONCAST_STORE is not set");
}

#[test]
fn a_store_is_looked_at_and_brought_to_the_newest_version() {
    let project = sent();
    let check = of_file(&project, &["store", "check", "--simulator"]).exits(0);
    check
        .prints("ledger.db (SQLite")
        .prints("readable and writable")
        .prints("recipients 3")
        .prints("no send is left in flight");
    of_file(&project, &["store", "check"]).exits(2).says("there is no ledger yet");
    of_file(&project, &["store", "migrate"]).exits(0).prints("ledger.db: created with version ");
    of_file(&project, &["store", "migrate"]).exits(0).prints("already at version ");
    of_file(&project, &["store", "check"]).exits(0).prints("rows: none yet");
}

#[test]
fn the_store_s_password_is_shown_nowhere() {
    let address = format!("postgres://user:{PASSWORD}@127.0.0.1:9/db");
    let settings = [
        format!("store = \"{address}\"\n"),
        format!("store = \"{address}?passwrod={PASSWORD}\"\n"),
        format!("store = \"postgres://user:{PASSWORD}@127.0.0.1:port/db\"\n"),
        format!("store = \"postgres://user:x/{PASSWORD}@127.0.0.1:9/db\"\n"),
        format!("store = \"mysql://user:{PASSWORD}@127.0.0.1/db\"\n"),
        format!("store = \"{address}\n"),
        format!("store = {address}\n"),
        format!("store = [\"{address}\"]\n"),
        format!("[store]\nurl = [\"{address}\"]\n"),
        format!("[store]\nurll = \"{address}\"\n"),
        format!("stroe = \"{address}\"\n"),
    ];
    for settings in settings {
        let project = Project::with_script(SENDS).file("mooncast.toml", &settings);
        for args in
            [["run", "scripts/main.lua"], ["store", "check"], ["runs", "list"], ["doctor", "--log=trace"]]
        {
            let mut command = project.command(&args);
            command.env_remove("MOONCAST_STORE");
            command.env("MOONCAST_BASE_URL", "http://127.0.0.1:9").env("MOONCAST_ORG", "o");
            command.env("MOONCAST_APP", "a").env("MOONCAST_TOKEN", "t");
            let ran = Ran::of(&command.output().unwrap());
            assert_ne!(ran.status, Some(0), "{settings}: {ran:#?}");
            ran.never_says(PASSWORD);
        }
    }
}

#[test]
fn a_ledger_goes_to_a_server_and_back() {
    let Some((schema, address)) = schema() else { return };
    let project = sent();
    let from = project.path(".mooncast/simulator");
    let from = from.to_str().unwrap();
    with_store(&project, &address, &["store", "check"])
        .exits(0)
        .prints("the store does not exist yet; `mooncast store migrate`");
    with_store(&project, &address, &["store", "migrate"]).exits(0).prints(": created with version ");
    with_store(&project, &address, &["store", "copy", from, "MOONCAST_STORE"]).exits(0);
    let check = with_store(&project, &address, &["store", "check"]).exits(0);
    check
        .prints("PostgreSQL")
        .prints("no TLS")
        .prints("recipients 3")
        .prints("clock of the store: differs from this machine");
    with_store(&project, &address, &["runs", "list"]).exits(0).prints("news");
    let back = project.path("back");
    let back = back.to_str().unwrap();
    with_store(&project, &address, &["store", "copy", "env:MOONCAST_STORE", back]).exits(0);
    // A missing part is found.
    schema.run("DELETE FROM recipients WHERE seq = 2; ALTER SEQUENCE sends_id_seq RESTART");
    let check = with_store(&project, &address, &["store", "check"]).exits(2);
    check
        .prints("BAD  rows: news/1: the stored count of sent recipients is 3, and 2 rows have this state")
        .prints("BAD  rows: sends: the next row");
    // A newer version may have changed the schema.
    schema.run("UPDATE schema_version SET version = 90, least = 1");
    with_store(&project, &address, &["store", "migrate"]).exits(0).prints("version 90, newer than");
    schema.run("UPDATE schema_version SET least = 90");
    with_store(&project, &address, &["store", "check"]).exits(2).prints("use the newer mooncast");
    with_store(&project, &address, &["store", "migrate"]).exits(2).says("is of version 90");
}

#[test]
fn doctor_looks_at_a_server_too() {
    let Some((_schema, address)) = schema() else { return };
    let project = Project::new().file(
        "mooncast.toml",
        "[app]\nbase_url = 'http://127.0.0.1:9'\norg = 'o'\nname = 'a'\ntoken = 't'\n",
    );
    let ran = with_store(&project, &address, &["doctor"]).exits(1);
    ran.prints("ok   store: postgres://").prints("ok   clock of the store: ");
    let ran = with_store(&project, "postgres://u@127.0.0.1:9/db", &["doctor"]).exits(1);
    ran.prints("BAD  store: postgres://127.0.0.1:9/db: the store cannot be reached");
}

#[test]
fn hosts_that_share_a_store_share_the_token() {
    if server().is_none() {
        return;
    }
    let service = Service::answering(|number, request| {
        if !request.path.ends_with("/token") {
            assert_eq!(request.header("authorization"), Some("Bearer CANARY-token"));
            return accept(number, request);
        }
        json(200, r#"{"access_token":"CANARY-token","expires_in":3600}"#)
    });
    let script = r#"im.group_send { to = "1", type = "txt", body = { msg = "hi" } }"#;
    let one = Project::with_script(script);
    let two = one.beside().file("scripts/main.lua", script);
    for host in [&one, &two, &one] {
        let mut command = host.command(&["run", "scripts/main.lua"]);
        command.env("MOONCAST_BASE_URL", service.url()).env("MOONCAST_ORG", "org").env("MOONCAST_APP", "app");
        command.env("MOONCAST_CLIENT_ID", "id").env("MOONCAST_CLIENT_SECRET", "CANARY-secret");
        Ran::of(&command.output().unwrap()).exits(0).never_says("CANARY");
    }
    let fetched = service.requests().iter().filter(|request| request.path.ends_with("/token")).count();
    assert_eq!(fetched, 1);
    one.schema().run("DO $$ BEGIN ASSERT (SELECT count(*) FROM app_tokens WHERE sealed <> '') = 1; END $$");
    one.schema().run(
        "DO $$ BEGIN ASSERT (SELECT count(*) FROM app_tokens t WHERE t::text LIKE '%CANARY%') = 0; END $$",
    );
}

/// A server that requires encryption and a password, with a certificate of its own authority.
struct Guarded {
    folder: PathBuf,
    address: String,
    keys: tempfile::TempDir,
}

impl Guarded {
    fn start() -> Self {
        let keys = tempfile::tempdir().unwrap();
        let authority = authority("authority");
        let key = KeyPair::generate().unwrap();
        let server =
            CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        let write = |name: &str, text: String| std::fs::write(keys.path().join(name), text).unwrap();
        write("server.crt", server.pem());
        write("server.key", key.serialize_pem());
        write("password", PASSWORD.to_owned());
        write("authority.crt", authority.pem());
        write("other.crt", self::authority("other").pem());
        let folder = std::env::temp_dir().join(format!("mooncast-{:016x}", rand::random::<u64>()));
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres");
        let started = Command::new(script).arg("start").arg(&folder).arg(keys.path()).output().unwrap();
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        let address = String::from_utf8(started.stdout).unwrap().trim().to_owned();
        Self { folder, address, keys }
    }

    /// Returns the URL for a user with this password, by this name of the machine.
    fn at(&self, host: &str, password: &str, parameters: &str) -> String {
        let address = self.address.replace("mooncast@127.0.0.1", &format!("mooncast:{password}@{host}"));
        format!("{address}?{parameters}").replace("KEYS", self.keys.path().to_str().unwrap())
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres");
        Command::new(script).arg("stop").arg(&self.folder).status().unwrap();
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

#[test]
fn a_server_is_held_to_its_certificate() {
    let Some(plain) = server() else { return };
    let server = Guarded::start();
    let project = Project::new();
    let check = |address: &str| {
        let ran = with_store(&project, address, &["store", "check", "--log", "trace"]);
        ran.never_says(PASSWORD)
    };
    let verified = "sslmode=verify-full&sslrootcert=KEYS/authority.crt";
    check(&server.at("localhost", PASSWORD, verified)).exits(0).prints("TLSv1.3");
    with_store(&project, &server.at("localhost", PASSWORD, verified), &["store", "migrate"]).exits(0);
    check(&server.at("localhost", PASSWORD, "sslmode=require")).exits(0).prints("TLSv1.3");
    // Without encryption, with another authority, with another name, without any authority, with another password.
    let untrusted = "no secure connection to the store is possible";
    check(&server.at("localhost", PASSWORD, "sslmode=disable"))
        .exits(2)
        .prints(untrusted)
        .prints("no encryption");
    for (host, parameters) in [
        ("localhost", "sslmode=verify-full&sslrootcert=KEYS/other.crt"),
        ("127.0.0.1", verified),
        ("localhost", "sslmode=verify-full"),
    ] {
        check(&server.at(host, PASSWORD, parameters)).exits(2).prints(untrusted);
    }
    let nowhere =
        check(&server.at("localhost", PASSWORD, "sslmode=verify-full&sslrootcert=KEYS/nowhere.crt")).exits(2);
    nowhere.prints("sslrootcert: ").prints("nowhere.crt: No such file");
    let wrong = check(&server.at("localhost", "CANARY-7d1f-not", verified)).exits(2);
    wrong.prints("the store refused the login").never_says("CANARY");
    // A connection that requires encryption refuses a server without it.
    check(&format!("{plain}?sslmode=require")).exits(2).prints(untrusted);
}
