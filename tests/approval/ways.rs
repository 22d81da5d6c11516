//! Ways past an approval on the command line: each ends with nothing received at the service.

use std::process::Command;

use serde_json::json;

use super::{OVER_TWO, RUN, SCRIPT, approve, awaited, project, project_with, reached, token, waits};
use crate::support::service::Service;
use crate::support::{Project, Ran, until};
use crate::web::Site;

/// A project with a broadcast that waits, and the service that must receive nothing.
struct Scene {
    service: Service,
    project: Project,
    ways: usize,
    /// The groups that got a message before.
    before: Vec<String>,
}

impl Scene {
    fn new(project: Project) -> Self {
        Self { service: Service::accepting(), project, ways: 0, before: Vec::new() }
    }

    fn command(&self, args: &[&str]) -> Command {
        self.project.command_against(&self.service, args)
    }

    /// Counts a way after which the service must have received nothing.
    #[track_caller]
    fn held(&mut self, way: &str) {
        assert_eq!(reached(&self.service), self.before, "{way}");
        println!("{way}");
        self.ways += 1;
    }

    /// A command that waits until it is interrupted.
    #[track_caller]
    fn waits(&mut self, way: &str, args: &[&str]) {
        let ran = waits(self.command(args));
        assert_ne!(ran.status, Some(0), "{way}: {ran:?}");
        self.held(way);
    }

    /// A command that ends by itself.
    #[track_caller]
    fn ends(&mut self, way: &str, args: &[&str]) -> Ran {
        let ran = Ran::of(&self.command(args).output().unwrap());
        self.held(way);
        ran
    }

    /// A command that is refused with these words.
    #[track_caller]
    fn refused(&mut self, way: &str, args: &[&str], told: &str) {
        let ran = self.ends(way, args);
        assert!(ran.status != Some(0) && ran.stderr.contains(told), "{way}: {ran:?}");
    }

    /// Has another person approve it over the API. Returns what was received then, once the broadcast is finished.
    fn approved(self) -> Vec<String> {
        let Self { service, project, .. } = self;
        let bea = token(&project, "bea", &["--role", "approver"]);
        let site = Site::of_against(project, &service);
        let page = site.until("/broadcasts/1", |page| page["broadcast"]["approval"]["awaited"] == true);
        let answer = approve(&site, &page["broadcast"], &bea);
        assert_eq!(answer.status, 200, "{answer:?}");
        // The process that began it has ended, so the daemon sends it.
        site.until("/broadcasts/1", |page| page["broadcast"]["state"] == "finished");
        site.serving.stop().exits(0);
        reached(&service)
    }
}

#[test]
fn no_command_sends_what_waits() {
    let mut scene = Scene::new(project());
    scene.waits("run", &RUN);
    scene.waits("run again", &RUN);
    scene.waits("run --continue", &["run", "--continue", "scripts/main.lua"]);
    scene.waits("run --replan of the same plan", &["run", "--replan", "scripts/main.lua"]);
    scene.waits("runs resume", &["runs", "resume", "news"]);
    scene.waits("runs resume --continue", &["runs", "resume", "news", "--continue"]);
    scene.ends("runs retry", &["runs", "retry", "news"]);
    scene.waits("runs resume after a retry", &["runs", "resume", "news"]);
    scene.ends("runs settle --again", &["runs", "settle", "news", "--again"]);
    scene.ends("runs settle --as-sent", &["runs", "settle", "news", "--as-sent"]);
    scene.ends("runs pause", &["runs", "pause", "news"]);
    scene.waits("runs resume after a pause", &["runs", "resume", "news"]);
    scene.refused("approved by who began it", &["runs", "approve", "news"], "or changed its plan");
    let seen = ["runs", "approve", "news", "--plan", "0000"];
    scene.refused("approved with the hash of another plan", &seen, "is not the one that you saw");
    scene.ends("runs edit", &["runs", "edit", "news", "--text", "x", "--yes"]);
    scene.ends("runs recall", &["runs", "recall", "news"]);
    scene.ends("runs verify", &["runs", "verify", "news"]);
    scene.ends("runs export", &["runs", "export", "news"]);
    scene.ends("run --test-only", &["run", "--test-only", "scripts/main.lua"]);
    let rehearsed = scene.ends("rehearse", &["rehearse", "--json", "scripts/main.lua"]).exits(0);
    let report: serde_json::Value = serde_json::from_str(&rehearsed.stdout).unwrap();
    let plan = report["plan"].as_str().unwrap().to_owned();
    scene.waits("run --plan of its rehearsal", &["run", "--plan", &plan, "scripts/main.lua"]);
    for name in ["USER", "LOGNAME", "SUDO_USER", "MOONCAST_USER"] {
        let mut command = scene.command(&["runs", "approve", "news"]);
        let ran = Ran::of(&command.env(name, "bob").output().unwrap());
        assert!(ran.stderr.contains("or changed its plan"), "{name}: {ran:?}");
        scene.held(&format!("approved with {name} of another person"));
    }
    let source = std::fs::read_to_string(scene.project.path("scripts/main.lua")).unwrap();
    scene.project.write("scripts/copy.lua", &source);
    scene.waits("a copy of the script", &["run", "--continue", "scripts/copy.lua"]);
    std::os::unix::fs::symlink("main.lua", scene.project.path("scripts/link.lua")).unwrap();
    scene.waits("a link to the script", &["run", "--continue", "scripts/link.lua"]);
    println!("{} ways", scene.ways);
    assert!(scene.ways >= 26);
    assert_eq!(scene.approved(), ["101", "102", "103"]);
}

/// A command that takes over what a killed process left.
#[test]
fn no_crash_and_no_clock_sends_what_waits() {
    let mut scene = Scene::new(project());
    for point in ["before-intent:1", "after-intent:1", "after-request:1", "before-outcome:1"] {
        let mut command = scene.command(&RUN);
        command.env("MOONCAST_FAIL_POINT", point);
        assert_ne!(waits(command).status, Some(0));
        scene.held(&format!("the fail point {point}"));
    }
    let mut child = Project::start(scene.command(&RUN));
    let shown = |scene: &Scene| scene.project.mooncast(&["runs", "show", "news"]).stdout;
    until("it waits", || shown(&scene).contains("sent by: run"));
    child.kill().unwrap();
    child.wait().unwrap();
    scene.project.wait_for_death();
    scene.waits("run after a kill", &RUN);
    scene.project.run_in_store(
        "UPDATE broadcasts SET created_at = created_at + 86400000, planned_at = planned_at + 86400000, lease_until = 0",
    );
    scene.waits("a clock that was set back", &RUN);
    for point in
        ["before-draft:1", "in-draft:1", "before-replan:1", "in-replan:1", "in-replan:3", "after-replan:1"]
    {
        scene.project.write("groups.csv", format!("group_id\n101\n102\n103\n{}\n", 200 + scene.ways));
        let mut command = scene.command(&["run", "--replan", "scripts/main.lua"]);
        let ran = Ran::of(&command.env("MOONCAST_FAIL_POINT", point).output().unwrap());
        assert_eq!(ran.status, None, "{point}: {ran:?}");
        scene.project.wait_for_death();
        scene.held(&format!("killed at {point}"));
        scene.waits(&format!("continued after {point}"), &["run", "--continue", "scripts/main.lua"]);
    }
    println!("{} ways", scene.ways);
    assert!(scene.ways >= 18);
    let last = scene.approved();
    assert_eq!((&last[..3], last.len()), (&["101", "102", "103"].map(str::to_owned)[..], 4));
}

#[test]
fn no_changed_input_and_no_changed_setting_sends_what_waits() {
    let mut scene = Scene::new(project());
    scene.waits("run", &RUN);
    let replan = ["run", "--replan", "scripts/main.lua"];
    let go_on = ["run", "--continue", "scripts/main.lua"];
    scene.project.write("scripts/main.lua", SCRIPT.replace("\"hi\"", "\"hello\""));
    scene.refused("a changed script", &RUN, "was started from other inputs");
    scene.waits("a changed script, continued", &go_on);
    scene.waits("a changed script, replanned", &replan);
    scene.project.write("groups.csv", "group_id\n101\n102\n103\n104\n");
    scene.refused("a changed audience", &RUN, "was started from other inputs");
    scene.waits("a changed audience, continued", &go_on);
    scene.waits("a changed audience, replanned", &replan);
    for (what, field) in [
        ("a window", "window = { from = '00:00', to = '24:00', tz = 'UTC' }"),
        ("a cap", "cap = { per_group = 9, within = '1h' }"),
        ("a ramp", "ramp = { 1 }"),
        ("a rate", "rate = 19"),
        ("a tag", "tag = 'other'"),
        ("a policy for doubts", "in_doubt = 'resend'"),
        ("continue in the script", "on_change = 'continue'"),
        ("replan in the script", "on_change = 'replan'"),
    ] {
        let script = SCRIPT.replace("message =", &format!("{field}, message ="));
        scene.project.write("scripts/main.lua", script);
        scene.waits(&format!("{what}, replanned"), &replan);
        scene.waits(&format!("{what}, run"), &RUN);
    }
    scene.project.write("scripts/main.lua", SCRIPT.replace("message =", "approval = false, message ="));
    scene.refused("approval = false", &replan, "cannot lift");
    scene.project.write("scripts/main.lua", SCRIPT);
    scene.waits("replanned as at first", &replan);
    for (what, settings) in [
        ("no settings", ""),
        ("a higher limit", "[approval]\nover = 1000\n"),
        ("always = false", "[approval]\nalways = false\n"),
    ] {
        scene.project.write("mooncast.toml", settings);
        scene.waits(&format!("{what}, run"), &RUN);
        scene.waits(&format!("{what}, replanned"), &replan);
        scene.waits(&format!("{what}, resumed"), &["runs", "resume", "news"]);
    }
    scene.project.write("groups.csv", "group_id\n101\n102\n");
    scene.waits("few recipients, replanned", &replan);
    // Those who were taken out of the plan are not counted.
    scene.project.mooncast(&["runs", "show", "news"]).exits(0).prints("awaits approval: 2 recipients,");
    println!("{} ways", scene.ways);
    assert!(scene.ways >= 34);
    assert_eq!(scene.approved(), ["101", "102"]);
}

/// What was planned where nothing demands an approval waits where something does; what a store holds waits on each host.
#[test]
fn a_host_with_other_settings_sends_nothing_that_waits() {
    // Its first host has stopped in the middle.
    let mut scene = Scene::new(project_with(&SCRIPT.replace("message =", "rate = 1, message ="), ""));
    let mut child = Project::start(scene.command(&RUN));
    until("the first message", || !scene.service.messages().is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    scene.project.wait_for_death();
    scene.before = reached(&scene.service);
    assert!(scene.before.len() < 3);
    scene.project.write("mooncast.toml", OVER_TWO);
    scene.waits("a stricter host continues", &RUN);
    scene.waits("a stricter host resumes", &["runs", "resume", "news"]);
    // A second host without the settings, on the same store.
    scene.project.write("mooncast.toml", "");
    scene.waits("a host without settings resumes", &["runs", "resume", "news"]);
    if scene.project.schema().address().is_some() {
        let other = scene.project.beside();
        other.write("scripts/main.lua", SCRIPT.replace("message =", "rate = 1, message ="));
        other.write("groups.csv", "group_id\n101\n102\n103\n");
        let first = std::mem::replace(&mut scene.project, other);
        scene.waits("another host runs it", &RUN);
        scene.waits("another host resumes it", &["runs", "resume", "news", "--continue"]);
        scene.project = first;
    }
    println!("{} ways", scene.ways);
}

#[test]
fn what_was_sent_with_an_approval_is_neither_extended_nor_edited_without_one() {
    let mut scene = Scene::new(project());
    scene.waits("run", &RUN);
    let Scene { service, project, .. } = scene;
    let bob = token(&project, "bob", &["--role", "approver"]);
    let site = Site::of_against(project, &service);
    let broadcast = awaited(&site);
    assert_eq!(approve(&site, &broadcast, &bob).status, 200);
    site.until("/broadcasts/1", |page| page["broadcast"]["state"] == "finished");
    // An approval is given once.
    assert!(approve(&site, &broadcast, &bob).refused(409).contains("bob approved it"));
    assert_eq!(reached(&service), ["101", "102", "103"]);
    let Site { project, serving, .. } = site;
    serving.stop().exits(0);
    let before = reached(&service);
    let mut scene = Scene { service, project, ways: 0, before };
    scene.ends("run of a finished one", &RUN).exits(0);
    scene.project.write("groups.csv", "group_id\n101\n102\n103\n104\n");
    scene.refused("added recipients", &RUN, "--replan sends only to the added recipients");
    scene.waits("added recipients, replanned", &["run", "--replan", "scripts/main.lua"]);
    let edit = ["runs", "edit", "news", "--text", "changed", "--yes"];
    scene.waits("an edit of what was sent", &edit);
    let edits = |scene: &Scene| scene.service.requests().iter().filter(|one| one.method == "PUT").count();
    assert_eq!(edits(&scene), 0);
    let added = scene.approved();
    assert_eq!(added, ["101", "102", "103", "104"]);
    println!("{}", json!({ "reached": added }));
}
