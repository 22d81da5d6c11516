//! Caps under several hosts and many broadcasts at once, counted at a service outside. `MOONCAST_SOAK=1` takes the full
//! size.

use super::has_server;
use crate::caps::{accepted, refusing};
use crate::daemon::Serving;
use crate::support::service::Service;
use crate::support::{Project, until};

const LIMITS: &str = "[app.limits]\ngroup_per_second = 10000\n";

/// The messages that a group gets at most.
const CAP: usize = 3;

fn script(groups: usize) -> String {
    format!(
        r#"
local schedule = require("schedule")
for number = 1, 10 do
  schedule.every("10000h", {{ name = "news" .. number }}, function()
    local groups = {{}}
    -- Each broadcast begins elsewhere.
    for i = 1, {groups} do groups[i] = 1000 + (i * 7 + number * 131) % {groups} end
    im.broadcast {{
      name = "news" .. number, to = groups, pack = number % 2 == 0 and 1 or 3, stop_after_failures = 100000,
      cap = {{ per_group = {CAP}, within = "7d", tag = "marketing" }},
      message = {{ from = "a", type = "txt", body = {{ msg = "news" .. number }} }},
    }}
  end)
end
"#
    )
}

#[test]
fn no_group_is_over_its_cap_and_none_below_it_is_left_out() {
    if !has_server() {
        return;
    }
    // A number that 7 does not divide, so that each broadcast goes to every group once.
    let groups = if std::env::var_os("MOONCAST_SOAK").is_some() { 2_000 } else { 90 };
    let service = Service::answering(refusing);
    let script = script(groups);
    let first = Project::with_script(&script).file("mooncast.toml", LIMITS);
    let others = [(); 2].map(|()| {
        let other = first.beside();
        other.write("scripts/main.lua", &script);
        other.write("mooncast.toml", LIMITS);
        other
    });
    let hosts: Vec<Serving> = [&first, &others[0], &others[1]]
        .map(|project| {
            Serving::start(project.command_against(&service, &["serve", "--listen", "127.0.0.1:0"]))
        })
        .into();
    for number in 1..=10 {
        first.mooncast(&["jobs", "trigger", &format!("news{number}")]).exits(0);
    }
    let over = || first.in_store("SELECT count(*) FROM broadcasts WHERE state = 2") == 10;
    until("all broadcasts are over", over);
    for host in hosts {
        host.stop().exits(0);
    }
    let accepted = accepted(&service);
    assert_eq!(accepted.len(), groups);
    let wrong: Vec<_> = accepted.iter().filter(|(_, count)| **count != CAP).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    let sent = first.in_store("SELECT count(*) FROM recipients WHERE state = 2");
    assert_eq!(sent, i64::try_from(groups * CAP).unwrap());
    println!("{groups} groups, 10 broadcasts, 3 hosts: {sent} sent, {} requests", service.requests().len());
}
