//! Row "cancel", and an interrupted broadcast by its name, with the next command.

use crate::support::Project;
use crate::support::service::Service;
use crate::web::Site;

use super::{FAST, killed, news, runs};

/// A project with a broadcast to 40 groups that was killed half-way.
fn interrupted(service: &Service) -> Project {
    let project = Project::with_script(news(40)).file("mooncast.toml", FAST);
    killed(&project, service, "after-request:5");
    project
}

#[test]
fn cancel_with_no_process_driving_ends_it_at_once() {
    let service = Service::accepting();
    let project = interrupted(&service);
    let said = runs(&project, &service, &["cancel", "news"]).exits(0).prints("is cancelled");
    assert!(!said.stdout.contains("being cancelled"), "{said:#?}");
    let shown = runs(&project, &service, &["show", "news"]).exits(0).prints("is cancelled");
    assert!(!shown.stdout.contains("resume"), "{shown:#?}");
    let rows = runs(&project, &service, &["export", "news", "--format", "jsonl"]).exits(0).stdout;
    assert_eq!(rows.lines().count(), 40);
    assert!(rows.lines().all(|row| !row.contains("\"pending\"") && !row.contains("\"sending\"")), "{rows}");
    let sent = service.messages().len();
    runs(&project, &service, &["resume", "news"]).exits(0).prints("nothing is left to send");
    assert_eq!(service.messages().len(), sent);
}

#[test]
fn cancel_of_a_paused_one_and_of_one_that_was_never_built_is_at_once_too() {
    let service = Service::accepting();
    let project = interrupted(&service);
    runs(&project, &service, &["pause", "news"]).exits(0);
    runs(&project, &service, &["cancel", "news"]).exits(0).prints("is cancelled");
    runs(&project, &service, &["show", "news"]).exits(0).prints("is cancelled");
    // The process is killed while it builds its plan.
    let script = r#"
im.broadcast { name = "half", message = { type = "txt", body = { msg = "x" } }, to = function()
    for i = 1, 3000 do coroutine.yield(tostring(i)) end
    os.exit(1)
end }"#;
    let project = Project::with_script(script).file("mooncast.toml", FAST);
    project.run_against(&service);
    let listed = runs(&project, &service, &["list"]).exits(0);
    if listed.stdout.contains("half") {
        runs(&project, &service, &["cancel", "half"]).exits(0).prints("is cancelled");
        runs(&project, &service, &["show", "half"]).exits(0).prints("is cancelled");
    }
}

#[test]
fn an_interrupted_broadcast_is_called_interrupted_and_says_how_to_resume() {
    let service = Service::accepting();
    let project = interrupted(&service);
    let resume = "mooncast runs resume news --run 1";
    runs(&project, &service, &["list"]).exits(0).prints("interrupted").prints(resume);
    runs(&project, &service, &["show", "news"]).exits(0).prints("is interrupted").prints(resume);
    let site = Site::of_against(project, &service);
    let shown = site.json("/broadcasts/1");
    assert_eq!(shown["broadcast"]["state"], "interrupted", "{shown}");
    assert!(shown["acts"].as_array().unwrap().contains(&"resume".into()), "{shown}");
    assert_eq!(site.json("/broadcasts?state=interrupted")["broadcasts"][0]["name"], "news");
    assert!(site.json("/broadcasts?state=ready")["broadcasts"].as_array().unwrap().is_empty());
    let bearer = format!("Bearer {}", site.operate);
    let headers = [("authorization", bearer.as_str())];
    let page = crate::web::request(&site.address, "GET /broadcasts/1", &headers, b"");
    assert!(page.body.contains("/broadcasts/1/resume") && page.body.contains("interrupted"), "{}", page.body);
    // The button asks about a changed script, and works without one.
    let script = std::fs::read(site.project.path("scripts/main.lua")).unwrap();
    site.project.write("scripts/main.lua", [&script[..], b"\n"].concat());
    let refused = site.ask("POST /broadcasts/1/resume");
    assert_eq!(refused.status, 409, "{refused:?}");
    assert!(refused.body.contains("the script") && refused.body.contains("--replan"), "{}", refused.body);
    site.project.write("scripts/main.lua", script);
    assert_eq!(site.ask("POST /broadcasts/1/resume").status, 200);
    site.until("/broadcasts/1", |one| one["broadcast"]["over"] == true);
}

#[test]
fn the_api_cancels_at_once_what_no_process_drives() {
    let service = Service::accepting();
    let site = Site::of_against(interrupted(&service), &service);
    let done = site.ask("POST /broadcasts/1/cancel");
    assert_eq!(done.status, 200, "{done:?}");
    assert_eq!(site.json("/broadcasts/1")["broadcast"]["state"], "cancelled");
}
