//! Forms, uploads and rehearsals over the API: what fits is rehearsed and sent as rehearsed, everything else is refused.

use serde_json::{Value, json};

use super::{Answer, Site, request};
use crate::support::Project;
use crate::support::service::Service;

const INVITE: &str = r#"
--- Invites the groups of a list.
--- @arg city string The city to invite to
--- @arg day date The day
--- @arg seats integer = 20 How many seats there are
--- @arg list file .csv,.xlsx The groups
function main(args)
  print("seats", args.seats, args.list)
  require("campaign").run({
    name = "invite-" .. args.city, run = args.day, to = args.list, from = "news",
    text = "Hello {{ name }}, come to " .. args.city,
    test = { "900" }, test_as = { name = "Tester" },
  })
end
"#;

const NAME: &str = "run%20scripts%2Fmain.lua";
const LIST: &str = "group_id,name\n101,Ann\n102,Bo\n103,Cy\n";

fn site() -> (Service, Site) {
    let service = Service::accepting();
    let site = Site::against(&service, INVITE);
    site.until("/scripts", |scripts| {
        scripts[0]["script"]["form"].as_array().is_some_and(|form| form.len() == 4)
    });
    (service, site)
}

fn upload(site: &Site, name: &str, content: &[u8]) -> Answer {
    let bearer = format!("Bearer {}", site.operate);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/octet-stream")];
    site.ask_with(&format!("POST /run-files?name={name}"), &headers, content)
}

fn kept(site: &Site, content: &str) -> String {
    let answer = upload(site, "audience.csv", content.as_bytes());
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["value"].as_str().unwrap().to_owned()
}

fn rehearsed(site: &Site, args: &Value) -> Value {
    let answer = site.post("/scripts/rehearse", &json!({ "script": "main.lua", "args": args }));
    assert!([200, 202].contains(&answer.status), "{answer:?}");
    let id = answer.json()["id"].as_i64().unwrap();
    site.until(&format!("/rehearsals/{id}"), |found| found["state"] != "running")
}

fn ended(site: &Site, count: usize) -> Value {
    let runs = site.until(&format!("/runs?job={NAME}"), |runs| {
        let runs = runs.as_array().unwrap();
        runs.len() == count && runs.iter().all(|run| !run["finished_at"].is_null())
    });
    runs[0].clone()
}

fn recipients(service: &Service) -> Vec<String> {
    service.messages().iter().map(|message| message["to"][0].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_list_is_uploaded_rehearsed_tested_and_sent_as_rehearsed() {
    let (service, site) = site();
    let form = site.json("/scripts")[0]["script"]["form"].clone();
    assert_eq!((&form[2]["name"], &form[2]["type"]), (&json!("seats"), &json!("integer")));
    assert_eq!((&form[2]["default"], &form[2]["required"]), (&json!("20"), &json!(false)));
    assert_eq!(form[3]["allowed"], json!([".csv", ".xlsx"]));

    let args = json!({ "city": "Rome", "day": "2026-12-01", "seats": 7, "list": kept(&site, LIST) });
    let view = rehearsed(&site, &args);
    assert_eq!(view["state"], "finished", "{view:#}");
    let report = &view["report"];
    assert_eq!(report["totals"]["recipients"], 3, "{report:#}");
    assert_eq!(report["broadcasts"][0]["first_recipients"], json!(["101", "102", "103"]));
    assert_eq!(report["test_messages"], 1);
    let said = report["broadcasts"][0]["samples"][0]["message"]["body"]["msg"].as_str().unwrap();
    assert_eq!(said, "Hello Ann, come to Rome");
    assert_eq!(view["actor"], "operate");
    assert!(service.messages().is_empty(), "a rehearsal sends nothing");

    let plan = view["plan"].as_str().unwrap();
    let test = site.post("/scripts/run", &json!({ "script": "main.lua", "args": args, "test_only": true }));
    assert_eq!(test.status, 202, "{test:?}");
    assert_eq!((&ended(&site, 1)["state"], &ended(&site, 1)["test_only"]), (&json!("done"), &json!(true)));
    assert_eq!(recipients(&service), ["900"]);

    let send = site.post("/scripts/run", &json!({ "script": "main.lua", "args": args, "plan": plan }));
    assert_eq!(send.status, 202, "{send:?}");
    let run = ended(&site, 2);
    assert_eq!((&run["state"], &run["plan"]), (&json!("done"), &json!(plan)), "{run:#}");
    let mut all = recipients(&service);
    all.sort();
    assert_eq!(all, ["101", "102", "103", "900"]);
    let acts = site.project.mooncast(&["audit", "--json"]).exits(0).stdout;
    for act in ["run_file.add", "script.rehearse", "script.run"] {
        assert!(acts.contains(act), "{act} in {acts}");
    }
    site.serving.stop().exits(0).never_says("panicked");
}

#[test]
fn what_changed_since_its_rehearsal_is_not_sent() {
    let (service, site) = site();
    let list = kept(&site, LIST);
    let args = json!({ "city": "Rome", "day": "2026-12-01", "list": list });
    let plan = rehearsed(&site, &args)["plan"].clone();
    let other = kept(&site, "group_id,name\n101,Ann\n104,Di\n");
    let changed = [
        json!({ "city": "Oslo", "day": "2026-12-01", "list": list }),
        json!({ "city": "Rome", "day": "2026-12-02", "list": list }),
        json!({ "city": "Rome", "day": "2026-12-01", "list": other }),
    ];
    for (index, args) in changed.iter().enumerate() {
        let asked = site.post("/scripts/run", &json!({ "script": "main.lua", "args": args, "plan": plan }));
        assert_eq!(asked.status, 202, "{asked:?}");
        let run = ended(&site, index + 1);
        assert_eq!(run["state"], "failed", "{run:#}");
        let note = run["note"].as_str().unwrap();
        assert!(note.contains("does not send what was rehearsed"), "{note}");
        assert_eq!(run["reason"]["code"], "held_differs", "{run:#}");
    }
    // The Chinese page says it in Chinese, and how the list was read.
    let bearer = format!("Bearer {}", site.operate);
    let shown = |place: &str| {
        let headers = [("authorization", bearer.as_str()), ("accept-language", "zh")];
        request(&site.address, &format!("GET {place}"), &headers, b"").body.replace("&#x2f;", "/")
    };
    let id = ended(&site, 3)["id"].as_str().unwrap().replace(' ', "%20").replace('@', "%40");
    let page = shown(&format!("/run?id={id}"));
    assert!(page.contains("没有发送任何消息：scripts/main.lua 要发送的和预演的不同"), "{page}");
    assert!(page.contains("群发 `invite-Rome`") && page.contains("个接收方，每条消息最多"), "{page}");
    assert!(!page.contains("It would send"), "{page}");
    let page = shown("/rehearsals/1");
    assert!(page.contains("UTF-8，3 行，逗号分隔") && !page.contains("3 rows"), "{page}");
    // The script itself.
    site.project.write("scripts/main.lua", INVITE.replace("come to", "do not come to"));
    let asked = json!({ "script": "main.lua", "args": args, "plan": plan });
    site.until("/scripts", |scripts| {
        let version = scripts[0]["script"]["version"].as_str();
        version.is_some() && site.json("/rehearsals/1")["version"].as_str() != version
    });
    assert_eq!(site.post("/scripts/run", &asked).status, 202);
    assert_eq!(ended(&site, 4)["state"], "failed");
    assert!(
        site.post("/scripts/run", &json!({ "script": "main.lua", "args": args, "plan": "x" })).status == 400
    );
    assert_eq!(recipients(&service), [] as [String; 0]);
    site.serving.stop().exits(0);
}

#[test]
fn arguments_that_do_not_fit_are_refused_before_anything_runs() {
    let (service, site) = site();
    let list = kept(&site, LIST);
    let gone = format!("upload:{}/audience.csv", "0".repeat(64));
    let cases = [
        (json!({ "city": "Rome", "list": list }), "`day` is missing"),
        (json!({ "ciyt": "Rome", "day": "2026-12-01", "list": list }), "did you mean `city`?"),
        (json!({ "city": "Rome", "day": "2026-02-30", "list": list }), "must be a date"),
        (json!({ "city": "Rome", "day": "2026-12-01", "seats": 1.5, "list": list }), "whole number"),
        (json!({ "city": "Rome", "day": "2026-12-01", "list": "/etc/hosts.csv" }), "must be uploaded"),
        (json!({ "city": "Rome", "day": "2026-12-01", "list": gone }), "is not kept any more"),
        (json!({ "city": ["Rome"], "day": "2026-12-01", "list": list }), "must be a text"),
        (json!(["Rome", "2026-12-01", "20", list, "more"]), "one too many"),
    ];
    for (args, said) in &cases {
        for path in ["/scripts/run", "/scripts/rehearse"] {
            let why = site.post(path, &json!({ "script": "main.lua", "args": args })).refused(400);
            assert!(why.contains(said), "{args}: {why}");
        }
    }
    // A key that is there twice has no one value.
    let bearer = format!("Bearer {}", site.operate);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let named = format!("\"day\": \"2026-12-01\", \"list\": \"{list}\"");
    for (body, key) in [
        (format!(r#"{{"script": "main.lua", "args": {{"city": "Rome", {named}, "city": "Oslo"}}}}"#), "city"),
        (r#"{"script": "main.lua", "args": [], "script": "other.lua"}"#.to_owned(), "script"),
    ] {
        for path in ["/scripts/run", "/scripts/rehearse"] {
            let why = site.ask_with(&format!("POST {path}"), &headers, body.as_bytes()).refused(400);
            assert!(why.contains(&format!("the key \"{key}\" appears twice")), "{body}: {why}");
        }
    }
    let by_place = rehearsed(&site, &json!(["Rome", "2026-12-01", "20", list]));
    assert_eq!(by_place["args"][0], "city=Rome", "{by_place:#}");
    site.ask("GET /rehearsals/999").refused(404);
    assert_eq!(site.json("/runs"), json!([]));
    assert_eq!(recipients(&service), [] as [String; 0]);
    site.serving.stop().exits(0);
}

#[test]
fn hostile_uploads_are_refused_with_words() {
    let (_service, site) = site();
    for (name, content, said) in [
        ("..%2Fa.csv", &b"x"[..], "must be the name of a file"),
        ("a%00.csv", b"x", "must be the name of a file"),
        ("a%5Cb.csv", b"x", "must be the name of a file"),
        (".csv", b"x", "must be the name of a file"),
        (".env", b"x", "must be the name of a file"),
        ("", b"x", "must be the name of a file"),
        ("a.csv", b"", "is empty"),
    ] {
        let why = upload(&site, name, content).refused(400);
        assert!(why.contains(said), "{name}: {why}");
    }
    let large = vec![b'a'; 16 * 1024 * 1024 + 300 * 1024];
    assert_eq!(upload(&site, "a.csv", &large).status, 413);
    assert_eq!(upload(&site, "a.csv", &large[..=16 * 1024 * 1024]).status, 400);
    assert_eq!(upload(&site, "a.csv", &large[..16 * 1024 * 1024]).status, 201);
    // A cell that begins like a formula is text here, in each encoding.
    for name in ["a.csv", "a.xlsx"] {
        assert_eq!(upload(&site, name, b"group_id,name\n1,=SUM(1)\n").status, 201, "{name}");
    }
    // A suffix that the form does not name.
    let text = upload(&site, "a.txt", b"101").json()["value"].clone();
    let args = json!({ "city": "Rome", "day": "2026-12-01", "list": text });
    let why = site.post("/scripts/run", &json!({ "script": "main.lua", "args": args })).refused(400);
    assert!(why.contains("ends with .csv or .xlsx"), "{why}");
    // A caller without the role may not send a long body, and no other route accepts one.
    let bearer = format!("Bearer {}", site.read);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/octet-stream")];
    let long = &large[..200 * 1024];
    assert_eq!(site.ask_with("POST /run-files?name=a.csv", &headers, long).status, 403);
    assert_eq!(site.ask_with("POST /run-files?name=a.csv", &headers[1..], long).status, 401);
    assert_eq!(site.ask_with("POST /scripts/run", &headers, long).status, 413);
    site.serving.stop().exits(0).never_says("panicked");
}

#[test]
fn a_restart_keeps_the_list_and_the_rehearsal() {
    let (service, site) = site();
    let args = json!({ "city": "Rome", "day": "2026-12-01", "list": kept(&site, LIST) });
    let plan = rehearsed(&site, &args)["plan"].clone();
    let Site { project, serving, operate, read, .. } = site;
    serving.stop().exits(0);
    let command = project.command_against(&service, &["serve", "--listen", "127.0.0.1:0"]);
    let (serving, address) = super::listening(command);
    let site = Site { project, serving, address, operate, read };
    assert_eq!(site.json("/rehearsals/1")["plan"], plan);
    site.until("/scripts", |scripts| scripts[0]["script"]["version"].is_string());
    let asked = site.post("/scripts/run", &json!({ "script": "main.lua", "args": args, "plan": plan }));
    assert_eq!(asked.status, 202, "{asked:?}");
    assert_eq!(ended(&site, 1)["state"], "done");
    assert_eq!(recipients(&service).len(), 4);
    site.serving.stop().exits(0);
}

#[test]
fn the_command_line_gives_the_daemon_a_file_and_a_failing_script_has_no_plan() {
    let project = Project::with_script(INVITE).file("list.csv", LIST);
    let site = Site::of(project);
    site.until("/scripts", |scripts| {
        scripts[0]["script"]["form"].as_array().is_some_and(|form| form.len() == 4)
    });
    let run =
        ["jobs", "--simulator", "run-script", "main.lua", "city=Rome", "day=2026-12-01", "list=list.csv"];
    let mut command = site.project.command(&run);
    assert!(command.current_dir(site.project.path(".")).output().unwrap().status.success());
    assert_eq!(ended(&site, 1)["state"], "done");
    site.project.mooncast(&run[..6]).exits(2).says("`list` is missing");
    let view =
        rehearsed(&site, &json!({ "city": "X", "day": "2026-12-01", "list": kept(&site, "name\nAnn\n") }));
    assert!(view["plan"].is_null(), "{view:#}");
    assert_eq!(view["report"]["outcome"], "failed");
    assert!(view["report"]["error"]["message"].as_str().unwrap().contains("group_id"), "{view:#}");
    site.serving.stop().exits(0);
}

#[test]
fn a_run_that_is_held_to_a_plan_goes_on_after_a_kill_with_the_same_plan() {
    let service = Service::accepting();
    let project = Project::with_script(INVITE).file("mooncast.toml", "[approval]\nover = 2\n");
    let site = Site::of_against(project, &service);
    site.until("/scripts", |scripts| scripts[0]["script"]["version"].is_string());
    let args = json!({ "city": "Rome", "day": "2026-12-01", "list": kept(&site, LIST) });
    let plan = rehearsed(&site, &args)["plan"].clone();
    let asked = site.post("/scripts/run", &json!({ "script": "main.lua", "args": args, "plan": plan }));
    assert_eq!(asked.status, 202, "{asked:?}");
    // Its test message is sent, and then it waits.
    let awaiting = "/broadcasts?state=awaiting_approval";
    site.until(awaiting, |page| page["broadcasts"][0]["waits_for"]["kind"] == "approval");
    assert_eq!(recipients(&service), ["900"]);
    let Site { project, serving, operate, read, .. } = site;
    serving.kill();
    let command = project.command_against(&service, &["serve", "--listen", "127.0.0.1:0"]);
    let (serving, address) = super::listening(command);
    let site = Site { project, serving, address, operate, read };
    site.until(&format!("/runs?job={NAME}"), |runs| runs[0]["attempt"] == 2);
    site.until(awaiting, |page| page["broadcasts"][0]["waits_for"]["kind"] == "approval");
    let bob = crate::approval::token(&site.project, "bob", &["--role", "approver"]);
    let broadcast = crate::approval::awaited(&site);
    assert_eq!(crate::approval::approve(&site, &broadcast, &bob).status, 200);
    let run = ended(&site, 1);
    assert_eq!(
        (&run["state"], &run["attempt"], &run["note"]),
        (&json!("done"), &json!(2), &Value::Null),
        "{run:#}"
    );
    let mut all = recipients(&service);
    all.sort();
    assert_eq!(all, ["101", "102", "103", "900"], "each message is sent once");
    site.serving.stop().exits(0);
}

#[test]
fn a_rehearsal_takes_no_more_memory_than_a_run() {
    let script = r#"
    function main(args)
      local value = {}
      for i = 1, 10000 do value[i] = 1 end
      for i = 1, tonumber(args[1]) do require("store").set("key " .. i, value) end
    end"#;
    let settings = "[scripts]\nmemory = \"16MiB\"\nhost_memory = \"1MiB\"\n";
    let site = Site::of(Project::with_script(script).file("mooncast.toml", settings));
    site.until("/scripts", |scripts| scripts[0]["script"]["version"].is_string());
    // What a rehearsal lists of it takes some 300 KiB a value.
    let refused = rehearsed(&site, &json!(["600"]));
    assert_eq!(refused["state"], "failed", "{refused:#}");
    let why = refused["error"].as_str().unwrap();
    assert!(
        why.contains("needs more memory than a run may use") && why.contains("`[scripts] memory`"),
        "{why}"
    );
    let taken = rehearsed(&site, &json!(["2"]));
    assert_eq!(taken["state"], "finished", "{taken:#}");
    site.serving.stop().exits(0).never_says("panicked");
}

#[test]
fn uploads_that_are_kept_have_256_mebibytes_together() {
    let (_service, site) = site();
    let list = |many: usize| format!("group_id\n{}", "7\n".repeat(many));
    kept(&site, &list(1));
    // A row that counts as a large file. What is left is as much as the list of ten has.
    let rest = 256 * 1024 * 1024 - list(1).len() - list(10).len();
    site.project.run_in_store(&format!(
        "INSERT INTO run_files (hash, bytes, content, stored_at) VALUES ('large', {rest}, 'x', 9000000000000)"
    ));
    let files = || site.project.in_store("SELECT count(*) FROM run_files");
    let refused = upload(&site, "list.csv", list(11).as_bytes());
    assert!((400..500).contains(&refused.status) && refused.body.contains("268435456 bytes"), "{refused:?}");
    assert_eq!(files(), 2);
    kept(&site, &list(10));
    // What is kept counts once.
    kept(&site, &list(10));
    kept(&site, &list(1));
    assert!((400..500).contains(&upload(&site, "list.csv", b"x").status));
    assert_eq!(files(), 3);
    // A file that no run names makes room a day later.
    site.project.run_in_store("UPDATE run_files SET stored_at = 1 WHERE hash = 'large'");
    kept(&site, &list(11));
    assert_eq!(files(), 3);
    site.serving.stop().exits(0).never_says("panicked");
}

#[test]
fn a_form_that_a_table_declares_is_the_form_of_the_api() {
    let (head, body) = INVITE.split_once("function main").unwrap();
    assert!(head.contains("@arg"));
    let table = format!(
        r#"args = {{
  {{ name = "city", type = "string", help = "The city to invite to" }},
  {{ name = "day", type = "date", help = "The day" }},
  {{ name = "seats", type = "integer", default = 20, help = "How many seats there are" }},
  {{ name = "list", type = "file", extensions = {{ ".csv", ".xlsx" }}, help = "The groups" }},
}}
function main{body}"#
    );
    let (_service, by_head) = site();
    let service = Service::accepting();
    let site = Site::against(&service, &table);
    let scripts = site.until("/scripts", |scripts| {
        scripts[0]["script"]["form"].as_array().is_some_and(|form| form.len() == 4)
    });
    assert_eq!(scripts[0]["script"]["form"], by_head.json("/scripts")[0]["script"]["form"]);
    let wrong = json!({ "script": "main.lua", "args": { "city": "Rome", "day": "tomorrow" } });
    site.post("/scripts/rehearse", &wrong).refused(400);
    let args = json!({ "city": "Rome", "day": "2026-12-01", "seats": 7, "list": kept(&site, LIST) });
    let view = rehearsed(&site, &args);
    assert_eq!(view["report"]["totals"]["recipients"], 3, "{view:#}");
    site.serving.stop().exits(0).never_says("panicked");
    by_head.serving.stop().exits(0);
}
