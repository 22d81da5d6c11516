//! The outcomes of single sends that the ledger cannot take when the answer comes: they are kept and written, with no
//! other send needed for it.

use std::sync::Arc;

use crate::daemon::Serving;
use crate::support::service::{Request, Service, accept, json};
use crate::support::{Project, until};

/// The ledger cannot write an outcome while its column has another name.
const BREAK: &str = "ALTER TABLE sends RENAME COLUMN receipts TO receipts_away";
const MEND: &str = "ALTER TABLE sends RENAME COLUMN receipts_away TO receipts";

const SENT: &str = "SELECT COUNT(*) FROM sends WHERE receipts LIKE '%\"1\"%'";
const UNDER_WAY: &str = "SELECT COUNT(*) FROM sends WHERE state = 1";

/// A service that breaks the ledger before it accepts a message, and mends it when it is asked for groups.
fn breaking(project: &Arc<Project>) -> Service {
    let project = Arc::clone(project);
    Service::answering(move |number, request: &Request| {
        if request.path.contains("/messages/") {
            project.run_in_store(BREAK);
            return accept(number, request);
        }
        project.run_in_store(MEND);
        json(200, r#"{"data":[]}"#)
    })
}

const SEND: &str = r#"print(pcall(im.group_send, { to = "1", type = "txt", body = { msg = "x" } }))"#;

#[test]
fn an_outcome_that_could_not_be_written_is_written_before_the_process_ends() {
    let project = Arc::new(Project::with_script(format!("{SEND}\nfor _ in im.groups() do end")));
    let service = breaking(&project);
    let ran = project.run_against(&service).exits(0).prints("true\t");
    ran.says("could not write the outcome `sent`").never_says("they will be in doubt");
    assert_eq!((project.in_store(SENT), project.in_store(UNDER_WAY)), (1, 0));
    project.mooncast(&["runs", "list"]).exits(0).never_says("in doubt");
}

#[test]
fn an_idle_daemon_writes_an_outcome_that_could_not_be_written() {
    let script = format!(
        "schedule.every('10000h', {{ name = 'news' }}, function()
          {SEND}
          for _ in im.groups() do end
        end)"
    );
    let project = Arc::new(Project::with_script(script));
    let service = breaking(&project);
    let serving = Serving::start(project.command_against(&service, &["serve", "--listen", "nowhere"]));
    project.mooncast(&["jobs", "trigger", "news"]).exits(0);
    serving.says("could not write the outcome `sent`", 1);
    until("the outcome", || project.in_store(UNDER_WAY) == 0);
    assert_eq!(project.in_store(SENT), 1);
    serving.stop().exits(0);
}
