//! The audit, from outside: an entry for each act over the page, the API and the command line, what a verification
//! finds, who may read it, and that a killed process loses none that took effect.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sqlx::Connection as _;
use sqlx_sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::daemon::Serving;
use crate::support::service::Service;
use crate::support::{Project, Ran, until};
use crate::survival::random::{Random, soak};
use crate::web::roles::add;
use crate::web::{Site, request};

const SCRIPT: &str = "local schedule = require('schedule')
schedule.every('10000h', { name = 'news' }, function(job)
  im.broadcast { name = 'news', run = job.run, to = { '1', '2', '3' }, message = { from = 'a', type = 'txt', body = { msg = 'hi' } } }
end)
schedule.every('10000h', { name = 'quiet' }, function() end)
function main(args) print(#args) end";

/// The ledger's file, if it is one.
const LEDGER: &str = ".mooncast/simulator/ledger.db";

/// A door, an actor, an act and its object.
type Key = (String, String, String, String);

fn mooncast(project: &Project, args: &[&str]) -> Ran {
    let (command, rest) = args.split_first().unwrap();
    project.mooncast(&[&[*command, "--simulator"], rest].concat())
}

/// All entries, as the command line prints them.
fn entries(project: &Project) -> Vec<Value> {
    let printed = mooncast(project, &["audit", "list", "--json"]).exits(0).stdout;
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text(entry: &Value, field: &str) -> String {
    entry[field].as_str().unwrap().to_owned()
}

/// Changes the ledger's file.
fn tamper(project: &Project, statement: impl Into<String>) {
    let statement = statement.into();
    let changes_rows = !statement.starts_with("DROP");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(project.path(LEDGER));
        let mut ledger = SqliteConnection::connect_with(&options).await.unwrap();
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut ledger).await.unwrap();
        assert_eq!(done.rows_affected() > 0, changes_rows);
        ledger.close().await.unwrap();
    });
}

/// The user of the system who runs the tests, as the audit names it.
fn system_user() -> String {
    let login = std::fs::read_to_string("/proc/self/loginuid").unwrap_or_default();
    let login = login.trim().parse::<u32>().ok().filter(|uid| *uid != u32::MAX);
    let mut command = std::process::Command::new("id");
    command.arg("-un").args(login.map(|uid| uid.to_string()));
    String::from_utf8(command.output().unwrap().stdout).unwrap().trim().to_owned()
}

#[test]
#[expect(clippy::too_many_lines, reason = "an arm an act")]
fn a_random_walk_over_all_doors_leaves_an_entry_for_each_act() {
    let acts = if soak() { 1_000 } else { 120 };
    let seed = 20_261_130;
    println!("{acts} acts, seed {seed}");
    let random = Random::new(seed);
    let below = |most: usize| usize::try_from(random.below(u64::try_from(most).unwrap())).unwrap();
    let one_of = |words: &[&'static str]| words[below(words.len())];
    let project = Project::with_script(SCRIPT);
    let (ann, bob) =
        (add(&project, "ann", &["--role", "operator"]), add(&project, "bob", &["--role", "approver"]));
    let site = Site::of(project);
    site.ask("POST /jobs/news/trigger");
    site.until("/broadcasts", |page| page["broadcasts"][0]["over"] == true);
    let known = entries(&site.project).len();
    let user = system_user();
    let mut done: BTreeMap<Key, i64> = BTreeMap::new();
    let mut doors = BTreeMap::<&str, usize>::new();
    for _ in 0..acts {
        let door = one_of(&["api", "api", "page", "page", "cli"]);
        let job = one_of(&["news", "quiet", "quiet"]);
        let list = site.json("/broadcasts?limit=5");
        let list = list["broadcasts"].as_array().unwrap();
        let broadcast = &list[below(list.len())];
        let (id, run) = (broadcast["id"].to_string(), text(broadcast, "run"));
        let (path, act, object, cli): (String, String, String, Vec<&str>) = match below(if door == "cli" {
            12
        } else {
            9
        }) {
            0 | 1 => {
                let act = one_of(&["pause", "resume"]);
                (
                    format!("job/{act}?name={job}"),
                    format!("job.{act}"),
                    job.to_owned(),
                    vec!["jobs", act, job],
                )
            }
            2 | 3 => {
                let act = one_of(&["trigger", "cancel", "retry"]);
                (
                    format!("job/{act}?name={job}"),
                    format!("job.{act}"),
                    job.to_owned(),
                    vec!["jobs", act, job],
                )
            }
            4 => {
                let script = "scripts/main.lua";
                (
                    "script/run".to_owned(),
                    "script.run".to_owned(),
                    script.to_owned(),
                    vec!["jobs", "run-script", script, "x"],
                )
            }
            5..=8 => {
                let (act, words): (&str, &[&str]) = [
                    ("pause", &["pause"][..]),
                    ("cancel", &["cancel"]),
                    ("retry", &["retry"]),
                    ("settle_as_sent", &["settle", "--as-sent"]),
                    ("settle_again", &["settle", "--again"]),
                    ("recall", &["recall"]),
                    ("verify", &["verify"]),
                ][below(7)];
                let words = [&["runs", words[0], "news", "--run", &run], &words[1..]].concat();
                (format!("broadcasts/{id}/{act}"), format!("broadcast.{act}"), format!("news/{run}"), words)
            }
            9 => {
                let name = one_of(&["bot1", "bot2"]);
                (
                    String::new(),
                    "token.add".to_owned(),
                    name.to_owned(),
                    vec!["tokens", "add", name, "--role", "viewer"],
                )
            }
            10 => {
                let name = one_of(&["bot1", "bot2"]);
                (String::new(), "token.revoke".to_owned(), name.to_owned(), vec!["tokens", "revoke", name])
            }
            _ => (
                String::new(),
                "ledger.prune".to_owned(),
                "older than 90 days".to_owned(),
                vec!["runs", "prune"],
            ),
        };
        let (actor, went) = match door {
            "api" => {
                let path = path.replace("job/", "jobs/").replace("script/run", "scripts/run");
                let path = match path.split_once("?name=") {
                    Some((act, name)) => format!("/jobs/{name}/{}", act.trim_start_matches("jobs/")),
                    None => format!("/{path}"),
                };
                let bearer = format!("Bearer {ann}");
                let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
                let body = if path == "/scripts/run" {
                    json!({ "script": object, "args": ["x"] }).to_string()
                } else {
                    String::new()
                };
                let answer = site.ask_with(&format!("POST {path}"), &headers, body.as_bytes());
                assert!([200, 202, 404, 409].contains(&answer.status), "{path}: {answer:?}");
                ("ann".to_owned(), answer.status < 300)
            }
            "page" => {
                let bearer = format!("Bearer {bob}");
                let headers = [
                    ("authorization", bearer.as_str()),
                    ("content-type", "application/x-www-form-urlencoded"),
                ];
                let body =
                    if path == "script/run" { format!("name={object}&args=x&do=run") } else { String::new() };
                let answer = request(&site.address, &format!("POST /{path}"), &headers, body.as_bytes());
                assert!([303, 404, 409].contains(&answer.status), "{path}: {answer:?}");
                ("bob".to_owned(), answer.status == 303)
            }
            _ => {
                let ran = mooncast(&site.project, &cli);
                let status = ran.status;
                assert!([Some(0), Some(2), Some(3)].contains(&status), "{cli:?}: {ran:?}");
                (user.clone(), status != Some(2))
            }
        };
        if went {
            *doors.entry(door).or_default() += 1;
            *done.entry((door.to_owned(), actor, act, object)).or_default() += 1;
        }
    }
    let mut found: BTreeMap<Key, i64> = BTreeMap::new();
    let all = entries(&site.project);
    for (at, entry) in all.iter().enumerate() {
        assert_eq!(entry["number"], json!(at + 1));
    }
    for entry in &all[known..] {
        let key = (text(entry, "door"), text(entry, "actor"), text(entry, "act"), text(entry, "object"));
        let kind = if key.0 == "cli" { "system" } else { "token" };
        assert_eq!(text(entry, "kind"), kind, "{entry}");
        // The entry of an act that failed after its entry was written takes that one back.
        *found.entry(key).or_default() += if entry["details"]["failed"].is_string() { -1 } else { 1 };
    }
    found.retain(|_, count| *count != 0);
    println!("{} entries, acts that were done: {doors:?}", all.len() - known);
    assert_eq!(done, found);
    assert!(doors.len() == 3 && doors.values().all(|count| *count > acts / 20), "{doors:?}");
    assert!(mooncast(&site.project, &["audit", "verify"]).exits(0).stdout.contains("are whole"));
    site.serving.stop().exits(0).never_says("panicked");
}

#[test]
fn what_was_changed_or_removed_is_found_and_named() {
    let project = Project::with_script(
        "im.group_send { to = { '1' }, from = 'a', type = 'txt', body = { msg = 'hi' } }",
    );
    for name in ["a", "b", "c", "d", "e"] {
        add(&project, name, &["--role", "viewer"]);
    }
    project.mooncast(&["run", "--simulator", "scripts/main.lua", "secret word"]).exits(0);
    let all = entries(&project);
    assert_eq!(all.len(), 6, "{all:#?}");
    let begun = &all[5];
    assert_eq!(
        (text(begun, "act"), text(begun, "object")),
        ("run".to_owned(), "scripts/main.lua".to_owned())
    );
    assert_eq!(text(begun, "actor"), system_user());
    assert_eq!(begun["details"]["args"], 1);
    assert!(begun["details"]["args_sha256"].is_string() && !begun.to_string().contains("secret"), "{begun}");
    assert!(!all[0].to_string().contains("mooncast_"), "no token is in the audit: {}", all[0]);
    let verify = || mooncast(&project, &["audit", "verify"]);
    let told = verify().exits(0).stdout;
    assert!(told.contains("entries 1 to 6 are whole") && told.contains(&text(&all[5], "hash")), "{told}");

    let csv = mooncast(&project, &["audit", "--csv"]).exits(0).stdout;
    assert!(csv.starts_with("number,at,actor,") && csv.lines().count() == 7, "{csv}");
    let listed = mooncast(&project, &["audit", "--since", "1h", "--actor", &system_user()]).exits(0).stdout;
    assert!(listed.contains("token.add") && listed.contains("scripts/main.lua"), "{listed}");
    assert_eq!(mooncast(&project, &["audit", "--since", "2999-01-01"]).exits(0).stdout, "no entries\n");
    assert_eq!(mooncast(&project, &["audit", "--actor", "nobody"]).exits(0).stdout, "no entries\n");
    mooncast(&project, &["audit", "--since", "soon"]).exits(2).says("is not a time");

    // The tests of the ledger change one on a server.
    if !project.path(LEDGER).exists() {
        return;
    }
    tamper(&project, "UPDATE audit SET actor = 'somebody' WHERE number = 3");
    assert!(verify().exits(1).stdout.contains("entry 3 is wrong: it was changed"));
    // A value of another type is one that was changed.
    tamper(&project, "UPDATE audit SET at = 'noon' WHERE number = 3");
    assert!(verify().exits(1).stdout.contains("entry 3 is wrong: it was changed"));
    mooncast(&project, &["audit"]).exits(0);
    tamper(
        &project,
        "INSERT INTO audit SELECT -1, at, actor, kind, role, door, host, act, object, details, previous, hash FROM audit
            WHERE number = 6",
    );
    assert!(verify().exits(1).stdout.contains("entry -1 is wrong: it is older than the oldest entry"));
    tamper(&project, "DELETE FROM audit WHERE number < 0");
    tamper(&project, "DELETE FROM audit WHERE number = 2");
    assert!(verify().exits(1).stdout.contains("entry 2 is wrong: it is missing"));
    tamper(&project, "DELETE FROM audit WHERE number = 1");
    assert!(verify().exits(1).stdout.contains("entry 1 is wrong: it is missing"));
}

#[test]
fn approvers_and_admins_read_the_audit_and_nobody_else_does() {
    let project = Project::with_script(SCRIPT);
    let roles = ["viewer", "operator", "approver", "admin"];
    let tokens = roles.map(|role| add(&project, role, &["--role", role]));
    let site = Site::of(project);
    let ask = |path: &str, token: &str| {
        request(&site.address, &format!("GET {path}"), &[("authorization", &format!("Bearer {token}"))], b"")
    };
    let pause = ("authorization", format!("Bearer {}", tokens[1]));
    assert_eq!(site.ask_with("POST /jobs/news/pause", &[(pause.0, &pause.1)], b"").status, 200);
    for (role, token) in roles.iter().zip(&tokens) {
        for path in ["/audit", "/api/v1/audit", "/api/v1/audit?format=csv"] {
            let expected = if ["viewer", "operator"].contains(role) { 403 } else { 200 };
            assert_eq!(ask(path, token).status, expected, "{path} as {role}");
        }
        let linked = ask("/", token).body.contains("href=\"&#x2f;audit\"");
        assert_eq!(linked, ["approver", "admin"].contains(role), "{role}");
    }
    let page = ask("/api/v1/audit?limit=1", &tokens[2]).json();
    let entry = &page["entries"][0];
    assert_eq!(
        (&entry["actor"], &entry["act"], &entry["object"]),
        (&json!("operator"), &json!("job.pause"), &json!("news"))
    );
    assert_eq!((&entry["role"], &entry["door"]), (&json!("operator"), &json!("api")));
    assert_eq!(entry["details"]["address"], "127.0.0.1");
    let rest = ask(&format!("/api/v1/audit?before={}", page["before"]), &tokens[2]).json();
    let others = u64::try_from(rest["entries"].as_array().unwrap().len()).unwrap();
    assert_eq!(others, entry["number"].as_u64().unwrap() - 1);
    assert!(rest["before"].is_null());
    let csv = ask("/api/v1/audit?format=csv&actor=operator", &tokens[3]);
    assert!(
        csv.header("content-type").unwrap().starts_with("text/csv") && csv.body.contains("job.pause,news"),
        "{csv:?}"
    );
    assert_eq!(csv.body.lines().count(), 2);
    assert!(ask("/api/v1/audit?since=soon", &tokens[3]).refused(400).contains("not `soon`"));
    let shown = ask("/audit?actor=operator", &tokens[3]).body;
    assert!(shown.contains("job.pause") && !shown.contains("token.add"), "{shown}");
    site.serving.stop().exits(0);
}

#[test]
fn a_killed_daemon_has_an_entry_for_each_act_that_took_effect() {
    for answers in [1, 5, 20] {
        let project = Project::with_script(SCRIPT);
        let ann = add(&project, "ann", &["--role", "operator"]);
        let Site { project, serving, address, .. } = Site::of(project);
        let answered = AtomicU64::new(0);
        let next = AtomicU64::new(1);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    // The daemon is killed in the middle of requests, which then have no answer.
                    while let Ok(mut stream) = TcpStream::connect(&address) {
                        let id = next.fetch_add(1, Ordering::Relaxed).to_string();
                        let body = json!({ "ids": [id] }).to_string();
                        let head = format!(
                            "POST /api/v1/suppressions HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {ann}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                            body.len()
                        );
                        let mut answer = Vec::new();
                        if stream.write_all(head.as_bytes()).is_err()
                            || stream.read_to_end(&mut answer).is_err()
                            || !answer.starts_with(b"HTTP/1.1 200")
                        {
                            return;
                        }
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            let until = Instant::now() + Duration::from_mins(1);
            while answered.load(Ordering::Relaxed) < answers && Instant::now() < until {
                std::thread::yield_now();
            }
            serving.kill();
        });
        assert!(answered.load(Ordering::Relaxed) >= answers, "{answered:?} of {answers} acts were answered");
        let listed = mooncast(&project, &["suppress", "list", "--json"]).exits(0).stdout;
        let listed: Value = serde_json::from_str(&listed).unwrap();
        let mut effects: Vec<String> =
            listed.as_array().unwrap().iter().map(|one| format!("group {}", text(one, "id"))).collect();
        let is_addition = |entry: &Value| text(entry, "act") == "suppression.add";
        let all = entries(&project);
        let mut named: Vec<String> =
            all.iter().filter(|entry| is_addition(entry)).map(|entry| text(entry, "object")).collect();
        effects.sort_unstable();
        named.sort_unstable();
        println!("{answered:?} acts were answered, {} took effect", effects.len());
        // An act may have its entry and be ended before its effect, and never the other way round.
        assert!(effects.iter().all(|effect| named.contains(effect)), "{effects:?} of {named:?}");
        assert!(u64::try_from(named.len()).unwrap() >= answered.load(Ordering::Relaxed));
        assert!(mooncast(&project, &["audit", "verify"]).exits(0).stdout.contains("are whole"));
    }
}

#[test]
fn the_time_that_entries_are_kept_is_a_day_at_least() {
    crate::web::refused("keep_audit = '12h'").exits(2).says("[serve] keep_audit").says("shorter than a day");
}

/// The hash of an entry, as the audit computes it.
fn hash(entry: &Value, at: i64, previous: &str) -> String {
    let texts = ["actor", "kind", "role", "door", "host", "act", "object"].map(|name| entry[name].clone());
    let details = json!(entry["details"].to_string());
    let form = [entry["number"].clone(), json!(at)].into_iter().chain(texts).chain([details]);
    let form = form.collect::<Value>().to_string();
    HEXLOWER.encode(&Sha256::digest(format!("{previous}\n{form}")))
}

#[test]
fn the_daemon_deletes_entries_that_are_older_than_they_are_kept() {
    let project = Project::with_script("").file("mooncast.toml", "[serve]\nkeep_audit = \"30d\"\n");
    for name in ["a", "b", "c"] {
        add(&project, name, &["--role", "viewer"]);
    }
    // The tests of the ledger do this on a server.
    if !project.path(LEDGER).exists() {
        return;
    }
    // The first two were written 31 days ago.
    let all = entries(&project);
    let mut previous = String::new();
    for entry in &all {
        let now: jiff::Timestamp = text(entry, "at").parse().unwrap();
        let old = if entry["number"].as_i64().unwrap() <= 2 { 31 * 24 * 3600 } else { 0 };
        let at = (now.as_second() - old) * 1000;
        let own = hash(entry, at, &previous);
        let change = format!(
            "UPDATE audit SET at = {at}, previous = '{previous}', hash = '{own}' WHERE number = {}",
            entry["number"]
        );
        tamper(&project, change);
        previous = own;
    }
    tamper(&project, format!("UPDATE audit_head SET hash = '{previous}'"));
    let verified = |first: &str| mooncast(&project, &["audit", "verify"]).exits(0).prints(first);
    verified("entries 1 to 3 are whole");
    let serving = Serving::start(project.command(&["serve", "--simulator", "--listen", "nowhere"]));
    until("the old entries are gone", || entries(&project)[0]["number"] == 3);
    serving.stop().exits(0);
    verified("entries 3 to ");
    let kept: Vec<i64> = entries(&project).iter().map(|entry| entry["number"].as_i64().unwrap()).collect();
    assert_eq!(kept, (3..3 + i64::try_from(kept.len()).unwrap()).collect::<Vec<_>>());
}

#[test]
fn a_proxys_user_is_named_as_such() {
    let settings = "[serve]\nhosts = ['mooncast.example']\ntrusted_proxies = ['127.0.0.1']\nuser_header = 'X-Forwarded-User'\n\
        [serve.users]\n'ann@example.com' = 'operator'\n";
    let site = Site::of(Project::with_script(SCRIPT).file("mooncast.toml", settings));
    let headers = [
        ("host", "mooncast.example"),
        ("x-forwarded-user", "ann@example.com"),
        ("x-forwarded-for", "203.0.113.7"),
        ("origin", "https://mooncast.example"),
    ];
    site.until("/jobs", |jobs| !jobs.as_array().unwrap().is_empty());
    assert_eq!(site.ask_with("POST /jobs/quiet/pause", &headers, b"").status, 200);
    let all = entries(&site.project);
    let entry = all.last().unwrap();
    let told = ["actor", "kind", "role", "door", "act", "object"].map(|field| text(entry, field));
    assert_eq!(told, ["ann@example.com", "proxy", "operator", "api", "job.pause", "quiet"]);
    assert_eq!(entry["details"]["address"], "203.0.113.7");
    site.serving.stop().exits(0);
}

#[test]
fn a_copy_of_the_store_an_update_and_a_test_of_alerts_leave_entries() {
    let receiver = Service::accepting();
    let settings = format!("simulator = true\n[alerts]\nurl = \"{}/hook\"\n", receiver.url());
    let project = Project::with_script("").file("mooncast.toml", settings);
    // Without a ledger, a test of alerts makes none.
    project.mooncast(&["alerts", "test"]).exits(0);
    assert!(!project.path(".mooncast").exists());
    add(&project, "ann", &["--role", "viewer"]);
    project.mooncast(&["alerts", "test"]).exits(0);
    assert_eq!(receiver.requests().len(), 2);
    let last = |project: &Project| {
        let entry = entries(project).pop().unwrap();
        assert_eq!((text(&entry, "kind"), text(&entry, "door")), ("system".to_owned(), "cli".to_owned()));
        (text(&entry, "act"), text(&entry, "object"), entry["details"].clone())
    };
    let (act, object, _) = last(&project);
    assert_eq!((act.as_str(), object.as_str()), ("alerts.test", "default"));
    // A copy is in the audit of both ledgers.
    if !project.path(LEDGER).exists() {
        return;
    }
    let to = Project::with_script("").file("mooncast.toml", "simulator = true\n");
    let places = [&project, &to].map(|project| project.path(".mooncast/simulator").display().to_string());
    Ran::of(&project.within(&["store", "copy", &places[0], &places[1]]).output().unwrap()).exits(0);
    for project in [&project, &to] {
        let (act, object, _) = last(project);
        assert!(act == "ledger.copy" && object.contains(" -> "), "{act} {object}");
        assert!(mooncast(project, &["audit", "verify"]).exits(0).stdout.contains("are whole"));
    }
    // The last migration is undone, so that the store is an older one.
    tamper(
        &to,
        "DROP TABLE rehearsals; DROP TABLE run_files; ALTER TABLE scripts DROP COLUMN form; PRAGMA user_version = 38",
    );
    let migrated = Ran::of(&to.within(&["store", "migrate", "--simulator"]).output().unwrap());
    migrated.exits(0).prints("updated from version 38 to ");
    let (act, object, details) = last(&to);
    assert!(act == "ledger.migrate" && object.ends_with("ledger.db"), "{act} {object}");
    assert_eq!(details["from"], 38);
    // What is at the newest version already is not updated, and leaves no entry.
    let before = entries(&to).len();
    Ran::of(&to.within(&["store", "migrate", "--simulator"]).output().unwrap()).exits(0);
    assert_eq!(entries(&to).len(), before);
}
