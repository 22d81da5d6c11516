//! The token that hosts share, fetched in the middle of a broadcast.

use std::sync::mpsc;
use std::time::Duration;

use super::has_server;
use crate::support::service::{Service, accept, json};
use crate::support::{Project, Ran};

/// The longest wait, however loaded the machine is.
const GUARD: Duration = Duration::from_mins(1);

#[test]
fn a_token_that_is_long_in_coming_holds_up_no_broadcast_for_good() {
    if !has_server() {
        return;
    }
    let service = Service::answering(|number, request| {
        if request.path.ends_with("/token") {
            return json(200, r#"{"access_token":"a-token","expires_in":3600}"#);
        }
        accept(number, request)
    });
    let project = Project::with_script(
        r#"print(im.broadcast {
          name = "news", to = { 1, 2, 3, 4 }, rate = 10, message = { type = "txt", body = { msg = "x" } },
        }.sent)"#,
    );
    project.mooncast(&["store", "migrate"]).exits(0);
    // The first host waits for a token and holds the ledger's only writer. After the third recipient, the broadcast
    // asks it whether there are more. No call is in flight meanwhile, so the server's clock shows that the third has
    // its slot.
    let held = project.schema().hold(
        "app_tokens",
        "SELECT count(*) >= 1 FROM pg_locks WHERE NOT granted AND relation = 'app_tokens'::regclass
            AND clock_timestamp() - waitstart > interval '1 second'",
    );
    let mut command = project.command(&["run", "scripts/main.lua"]);
    command.env("MOONCAST_BASE_URL", service.url()).env("MOONCAST_ORG", "org").env("MOONCAST_APP", "app");
    command.env("MOONCAST_CLIENT_ID", "id").env("MOONCAST_CLIENT_SECRET", "secret");
    let child = Project::start(command);
    let pid = rustix::process::Pid::from_child(&child);
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || ended.send(child.wait_with_output().unwrap()));
    assert!(held.join().unwrap(), "no token was waited for");
    let output = end.recv_timeout(GUARD);
    if output.is_err() {
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    Ran::of(&output.expect("it never ends")).exits(0).prints("4\n");
    assert_eq!(service.messages().len(), 4);
}
