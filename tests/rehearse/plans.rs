//! A run that is held to its rehearsed plan.

use super::*;

/// Time, randomness, a file, a list and a single send: everything that a plan must fix.
const PLANNED: &str = r#"
    local file = im.upload("note.txt")
    require("task").sleep(0.01)
    im.group_send({ to = "g9", type = "txt", body = { msg = "at " .. os.time() .. " " .. math.random() } })
    im.broadcast { name = "news", to = "list.csv", message = function(row)
      return { type = "file", body = { file = file }, ext = { at = os.date("!%c"), luck = math.random(), row = row.name } }
    end }
"#;

#[test]
fn a_run_sends_what_was_rehearsed_and_nothing_else() {
    let service = Service::answering(|count, request| {
        if request.path.ends_with("/chatfiles") {
            return service::json(
                200,
                &format!(
                    r#"{{"uri":"https://files.example/chatfiles","entities":[{{"uuid":"u{count}","type":"chatfile","share-secret":"s{count}"}}]}}"#
                ),
            );
        }
        service::accept(count, request)
    });
    let project = Project::with_script(PLANNED)
        .file("note.txt", "a note")
        .file("list.csv", "group_id,name\ng1,Ann\ng2,Bob\n");
    let run = |args: &[&str]| Ran::of(&project.command_against(&service, args).output().unwrap());
    let ran = run(&["rehearse", "--json", "scripts/main.lua"]).exits(0);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let plan = report["plan"].as_str().unwrap();
    assert_eq!(report["command"], format!("mooncast run --plan {plan} scripts/main.lua"));
    assert!(service.requests().is_empty());

    let held = ["run", "--plan", plan, "scripts/main.lua"];
    for (path, content, says) in [
        ("list.csv", "group_id,name\ng1,Ann\ng2,Bob\ng3,Eve\n", "3 messages were rehearsed, now 4"),
        ("list.csv", "group_id,name\ng1,Ann\ng2,Bill\n", "its 3 messages or their recipients have changed"),
        ("list.csv", "group_id,name\ng1,Ann\n,Bob\n", "a message breaks a limit"),
        ("note.txt", "another note", "broadcast `news` (run 1) with 2 recipients"),
        ("scripts/main.lua", &PLANNED.replace("\"at \"", "\"then \""), "does not send what was rehearsed"),
        (
            "scripts/main.lua",
            "error('no')",
            "failed, but it did not fail in its rehearsal: scripts/main.lua:1: no",
        ),
    ] {
        let kept = std::fs::read(project.path(path)).unwrap();
        project.write(path, content);
        run(&held).exits(2).says("nothing was sent").says(says);
        project.write(path, kept);
    }
    assert!(service.requests().is_empty(), "{:#?}", service.requests());
    assert!(!project.path(".mooncast").exists());

    run(&held).exits(0).says("sent to 3 groups");
    let messages = service.messages();
    assert_eq!(messages.len(), 3);
    // The messages equal the shown ones, except for the file's URL.
    let shown = &report["broadcasts"][0]["samples"][0]["message"];
    let sent = messages.iter().find(|message| message["to"][0] == "g1").unwrap();
    assert_eq!(sent["ext"], shown["ext"]);
    assert_eq!(sent["body"]["url"], "https://files.example/chatfiles/u0");
    // A second run finds the broadcast finished, as any run does.
    run(&held).exits(0).says("nothing is sent again");
    run(&["run", "--plan", "nonsense", "scripts/main.lua"]).exits(2).says("it is not a plan");
}

#[test]
fn a_plan_binds_the_recalls() {
    const SEND: &str = r#"local sent = im.group_send({ to = { "g1", "g2" }, type = "txt", body = { msg = "a" } })
"#;
    let service = Service::accepting();
    let project = Project::with_script(SEND);
    let run = |args: &[&str]| Ran::of(&project.command_against(&service, args).output().unwrap());
    let plan = || {
        let ran = run(&["rehearse", "--json", "scripts/main.lua"]).exits(0);
        serde_json::from_str::<Value>(&ran.stdout).unwrap()["plan"].as_str().unwrap().to_owned()
    };
    run(&[
        "eval",
        "--yes",
        r#"im.broadcast({ name = "q2", to = { "g1" }, message = { type = "txt", body = { msg = "b" } } })"#,
    ])
    .exits(0);
    let before = service.requests().len();
    let without = plan();
    for recall in [r#"im.recall({ broadcast = "q2" })"#, "im.recall(sent)", r#"im.recall({ g9 = "1" })"#] {
        project.write("scripts/main.lua", format!("{SEND}{recall}\n"));
        let ran = run(&["run", "--plan", &without, "scripts/main.lua"]);
        assert!(ran.status != Some(0) && service.requests().len() == before, "{recall}: {ran:#?}");
    }
    // A rehearsed recall is made, whatever ids its messages get, and no other one.
    project.write("scripts/main.lua", format!("{SEND}im.recall(sent)\n"));
    let with = plan();
    project.write("scripts/main.lua", format!("{SEND}im.recall(sent, {{ note = 'x' }})\n"));
    let ran = run(&["run", "--plan", &with, "scripts/main.lua"]);
    assert!(ran.status != Some(0) && service.requests().len() == before, "{ran:#?}");
    project.write("scripts/main.lua", format!("{SEND}pcall(im.recall, sent)\n"));
    run(&["run", "--plan", &with, "scripts/main.lua"]).exits(0);
    assert!(service.requests()[before..].iter().any(|request| request.path.contains("recall")));
}

#[test]
fn a_plan_is_for_one_app() {
    let service = Service::accepting();
    let project = Project::with_script(r#"im.group_send({ to = "g1", type = "txt", body = { msg = "x" } })"#);
    let (report, ran) = rehearse(&project, &["--simulator"]);
    ran.exits(0);
    let plan = report["plan"].as_str().unwrap().to_owned();
    let held = ["run", "--plan", &plan, "scripts/main.lua"];
    Ran::of(&project.command_against(&service, &held).output().unwrap())
        .exits(2)
        .says("or the app changed since the rehearsal");
    assert!(service.requests().is_empty());
    project.mooncast(&["run", "--simulator", "--plan", &plan, "scripts/main.lua"]).exits(0);
}
