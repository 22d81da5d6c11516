//! `im.on`: which callbacks start jobs, how often, in which order, and what becomes of them when too many wait or the
//! daemon dies.

mod waiting;

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::forged::cases;
use super::{DAY_MS, OTHER, SECRET, Site, get, message, now_ms, receipt, signed, with};
use crate::support::service::{Request, Service, accept};
use crate::support::{GUARD, Project, Ran, store};

/// A job for each event, which prints the event.
const ALL: &str = "local json = require('json')
for _, event in ipairs { 'message', 'joined', 'left', 'read', 'recalled', 'edited' } do
  im.on(event, function(given, context) print(context.name .. ' ' .. json.encode(given)) end)
end";

/// The callback of a text that `from` wrote in a group.
fn written(call_id: &str, group: &str, from: &str, text: &str) -> Value {
    let event = message(call_id, from, &format!("m {call_id}"));
    let event = with(with(event, "group_id", group.into()), "to", group.into());
    with(event, "payload", json!({ "bodies": [{ "type": "txt", "msg": text }], "ext": { "k": 1 } }))
}

/// The callback of members who join or leave.
fn members(call_id: &str, operation: &str, group: &str, users: &[&str]) -> Value {
    json!({
        "callId": call_id, "timestamp": now_ms(), "appkey": "org#app", "event": "group_op_event", "type": "GROUP",
        "operation": operation, "id": group, "operator": "boss", "payload": { "member": users, "type": "DIRECT" },
    })
}

fn recalled(call_id: &str, group: &str, from: &str, message_id: &str) -> Value {
    json!({
        "callId": call_id, "timestamp": now_ms(), "appkey": "org#app", "eventType": "chat", "chat_type": "recall",
        "group_id": group, "from": from, "to": group, "recall_id": message_id, "msg_id": format!("r {call_id}"),
        "payload": { "ack_message_id": message_id, "bodies": [], "ext": {} },
    })
}

fn edited(call_id: &str, group: &str, from: &str, message_id: &str) -> Value {
    json!({
        "callId": call_id, "timestamp": now_ms(), "appkey": "org#app", "eventType": "chat", "chat_type": "edit",
        "group_id": group, "from": from, "to": group, "msg_id": format!("e {call_id}"),
        "payload": {
            "type": "edit", "edit_message_id": message_id, "from": from, "to": group, "ext": {},
            "bodies": [{ "type": "txt", "msg": "new" }],
            "meta": { "edit_msg": { "count": 1, "operator": from, "sender": from } },
        },
    })
}

/// Returns how many runs were started or requested.
fn started(project: &Project) -> i64 {
    // A run of the command line, which the tests begin themselves, is not one of the daemon.
    ["job_runs WHERE command_line IS NULL", "job_commands", "hook_requests"]
        .map(|table| project.in_store(&format!("SELECT count(*) FROM {table}")))
        .into_iter()
        .sum()
}

/// Returns the events that jobs printed, by the names of the jobs.
fn printed(ran: &Ran) -> Vec<(String, Value)> {
    let lines = ran.stdout.lines().filter_map(|line| line.split_once(' '));
    lines.map(|(job, event)| (job.to_owned(), serde_json::from_str(event).unwrap())).collect()
}

#[test]
fn each_of_the_six_events_starts_its_job_once_with_its_fields() {
    let site = Site::with_script(ALL);
    // The message that is read is one of this project.
    assert_eq!(site.deliver(&message("own", "shop", "own-1")), 200);
    let events = [
        written("c1", "7", "ann", "hello"),
        members("c2", "JOIN", "7", &["ann", "bob"]),
        members("c3", "LEAVE", "7", &["ann"]),
        receipt("c4", "ann", "own-1"),
        recalled("c5", "7", "ann", "m9"),
        edited("c6", "7", "ann", "m9"),
    ];
    for _ in 0..2 {
        for event in &events {
            assert_eq!(site.deliver(event), 200);
        }
    }
    for name in ["message", "joined", "left", "read", "recalled", "edited"] {
        site.serving.prints(&format!("react.{name} "), 1);
    }
    let shown = site.run(&["jobs", "show", "react.joined"]).exits(0).stdout;
    assert!(shown.contains("react.joined: on joined") && shown.contains("next: on an event"), "{shown}");
    let Site { project, service, serving, .. } = site;
    let ran = serving.stop().exits(0);
    let output = project.command_against(&service, &["jobs", "show", "react.joined"]).output().unwrap();
    Ran::of(&output).exits(0).prints("joined in group 7 from ann");
    let printed = printed(&ran);
    assert_eq!(printed.len(), 6, "{}", ran.stdout);
    let printed: HashMap<String, Value> = printed.into_iter().collect();
    let body = |text: &str| json!({ "type": "txt", "msg": text });
    let expected = [
        (
            "message",
            json!({ "id": "c1", "group": "7", "from": "ann", "message_id": "m c1", "type": "txt", "text": "hello",
            "body": body("hello"), "ext": { "k": 1 } }),
        ),
        ("joined", json!({ "id": "c2", "group": "7", "from": "ann", "users": ["ann", "bob"] })),
        ("left", json!({ "id": "c3", "group": "7", "from": "ann", "users": ["ann"] })),
        ("read", json!({ "id": "c4", "group": "1", "from": "ann", "message_id": "own-1" })),
        ("recalled", json!({ "id": "c5", "group": "7", "from": "ann", "message_id": "m9" })),
        (
            "edited",
            json!({ "id": "c6", "group": "7", "from": "ann", "message_id": "m9", "type": "txt", "text": "new",
            "body": body("new"), "ext": {} }),
        ),
    ];
    for (name, expected) in expected {
        let mut event = printed[&format!("react.{name}")].clone();
        let time = event.as_object_mut().unwrap().remove("time").unwrap().as_f64().unwrap();
        assert!((time * 1000.0 - now_ms() as f64).abs() < DAY_MS as f64, "{time}");
        assert_eq!(event, with(with(expected, "event", name.into()), "app", "default".into()), "{name}");
    }
    assert_eq!(project.in_store("SELECT count(*) FROM job_runs WHERE state = 1 AND command_line IS NULL"), 6);
    assert_eq!(project.in_store("SELECT count(*) FROM hook_requests"), 0);
}

#[test]
fn a_job_runs_only_for_the_groups_users_and_texts_that_it_names() {
    let site = Site::with_script(
        "local function tell(event, context)
          print(context.name, event.id, event.users and table.concat(event.users, '+') or event.from)
        end
        im.on('message', { name = 'groups', group = { 7, '8' } }, tell)
        im.on('message', { name = 'users', from = 'Ann' }, tell)
        im.on('message', { name = 'texts', match = '^!help%s*$', group = '7' }, tell)
        im.on('joined', { name = 'members', from = { 'bob', 'carl' } }, tell)
        im.app('other').on('message', { name = 'elsewhere' }, tell)
        im.app('bare').on('message', { name = 'unheard' }, tell)
        im.on('message', { name = 'last', from = 'zoe' }, function() print('last') end)",
    );
    for event in [
        written("a", "7", "carl", "hello"),
        written("b", "8", "carl", "!help"),
        written("c", "9", "ann", "!help"),
        written("d", "7", "bob", "!help \n"),
        written("e", "7", "bob", "say !help"),
        with(
            written("f", "7", "bob", "!help"),
            "payload",
            json!({ "bodies": [{ "type": "cmd", "action": "!help" }] }),
        ),
        members("g", "JOIN", "9", &["ann", "carl", "dave", "bob"]),
        members("h", "JOIN", "9", &["ann"]),
        written("i", "1", "zoe", "last"),
    ] {
        assert_eq!(site.deliver(&event), 200);
    }
    for (text, times) in [("groups\t", 5), ("users\tc", 1), ("texts\td", 1), ("members\tg", 1), ("last", 1)] {
        site.serving.prints(text, times);
    }
    site.serving.says("this job never runs, because its app has no callback secret", 1);
    let ran = site.serving.stop().exits(0);
    let mut lines: Vec<&str> = ran.stdout.lines().collect();
    lines.sort_unstable();
    let expected = [
        "groups\ta\tcarl",
        "groups\tb\tcarl",
        "groups\td\tbob",
        "groups\te\tbob",
        "groups\tf\tbob",
        "last",
        "members\tg\tcarl+bob",
        "texts\td\tbob",
        "users\tc\tann",
    ];
    assert_eq!(lines, expected);
}

/// Events that are genuine, but must start nothing.
fn unwanted() -> Vec<(&'static str, Value)> {
    let ago = |event: Value, ms: i64| with(event, "timestamp", (now_ms() - ms).into());
    let of_app = |event: Value, app: &str| with(event, "appkey", app.into());
    let muc = |operation: &str| {
        let event = with(written("muc", "7", "org#app_ann@h/x", ""), "chat_type", "muc".into());
        with(event, "payload", json!({ "operation": operation }))
    };
    let without_group = |event: Value| super::without(event, "group_id");
    vec![
        ("a message that is over a day old", ago(written("u1", "7", "ann", "x"), DAY_MS + 60_000)),
        ("a message from tomorrow", ago(written("u2", "7", "ann", "x"), -DAY_MS - 60_000)),
        ("a message from 1970", with(written("u3", "7", "ann", "x"), "timestamp", 0.into())),
        ("members who joined long ago", ago(members("u4", "JOIN", "7", &["ann"]), 30 * DAY_MS)),
        ("members who left long ago", ago(members("u5", "LEAVE", "7", &["ann"]), 2 * DAY_MS)),
        ("an old recall", ago(recalled("u6", "7", "ann", "m"), 2 * DAY_MS)),
        ("an old edit", ago(edited("u7", "7", "ann", "m"), 2 * DAY_MS)),
        ("an old receipt", ago(receipt("u8", "ann", "own-1"), 2 * DAY_MS)),
        ("a message of another app", of_app(written("u9", "7", "ann", "x"), "org#other")),
        ("members of another app", of_app(members("u10", "JOIN", "7", &["ann"]), "org#appx")),
        ("an own message", written("u11", "7", "shop", "x")),
        ("an own message as the default sender", written("u12", "7", "admin", "x")),
        ("an own message in capitals", written("u13", "7", "Shop", "x")),
        ("a recall of an own message", recalled("u14", "7", "ann", "own-1")),
        ("an edit of an own message", edited("u15", "7", "ann", "own-1")),
        ("a recall by an own sender", recalled("u16", "7", "shop", "m")),
        ("an edit by an own sender", edited("u17", "7", "admin", "m")),
        ("a receipt of a foreign message", receipt("u18", "ann", "foreign")),
        ("a receipt before its message", receipt("u19", "ann", "later")),
        ("a recall in a chat of two users", without_group(recalled("u20", "bob", "ann", "m"))),
        ("an edit in a chat of two users", without_group(edited("u21", "bob", "ann", "m"))),
        ("a message between two users", with(written("u22", "7", "ann", "x"), "chat_type", "chat".into())),
        ("the second telling of a departure", muc("leave")),
        ("the cause of an arrival", muc("direct_joined")),
        ("a new group", members("u25", "CREATE", "7", &["ann"])),
        ("a push", with(written("u26", "7", "ann", "x"), "chat_type", "push".into())),
        ("a repeated id with another content", written("own", "7", "ann", "x")),
        ("a repeated id as another event", members("own", "JOIN", "7", &["ann"])),
        ("a group with a control character", written("u29", "7\0", "ann", "x")),
        ("a long group", written("u30", &"7".repeat(300), "ann", "x")),
        ("a message without a sender", with(written("u31", "7", "ann", "x"), "from", Value::Null)),
    ]
}

#[test]
fn no_forged_replayed_reordered_foreign_or_late_callback_starts_a_job() {
    let site = Site::with_script(ALL);
    assert_eq!(site.deliver(&message("own", "shop", "own-1")), 200);
    let genuine = ["of a foreign sender", "of an unknown type", "a recall", "an edit", "a new member"];
    let forged = cases().into_iter().filter(|(what, ..)| !genuine.contains(what));
    let mut count = 0;
    for (what, app, status, body) in forged {
        assert_eq!(site.post(app, &body).0, status, "{what}");
        assert_eq!(started(&site.project), 0, "{what}");
        count += 1;
    }
    for (what, event) in unwanted() {
        let (status, answer) = site.post("default", &signed(&event, SECRET));
        assert!([200, 403].contains(&status), "{what}: {answer}");
        assert_eq!(started(&site.project), 0, "{what}");
        count += 1;
    }
    assert!(count >= 60, "{count}");
    // A genuine one starts its job after all of them, and only once.
    for _ in 0..3 {
        assert_eq!(site.deliver(&written("last", "7", "ann", "x")), 200);
    }
    site.serving.prints("react.message", 1);
    assert_eq!(printed(&site.serving.stop().exits(0)).len(), 1);
}

#[test]
fn no_callback_that_was_changed_at_random_starts_a_job() {
    let site = Site::with_script(ALL);
    assert_eq!(site.deliver(&message("own", "shop", "own-1")), 200);
    let choice = (0..6_usize, 0..9_usize, "[a-z0-9]{1,12}", 1..1_000_000_000_i64);
    let mut runner = TestRunner::deterministic();
    for number in 0..200 {
        let (kind, change, text, more) = choice.new_tree(&mut runner).unwrap().current();
        let id = format!("p{number} {text}");
        let event = match kind {
            0 => written(&id, "7", "ann", &text),
            1 => members(&id, "JOIN", "7", &[&text]),
            2 => members(&id, "LEAVE", "7", &[&text]),
            3 => receipt(&id, "ann", "own-1"),
            4 => recalled(&id, "7", "ann", &text),
            _ => edited(&id, "7", "ann", &text),
        };
        let time = now_ms();
        let after_signing = |name: &str, value: Value| {
            let whole: Value = serde_json::from_slice(&signed(&event, SECRET)).unwrap();
            with(whole, name, value).to_string().into_bytes()
        };
        let body = match change {
            0 => signed(&event, &text),
            1 => signed(&event, [OTHER, "", "callback"][number % 3]),
            2 => after_signing("callId", format!("{id}x").into()),
            3 => after_signing("timestamp", (time + more).into()),
            4 => after_signing("security", text.clone().into()),
            5 => signed(&with(event, "timestamp", (time - DAY_MS - more).into()), SECRET),
            6 => signed(&with(event, "appkey", format!("org#{text}").into()), SECRET),
            7 => signed(&with(event, "callId", "own".into()), SECRET),
            _ => {
                let whole = signed(&event, SECRET);
                let end = usize::try_from(more).unwrap() % whole.len();
                whole[..end].to_vec()
            }
        };
        let shown = String::from_utf8_lossy(&body).into_owned();
        site.post("default", &body);
        assert_eq!(started(&site.project), 0, "change {change}: {shown}");
    }
    site.serving.stop().exits(0);
}

#[test]
fn what_cannot_be_declared_is_refused_with_the_place_and_the_remedy() {
    for (options, says) in [
        ("'message', { match = '(' }", "match: `(` is not a pattern: it has a `(` without a `)`"),
        ("'message', { match = '%f[%a]x' }", "`%f` cannot be used here"),
        ("'message', { match = '%' }", "ends with a single `%`"),
        ("'joined', { match = 'x' }", "match: only the texts of messages are matched"),
        ("'message', { group = {} }", "group: the list has 0 ids"),
        ("'message', { group = { 1, x = 2 } }", "group: expected an id or a list of ids"),
        ("'message', { group = 1.5 }", "group: expected a whole number"),
        ("'message', { group = 'a b' }", "group"),
        ("'message', { from = true }", "from: expected a string, got boolean"),
        ("'message', { grop = '1' }", "unknown `grop`; did you mean `group`?"),
        ("'mesage'", "event: `mesage` is unknown; write one of \"message\", \"joined\""),
        ("'message', { overlap = 'skip' }", "unknown `overlap`"),
    ] {
        let project = Project::with_script(format!("im.on({options}, function() end)"));
        project.mooncast(&["check"]).exits(1).prints(says).prints("scripts/main.lua:1");
    }
    let project = Project::with_script("im.on('joined', print) im.on('joined', print)");
    project
        .mooncast(&["check"])
        .exits(1)
        .prints("a job named `main.joined` is declared")
        .prints("give each a `name`");
    Project::with_script("im.on('joined', {}, 1)")
        .mooncast(&["check"])
        .exits(1)
        .prints("fn: expected the job's function");
    let project = Project::with_script(
        "im.on('message', { group = { 1, 2, 3, 4 }, from = 'ann', match = '^!' }, print)",
    );
    let says = "job `main.message`: on message, group 1, 2, 3 or 1 more, from ann, match \"^!\"";
    project.mooncast(&["check"]).exits(0).prints(says);
}

#[test]
fn a_test_in_lua_fires_events() {
    let project = Project::new()
        .file(
            "scripts/main.lua",
            "im.on('message', { match = 'help' }, function(event)
              im.targeted_send { to = event.group, from = 'bot', users = { event.from }, type = 'txt', body = { msg = 'I help.' } }
            end)
            im.on('joined', { group = 1 }, function(event) print(event.users[1], event.from, #event.users) end)",
        )
        .file(
            "scripts/tests/main.lua",
            "local test = require('test')
            local expect = test.expect
            test('events start jobs', function(t)
              expect(function() t.callback { event = 'joined', group = '1', user = 'u' } end).to_fail('t.load')
              t.load('scripts/main.lua')
              expect(t.callback { event = 'message', group = 1, from = 'ann', text = 'help!' }).to_have_length(1)
              expect(t.sent('1')[1].users).to_equal({ 'ann' })
              expect(t.callback { event = 'message', group = '1', from = 'ann', text = 'hello' }).to_equal({})
              expect(t.callback { event = 'message', group = '1', from = 'Bot', text = 'I help.' }).to_equal({})
              local joined = { event = 'joined', id = 'c', group = '1', users = { 'ann', 'bob' } }
              expect(t.callback(joined)[1].output).to_equal('ann\\tann\\t2\\n')
              expect(t.callback(joined)).to_equal({})
              expect(t.callback { event = 'joined', group = '2', user = 'u' }).to_equal({})
              expect(function() t.callback { event = 'jump', group = '2' } end).to_fail('`jump` is unknown')
              expect(function() t.callback { event = 'left' } end).to_fail('no `group`')
              expect(function() t.callback { event = 'message', group = '1', from = 'a' } end).to_fail('`text`')
              expect(function() t.trigger('main.joined') end).to_fail('t.callback')
              expect(t.count()).to_equal(1)
            end)",
        );
    project.mooncast(&["test"]).exits(0).prints("1 test passed");
}
