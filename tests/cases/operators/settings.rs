//! `[app.limits]` and `[alerts]` of a running daemon, which applies a changed `mooncast.toml` without a restart.

use crate::daemon::Serving;
use crate::support::Project;
use crate::support::service::Service;

const JOB: &str = r#"
local schedule = require("schedule")
schedule.every("24h", { name = "limits" }, function() print("limit", im.limits.group_per_second, im.limits.message_bytes) end)
schedule.every("24h", { name = "fails" }, function() error("on purpose") end)
"#;

#[test]
fn a_running_daemon_takes_changed_limits_and_says_so() {
    let service = Service::accepting();
    let project = Project::with_script(JOB).file("mooncast.toml", "[app.limits]\ngroup_per_second = 30\n");
    let serving = Serving::start(project.command_against(&service, &["serve", "--listen", "nowhere"]));
    project.mooncast(&["jobs", "trigger", "limits"]).exits(0);
    serving.prints("limit\t30", 1);
    project.write("mooncast.toml", "[app.limits]\ngroup_per_second = 50\nmessage_bytes = 1000\n");
    serving.says("changed settings are now active", 1);
    assert!(serving.logged().iter().any(|line| line.contains("[app] limits")), "{:#?}", serving.logged());
    project.mooncast(&["jobs", "trigger", "limits"]).exits(0);
    serving.prints("limit\t50", 1);
    assert!(serving.printed().iter().any(|line| line.contains("1000")), "{:?}", serving.printed());
    // Settings that need a restart are named.
    project.write(
        "mooncast.toml",
        "[app]\nbase_url = \"http://elsewhere\"\n[app.limits]\ngroup_per_second = 60\ntargeted_cost = \"user\"\n[serve]\nhosts = [\"x\"]\n",
    );
    serving.says("changed settings need a restart", 1);
    let named = serving.logged();
    let line = named.iter().find(|line| line.contains("changed settings need a restart")).unwrap();
    assert!(line.contains("targeted_cost") && line.contains("[serve] hosts"), "{line}");
    serving.stop().exits(0);
}

#[test]
fn a_running_daemon_takes_changed_alerts() {
    let (service, hook) = (Service::accepting(), Service::accepting());
    let project = Project::with_script(JOB);
    let serving = Serving::start(project.command_against(&service, &["serve", "--listen", "nowhere"]));
    project.write("mooncast.toml", format!("[alerts]\nurl = \"{}/hook\"\n", hook.url()));
    serving.says("changed settings are now active", 1);
    project.mooncast(&["jobs", "trigger", "fails"]).exits(0);
    hook.wait_for(1);
    assert!(String::from_utf8_lossy(&hook.requests()[0].body).contains("on purpose"));
    // The settings are removed again.
    project.write("mooncast.toml", "");
    serving.says("changed settings are now active", 2);
    project.mooncast(&["jobs", "trigger", "fails"]).exits(0);
    serving.says("on purpose", 2);
    assert_eq!(hook.requests().len(), 1);
    serving.stop().exits(0);
}
