//! The operator's commands and views.
//!
//! On a server: in the soak

mod export;
mod ledger;
mod sends;
mod settings;
mod steering;
mod waiting;

use crate::support::service::Service;
use crate::support::{Project, Ran};

/// Sends to 40 groups, fast.
const FAST: &str = "[app.limits]\ngroup_per_second = 10000\n";

/// A broadcast `news` to this many groups.
fn news(many: u32) -> String {
    format!(
        r#"
local groups = {{}}
for i = 1, {many} do groups[i] = 1000 + i end
im.broadcast {{ name = "news", to = groups, message = {{ type = "txt", body = {{ msg = "once" }} }} }}
"#
    )
}

/// Kills a run of `scripts/main.lua` at a fail point and waits until it counts as dead.
fn killed(project: &Project, service: &Service, point: &str) {
    let mut command = project.command_against(service, &["run", "scripts/main.lua"]);
    let ran = Ran::of(&command.env("MOONCAST_FAIL_POINT", point).output().unwrap());
    assert_eq!(ran.status, None, "{ran:#?}");
    project.wait_for_death();
}

/// Runs `mooncast runs ARGS` in a project that sends to a service.
fn runs(project: &Project, service: &Service, args: &[&str]) -> Ran {
    let all = [&["runs"], args].concat();
    Ran::of(&project.command_against(service, &all).env("TZ", "Asia/Shanghai").output().unwrap())
}
