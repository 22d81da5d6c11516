//! `mooncast upgrade --check`: what it asks, what it says of each answer, and its exit statuses.
//!
//! Store: file

use std::net::TcpListener;

use crate::support::service::{Service, json};
use crate::support::{Project, Ran};

const INSTALLED: &str = env!("CARGO_PKG_VERSION");

/// A server with this answer to every request.
fn server(answer: impl Into<Vec<u8>>) -> Service {
    let answer = answer.into();
    Service::answering(move |_, _| answer.clone())
}

/// A server whose newest release has this tag.
fn release(tag: &str) -> Service {
    server(json(
        200,
        &format!(r#"{{"tag_name": "{tag}", "html_url": "https://example.com/{tag}", "id": 1}}"#),
    ))
}

fn check(service: &Service, more: &[&str]) -> Ran {
    let url = format!("{}/releases/latest", service.url());
    Project::new().mooncast(&[&["upgrade", "--check", "--url", &url], more].concat())
}

#[test]
fn a_newer_release_is_told_with_its_page_and_the_way_to_install_it() {
    let service = release("v999.1.0");
    check(&service, &[])
        .exits(1)
        .prints(&format!("mooncast 999.1.0 is out (you have {INSTALLED}): https://example.com/v999.1.0\n"))
        .prints("To upgrade: back up the ledger (`mooncast store backup FILE`), then ");
    let told = check(&service, &["--json"]).exits(1).stdout;
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["installed"], INSTALLED);
    assert_eq!(told["latest"], "999.1.0");
    assert_eq!(told["newer"], true);
    assert_eq!(told["url"], "https://example.com/v999.1.0");
    // The target folder need not be in the source.
    assert!(["source", "archive"].map(Some).contains(&told["installed_as"].as_str()), "{told}");
    assert!(told["how"].is_string(), "{told}");
    // A release without a page is told as well.
    check(&server(json(200, r#"{"tag_name": "999.0.0"}"#)), &[])
        .exits(1)
        .prints(&format!("mooncast 999.0.0 is out (you have {INSTALLED})\n"));
}

#[test]
fn the_request_says_nothing_but_the_programs_name_and_version() {
    let service = release(INSTALLED);
    check(&service, &[]).exits(0);
    let requests = service.requests();
    assert_eq!(requests.len(), 1);
    let request = &requests[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/releases/latest"));
    assert_eq!(request.header("user-agent"), Some(&*format!("mooncast/{INSTALLED}")));
    assert!(request.body.is_empty());
    let mut names: Vec<String> = request.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.sort();
    assert_eq!(names, ["accept", "accept-encoding", "host", "user-agent"]);
}

#[test]
fn the_same_an_older_and_a_preview_release_are_not_offered() {
    check(&release(INSTALLED), &[]).exits(0).prints(&format!("mooncast {INSTALLED} is the newest release\n"));
    check(&release("v0.0.1"), &[])
        .exits(0)
        .prints(&format!("mooncast {INSTALLED} is newer than the newest release, 0.0.1\n"));
    let preview = json(200, r#"{"tag_name": "v999.0.0", "prerelease": true}"#);
    for service in [release("v999.0.0-rc.1"), server(preview)] {
        check(&service, &[]).exits(0).prints("previews are not offered");
        let told: serde_json::Value =
            serde_json::from_str(&check(&service, &["--json"]).exits(0).stdout).unwrap();
        assert_eq!((&told["newer"], &told["preview"]), (&false.into(), &true.into()), "{told}");
        assert!(told["how"].is_null(), "{told}");
    }
}

#[test]
fn an_answer_that_describes_no_release_is_an_error_with_its_reason() {
    let page = "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n<html>p</html>";
    check(&server(page), &[]).exits(2).says("127.0.0.1 does not describe a release: its answer is not JSON");
    check(&server(json(200, "[]")), &[]).exits(2).says("its answer is not JSON with a `tag_name`");
    check(&release("nightly"), &[]).exits(2).says("`nightly`, is not a version such as v1.2.3");
    check(&server(json(200, r#"{"tag_name": "\u001b[2Jv9.9.9"}"#)), &[])
        .exits(2)
        .says(r"\u{1b}[2Jv9.9.9")
        .never_says("\u{1b}");
    let huge = format!(r#"{{"tag_name": "v9.9.9", "body": "{}"}}"#, "x".repeat(5 * 1024 * 1024));
    check(&server(json(200, &huge)), &[]).exits(2).says("its answer is longer than 4 MiB");
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"tag_name\"";
    check(
        &Service::answering(move |_, _| {
            cut.replace("Content-Length: 100", "Transfer-Encoding: chunked").into()
        }),
        &[],
    )
    .exits(2)
    .says("cannot be reached or read");
}

#[test]
fn a_refusal_says_what_to_do() {
    check(&server(json(404, "{}")), &[]).exits(2).says("has no release at this address (status 404)");
    check(&server(json(500, "{}")), &[]).exits(2).says("answers with the status 500").says("HTTPS_PROXY");
    check(&server(json(403, "{}")), &[]).exits(2).says("answers with the status 403");
    let limited = |headers: &str| {
        let answer = format!("HTTP/1.1 403 Forbidden\r\n{headers}Content-Length: 2\r\n\r\n{{}}");
        check(&server(answer), &[]).exits(2).says("has answered too many requests from this network")
    };
    limited("x-ratelimit-remaining: 0\r\n").says("ask again in an hour");
    limited("Retry-After: 121\r\n").says("ask again in 3 min");
    limited("x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 1\r\n").says("ask again in an hour");
    limited("x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 99999999999\r\n").says(" min");
    check(&server(json(429, "{}")), &[]).exits(2).says("has answered too many requests");
}

#[test]
fn a_redirect_is_followed_at_the_same_server_only() {
    let moved =
        |to: &str| format!("HTTP/1.1 301 Moved\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").into_bytes();
    let renamed = Service::answering(move |_, request| match request.path.as_str() {
        "/releases/latest" => moved("/repositories/7/releases/latest"),
        _ => json(200, r#"{"tag_name": "v999.0.0"}"#),
    });
    check(&renamed, &[]).exits(1).prints("mooncast 999.0.0 is out");
    assert_eq!(renamed.requests().len(), 2);

    let other = release("v999.0.0");
    let to = other.url();
    let away = Service::answering(move |_, _| moved(&format!("{to}/secret-path")));
    check(&away, &[])
        .exits(2)
        .says(&format!("redirects to {}, which is not followed", other.url()))
        .never_says("secret-path");
    assert!(other.requests().is_empty());

    let endless = Service::answering(move |_, _| moved("/again"));
    check(&endless, &[]).exits(2).says("it redirects more than 5 times");
    assert_eq!(endless.requests().len(), 6);
}

#[test]
fn without_a_network_it_says_so_and_shows_no_address() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{unused}/canary?key=canary");
    Project::new()
        .mooncast(&["upgrade", "--check", "--url", &url])
        .exits(2)
        .says("127.0.0.1 cannot be reached or read: ")
        .says("set HTTPS_PROXY")
        .never_says("canary");
    for (bad, why) in [
        ("canary", "it cannot be read"),
        ("file:///canary", "it must be an address of https or http"),
        ("https://canary@example.com/", "it holds a user or a password"),
    ] {
        let ran = Project::new().mooncast(&["upgrade", "--check", "--url", bad]).exits(2);
        ran.says("--url is not the address of a release").says(why).never_says("canary");
    }
}

#[test]
fn the_address_comes_from_the_flag_the_variable_or_the_repository() {
    let (service, project) = (release("v999.0.0"), Project::new());
    let url = format!("{}/of-the-variable", service.url());
    let mut command = project.command(&["upgrade", "--check"]);
    Ran::of(&command.env("MOONCAST_UPGRADE_URL", url).output().unwrap()).exits(1);
    assert_eq!(service.requests()[0].path, "/of-the-variable");

    // This reaches no network, whichever repository the program knows.
    let mut command = project.command(&["upgrade", "--check"]);
    let ran = Ran::of(&command.env("HTTPS_PROXY", "http://127.0.0.1:9").output().unwrap()).exits(2);
    if option_env!("MOONCAST_REPOSITORY").unwrap_or_default().is_empty()
        && env!("CARGO_PKG_REPOSITORY").is_empty()
    {
        ran.says("does not know where its releases are").says("MOONCAST_UPGRADE_URL");
    } else {
        ran.says("cannot be reached or read");
    }
    project.mooncast(&["upgrade"]).exits(2).says("--check");
    project.mooncast(&["--env", "staging", "upgrade", "--check"]).exits(2).says("leave it out");
}
