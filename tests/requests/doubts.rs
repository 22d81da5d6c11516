//! Calls of `im.request` of which it is not known whether they were made: after kills, answers that are too long, and where the
//! ledger cannot be written.

use super::*;

#[test]
fn a_kill_in_the_middle_of_a_call_leaves_it_in_doubt_and_told() {
    // (where it dies, calls that the service got, whether it is in doubt)
    let points = [
        ("before-intent:1", 0, false),
        ("after-intent:1", 0, true),
        ("after-request:1", 1, true),
        ("before-outcome:1", 1, true),
    ];
    side_by_side(points, |(point, made, in_doubt)| {
        let service = taking();
        let project = project(ADD);
        let mut command = project.command_against(&service, &["run", "scripts/main.lua"]);
        let output = command.env("MOONCAST_FAIL_POINT", point).output().unwrap();
        assert_eq!(output.status.signal(), Some(6), "{point}: {output:?}");
        assert_eq!(service.requests().len(), made, "{point}");
        project.wait_for_death();
        let again = project.run_against(&service).exits(0);
        let runs = |args: &[&str]| {
            Ran::of(&project.command_against(&service, &[&["runs"], args].concat()).output().unwrap())
        };
        if in_doubt {
            again.says("an earlier run ended before the answers");
            let listed = runs(&["list"]).exits(0).prints("in doubt").prints("POST /chatgroups/7/users/bob");
            listed.prints("scripts/main.lua");
            runs(&["settle", "--send", "all", "--as-sent"])
                .exits(0)
                .prints("(POST /chatgroups/7/users/bob) counts as made");
        }
        assert!(!runs(&["list"]).exits(0).stdout.contains("in doubt"), "{point}");
    });
}

#[test]
fn a_process_killed_while_it_waits_for_the_answer_leaves_the_call_in_doubt() {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let service = Service::answering(move |count, _| {
        if count == 0 {
            // Ends with the test.
            let _ = held.lock().unwrap().recv();
        }
        service::json(200, "{}")
    });
    let project = project(ADD);
    let mut child = Project::start(project.command_against(&service, &["run", "scripts/main.lua"]));
    service.wait_for(1);
    child.kill().unwrap();
    child.wait().unwrap();
    project.wait_for_death();
    // The doctor is the first that opens the ledger after the kill.
    let run = |args: &[&str]| Ran::of(&project.command_against(&service, args).output().unwrap());
    run(&["doctor"]).exits(1).prints("1 call of im.request is in doubt: it may have been made");
    run(&["runs", "list"])
        .exits(0)
        .prints("1 call of im.request is in doubt")
        .prints("POST /chatgroups/7/users/bob");
    let calls = service.requests().into_iter().filter(|one| one.path.contains("/chatgroups/"));
    assert_eq!(calls.count(), 1);
    drop(release);
}

#[test]
fn an_answer_that_is_too_long_is_an_error_and_no_call_is_made_twice_for_it() {
    for (method, kind) in [("GET", "rejected"), ("POST", "in_doubt")] {
        let service =
            Service::answering(|_, _| service::json(200, &json!("x".repeat(1_100_000)).to_string()));
        let script = format!(
            r#"local ok, e = pcall(im.request, {{ method = "{method}", path = "/chatgroups" }})
            print(ok, e.kind, e.message:find("1048576", 1, true) ~= nil)"#
        );
        let ran = project(&script).run_against(&service);
        ran.prints(&format!("false\t{kind}\ttrue"));
        assert_eq!(service.requests().len(), 1, "{method}");
    }
}

#[test]
fn a_ledger_that_cannot_be_written_stops_a_call_before_it_is_made() {
    if store::server().is_some() {
        return;
    }
    let service = taking();
    let project = project(ADD).file(".mooncast/ledger.db", "this is no ledger. ".repeat(1000));
    project.run_against(&service).exits(2);
    assert_eq!(service.requests().len(), 0);
}

#[test]
fn a_killed_run_of_a_job_is_entered_again_only_if_its_calls_may_be_repeated() {
    side_by_side([("false", 1, "interrupted"), ("true", 2, "done")], |(idempotent, calls, state)| {
        let service = taking();
        let soon = jiff::Timestamp::now() + std::time::Duration::from_secs(3);
        let script = format!(
            r#"schedule.at("{soon:.0}", {{ name = "job" }}, function()
              im.request {{ method = "POST", path = "/chatgroups", idempotent = {idempotent} }}
            end)"#
        );
        let project = project(&script);
        let serve = || project.command_against(&service, &["serve", "--listen", "nowhere"]);
        let killed = serve().env("MOONCAST_FAIL_POINT", "after-request:1").output().unwrap();
        assert_eq!(killed.status.signal(), Some(6), "{killed:?}");
        assert_eq!(service.requests().len(), 1);
        let mut daemon = Project::start(serve());
        until("the run has ended", || project.mooncast(&["jobs", "show", "job"]).stdout.contains(state));
        daemon.kill().unwrap();
        daemon.wait().unwrap();
        assert_eq!(service.requests().len(), calls, "idempotent = {idempotent}");
    });
}
