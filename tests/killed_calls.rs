//! Calls of `im.request` whose process was killed before the answer: a daemon tells that they are in doubt.
//!
//! On a server: in the soak

use serde_json::json;

use crate::requests::{ADD, WIDE, project};
use crate::support::service::{self, Service};
use crate::support::{Project, until};
use crate::web::Site;

#[test]
fn a_daemon_tells_that_a_call_of_a_killed_process_is_in_doubt() {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let service = Service::answering(move |_, request| {
        if request.path.contains("/chatgroups/") {
            // Ends with the test.
            let _ = held.lock().unwrap().recv();
        }
        service::json(200, "{}")
    });
    let receiver = Service::accepting();
    let project = project(&format!("function main()\n{ADD}\nend"));
    project.write("mooncast.toml", format!("{WIDE}\n[alerts]\nurl = \"{}\"\n", receiver.url()));
    let calls = |many: usize| {
        let made = || service.requests().iter().filter(|one| one.path.contains("/chatgroups/")).count();
        until("the call", || made() >= many);
    };
    let texts = || -> Vec<String> {
        receiver.requests().iter().map(|one| one.json()["text"].as_str().unwrap().to_owned()).collect()
    };
    let told = |text: &str| until(text, || texts().iter().any(|told| told.contains(text)));

    // A command is killed while the daemon runs.
    let site = Site::of_against(project, &service);
    let mut child = Project::start(site.project.command_against(&service, &["run", "scripts/main.lua"]));
    calls(1);
    child.kill().unwrap();
    child.wait().unwrap();
    told("1 call of im.request is in doubt");
    let needs = site.until("/overview", |overview| overview["needs"][0]["code"] == "sends_in_doubt");
    assert_eq!(needs["needs"][0]["params"]["n"], "1", "{needs:#}");

    // The daemon itself is killed.
    let asked = site.post("/scripts/run", &json!({ "script": "main.lua" }));
    assert_eq!(asked.status, 202, "{asked:?}");
    calls(2);
    let Site { project, serving, .. } = site;
    serving.kill();
    project.wait_for_death();
    let site = Site::of_against(project, &service);
    told("2 calls of im.request are in doubt");
    // After another restart it is not told again.
    let count = texts().len();
    let Site { project, serving, .. } = site;
    serving.stop().exits(0);
    let site = Site::of_against(project, &service);
    site.until("/runs", |runs| runs.as_array().is_some_and(|runs| runs.len() == 2));
    assert_eq!(texts().len(), count, "{:?}", texts());
    site.serving.stop().exits(0);
    drop(release);
}
