//! Rehearsals for the listener: the active version of a script, with its uploaded files.

use std::rc::Rc;

use futures_util::future::LocalBoxFuture;
use serde_json::Value;

use crate::ledger::NewRehearsal;

use super::mounts::RunFiles;
use super::rehearser::RehearsalOrder;
use super::{Daemon, DaemonSetup};

impl Daemon {
    /// Returns a function that rehearses a script and gives the report, or why there is none.
    pub fn rehearsals(
        &self,
    ) -> impl Fn(NewRehearsal) -> LocalBoxFuture<'static, Result<Value, String>> + use<> {
        let setup = Rc::clone(&self.setup);
        move |new| {
            let setup = Rc::clone(&setup);
            Box::pin(async move { rehearse(&setup, &new).await })
        }
    }
}

async fn rehearse(setup: &DaemonSetup, new: &NewRehearsal) -> Result<Value, String> {
    let version = setup.registry.script(&new.script).filter(|version| version.hash == new.version);
    let version = version.ok_or_else(|| {
        format!("{}: this host has another version of the script; rehearse it again", new.script)
    })?;
    let held = &setup.registry.loader().held;
    let here = held.current().map_err(|error| error.to_string())?;
    let files = RunFiles::of(&setup.ledger, &here.state_folder(), &new.args).await?;
    let path = held.moved(&here, &version.path);
    let (script, args, mounts) = (&version.script, &new.args, &files.mounts);
    let order = RehearsalOrder { project: &here, path: &path, script, args, mounts };
    setup.rehearser.rehearse(&order).await
}
