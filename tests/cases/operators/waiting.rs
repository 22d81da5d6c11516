//! Row "why it waits": the rate, the expected end and the reason are the same on the command line, the page and the
//! API, whatever process drives the broadcast.

use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::service::{Service, accept, json};
use crate::support::{Project, until};
use crate::web::Site;

use super::{news, runs};

/// Another process that drives the broadcast. It is killed when this is dropped.
struct Driving(Child);

impl Driving {
    fn start(project: &Project, service: &Service) -> Self {
        Self(Project::start(project.command_against(service, &["run", "scripts/main.lua"])))
    }
}

impl Drop for Driving {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

/// Waits until `runs show` has this text, and returns its output.
#[track_caller]
fn shows(project: &Project, service: &Service, text: &str) -> String {
    let mut shown = String::new();
    until(text, || {
        let last = std::mem::replace(&mut shown, runs(project, service, &["show", "news"]).stdout);
        if last != shown {
            // For the diagnosis of a failed wait.
            println!("{shown}");
        }
        shown.contains(text)
    });
    shown
}

/// Returns what the API and the page show while another process drives the broadcast.
#[track_caller]
fn same_everywhere(project: Project, service: &Service, kind: &str, words: &str) {
    let site = Site::of_against(project, service);
    let shown = site.until("/broadcasts/1", |one| one["broadcast"]["waits_for"]["kind"] == kind);
    let text = shown["broadcast"]["waits_for"]["text"].as_str().unwrap();
    assert!(text.contains(words), "{shown}");
    let bearer = format!("Bearer {}", site.operate);
    let page =
        crate::web::request(&site.address, "GET /broadcasts/1", &[("authorization", bearer.as_str())], b"");
    assert!(page.body.to_lowercase().contains(words), "{words}: {}", page.body);
}

#[test]
fn a_wait_for_the_quota_has_rate_and_expected_end() {
    let service = Service::accepting();
    let project = Project::with_script(news(20_000));
    let _driving = Driving::start(&project, &service);
    let shown = shows(&project, &service, "waits for its quota");
    assert!(!shown.contains("is ready\n  driven by: nobody"), "{shown}");
    let shown = shows(&project, &service, "rate: ");
    assert!(shown.contains(" a second") && shown.contains(" of "), "{shown}");
    // Twenty thousand at twenty per second take 17 minutes, and longer at the rate of a busy machine.
    assert!(shown.contains("expected end: 20") && shown.contains("+08:00, in "), "{shown}");
    let left = shown.split_once("+08:00, in ").and_then(|(_, rest)| rest.lines().next()).unwrap();
    assert!([" min", " h", " d"].iter().any(|unit| left.contains(unit)), "{shown}");
    same_everywhere(project, &service, "quota", "waits for its quota");
}

#[test]
fn a_wait_for_the_window_says_until_when() {
    let service = Service::accepting();
    // A window that is open for one minute, which is neither the current one nor the next.
    let script = r#"
local hour = tonumber(os.date("!%H"))
local window = { from = ("%02d:00"):format((hour + 12) % 24), to = ("%02d:01"):format((hour + 12) % 24), tz = "UTC" }
local groups = {}
for i = 1, 40 do groups[i] = 1000 + i end
im.broadcast { name = "news", to = groups, window = window, message = { type = "txt", body = { msg = "x" } } }
"#;
    let project = Project::with_script(script);
    let _driving = Driving::start(&project, &service);
    let shown = shows(&project, &service, "outside its sending hours, until 20");
    assert!(shown.contains("expected end: 20"), "{shown}");
    assert!(service.messages().is_empty());
    same_everywhere(project, &service, "window", "outside its sending hours");
}

#[test]
fn a_wait_for_another_try_and_for_a_pause_is_told() {
    let service = Service::accepting();
    let project = Project::with_script(news(40));
    // Nothing listens there.
    let mut command = project.command_against(&service, &["run", "scripts/main.lua"]);
    command.env("MOONCAST_BASE_URL", "http://127.0.0.1:1");
    let driving = Driving(Project::start(command));
    shows(&project, &service, "the service is unreachable; calls are retried");
    drop(driving);
    project.wait_for_death();
    runs(&project, &service, &["pause", "news"]).exits(0);
    let shown = shows(&project, &service, "paused until resumed");
    assert!(shown.contains("mooncast runs resume news"), "{shown}");
}

#[test]
fn a_wait_for_the_token_is_told() {
    let stuck = Arc::new(AtomicBool::new(true));
    let holds = Arc::clone(&stuck);
    let service = Service::answering(move |count, request| {
        if request.path.ends_with("/token") && holds.load(Ordering::Relaxed) {
            return json(500, r#"{"error":"internal"}"#);
        }
        accept(count, request)
    });
    let project = Project::with_script(news(40));
    let mut command = project.command_against(&service, &["run", "scripts/main.lua"]);
    command.env_remove("MOONCAST_TOKEN").env("MOONCAST_CLIENT_ID", "id").env("MOONCAST_CLIENT_SECRET", "s");
    let _driving = Driving(Project::start(command));
    shows(&project, &service, "waits for the app's token");
    stuck.store(false, Ordering::Relaxed);
}

#[test]
fn a_rate_of_its_own_is_a_reason() {
    let service = Service::accepting();
    let project = Project::with_script(news(400).replace("to = groups,", "to = groups, rate = 2,"));
    let _driving = Driving::start(&project, &service);
    let shown = shows(&project, &service, "limited by its own rate");
    assert!(shown.contains("limited by its own rate"), "{shown}");
    shows(&project, &service, " of 2 a second");
}
