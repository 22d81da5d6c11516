//! Inputs that went wrong once, each with the right result. A test stands for a kind of input. They work from outside: the binary, Lua, HTTP.

mod audience;
mod changes;
mod files;
mod isolation;
mod media;
mod network;
mod operators;
mod schedules;
mod values;

use std::time::{Duration, Instant};

use crate::support::{Project, Ran, until};

/// How long a process on a server is silent before it counts as dead, and a little more.
const DEATH: Duration = Duration::from_secs(12);

/// Waits until others know that a process of this project which was killed is dead: in a file, at once.
fn wait_for_its_death(project: &Project) {
    if project.schema().address().is_none() {
        return;
    }
    let died = Instant::now();
    until("its death is known", || {
        Ran::of(&project.command(&["store", "check"]).output().unwrap());
        died.elapsed() > DEATH
    });
}
