//! Edits of sent messages: `im.edit` and `runs edit`, against a service of its own on loopback.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::service::{self, Request, Service};
use crate::support::{Project, Ran};
use crate::survival::random::soak;

const SETTINGS: &str = "[app.limits]\ngroup_per_second = 10000\nedit_per_second = 10000\n";

const SCRIPT: &str = r#"
local groups = {}
for i = 1, 40 do groups[i] = { group_id = 1000 + i, city = "city " .. i } end
im.broadcast { name = "news", to = groups, message = { type = "txt", body = { msg = "Sael today" }, ext = { a = 1 } } }
"#;

/// The id of the edited message.
fn edited_id(request: &Request) -> Option<&str> {
    Some(request.path.rsplit_once("/messages/rewrite/")?.1)
}

/// Sends as every service, and edits as `answer` says for the n-th edit.
fn editing(answer: impl Fn(usize, &Request) -> Vec<u8> + Send + Sync + 'static) -> Service {
    let edits = Mutex::new(0);
    Service::answering(move |count, request| {
        if edited_id(request).is_none() {
            return service::accept(count, request);
        }
        assert_eq!(request.method, "PUT");
        let mut edits = edits.lock().unwrap();
        *edits += 1;
        answer(*edits - 1, request)
    })
}

fn success() -> Vec<u8> {
    service::json(200, r#"{"data":"success"}"#)
}

fn refused(status: u16, error: &str, description: &str) -> Vec<u8> {
    let body = json!({ "error": error, "error_description": description });
    service::json(status, &body.to_string())
}

/// The edits that the service was asked for, in order, as message id and body.
fn edits(service: &Service) -> Vec<(String, Value)> {
    let requests = service.requests();
    requests.iter().filter_map(|one| Some((edited_id(one)?.to_owned(), one.json()))).collect()
}

struct Shop {
    project: Project,
    service: Service,
}

impl Shop {
    fn new(script: &str, service: Service) -> Self {
        let project = Project::with_script(script).file("mooncast.toml", SETTINGS);
        project.run_against(&service).exits(0);
        Self { project, service }
    }

    fn command(&self, args: &[&str]) -> Command {
        self.project.command_against(&self.service, &[&["runs"], args].concat())
    }

    fn runs(&self, args: &[&str]) -> Ran {
        Ran::of(&self.command(args).output().unwrap())
    }

    fn edit(&self, args: &[&str]) -> Ran {
        self.runs(&[&["edit", "news"], args].concat())
    }
}

#[test]
fn each_sent_message_gets_the_new_text_once_and_the_same_edit_does_nothing() {
    let shop = Shop::new(SCRIPT, editing(|_, _| success()));
    shop.edit(&["--text", "Sale today", "--yes", "--from", "boss"]).exits(0);
    let all = edits(&shop.service);
    let new = json!({ "user": "boss", "new_msg": { "type": "txt", "msg": "Sale today" } });
    assert!(all.len() == 40 && all.iter().all(|(_, body)| *body == new), "{all:?}");
    let ids: BTreeMap<_, _> = all.into_iter().collect();
    assert_eq!(ids.len(), 40);
    shop.runs(&["show", "news.edit"]).exits(0).prints("corrects news/1").prints("sent       40");
    let export = shop.runs(&["export", "news.edit", "--format", "jsonl"]).exits(0).stdout;
    assert!(ids.keys().all(|id| export.contains(id.as_str())), "{export}");

    shop.edit(&["--text", "Sale today", "--yes", "--from", "boss"]).exits(0).says("news.edit");
    assert_eq!(edits(&shop.service).len(), 40);
    shop.edit(&["--text", "Sale tomorrow", "--yes"]).exits(0);
    assert_eq!(edits(&shop.service).len(), 80);
    shop.runs(&["show", "news.edit/1.2"]).exits(0).prints("sent       40");
    shop.runs(&["edit", "news.edit", "--text", "x", "--yes"]).exits(1).says("edit news/1");
    shop.runs(&["recall", "news.edit"]).exits(2).says("recall news/1");
    shop.runs(&["verify", "news.edit"]).exits(2).says("verify news/1");
}

#[test]
fn it_shows_old_and_new_before_it_edits_and_edits_nothing_unasked() {
    let shop = Shop::new(SCRIPT, editing(|_, _| success()));
    for ran in [
        shop.edit(&["--text", "Sale today"]).exits(2),
        shop.edit(&["--text", "Sale today", "--rehearse"]).exits(0),
    ] {
        let ran = ran.prints("the message to 1001").prints("now:  Sael today").prints("then: Sale today");
        ran.prints("40 recipients");
    }
    shop.edit(&["--text", "Sale today"]).exits(2).says("--yes");
    shop.edit(&["--text", &"x".repeat(6000), "--rehearse"]).exits(1).prints("over the limit of 5120");
    assert!(edits(&shop.service).is_empty());
}

#[test]
fn what_cannot_be_edited_is_told_with_its_reason() {
    let script = r#"
    local kinds = {
      { type = "txt", body = { msg = "a" } },
      { type = "cmd", body = { action = "ring" } },
      { type = "loc", body = { lat = "1", lng = "2", addr = "here" } },
      { type = "custom", body = { customEvent = "order", customExts = { n = "1" } } },
    }
    im.broadcast { name = "news", to = { 1, 2, 3, 4 }, message = function(id) return kinds[id] end }"#;
    let shop = Shop::new(script, editing(|_, _| success()));
    shop.edit(&["--text", "b", "--rehearse"])
        .exits(0)
        .prints("1 recipient")
        .prints("1 message: a command; the service edits none")
        .prints("1 message: of type loc; the service edits only `ext` of it")
        .prints("1 message: of type custom; the new `body` is for another type");
    let only_ext = "return function(recipient, message) return { ext = { corrected = true } } end";
    shop.project.write("ext.lua", only_ext);
    let file = shop.project.path("ext.lua");
    shop.edit(&["--script", file.to_str().unwrap(), "--yes"]).exits(0);
    let mut bodies: Vec<Value> = edits(&shop.service).into_iter().map(|(_, body)| body).collect();
    bodies.sort_by_key(ToString::to_string);
    let ext = json!({ "corrected": true });
    assert_eq!(
        bodies,
        [
            json!({ "new_ext": ext, "new_msg": { "type": "custom", "customEvent": "order", "customExts": { "n": "1" } } }),
            json!({ "new_ext": ext, "new_msg": { "type": "txt", "msg": "a" } }),
            json!({ "new_ext": ext }),
        ]
    );
    shop.runs(&["export", "news.edit", "--format", "jsonl"]).exits(0).prints("2: a command");
}

#[test]
fn a_message_is_edited_ten_times_and_one_without_an_id_never() {
    let shop = Shop::new(SCRIPT, editing(|_, _| success()));
    shop.project.run_in_store("UPDATE recipients SET message_id = NULL WHERE group_id = '1003'");
    shop.project.run_in_store("UPDATE recipients SET recalled = 1 WHERE group_id = '1004'");
    for number in 1..=10 {
        // The tenth is allowed.
        shop.edit(&["--text", &format!("text {number}"), "--rehearse"]).prints("38 recipients");
        shop.edit(&["--text", &format!("text {number}"), "--yes"]).exits(0);
        assert_eq!(edits(&shop.service).len(), 38 * number);
    }
    assert_eq!(edits(&shop.service).len(), 380);
    shop.edit(&["--text", "text 11", "--rehearse"])
        .prints("38 messages: edit limit reached: it was edited 10 times")
        .prints("1 message: settled as sent; the id of its message is not known")
        .prints("1 message: recalled");
    shop.edit(&["--text", "text 11", "--yes"])
        .exits(1)
        .says("edit limit reached")
        .says("no message of news/1 is edited");
    assert_eq!(edits(&shop.service).len(), 380);
}

#[test]
fn edits_by_receipt_count_to_the_ten_of_a_message_and_one_in_doubt_counts_once() {
    let shop = Shop::new(
        "im.broadcast { name = 'news', to = { 1, 2 }, message = { type = 'txt', body = { msg = 'a' } } }",
        editing(|_, _| success()),
    );
    let export = shop.runs(&["export", "news", "--format", "jsonl"]).exits(0).stdout;
    let row: Value = serde_json::from_str(export.lines().next().unwrap()).unwrap();
    let id = row["message_id"].as_str().unwrap();
    let by_receipt = |text: &str| {
        let script = format!(
            r#"local told = im.edit({{ ["1"] = "{id}" }}, {{ body = {{ msg = "{text}" }} }})
            print(told.edited, told.failed[1] and told.failed[1].reason)"#
        );
        shop.project.write("one.lua", script);
        shop.project.command_against(&shop.service, &["run", "one.lua"])
    };
    let edit = |text: &str| Ran::of(&by_receipt(text).output().unwrap());
    for number in 1..=8 {
        edit(&format!("text {number}")).exits(0).prints("1\tnil");
    }
    // A process that dies during the ninth leaves it in doubt. The same edit again is the same one.
    let died = by_receipt("text 9").env("MOONCAST_FAIL_POINT", "after-request:1").output().unwrap();
    assert_eq!(died.status.code(), None, "{died:?}");
    shop.service.wait_for_the_gone();
    assert_eq!(shop.project.in_store("SELECT count(*) FROM edits WHERE state = 1"), 1);
    edit("text 9").exits(0).prints("1\tnil");
    assert_eq!(shop.project.in_store("SELECT count(*) FROM edits WHERE state = 2"), 9);
    // The broadcast knows the text that the last one made, and its edit is the tenth.
    shop.edit(&["--text", "text 10", "--rehearse"]).prints("now:  text 9").prints("2 recipients");
    shop.edit(&["--text", "text 10", "--yes"]).exits(0);
    edit("text 11").exits(0).prints("0\tedit limit reached: it was edited 10 times");
    shop.edit(&["--text", "text 11", "--rehearse"])
        .prints("1 message: edit limit reached")
        .prints("1 recipient");
    let count = |wanted: &str| edits(&shop.service).iter().filter(|(known, _)| known == wanted).count();
    assert_eq!(count(id), 11, "ten edits, and the one in doubt twice");
}

#[test]
fn a_template_and_a_function_make_each_text_from_the_recipient_and_its_message() {
    let shop = Shop::new(SCRIPT, editing(|_, _| success()));
    shop.project.write("new.txt", "{{ message.body.msg }} in {{ city }}");
    let file = shop.project.path("new.txt");
    shop.edit(&["--template", file.to_str().unwrap(), "--yes"]).exits(0);
    let texts = |service: &Service| -> Vec<String> {
        let bodies = edits(service);
        bodies.iter().map(|(_, body)| body["new_msg"]["msg"].as_str().unwrap().to_owned()).collect()
    };
    assert!(texts(&shop.service).contains(&"Sael today in city 7".to_owned()));
    let script = "return function(to, message)
      if to.city == 'city 7' then return (message.body.msg:gsub('Sael', 'Sale')) end
    end";
    shop.project.write("new.lua", script);
    let file = shop.project.path("new.lua");
    shop.edit(&["--script", file.to_str().unwrap(), "--yes"]).exits(0).says("39 messages are not edited");
    // The text of the first edit is the one that the second starts from.
    assert_eq!(texts(&shop.service)[40..], ["Sale today in city 7"]);
    shop.project.write("bad.lua", "return 5");
    let file = shop.project.path("bad.lua");
    shop.edit(&["--script", file.to_str().unwrap(), "--yes"]).exits(1).says("must return a function");
}

#[test]
fn each_refusal_has_its_meaning_and_a_doubt_is_edited_again() {
    let rows = Arc::new(Mutex::new(BTreeMap::<String, usize>::new()));
    let known = Arc::clone(&rows);
    let service = editing(move |number, request| {
        let id = edited_id(request).unwrap().to_owned();
        let mut known = known.lock().unwrap();
        let next = known.len();
        let which = *known.entry(id).or_insert(next);
        match which {
            0 => refused(401, "message_rewrite_error", "the user may not edit this message"),
            1 => refused(403, "message_rewrite_error", "the message has reached its edit limit"),
            2 => refused(404, "message_rewrite_error", "the message is not found"),
            3 if number < 60 && number % 2 == 0 => {
                known.remove(edited_id(request).unwrap());
                refused(409, "concurrent_operation_error", "")
            }
            _ => success(),
        }
    });
    let shop = Shop::new(SCRIPT, service);
    shop.edit(&["--text", "Sale today", "--yes"]).exits(3);
    let export = shop.runs(&["export", "news.edit", "--format", "jsonl"]).exits(0);
    let rows: Vec<Value> = export.stdout.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    let state = |wanted: &str| rows.iter().filter(|row| row["state"] == wanted).count();
    assert_eq!((state("sent"), state("rejected")), (37, 3), "{export:#?}");
    let tokens = shop.service.requests().iter().filter(|one| one.path.ends_with("/token")).count();
    assert_eq!(tokens, 0);
    assert!(export.stdout.contains("edit limit") && export.stdout.contains("may not edit"));
}

#[test]
fn lost_answers_are_edited_again_until_one_arrives() {
    let service = editing(|number, _| if number < 30 { Vec::new() } else { success() });
    let shop = Shop::new(SCRIPT, service);
    shop.edit(&["--text", "Sale today", "--yes"]).exits(0).says("edited 40 messages");
    let ids: BTreeMap<_, _> = edits(&shop.service).into_iter().collect();
    assert_eq!(ids.len(), 40);
}

#[test]
fn an_app_without_editing_is_told_where_to_switch_it_on() {
    let service =
        editing(|_, _| refused(403, "message_rewrite_error", "message rewrite feature is not open"));
    let shop = Shop::new(SCRIPT, service);
    shop.edit(&["--text", "Sale today", "--yes"]).exits(1).says("switch on message editing for the app");
}

/// The points at which the process ends.
const POINTS: [&str; 4] = ["before-intent", "after-intent", "after-request", "before-outcome"];

#[test]
fn killed_in_the_middle_each_message_has_the_new_text() {
    let (many, kills) = if soak() { (10_000, 10) } else { (200, 5) };
    let script = format!(
        "local to = {{}} for i = 1, {many} do to[i] = 1000 + i end
        im.broadcast {{ name = 'news', to = to, message = {{ type = 'txt', body = {{ msg = 'Sael' }} }} }}"
    );
    let shop = Shop::new(&script, editing(|_, _| success()));
    let mut in_flight = 0;
    for kill in 0..kills {
        let mut command = shop.command(&["edit", "news", "--text", "Sale today", "--yes"]);
        let point = format!("{}:{}", POINTS[kill % POINTS.len()], 1 + many / kills / 2 * (kill % 2));
        let ran = command.env("MOONCAST_FAIL_POINT", &point).output().unwrap();
        assert_eq!(ran.status.code(), None, "{point}: {ran:?}");
        shop.service.wait_for_the_gone();
        shop.project.wait_for_death();
        in_flight += shop.project.in_store("SELECT n_sending FROM broadcasts WHERE corrects IS NOT NULL");
    }
    shop.edit(&["--text", "Sale today", "--yes"]).exits(0);
    let all = edits(&shop.service);
    let ids: BTreeMap<_, _> = all.iter().cloned().collect();
    println!("{many} messages, {kills} kills with {in_flight} in flight, {} edits", all.len());
    assert_eq!(ids.len(), many);
    assert!(all.len() <= many + usize::try_from(in_flight).unwrap());
    shop.runs(&["show", "news.edit"]).exits(0).prints(&format!("sent       {many}"));
}

#[test]
fn a_script_edits_receipts_and_broadcasts() {
    let script = format!(
        r#"{SCRIPT}
        local receipts = im.group_send {{ to = {{ "1", "2" }}, type = "txt", body = {{ msg = "x" }} }}
        local told = im.edit(receipts, {{ body = {{ msg = "y" }} }}, {{ from = "boss" }})
        print(told.edited, #told.failed)
        local report = im.edit({{ broadcast = "news" }}, function(to, message)
          if to.city == "city 3" then return {{ body = {{ msg = message.body.msg .. "!" }}, ext = {{ b = 2 }} }} end
        end)
        print(report.name, report.run, report.sent, report.skipped)
        for _, wrong in ipairs {{
          {{ receipts, {{ body = {{ url = "x" }} }} }}, {{ receipts, {{}} }}, {{ {{ g = "../x" }}, {{ ext = {{ a = 1 }} }} }},
          {{ {{ broadcast = "other" }}, {{ ext = {{ a = 1 }} }} }}, {{ {{ broadcast = "news" }}, {{ body = {{ msg = "" }} }} }},
          {{ {{ broadcast = "news" }}, {{ ext = {{ a = 1 }} }}, {{ rat = 5 }} }},
        }} do
          local ok, problem = pcall(im.edit, table.unpack(wrong))
          print(ok, problem.kind, problem.field)
        end"#
    );
    let service = editing(|_, _| success());
    let project = Project::with_script(script).file("mooncast.toml", SETTINGS);
    project
        .run_against(&service)
        .exits(0)
        .prints("2\t0\nnews.edit\t1\t1\t39\n")
        .prints("false\tinvalid\tbody\nfalse\tinvalid\tbody\nfalse\tinvalid\tmessage_id\n")
        .prints("false\tinvalid\tbroadcast\nfalse\tinvalid\tbody.msg\nfalse\tinvalid\toptions.rat\n");
    let all = edits(&service);
    assert_eq!(all[0].1, json!({ "user": "boss", "new_msg": { "type": "txt", "msg": "y" } }));
    assert_eq!(
        all[2].1,
        json!({ "new_msg": { "type": "txt", "msg": "Sael today!" }, "new_ext": { "b": 2 } })
    );
    assert_eq!(all.len(), 3);
    // The same script rehearsed edits nothing.
    Ran::of(&project.command(&["rehearse", "scripts/main.lua"]).output().unwrap());
}

#[test]
fn a_test_in_lua_sees_the_edited_text_after_a_doubt() {
    let project = Project::new()
        .file("mooncast.toml", SETTINGS)
        .file(
            "scripts/news.lua",
            r#"im.broadcast { name = "news", to = { 1, 2 }, message = { type = "txt", body = { msg = "Sael" } } }
            im.edit({ broadcast = "news" }, { body = { msg = "Sale" } })
            im.edit(im.group_send { to = 3, type = "txt", body = { msg = "Sael" } }, { body = { msg = "Sale" } })"#,
        )
        .file(
            "scripts/tests/news.lua",
            r#"local test = require("test")
            test("the text is corrected", function(t)
              t.fault("rewrite:first=3:503")
              t.run("scripts/news.lua")
              for group = 1, 3 do
                assert(#t.sent(tostring(group)) == 1 and t.sent(tostring(group))[1].body.msg == "Sale")
              end
            end)"#,
        );
    project.mooncast(&["test"]).exits(0);
}
