//! `--env`: the settings of an environment over those of the project, and its own ledger, page and daemon.
//!
//! Store: file

use std::process::Command;

use serde_json::json;

use crate::support::service::{Service, accept, json as answer};
use crate::support::{Project, Ran};
use crate::web::{listening, request, token_in};

const SEND: &str = r#"im.group_send({ to = "1", type = "txt", body = { msg = "m" } }, { once = "first" })"#;

/// A service that has no groups to list.
fn service() -> Service {
    Service::answering(|number, request| match request.method.as_str() {
        "GET" => answer(200, r#"{"data":[],"count":0}"#),
        _ => accept(number, request),
    })
}

/// A project with two apps at the service: one of its own, and one of the environment `staging`.
fn project(service: &Service) -> Project {
    let url = service.url();
    Project::with_script(SEND)
        .file(
            "mooncast.toml",
            format!(
                "[app]\nbase_url = \"{url}\"\norg = \"o\"\nname = \"live\"\ntoken = \"t\"\n[permissions]\nnet = [\"a\", \"b\"]\n"
            ),
        )
        .file("mooncast.staging.toml", "[app]\nname = \"try\"\n[permissions]\nnet = [\"c\"]\n")
}

fn run(command: &mut Command) -> Ran {
    Ran::of(&command.output().unwrap())
}

/// Returns a command that keeps the ledgers in files: on a server, two environments would need two servers.
fn command(project: &Project, args: &[&str]) -> Command {
    project.within(args)
}

#[test]
fn an_environment_sends_through_its_own_app_and_remembers_for_itself() {
    let service = service();
    let project = project(&service);
    let script = "scripts/main.lua";
    run(&mut command(&project, &["run", script])).exits(0).says("sent to 1 group").never_says("[staging]");
    // What was sent in one does not count in the other.
    run(&mut command(&project, &["--env", "staging", "run", script]))
        .exits(0)
        .says("[staging] sent to 1 group");
    run(command(&project, &["run", script]).env("MOONCAST_ENV", "staging")).exits(0);
    run(command(&project, &["run", script]).env("MOONCAST_ENV", "")).exits(0);
    let paths: Vec<String> = service.requests().iter().map(|request| request.path.clone()).collect();
    assert_eq!(paths, ["/o/live/messages/chatgroups", "/o/try/messages/chatgroups"]);
    assert!(project.path(".mooncast/ledger.db").is_file());
    assert!(project.path(".mooncast/env/staging/ledger.db").is_file());
    let file = project.path("mooncast.staging.toml");
    run(&mut command(&project, &["--env", "staging", "doctor"]))
        .exits(0)
        .prints(&format!("staging: {} is laid over mooncast.toml", file.display()));
    // Files are of the project, and not of the environment.
    let shared = "data/ is shared by all environments";
    let doctor = |args: &[&str]| run(&mut command(&project, args)).exits(0).stdout;
    assert!(!doctor(&["--env", "staging", "doctor"]).contains(shared));
    let writes = "require('fs').write('data/a.csv', 'written')";
    run(&mut command(&project, &["--env", "staging", "eval", writes])).exits(0);
    assert_eq!(std::fs::read_to_string(project.path("data/a.csv")).unwrap(), "written");
    run(&mut command(&project, &["eval", "return require('fs').read('data/a.csv')"]))
        .exits(0)
        .prints("written");
    assert!(doctor(&["--env", "staging", "doctor"]).contains(shared));
    assert!(!doctor(&["doctor"]).contains(shared));
}

#[test]
fn an_exported_address_of_another_app_is_refused_with_an_environment() {
    let service = service();
    let project = project(&service);
    let exported = |name: &str, value: &str, args: &[&str]| run(command(&project, args).env(name, value));
    let staging = ["--env", "staging", "run", "scripts/main.lua"];
    exported("MOONCAST_APP", "live", &staging)
        .exits(2)
        .says("MOONCAST_APP")
        .says("`live`")
        .says("`try`")
        .says("unset");
    project
        .write("mooncast.staging.toml", format!("[app]\nbase_url = \"{}\"\nname = \"try\"\n", service.url()));
    exported("MOONCAST_BASE_URL", "http://127.0.0.1:9", &staging)
        .exits(2)
        .says("MOONCAST_BASE_URL")
        .says("127.0.0.1:9");
    let named = run(command(&project, &staging).env("MOONCAST_ENV", "staging").env("MOONCAST_APP", "live"));
    named.exits(2).says("MOONCAST_APP");
    assert_eq!(service.messages().len(), 0);
    // The same address, a flag, and variables without an environment are clear.
    exported("MOONCAST_BASE_URL", &format!("{}/", service.url()), &staging).exits(0);
    exported("MOONCAST_APP", "live", &["--env", "staging", "run", "--app", "other", "scripts/main.lua"])
        .exits(0);
    exported("MOONCAST_APP", "third", &["run", "scripts/main.lua"]).exits(0);
    let paths: Vec<String> = service.requests().iter().map(|request| request.path.clone()).collect();
    assert_eq!(
        paths,
        ["/o/try/messages/chatgroups", "/o/other/messages/chatgroups", "/o/third/messages/chatgroups"]
    );
}

#[test]
fn an_environment_of_the_same_app_is_reported() {
    let service = service();
    let project = project(&service);
    project.write("mooncast.staging.toml", "[scripts]\ntimeout = \"5m\"\n");
    run(&mut command(&project, &["--env", "staging", "doctor"]))
        .exits(1)
        .prints("sends through an app of mooncast.toml, with a ledger of its own");
}

#[test]
fn an_environment_without_a_file_is_refused_with_the_files_that_exist() {
    let service = service();
    let project = project(&service).file("mooncast.eu.toml", "");
    for args in [
        &["run", "scripts/main.lua"][..],
        &["check", "scripts/main.lua"],
        &["rehearse", "scripts/main.lua"],
        &["doctor"],
        &["serve"],
        &["jobs", "list"],
        &["runs", "list"],
        &["top"],
        &["test"],
    ] {
        run(&mut command(&project, &[&["--env", "stagin"], args].concat()))
            .exits(2)
            .says("has no mooncast.stagin.toml; there are mooncast.eu.toml, mooncast.staging.toml");
    }
    run(&mut command(&project, &["--env", "../x", "doctor"])).exits(2).says("1 to 32 of a-z, 0-9 and `-`");
    // What is for no environment does not ask for its file.
    run(command(&project, &["new", "spring"]).env("MOONCAST_ENV", "nope"))
        .exits(0)
        .prints("Created a project in spring");
    run(command(&project, &["stubs"]).env("MOONCAST_ENV", "nope")).exits(0).prints("stubs, ");
    assert!(!project.path("spring/mooncast.nope.toml").exists());
    for same in [&["stubs"][..], &["completions", "bash"], &["man"], &["sim", "--listen", "127.0.0.1:0"]] {
        run(&mut command(&project, &[&["--env", "eu"], same].concat()))
            .exits(2)
            .says(&format!("`mooncast {}` is the same in each environment", same[0]));
    }
    // An error names the file that it is in, and shows no secret.
    project.write("mooncast.eu.toml", "[app]\nclient_secret = 5\norg = [\"x\"]\n");
    run(&mut command(&project, &["--env", "eu", "doctor"])).exits(2).says("mooncast.eu.toml: line 2");
    assert!(service.requests().is_empty());
}

#[test]
fn an_environment_does_not_share_the_store_of_the_project() {
    let service = service();
    let project = project(&service);
    let settings = std::fs::read_to_string(project.path("mooncast.toml")).unwrap();
    project.write("mooncast.toml", format!("store = \"postgres://u:CANARY@localhost:9/db\"\n{settings}"));
    run(&mut command(&project, &["--env", "staging", "doctor"]))
        .exits(2)
        .says("an environment has a ledger of its own; set `store` in")
        .never_says("CANARY");
}

#[test]
fn the_commands_that_a_summary_names_are_for_the_same_environment() {
    let service = Service::answering(|_, _| answer(400, r#"{"error":"message_send_error"}"#));
    let project = project(&service);
    project.write(
        "scripts/main.lua",
        "im.broadcast { name = 'news', to = { '1' }, message = { type = 'txt', body = { msg = 'm' } } }",
    );
    run(&mut command(&project, &["--env", "staging", "run", "scripts/main.lua"]))
        .says("mooncast --env staging runs retry news --run 1");
    run(&mut command(&project, &["--env", "staging", "runs", "list"])).exits(0).prints("news/1");
    run(&mut command(&project, &["runs", "list"]))
        .exits(2)
        .says("nothing was sent")
        .never_says("environment:");
    for words in [
        &["runs", "list"][..],
        &["runs", "show", "news"],
        &["jobs", "list"],
        &["hosts"],
        &["tokens", "list"],
        &["audit"],
        &["suppress", "list"],
        &["store", "check"],
    ] {
        let shown = run(&mut command(&project, &[&["--env", "staging"], words].concat()));
        assert!(shown.stderr.starts_with("environment: staging\n"), "{words:?}: {shown:?}");
    }
    run(&mut command(&project, &["--env", "staging", "top", "--once"])).exits(0).prints(" [staging]");
    run(&mut command(&project, &["--env", "staging", "rehearse", "scripts/main.lua"]))
        .prints("Rehearsed scripts/main.lua in the environment staging: nothing was sent.");
}

#[test]
fn scripts_reach_neither_the_settings_nor_the_state_of_any_environment() {
    let service = service();
    let project = project(&service);
    project.write("mooncast.staging.toml", "[app]\nname = \"CANARY-try\"\n[permissions]\nwrite = [\".\"]\n");
    project.write(
        "scripts/main.lua",
        r#"local fs = require("fs")
        for _, path in ipairs { "mooncast.staging.toml", "Mooncast.Staging.toml", ".mooncast/env/staging/ledger.db" } do
          local read, what = pcall(fs.read, path)
          print(path, read, what)
          print(path, pcall(fs.write, path, "x"))
        end"#,
    );
    for env in [&[][..], &["--env", "staging"]] {
        let ran = run(&mut command(&project, &[env, &["run", "scripts/main.lua"]].concat())).exits(0);
        assert_eq!(ran.stdout.matches("\tfalse\t").count(), 6, "{ran:?}");
        assert!(!ran.stdout.contains("CANARY"), "{ran:?}");
    }
}

#[test]
fn the_page_and_the_api_show_the_environment_and_a_changed_file_is_applied() {
    let project = Project::with_script("print('there')")
        .file("mooncast.toml", "simulator = true\n[permissions]\nenv = [\"HOME\"]\n")
        .file("mooncast.eu-2.toml", "[scripts]\ncpu = \"5s\"\n");
    let env = ["--env", "eu-2"];
    let tokens = run(&mut command(&project, &[&env[..], &["tokens", "renew"]].concat())).exits(0).stdout;
    let token = token_in(&tokens, "read");
    let (serving, address) =
        listening(command(&project, &[&env[..], &["serve", "--listen", "127.0.0.1:0"]].concat()));
    let page = request(&address, "GET /login", &[], b"").body;
    assert!(page.contains("<header class=\"top env env-"), "{page}");
    assert!(page.contains(">eu-2</span>") && page.contains("[eu-2] "), "{page}");
    let bearer = format!("Bearer {token}");
    let overview =
        request(&address, "GET /api/v1/overview", &[("authorization", bearer.as_str())], b"").json();
    assert_eq!(overview["env"], json!("eu-2"));
    project.write("mooncast.eu-2.toml", "[scripts]\ncpu = \"6s\"\n");
    serving.says("[scripts]", 1);
    serving.stop().exits(0);
}

#[test]
fn a_new_project_has_the_file_of_the_environment_that_it_is_made_for() {
    let project = Project::new();
    let made = run(&mut command(&project, &["--env", "staging", "new", "spring"])).exits(0);
    made.prints("mooncast.staging.toml is laid over mooncast.toml by --env staging");
    let text = std::fs::read_to_string(project.path("spring/mooncast.staging.toml")).unwrap();
    assert!(text.contains("name = \"your-app-staging\"") && !text.contains("NAME"), "{text}");
    let spring = project.path("spring");
    let at = spring.to_str().unwrap();
    run(&mut command(&project, &["--project", at, "--env", "staging", "doctor", "--simulator"]))
        .exits(0)
        .prints("is laid over mooncast.toml");
    let script = spring.join("scripts/hello.lua");
    run(&mut command(&project, &["--env", "staging", "run", script.to_str().unwrap()]))
        .exits(0)
        .says("[staging] sent to");
    assert!(spring.join(".mooncast/env/staging").is_dir() && !spring.join(".mooncast/ledger.db").exists());
    // A name that is none makes no project.
    run(&mut command(&project, &["--env", "../x", "new", "autumn"])).exits(2).says("1 to 32 of a-z");
    assert!(!project.path("autumn").exists());
}
