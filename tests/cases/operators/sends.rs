//! Row "single sends in doubt": listing and settling them on the command line and over the API.

use crate::support::Project;
use crate::support::service::Service;
use crate::web::Site;

use super::{FAST, killed, runs};

const ONCE: &str = r#"
local ok, receipts = pcall(im.group_send, { to = "g1", type = "txt", body = { msg = "hi" } }, { once = "order-7" })
print(ok, ok and (receipts.g1 or "no receipt") or receipts.kind)
"#;

fn project() -> Project {
    Project::with_script(ONCE).file("mooncast.toml", FAST)
}

/// A project whose run was killed during a `once` send.
fn doubtful(service: &Service) -> Project {
    let project = project();
    killed(&project, service, "after-request:1");
    project
}

#[test]
fn a_once_send_in_doubt_is_listed_and_settled_again() {
    let service = Service::accepting();
    let project = doubtful(&service);
    let listed =
        runs(&project, &service, &["list"]).exits(0).prints("in doubt").prints("order-7").prints("g1");
    assert!(listed.stdout.contains("\n1 single send is in doubt: it may have been sent\n"), "{listed:#?}");
    assert!(
        listed.stdout.contains("\n        1 may still be settled by the service's records, until "),
        "{listed:#?}"
    );
    let next = listed.stdout.lines().find_map(|line| line.strip_prefix("next: mooncast ")).unwrap();
    assert!(next.starts_with("runs settle --send "), "{next}");
    project.run_against(&service).prints("in_doubt");
    runs(&project, &service, &["settle", "--once", "order-7", "--again"])
        .exits(0)
        .prints("counts as not sent");
    // The key can be used again.
    assert!(project.run_against(&service).exits(0).stdout.starts_with("true\t"));
    assert_eq!(service.messages().len(), 2);
    runs(&project, &service, &["list"]).exits(0).never_says("in doubt: ");
}

#[test]
fn a_once_key_in_place_of_a_number_is_pointed_to_its_option() {
    // What belongs to broadcasts alone is refused, and nothing is ignored.
    for args in [
        &["--once", "order-7", "--from-service"][..],
        &["--send", "all", "--from-service"],
        &["--send", "1", "--again", "--proven"],
        &["--send", "1", "--run", "2", "--again"],
        &["news", "--as-sent", "--proven"],
        &["news", "--from-service", "--proven"],
    ] {
        Project::new().mooncast(&[&["runs", "settle"], args].concat()).exits(2).says("cannot be used with");
    }
    let ran = Project::new().mooncast(&["runs", "settle", "--send", "welcome", "--as-sent"]).exits(2);
    ran.says("`mooncast runs list`").says("`--once`");
}

#[test]
fn a_once_send_settled_as_sent_sends_nothing_and_says_that_no_receipts_are_known() {
    let service = Service::accepting();
    let project = doubtful(&service);
    runs(&project, &service, &["list"]).exits(0).prints("order-7");
    let said = runs(&project, &service, &["settle", "--send", "1", "--as-sent"]).exits(0);
    said.prints("counts as sent").prints("its receipts are unknown");
    project
        .run_against(&service)
        .exits(0)
        .prints("true\tno receipt")
        .says("message ids of 1 of its 1 groups are not known");
    assert_eq!(service.messages().len(), 1);
    runs(&project, &service, &["settle", "--send", "1", "--again"])
        .exits(2)
        .says("no single send in doubt has the number 1");
}

#[test]
fn any_single_send_that_was_killed_is_listed_and_settled() {
    let service = Service::accepting();
    let project = Project::with_script(
        r#"im.group_send({ to = { "g1", "g2" }, type = "txt", body = { msg = "hi" } })"#,
    )
    .file("mooncast.toml", FAST);
    for _ in 0..2 {
        killed(&project, &service, "after-intent:1");
    }
    runs(&project, &service, &["list"]).exits(0).prints("2 single sends are in doubt").prints("g1,g2");
    runs(&project, &service, &["settle", "--send", "all", "--again"]).exits(0).prints("run its script");
    runs(&project, &service, &["settle", "--send", "all", "--again"])
        .exits(0)
        .prints("no single send is in doubt");
}

#[test]
fn the_api_and_the_page_have_single_sends_in_doubt() {
    let service = Service::accepting();
    let project = doubtful(&service);
    let site = Site::of_against(project, &service);
    let found = site.json("/sends?state=in_doubt");
    assert_eq!(found["sends"][0]["once"], "order-7", "{found}");
    assert_eq!(found["sends"][0]["groups"], serde_json::json!(["g1"]));
    assert_eq!(found["sends"][0]["doubts"]["waiting"], 1, "{found}");
    assert!(found["sends"][0]["doubts"]["until"].is_string(), "{found}");
    let bearer = format!("Bearer {}", site.operate);
    let page = crate::web::request(&site.address, "GET /", &[("authorization", bearer.as_str())], b"");
    assert!(page.body.contains("records may still settle it"), "{}", page.body);
    assert!(page.body.contains("order-7") && page.body.contains("/sends/1/settle_as_sent"), "{}", page.body);
    let done = site.ask("POST /sends/1/settle_again");
    assert_eq!(done.status, 200, "{done:?}");
    assert_eq!(site.json("/sends?state=in_doubt")["sends"].as_array().unwrap().len(), 0);
    assert_eq!(site.ask("POST /sends/1/settle_again").status, 409);
    assert_eq!(site.ask("POST /sends/9/settle_again").status, 404);
}

#[test]
fn the_api_and_the_page_have_calls_in_doubt() {
    let service = Service::accepting();
    let script = r#"im.request { method = "DELETE", path = "/chatgroups/7/users/bob" }"#;
    let project = Project::with_script(script).file(
        "mooncast.toml",
        format!("{FAST}\n[permissions]\nrequests = [\"DELETE /chatgroups/*/users/*\"]\n"),
    );
    killed(&project, &service, "after-request:1");
    let site = Site::of_against(project, &service);
    let found = site.json("/sends?state=in_doubt");
    let send = &found["sends"][0];
    assert_eq!(
        (&send["kind"], &send["request"]),
        (&"request".into(), &"DELETE /chatgroups/7/users/bob".into())
    );
    assert_eq!(send["groups"], serde_json::json!([]));
    let bearer = format!("Bearer {}", site.operate);
    let get = |path: &str| {
        crate::web::request(&site.address, &format!("GET {path}"), &[("authorization", bearer.as_str())], b"")
            .body
    };
    let page = get("/");
    assert!(page.contains("DELETE &#x2f;chatgroups&#x2f;7&#x2f;users&#x2f;bob"), "{page}");
    assert!(page.contains("Settle as made"), "{page}");
    let asks = get("/sends/1/settle_again");
    assert!(asks.contains("Count call 1 (DELETE"), "{asks}");
    let done = site.ask("POST /sends/1/settle_again");
    assert!(done.status == 200 && done.body.contains("counts as not made"), "{done:?}");
    assert_eq!(site.json("/sends?state=in_doubt")["sends"].as_array().unwrap().len(), 0);
    // Nothing was called again.
    assert_eq!(service.requests().len(), 1);
}
