//! Audience files as people have them, which are read correctly or refused.
//!
//! On a server: in the soak

mod edits;
mod files;
mod json;
mod left_out;
mod members;
mod readers;
mod tables;
mod users;
mod workbooks;

use crate::support::service::Service;
use crate::support::{Project, Ran};

/// A quota that no test waits for.
const QUICK: &str = "[app.limits]\ngroup_per_second = 5000\ntargeted_per_second = 5000\n";

/// A script that broadcasts to a file, with more fields.
fn script(file: &str, more: &str) -> String {
    format!(
        r#"local report = im.broadcast {{ name = "case", to = "{file}", message = {{ type = "txt", body = {{ msg = "hello" }} }}{more} }}
        print(("total %d sent %d skipped %d duplicates %d"):format(report.total, report.sent, report.skipped, report.duplicates))"#
    )
}

/// [`script`] with the row's fields in the text.
fn made(file: &str, more: &str, text: &str) -> String {
    script(file, more).replace(
        r#"message = { type = "txt", body = { msg = "hello" } }"#,
        &format!(r#"message = function(row) return {{ type = "txt", body = {{ msg = {text} }} }} end"#),
    )
}

/// Broadcasts to a file with these bytes.
fn broadcast(file: &str, content: impl AsRef<[u8]>, more: &str) -> (Ran, Service) {
    let service = Service::accepting();
    let project = Project::with_script(script(file, more)).file(file, content).file("mooncast.toml", QUICK);
    let ran = project.run_against(&service);
    (ran, service)
}

/// Broadcasts, and checks that no message is sent and that the error contains all of these texts.
#[track_caller]
fn refused(file: &str, content: impl AsRef<[u8]>, more: &str, says: &[&str]) {
    let (ran, service) = broadcast(file, content, more);
    let mut ran = ran.exits(1);
    for text in says {
        ran = ran.says(text);
    }
    assert!(service.messages().is_empty(), "{:?}", service.messages());
}

/// Returns the groups of all messages, sorted.
fn groups(service: &Service) -> Vec<String> {
    let mut groups: Vec<String> = service
        .messages()
        .iter()
        .flat_map(|message| message["to"].as_array().unwrap().clone())
        .map(|group| group.as_str().unwrap().to_owned())
        .collect();
    groups.sort();
    groups
}

/// Broadcasts, and checks that these groups get the message.
#[track_caller]
fn sent(file: &str, content: impl AsRef<[u8]>, more: &str, to: &[&str]) -> Ran {
    let (ran, service) = broadcast(file, content, more);
    let ran = ran.exits(0);
    assert_eq!(groups(&service), to, "{ran:#?}");
    ran
}

/// A table of three rows.
fn table(separator: &str, head: &str) -> String {
    let rows = [
        ["184524748161025", "跑步群", "上海"],
        ["184524748161026", "读书会", "杭州"],
        ["184524748161027", "棋友", "苏州"],
    ];
    let lines: Vec<String> = rows.iter().map(|row| row.join(separator)).collect();
    format!("{}\r\n{}\r\n", head.replace(',', separator), lines.join("\r\n"))
}

const THREE: [&str; 3] = ["184524748161025", "184524748161026", "184524748161027"];
