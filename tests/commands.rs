//! The command line: exit statuses, settings, and each command's output.
//!
//! On a server: in the soak

use std::io::{BufRead, BufReader};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::service::{Service, json};
use crate::support::{Project, Ran};

const HELLO: &str = r#"im.group_send { to = "1", type = "txt", body = { msg = "hello" } }"#;

#[test]
fn without_an_app_a_sending_command_refuses_and_says_how() {
    Project::with_script(HELLO)
        .mooncast(&["run", "scripts/main.lua"])
        .exits(2)
        .says("no app is configured")
        .says("--simulator")
        .says("MOONCAST_BASE_URL");
}

#[test]
fn exit_statuses_say_how_it_ended() {
    Project::with_script(HELLO).run_simulated().exits(0).says("sent to 1 group");
    Project::with_script("error('broken')").run_simulated().exits(1).says("scripts/main.lua:1: broken");
    Project::with_script("x =").run_simulated().exits(1).says("scripts/main.lua:1: unexpected symbol");
    Project::new().mooncast(&["run", "--simulator", "nowhere.lua"]).exits(2).says("nowhere.lua");
    Project::new().mooncast(&["fly"]).exits(2).says("unrecognized subcommand");
    Project::with_script(HELLO)
        .file("mooncast.toml", "[app]\nbase_ulr = 'https://example.com'\n")
        .run_simulated()
        .exits(2)
        .says("mooncast.toml: line 2: unknown field `base_ulr`");

    // The service refuses permanently and the script catches the error. The script finished, and one message was not
    // delivered.
    let service = Service::answering(|_, _| json(400, r#"{"error":"message_send_error"}"#));
    Project::with_script(format!(
        "local ok, e = pcall(function() {HELLO} end) print(ok, e.kind, e.status, e.code)"
    ))
    .run_against(&service)
    .exits(3)
    .prints("false\trejected\t400\tmessage_send_error")
    .says("1 rejected");
}

#[test]
fn main_gets_the_arguments() {
    Project::with_script("print('top', arg[1]) function main(args) print('main', #args, args[2]) end")
        .mooncast(&["run", "--simulator", "scripts/main.lua", "one", "--two"])
        .exits(0)
        .prints("top\tone\nmain\t2\t--two\n");
}

#[test]
fn flags_are_over_the_environment_and_that_over_the_file() {
    let script = HELLO;
    let settings = |url: &str| {
        format!("[app]\nbase_url = '{url}'\norg = 'file'\nname = 'file'\ntoken = 'of-the-file'\n")
    };
    let path = |args: &[&str], variables: &[(&str, &str)]| {
        let service = Service::accepting();
        let project = Project::with_script(script).file("mooncast.toml", settings(&service.url()));
        let mut all = vec!["run"];
        all.extend(args);
        all.push("scripts/main.lua");
        let mut command = project.command(&all);
        for (name, value) in variables {
            command.env(name, value);
        }
        Ran::of(&command.output().unwrap()).exits(0);
        let request = service.requests().remove(0);
        format!("{} {}", request.path, request.header("authorization").unwrap())
    };
    assert_eq!(path(&[], &[]), "/file/file/messages/chatgroups Bearer of-the-file");
    let variables = [("MOONCAST_ORG", "env"), ("MOONCAST_TOKEN", "of-the-env")];
    assert_eq!(path(&[], &variables), "/env/file/messages/chatgroups Bearer of-the-env");
    assert_eq!(path(&["--org", "flag"], &variables), "/flag/file/messages/chatgroups Bearer of-the-env");
}

#[test]
fn a_project_can_say_that_it_sends_to_the_simulator() {
    Project::with_script(HELLO)
        .file("mooncast.toml", "simulator = true\n")
        .mooncast(&["run", "scripts/main.lua"])
        .exits(0)
        .says("sent to 1 group");
}

#[test]
fn the_limits_of_the_settings_are_in_force_on_the_simulator_too() {
    let settings = "simulator = true\n[app.limits]\ngroup_per_second = 70\n";
    let project = Project::with_script("print(im.limits.group_per_second)").file("mooncast.toml", settings);
    project.mooncast(&["run", "scripts/main.lua"]).exits(0).prints("70");
    project.write("mooncast.toml", "[app.limits]\nshare = 2.0\n");
    project.mooncast(&["run", "scripts/main.lua"]).exits(2).says("[app].limits share: 2 must be over 0");
}

#[test]
fn log_lines_are_json_where_asked() {
    let ran = Project::with_script("require('log').warn('a word', { group = 5 })")
        .mooncast(&["run", "--simulator", "--log-format", "json", "scripts/main.lua"])
        .exits(0);
    let line: serde_json::Value = serde_json::from_str(ran.stderr.lines().next().unwrap()).unwrap();
    assert_eq!(line["message"], "a word");
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["fields"], r#"{"group":5}"#);
    assert_eq!(line["script"], "scripts/main.lua:1");
}

#[test]
fn prints_that_find_no_room_are_told() {
    let project = Project::with_script(format!("print('a word')\n{HELLO}"));
    let mut command = project.command(&["run", "--simulator", "scripts/main.lua"]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = command.stdout(full).output().unwrap();
    Ran::of(&output).exits(1).says("sent to 1 group").says("standard output: No space left");
}

#[test]
fn settings_are_refused_in_words() {
    for (settings, words) in [
        (
            "[app.limits]\ngroup_per_second = '20'",
            "[app.limits] group_per_second is '20', but must be a whole number",
        ),
        ("[permissions]\nnet = ['http://x.example/y']", "`http://x.example/y` names no host"),
    ] {
        let project = Project::with_script("print(1)").file("mooncast.toml", settings);
        project.mooncast(&["run", "--simulator", "scripts/main.lua"]).exits(2).says(words);
        project.mooncast(&["check"]).exits(2).says(words);
    }
    Project::with_script("print(1)")
        .mooncast(&["run", "--simulator", "--allow-net", "http://x.example", "scripts/main.lua"])
        .exits(2)
        .says("like `x.example`");
}

#[test]
fn a_script_named_as_a_module_does_not_hide_it_from_itself() {
    Project::new()
        .file("scripts/retry.lua", "print(type(require('retry').call))")
        .mooncast(&["run", "--simulator", "scripts/retry.lua"])
        .exits(0)
        .prints("function");
}

#[test]
fn check_names_file_line_and_reason_and_sends_nothing() {
    let service = Service::accepting();
    let project = Project::new()
        .file("scripts/good.lua", format!("local list = require('list')\n{HELLO}\nerror('never reached')"))
        .file("scripts/lib/list.lua", "return {}")
        .file("scripts/syntax.lua", "local x = 1\nif x then\n")
        .file("scripts/misspelt.lua", "\nim.group_sned { to = '1' }\n")
        .file("scripts/field.lua", "im.group_send { to = '1', typ = 'txt', body = { msg = 'x' } }")
        .file("scripts/breaks.lua", "local t = nil\n\nprint(t.x)\n")
        .file("scripts/module.lua", "require('nowhere')");
    let ran = Ran::of(&project.command_against(&service, &["check"]).output().unwrap()).exits(1);
    for expected in [
        "scripts/syntax.lua:",
        "scripts/misspelt.lua:2:",
        "`group_send`",
        "scripts/field.lua:1:",
        "scripts/breaks.lua:3: attempt to index a nil value (local 't')",
        "scripts/module.lua:1:",
    ] {
        assert!(ran.stdout.contains(expected), "no {expected} in {ran:#?}");
    }
    assert!(!ran.stdout.contains("good.lua"), "{ran:#?}");
    assert!(service.requests().is_empty());
    Ran::of(&project.command_against(&service, &["check", "scripts/good.lua"]).output().unwrap())
        .exits(0)
        .prints("1 script: no problems");
}

#[test]
fn check_does_not_blame_a_script_for_the_arguments_it_lacks() {
    let project = Project::new()
        .file("scripts/wants.lua", "local function need(x)\n  if not x then error('usage: GROUP') end\n  return x\nend\nlocal group = need(arg[1])\nprint(group)")
        .file("scripts/values.lua", "local group = ...\nif not group then error({ message = 'which group?' }) end")
        .file("scripts/words.lua", "if arg[1] == nil then error('usage', 0) end");
    project
        .mooncast(&["check"])
        .exits(0)
        .prints("scripts/wants.lua:2: usage: GROUP (only a note: the script takes arguments")
        .prints("scripts/values.lua:2: (error value is a table) which group? (only a note")
        .prints("scripts/words.lua:1: usage (only a note")
        .prints("3 scripts: no problems");
    project.write("scripts/wants.lua", "local t\nprint(t.x)\nprint(arg[1])");
    project
        .mooncast(&["check"])
        .exits(1)
        .prints("scripts/wants.lua:2: attempt to index")
        .prints("3 scripts: 1 problem");
}

#[test]
fn check_finds_the_projects_scripts_from_any_folder_of_it() {
    let project = Project::with_script(HELLO).file("mooncast.toml", "").file("data/lists/a.csv", "");
    let mut command = project.command(&["check"]);
    command.current_dir(project.path("data/lists"));
    Ran::of(&command.output().unwrap()).exits(0).prints("1 script: no problems");
    let folder = project.path("").display().to_string();
    let mut command = project.command(&["check", "--project", &folder]);
    command.current_dir("/");
    Ran::of(&command.output().unwrap()).exits(0).prints("1 script: no problems");
}

#[test]
fn doctor_looks_at_everything_and_sends_nothing() {
    Project::new()
        .mooncast(&["doctor", "--simulator"])
        .exits(0)
        .prints("ok   app default: the service answers and accepts the token");
    let service = Service::answering(|_, _| json(401, r#"{"error":"unauthorized"}"#));
    let project = Project::new();
    let ran = Ran::of(&project.command_against(&service, &["doctor"]).output().unwrap());
    ran.exits(1).prints("BAD  app default").never_says("a-fixed-token");
    assert!(service.messages().is_empty());
}

#[test]
fn completions_are_there_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        Project::new().mooncast(&["completions", shell]).exits(0).prints("mooncast");
    }
}

#[test]
fn a_run_is_stopped_at_its_timeout() {
    Project::with_script("require('task').sleep(1000)")
        .mooncast(&["run", "--simulator", "--timeout", "100ms", "scripts/main.lua"])
        .exits(1)
        .says("timeout of 0.1 s");
}

#[test]
fn the_simulator_serves_another_process_and_records_what_it_received() {
    let project = Project::with_script(HELLO);
    let mut simulator = Project::start(project.command(&[
        "sim",
        "--strict",
        "--listen",
        "127.0.0.1:0",
        "--record",
        "received.jsonl",
    ]));
    let mut welcome = BufReader::new(simulator.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut command = project.command(&["run", "scripts/main.lua"]);
    for line in welcome.by_ref() {
        if let Some((name, value)) = line.strip_prefix("export ").and_then(|line| line.split_once('=')) {
            command.env(name, value);
        } else {
            assert!(line.starts_with("# "), "{line}");
        }
        if line.contains("Ctrl-C ends it") {
            break;
        }
    }
    Ran::of(&command.output().unwrap()).exits(0).says("sent to 1 group");
    kill_process(Pid::from_child(&simulator), Signal::INT).unwrap();
    assert!(simulator.wait().unwrap().success());
    assert!(welcome.next().unwrap().starts_with("1 group message"));
    let record = std::fs::read_to_string(project.path("received.jsonl")).unwrap();
    assert_eq!(record.lines().count(), 1, "{record}");
}

#[test]
fn what_sends_nothing_to_the_app_needs_no_credentials() {
    let project =
        Project::with_script(HELLO).file("mooncast.toml", "[app]\nbase_url = 'https://a1.example.com'\n");
    project.mooncast(&["run", "scripts/main.lua"]).exits(2).says("org is not set");
    project.run_simulated().exits(0).says("sent to 1 group");
    project.mooncast(&["doctor", "--simulator"]).exits(0);
    project.mooncast(&["check"]).exits(0).prints("no problems");
}

fn read(project: &Project, path: &str) -> String {
    std::fs::read_to_string(project.path(path)).unwrap()
}

#[test]
fn stubs_of_an_older_version_are_written_anew() {
    let project = Project::new();
    project.write("mooncast.toml", "simulator = true\n");
    project.write(".luals/im.lua", "-- of an older version");
    project.write(".luals/mine.lua", "-- kept");
    project.mooncast(&["stubs"]).exits(0).prints("changed").prints(".luals/mine.lua is not a stub");
    assert!(read(&project, ".luals/im.lua").contains("group_send"));
    assert_eq!(read(&project, ".luals/mine.lua"), "-- kept");
    assert!(read(&project, ".luarc.json").contains(".luals"));
    project.mooncast(&["stubs"]).exits(0).prints(" 0 changed");

    // A folder that is no project stays as it is, unless it is named.
    let folder = tempfile::tempdir().unwrap();
    let stubs = |args: &[&str]| Ran::of(&project.within(args).current_dir(folder.path()).output().unwrap());
    stubs(&["stubs"]).exits(2).says("is no project, because it has no mooncast.toml; nothing was written");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    stubs(&["stubs", "--project", "."]).exits(0).prints("changed");
    assert!(folder.path().join(".luals/im.lua").is_file());

    project.write(".luarc.json", "{}");
    project.mooncast(&["stubs"]).exits(0).prints("add it to `workspace.library`");
    assert_eq!(read(&project, ".luarc.json"), "{}");
}

#[test]
fn no_other_app_may_have_the_name_of_the_one_in_app() {
    let settings = "[apps.default]\nbase_url = 'http://127.0.0.1:9'\norg = 'o'\nname = 'n'\n";
    Project::with_script("print('hello')")
        .file("mooncast.toml", settings)
        .mooncast(&["run", "scripts/main.lua", "--simulator"])
        .exits(2)
        .says("[apps.default]: `default` is the name of the app in [app]; give this app another name");
}
