//! The service's callbacks from outside: what is stored of them, and what none of the forged, replayed, reordered,
//! foreign, late, malformed and oversized ones can do.

mod forged;
mod patterns;
mod reactions;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use md5::{Digest, Md5};
use serde_json::{Value, json};

use crate::daemon::Serving;
use crate::support::service::{Service, accept};
use crate::support::{Project, Ran};

/// Secrets that must not appear anywhere: the one in use, the one before it, and another app's.
pub const SECRET: &str = "canary-callback-7c11";
const OLD: &str = "canary-callback-before-02d9";
const OTHER: &str = "canary-callback-other-55e0";

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

struct Site {
    project: Project,
    service: Service,
    serving: Serving,
    address: String,
}

impl Site {
    /// Starts a daemon whose ledger has sent a message as `shop` and one as `admin`.
    fn start() -> Self {
        Self::with_script("")
    }

    /// The same, with a script of jobs.
    fn with_script(script: &str) -> Self {
        Self::on(Service::answering(accept), script)
    }

    /// The same, with this service.
    fn on(service: Service, script: &str) -> Self {
        let settings = format!(
            "[apps.other]\nprefix = '{0}/org/other'\ntoken = 't'\ncallback_secret = '{OTHER}'\n
            [apps.bare]\nprefix = '{0}/org/bare'\ntoken = 't'\n",
            service.url()
        );
        let send = "im.group_send { to = '1', from = 'shop', type = 'txt', body = { msg = 'hello' } }
            im.group_send { to = '1', type = 'txt', body = { msg = 'hello' } }";
        let project = Project::new().file("send.lua", send).file("mooncast.toml", settings);
        let project = project.file("scripts/react.lua", script);
        let output = project.command_against(&service, &["run", "send.lua"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let (serving, address) = listening(serve(&project, &service));
        Self { project, service, serving, address }
    }

    /// Kills the daemon and starts it again.
    fn restart(self) -> Self {
        self.serving.kill();
        let (serving, address) = listening(serve(&self.project, &self.service));
        Self { serving, address, ..self }
    }

    /// Runs a command of the project.
    fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&self.project.command_against(&self.service, args).output().unwrap())
    }

    /// Posts a callback. Posts it again, as the service does, if the daemon could not store it in time.
    fn post(&self, app: &str, body: &[u8]) -> (u16, String) {
        let once = || ask(&self.address, &format!("POST /callbacks/{app}"), body);
        (0..50).map(|_| once()).find(|(status, _)| *status != 503).unwrap()
    }

    /// Posts an event to the default app, signed with the secret in use.
    fn deliver(&self, event: &Value) -> u16 {
        let (status, answer) = self.post("default", &signed(event, SECRET));
        assert!(status != 200 || answer.is_empty(), "{answer}");
        status
    }

    /// Returns a token that may read.
    fn token(&self) -> String {
        let renewed = self.project.command_against(&self.service, &["tokens", "renew"]).output().unwrap();
        let shown = Ran::of(&renewed).exits(0).stdout;
        shown.split_whitespace().find(|word| word.starts_with("mooncast_read_")).unwrap().to_owned()
    }

    /// Returns how many callbacks, records and receipts are stored.
    fn stored(&self) -> [i64; 3] {
        ["callbacks", "service_records", "read_receipts"]
            .map(|table| self.project.in_store(&format!("SELECT count(*) FROM {table}")))
    }
}

fn serve(project: &Project, service: &Service) -> Command {
    let mut command = project.command_against(service, &["serve", "--listen", "127.0.0.1:0"]);
    command.env("MOONCAST_CALLBACK_SECRET", format!("{SECRET}, {OLD}"));
    command
}

fn listening(command: Command) -> (Serving, String) {
    let serving = Serving::start(command);
    let logged = serving.logged();
    let line = logged.iter().find(|line| line.contains("listening: the page is at")).unwrap();
    let address = line.split("address=").nth(1).unwrap().split(' ').next().unwrap().trim_matches('"');
    (serving, address.to_owned())
}

/// Makes one request. Returns the status and the body of the answer.
pub fn ask(address: &str, head: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "{head} HTTP/1.1\r\nhost: here\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // A body that is refused by its length is not read.
    let _ = stream.write_all(body);
    answered(stream)
}

/// Makes one request with a token.
fn get(address: &str, head: &str, token: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let text = format!(
        "{head} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(text.as_bytes()).unwrap();
    answered(stream)
}

fn answered(mut stream: TcpStream) -> (u16, String) {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// The callback of a message that `from` sent.
fn message(call_id: &str, from: &str, message_id: &str) -> Value {
    json!({
        "callId": call_id, "eventType": "chat", "timestamp": now_ms(), "chat_type": "groupchat", "group_id": "1",
        "from": from, "to": "1", "msg_id": message_id, "securityVersion": "1.0.0", "appkey": "org#app", "host": "h",
        "payload": { "bodies": [{ "type": "txt", "msg": "hello" }], "ext": {} }, "content_type": "chat:group:text"
    })
}

/// The callback of a member that has read a message.
fn receipt(call_id: &str, member: &str, message_id: &str) -> Value {
    json!({
        "callId": call_id, "eventType": "chat", "timestamp": now_ms(), "chat_type": "read_ack", "from": member,
        "to": "1", "msg_id": format!("ack {call_id}"), "payload": { "ack_message_id": message_id }, "appkey": "org#app"
    })
}

fn with(mut event: Value, name: &str, value: Value) -> Value {
    event[name] = value;
    event
}

fn without(mut event: Value, name: &str) -> Value {
    event.as_object_mut().unwrap().remove(name);
    event
}

fn md5(parts: &[&str]) -> String {
    data_encoding::HEXLOWER.encode(&Md5::digest(parts.concat()))
}

fn signature(event: &Value, secret: &str) -> String {
    let time = event["timestamp"].as_str().map_or_else(|| event["timestamp"].to_string(), str::to_owned);
    md5(&[event["callId"].as_str().unwrap_or_default(), secret, &time])
}

/// Returns the body of a callback with its signature.
pub fn signed(event: &Value, secret: &str) -> Vec<u8> {
    with(event.clone(), "security", signature(event, secret).into()).to_string().into_bytes()
}

#[test]
fn a_callback_is_on_disk_once_it_is_answered_and_a_repeated_one_changes_nothing() {
    let site = Site::start();
    let fingerprints = |site: &Site| {
        let question = "SELECT count(DISTINCT fingerprint) FROM service_records";
        site.project.in_store(question)
    };
    for (id, from) in [("c1", "shop"), ("c2", "admin")] {
        let before = site.stored()[0];
        assert_eq!(site.deliver(&message(id, from, id)), 200);
        assert_eq!(site.stored()[..2], [before + 1; 2], "it is stored before the answer");
    }
    let site = site.restart();
    assert_eq!(site.stored(), [2, 2, 0], "a killed daemon has what it answered");

    // A repeated id with the same or another content, another id for the same message, and a replay to another app.
    let other =
        |event: Value| with(event, "payload", json!({ "bodies": [{ "type": "txt", "msg": "other" }] }));
    let same = fingerprints(&site);
    assert_eq!(site.deliver(&message("c1", "shop", "c1")), 200);
    assert_eq!(site.deliver(&other(message("c1", "shop", "c1"))), 200);
    assert_eq!(site.deliver(&message("c1", "shop", "more")), 200);
    assert_eq!(site.deliver(&receipt("c1", "ann", "c1")), 200);
    assert_eq!(site.stored(), [2, 2, 0]);
    assert_eq!(site.deliver(&other(message("c3", "shop", "c1"))), 200);
    assert_eq!((site.stored(), fingerprints(&site)), ([3, 2, 0], same), "a message keeps its first record");

    // Receipts: a member counts once for a message, and one that comes before its message is not known.
    assert_eq!(site.deliver(&receipt("early", "ann", "late")), 200);
    assert_eq!(site.deliver(&message("c4", "shop", "late")), 200);
    for (id, member) in [("r1", "ann"), ("r2", "bob"), ("r3", "ann"), ("r1", "carl")] {
        assert_eq!(site.deliver(&receipt(id, member, "late")), 200);
    }
    assert_eq!(site.stored(), [7, 3, 2]);

    // A late one is stored with the time that the service gave it, and so is one signed with the secret before.
    let late = with(message("c5", "shop", "m5"), "timestamp", (now_ms() - 3 * DAY_MS).into());
    assert_eq!(site.deliver(&late), 200);
    let question = format!("SELECT count(*) FROM service_records WHERE at < {}", now_ms() - 2 * DAY_MS);
    assert_eq!(site.project.in_store(&question), 1);
    let (status, _) = site.post("default", &signed(&message("c6", "shop", "m6"), OLD));
    assert_eq!((status, site.stored()), (200, [9, 5, 2]));
    let shouted = signature(&message("c7", "shop", "m7"), SECRET).to_uppercase();
    let event = message("c7", "shop", "m7");
    let body = with(event.clone(), "security", signature(&event, SECRET).to_uppercase().into()).to_string();
    assert!(shouted.len() == 32 && site.post("default", body.as_bytes()).0 == 200);
    assert_eq!(site.stored(), [10, 6, 2]);

    let doctor = site.project.command_against(&site.service, &["doctor"]);
    let doctor = { doctor }.env("MOONCAST_CALLBACK_SECRET", SECRET).output().unwrap();
    let shown = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(shown.contains("10 in the last hour"), "{shown}");
    assert!(shown.contains("app bare") && shown.contains("no callback secret"), "{shown}");
    assert!(shown.contains("no callback has come"), "{shown}");
    assert!(!shown.contains("canary"), "{shown}");
    site.serving.stop().exits(0);
}

#[test]
fn the_callbacks_of_a_user_are_stored_from_the_first_message_that_any_process_sends_as_that_user() {
    let site = Site::start();
    for (number, name) in ["press", "sales"].into_iter().enumerate() {
        assert_eq!(site.deliver(&message(&format!("{name} before"), name, "m")), 200);
        assert_eq!(site.stored()[0], i64::try_from(number).unwrap(), "a user of the app");
        site.project.write(
            "more.lua",
            format!(
                "im.group_send {{ to = '1', from = '{name}', type = 'txt', body = {{ msg = 'hello' }} }}"
            ),
        );
        let output = site.project.command_against(&site.service, &["run", "more.lua"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(site.deliver(&message(&format!("{name} after"), name, name)), 200);
        assert_eq!(site.stored()[0], i64::try_from(number).unwrap() + 1, "a sender");
    }
    site.serving.stop().exits(0);
}

#[test]
fn the_readers_of_a_broadcast_are_shown_by_the_command_the_export_and_the_api() {
    let site = Site::start();
    let send =
        "im.broadcast { name = 'news', to = { '1', '2', '3' }, message = { type = 'txt', from = 'press',
        need_group_ack = true, body = { msg = 'hello' } } }";
    site.project.write("news.lua", send);
    let run = |args: &[&str]| Ran::of(&site.project.command_against(&site.service, args).output().unwrap());
    run(&["run", "news.lua"]).exits(0);
    run(&["runs", "show", "news"]).exits(0).never_says("reader");
    let export = || -> Vec<Value> {
        let text = run(&["runs", "export", "news", "--format", "json"]).exits(0).stdout;
        serde_json::from_str(&text).unwrap()
    };
    let ids: Vec<String> =
        export().iter().map(|row| row["message_id"].as_str().unwrap().to_owned()).collect();
    // The receipts come before the callbacks of their messages, whose ids are known from the send.
    for (call, member, id) in
        [("a", "ann", &ids[0]), ("b", "bob", &ids[0]), ("c", "ann", &ids[0]), ("d", "ann", &ids[2])]
    {
        assert_eq!(site.deliver(&receipt(call, member, id)), 200);
    }
    run(&["runs", "show", "news"]).exits(0).prints("3 readers; 2 of 3 messages (66 %) were read");
    let readers: Vec<u64> = export().iter().map(|row| row["readers"].as_u64().unwrap()).collect();
    assert_eq!(readers, [2, 0, 1]);
    // A broadcast that ended some hours ago tells its readers over time too.
    let ago = |hours: u64| format!("updated_at - {}", hours * 3_600_000);
    site.project.run_in_store(&format!("UPDATE recipients SET updated_at = {} WHERE seq = 1", ago(2)));
    site.project
        .run_in_store(&format!("UPDATE broadcasts SET finished_at = finished_at - {}", 7 * 3_600_000));
    let shown = run(&["runs", "show", "news"])
        .exits(0)
        .prints("within 1 h: 1 reader, 33 % read")
        .prints("within 6 h: 3 readers, 66 % read");
    assert!(!shown.stdout.contains("within 1 d"), "{shown:?}");

    // The callbacks of the messages verify the broadcast.
    for (number, id) in ids.iter().enumerate() {
        assert_eq!(site.deliver(&message(&format!("m{number}"), "press", id)), 200);
    }
    assert!(export().iter().all(|row| row["verified"].is_null()));
    run(&["runs", "verify", "news"]).exits(0).prints("the service has a record of 3 messages");
    assert!(export().iter().all(|row| row["verified"] == "yes" && row["verified_reason"].is_null()));
    let token = site.token();
    let head = |path: &str| format!("GET {path}");
    let ask = |path: &str| get(&site.address, &head(path), &token);
    let detail: Value = serde_json::from_str(&ask("/api/v1/broadcasts/1").1).unwrap();
    assert_eq!(detail["readers"]["readers"], 3, "{detail}");
    let over_time = detail["readers"]["over_time"].as_array().unwrap();
    let told: Vec<_> = over_time.iter().map(|one| (&one["hours"], &one["readers"], &one["read"])).collect();
    assert_eq!(told, [(&1.into(), &1.into(), &1.into()), (&6.into(), &3.into(), &2.into())]);
    assert!((detail["readers"]["share"].as_f64().unwrap() - 2.0 / 3.0).abs() < 1e-9);
    let page: Value = serde_json::from_str(&ask("/api/v1/broadcasts/1/recipients").1).unwrap();
    assert_eq!(page["recipients"][0]["readers"], 2, "{page}");
    let metrics = ask("/metrics").1;
    // One that a loaded machine stores too late is posted again, and counts as repeated.
    let counted = |result: &str| {
        let name = format!(r#"mooncast_callbacks_total{{app="default",result="{result}"}} "#);
        let count = metrics.lines().find_map(|line| line.strip_prefix(&name));
        count.map_or(0, |count| count.parse::<u64>().unwrap())
    };
    assert_eq!(counted("stored") + counted("repeated"), 7, "{metrics}");
    for (result, count) in [("verified", 3), ("missing", 0), ("unknown", 0)] {
        let line = format!(r#"mooncast_verified_messages{{app="default",result="{result}"}} {count}"#);
        assert!(metrics.contains(&line), "{metrics}");
    }
    site.serving.stop().exits(0);
}

#[test]
fn a_receipt_that_comes_before_its_message_is_known_counts_later() {
    let site = Site::start();
    // The ledger says that a message is in doubt, as after a lost answer.
    let send = "im.broadcast { name = 'news', to = { '1' }, message = { type = 'txt', from = 'press', body = { msg = 'hello' } } }";
    site.project.write("news.lua", send);
    let run = |args: &[&str]| Ran::of(&site.project.command_against(&site.service, args).output().unwrap());
    run(&["run", "news.lua"]).exits(0);
    site.project.run_in_store(
        "UPDATE recipients SET state = 4, message_id = NULL; UPDATE broadcasts SET n_sent = 0, n_in_doubt = 1",
    );
    assert_eq!(site.deliver(&receipt("r1", "ann", "m1")), 200);
    assert_eq!(site.deliver(&receipt("r2", "ann", "foreign")), 200);
    run(&["runs", "show", "news"]).exits(0).prints("in_doubt   1").never_says("reader");
    assert_eq!(site.deliver(&message("c1", "press", "m1")), 200);
    let shows = || run(&["runs", "show", "news"]).exits(0).stdout;
    crate::support::until("the doubt settles", || shows().contains("sent       1"));
    assert!(shows().contains("1 reader; 1 of 1 messages (100 %) were read"), "{}", shows());

    // With nothing in doubt, receipts of unknown messages are dropped.
    assert_eq!(site.deliver(&receipt("r3", "bob", "foreign")), 200);
    assert_eq!(site.stored()[2], 2);
    site.serving.stop().exits(0);
}

#[test]
fn many_callbacks_at_once_are_each_stored_once() {
    let site = Site::start();
    std::thread::scope(|scope| {
        for poster in 0..8 {
            let site = &site;
            scope.spawn(move || {
                for number in 0..20 {
                    // Three of four concern nothing here; each of the others is posted by two of the eight.
                    let (id, from) = match number % 4 {
                        0 => (format!("own {} {number}", poster / 2), "shop"),
                        _ => (format!("foreign {poster} {number}"), "ann"),
                    };
                    assert_eq!(site.deliver(&message(&id, from, &id)), 200);
                }
            });
        }
    });
    let metrics = get(&site.address, "GET /metrics", &site.token()).1;
    let counted = |result: &str| -> i64 {
        let line = format!("mooncast_callbacks_total{{app=\"default\",result=\"{result}\"}} ");
        let found = metrics.lines().find_map(|metric| metric.strip_prefix(&line));
        found.map_or(0, |value| value.parse().unwrap())
    };
    let [callbacks, records, receipts] = site.stored();
    assert_eq!((callbacks, receipts), (records, 0));
    // A slow machine may fail to store some in time; those are asked for again or, over the limit, counted as lost.
    assert!(callbacks <= 20 && callbacks + counted("lost") >= 20, "{metrics}");
    assert!(counted("dropped") + counted("lost") >= 120, "{metrics}");
    site.serving.stop().exits(0);
}
