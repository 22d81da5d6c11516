//! "Run this script now with these arguments": over the API and from the command line, to its end, whatever happens.

use serde_json::{Value, json};

use super::Site;
use crate::support::{Project, service::Service};

const GREET: &str = "local schedule = require('schedule')
schedule.every('24h', { name = 'never mind' }, function() print('the job') end)
print('top level')
function main(args)
  print('main', #args, args[1], args[2])
  if args[1] == 'fail' then error('as was wanted') end
  if args[1] == 'wait' then require('task').sleep(100000) end
  im.broadcast { name = 'greetings', to = { '1', '2', '3' }, message = { from = 'a', type = 'txt', body = { msg = args[2] } } }
end";

const NAME: &str = "run%20scripts%2Fmain.lua";

fn run(site: &Site, args: &Value) -> String {
    site.until("/scripts", |scripts| !scripts.as_array().unwrap().is_empty());
    let asked = site.post("/scripts/run", &json!({ "script": "scripts/main.lua", "args": args }));
    assert_eq!(asked.status, 202, "{asked:?}");
    asked.json()["run"].as_str().unwrap().to_owned()
}

#[test]
fn a_script_runs_with_its_arguments_and_is_recorded() {
    let site = Site::start(GREET);
    let first = run(&site, &json!(["one", "two words; $(not a shell)"]));
    site.until(&format!("/runs?job={NAME}"), |runs| runs[0]["state"] == "done");
    site.serving.prints("main\t2\tone\ttwo words; $(not a shell)", 1);
    let runs = site.json("/runs");
    assert_eq!(runs[0]["job"], "run scripts/main.lua");
    assert_eq!(runs[0]["run"], first.as_str());
    assert_eq!(runs[0]["args"], json!(["one", "two words; $(not a shell)"]));
    assert_eq!(site.json("/scripts")[0]["last"]["run"], first.as_str());
    // As with `mooncast run`, the broadcast is `greetings/1` and is sent once.
    let broadcast = site.json("/broadcasts/1")["broadcast"].clone();
    assert_eq!((&broadcast["name"], &broadcast["run"]), (&json!("greetings"), &json!("1")));
    assert_eq!(broadcast["counts"]["sent"], 3);

    let second = run(&site, &json!([]));
    site.until(&format!("/jobs/{NAME}"), |job| {
        // Its broadcast was sent by the first run.
        job["runs"][0]["run"] == second.as_str() && job["runs"][0]["state"] == "already_sent"
    });
    site.serving.prints("main\t0\tnil\tnil", 1);
    run(&site, &json!(["fail"]));
    site.until(&format!("/jobs/{NAME}"), |job| job["runs"][0]["state"] == "failed");
    let note = site.json("/runs?limit=1")[0]["note"].as_str().unwrap().to_owned();
    assert!(note.contains("scripts/main.lua:6: as was wanted"), "{note}");

    // Requested on the command line, and visible there.
    let jobs = |args: &[&str]| site.project.mooncast(&[&["jobs", "--simulator"], args].concat());
    jobs(&["run-script", "main.lua", "--", "by", "hand"]).exits(0).prints("scripts/main.lua was requested");
    site.serving.prints("main\t2\tby\thand", 1);
    site.until(&format!("/jobs/{NAME}"), |job| job["runs"][0]["state"] == "already_sent");
    jobs(&[]).exits(0).prints("run scripts/main.lua").prints("on request").prints("never mind");
    let shown = jobs(&["show", "run scripts/main.lua"]).exits(0).prints("on request").stdout;
    assert!(shown.contains(r#"with ["by","hand"]"#), "{shown}");
    assert_eq!(shown.matches(" done").count(), 1, "{shown}");
    jobs(&["trigger", "run scripts/main.lua"]).exits(2).says("mooncast jobs run-script scripts/main.lua");
    site.ask(&format!("POST /jobs/{NAME}/pause")).refused(409);
    let ran = site.serving.stop().exits(0);
    assert_eq!(ran.stdout.matches("top level").count(), 4, "{}", ran.stdout);
    assert!(!ran.stdout.contains("the job"), "{}", ran.stdout);
}

#[test]
fn a_script_that_is_unknown_or_stale_is_refused_with_the_reason() {
    let site = Site::of(Project::with_script(GREET).file("scripts/sends.lua", "im.group_send { to = '1' }"));
    let refused =
        |script: &str, status| site.post("/scripts/run", &json!({ "script": script })).refused(status);
    site.until("/scripts", |scripts| scripts.as_array().unwrap().len() == 2);
    assert!(refused("scripts/none.lua", 404).contains("scripts/main.lua, scripts/sends.lua"));
    for outside in ["../main.lua", "/etc/passwd", "scripts/../scripts/main.lua", "", "scripts/"] {
        refused(outside, 404);
    }
    // Its top level sends, so the daemon refuses to load it: it cannot know what the script does.
    assert!(refused("scripts/sends.lua", 409).contains("has failed to load since"));
    site.project.write("scripts/main.lua", "this is no Lua");
    site.until("/scripts", |scripts| scripts[0]["script"]["error"].is_string());
    let why = refused("main.lua", 409);
    assert!(why.contains("scripts/main.lua:1"), "{why}");
    let by_hand = ["jobs", "--simulator", "run-script", "main.lua"];
    site.project.mooncast(&by_hand).exits(2).says("scripts/main.lua has failed to load since");
    site.project
        .mooncast(&["jobs", "--simulator", "run-script", "none.lua"])
        .exits(2)
        .says("there is no script");
    assert_eq!(site.json("/runs"), json!([]));
    site.serving.stop().exits(0);
    site.project.mooncast(&by_hand).exits(2).says("no `mooncast serve` runs");
    // No job can have that name.
    let project = Project::with_script(
        "require('schedule').every('1h', { name = 'run scripts/a.lua' }, function() end)",
    );
    project.mooncast(&["check"]).exits(1).prints("is reserved for runs of a script");
}

#[test]
fn runs_of_a_script_wait_for_each_other_and_can_be_cancelled() {
    let site = Site::start(GREET);
    run(&site, &json!(["wait", "1"]));
    site.serving.prints("main\t2\twait", 1);
    run(&site, &json!(["after", "2"]));
    let runs = site.until(&format!("/runs?job={NAME}"), |runs| runs.as_array().unwrap().len() == 2);
    assert_eq!((&runs[0]["state"], &runs[1]["state"]), (&json!("waiting"), &json!("running")));
    assert_eq!(site.ask(&format!("POST /jobs/{NAME}/cancel")).json()["count"], 2);
    site.until(&format!("/runs?job={NAME}"), |runs| {
        runs.as_array().unwrap().iter().all(|run| run["state"] == "cancelled")
    });
    site.serving.stop().exits(0).never_says("main\t2\tafter");
}

#[test]
fn a_run_that_was_killed_is_entered_again_with_its_arguments_or_interrupted() {
    let service = Service::accepting();
    let site = Site::against(
        &service,
        "function main(args)
          print('begins', args[1])
          if args[1] == 'single' then
            im.group_send { to = '7', from = 'a', type = 'txt', body = { msg = 'single' } }
          else
            im.group_send({ to = '8', from = 'a', type = 'txt', body = { msg = 'once' } }, { once = args[1] })
          end
          print('has sent', args[1])
          require('task').sleep(100000)
        end",
    );
    site.project.write("scripts/other.lua", std::fs::read(site.project.path("scripts/main.lua")).unwrap());
    site.until("/scripts", |scripts| scripts.as_array().unwrap().len() == 2);
    for (script, word) in [("main.lua", "single"), ("other.lua", "with a key")] {
        let asked = site.post("/scripts/run", &json!({ "script": script, "args": [word] }));
        assert_eq!(asked.status, 202, "{asked:?}");
        site.serving.prints(&format!("has sent\t{word}"), 1);
    }
    let Site { project, serving, operate, read, .. } = site;
    serving.kill();
    let command = project.command_against(&service, &["serve", "--listen", "127.0.0.1:0"]);
    let (serving, address) = super::listening(command);
    let site = Site { project, serving, address, operate, read };
    site.serving.prints("begins\twith a key", 1);
    let single = site.until(&format!("/runs?job={NAME}"), |runs| runs[0]["state"] == "interrupted");
    assert!(single[0]["note"].as_str().unwrap().contains("without `once`"), "{single}");
    let other = site.json("/runs?job=run%20scripts%2Fother.lua");
    assert_eq!((&other[0]["state"], &other[0]["attempt"]), (&json!("running"), &json!(2)));
    assert_eq!(other[0]["args"], json!(["with a key"]));
    site.serving.prints("has sent\twith a key", 1);
    site.serving.kill();
    let sent: Vec<String> =
        service.messages().iter().map(|message| message["to"][0].as_str().unwrap().to_owned()).collect();
    assert_eq!(sent, ["7", "8"], "each once");
}
