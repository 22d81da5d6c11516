//! The outcomes of single sends that the ledger cannot take when the answer comes: they are kept and written, with no
//! other send needed for it.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use mooncast::{
    App, AppLimits, Call, Clock, Credentials, Delivery, LazyLedger, SendCounters, SendOptions, Timeouts,
};
use tokio_util::sync::CancellationToken;

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

#[test]
fn an_outcome_that_is_known_when_its_send_is_dropped_is_written() {
    let project = Arc::new(Project::new());
    let service = breaking(&project);
    let clock = Clock::simulated(Duration::from_hours(500_000));
    let app = App {
        name: "default".into(),
        prefix: format!("{}/org/app", service.url()),
        credentials: Credentials::Token("token".into()),
        limits: AppLimits { group_per_second: 1_000_000, ..AppLimits::default() },
        records: mooncast::RecordSettings::default(),
        timeouts: Timeouts::default(),
    };
    let ledger = Rc::new(LazyLedger::new(project.place(), clock.clone(), "test"));
    let delivery = Delivery::new(&app, clock.clone(), None).unwrap().with_ledger(ledger, "app");
    let message = serde_json::json!({ "to": "1", "type": "txt", "body": { "msg": "x" } });
    let message = delivery.check(Call::Group, message).unwrap();
    let (stop, tally) = (CancellationToken::new(), SendCounters::default());
    let dropped = async {
        let send = delivery.send(&message, SendOptions::default(), &stop, &tally);
        // The first write of the outcome has failed, and so has the second, 100 ms later.
        assert!(clock.timeout(Duration::from_millis(150), send).await.is_err());
        let mended = Arc::clone(&project);
        tokio::task::spawn_blocking(move || mended.run_in_store(MEND)).await.unwrap();
        delivery.write_deferred().await;
    };
    clock.block_on(dropped).unwrap();
    assert_eq!(service.messages().len(), 1);
    assert_eq!((project.in_store(SENT), project.in_store(UNDER_WAY)), (1, 0));
}
