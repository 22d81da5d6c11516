//! What an operator can see and do.

mod export;
mod ledger;
mod sends;
mod settings;
mod steering;
mod waiting;

use std::process::Command;

use crate::support::service::Service;
use crate::support::{Project, Ran};

/// Sends to 40 groups, fast.
const FAST: &str = "[app.limits]\ngroup_per_second = 10000\n";

/// A broadcast `news` to so many groups.
fn news(many: u32) -> String {
    format!(
        r#"
local groups = {{}}
for i = 1, {many} do groups[i] = 1000 + i end
im.broadcast {{ name = "news", to = groups, message = {{ type = "txt", body = {{ msg = "once" }} }} }}
"#
    )
}

/// A command that is killed at a fail point.
fn killed(mut command: Command, point: &str) {
    let ran = Ran::of(&command.env("MOONCAST_FAIL_POINT", point).output().unwrap());
    assert_eq!(ran.status, None, "{ran:#?}");
}

/// `mooncast runs ARGS` of a project that sends to a service.
fn runs(project: &Project, service: &Service, args: &[&str]) -> Ran {
    let all = [&["runs"], args].concat();
    Ran::of(&project.command_against(service, &all).env("TZ", "Asia/Shanghai").output().unwrap())
}
