//! The user of the system who runs a command, as the actor of the audit.

use nix::unistd::{Uid, User};
use serde_json::Value;

use crate::control::arguments_as_details;
use crate::core::{Act, Actor, ActorKind, Door, TokenRole, host_name};

/// The number that the kernel shows for a process without a login.
const NO_LOGIN: u32 = u32::MAX;

/// The user who runs this command: the one who logged in, also after `sudo`, else the process's user. Who can run the
/// command on the ledger may do everything.
pub(super) fn actor() -> Actor {
    let login = std::fs::read_to_string("/proc/self/loginuid").ok().and_then(|uid| uid.trim().parse().ok());
    let uid = login.filter(|uid| *uid != NO_LOGIN).map_or_else(Uid::current, Uid::from_raw);
    let named = User::from_uid(uid).ok().flatten();
    Actor {
        name: named.map_or_else(|| format!("uid {uid}"), |user| user.name),
        kind: ActorKind::System,
        role: TokenRole::Admin,
        door: Door::Cli,
        host: host_name(),
        address: None,
    }
}

/// An act of the user who runs this command.
pub(super) fn act(act: &str, object: impl Into<String>) -> Act {
    actor().act(act, object)
}

/// The act of running a script. It is recorded when the run first uses the ledger.
pub(super) fn run(script: &str, args: &[String], more: Value) -> Act {
    let mut details = arguments_as_details(args);
    if let (Some(details), Value::Object(more)) = (details.as_object_mut(), more) {
        details.extend(more.into_iter().filter(|(_, value)| !value.is_null()));
    }
    act("run", script).with(details)
}
