//! The recipients of a rehearsal against the service's own lists.

use std::io::{self, Write};

use anyhow::Result;
use serde::Serialize;

use super::stage::Performance;

#[derive(Debug, Default, Serialize)]
pub(super) struct Targets {
    pub(super) groups_checked: u64,
}

impl Targets {
    pub(super) fn is_clean(&self) -> bool {
        true
    }

    pub(super) fn write(&self, _: &mut impl Write) -> io::Result<()> {
        Ok(())
    }
}

pub(super) async fn check(_: &Performance) -> Result<Targets> {
    Ok(Targets::default())
}
