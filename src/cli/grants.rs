//! Command line permissions of one script, which add to those in `[permissions]`.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::config::Permissions;

/// What a script may reach, beyond what `[permissions]` grants.
#[derive(Debug, Args)]
#[expect(clippy::struct_field_names, reason = "they are the names of the flags")]
pub(super) struct GrantArgs {
    /// Let the script read this file or folder; can be repeated
    #[arg(long, value_name = "PATH")]
    allow_read: Vec<PathBuf>,
    /// Let the script read and write this file or folder; can be repeated
    #[arg(long, value_name = "PATH")]
    allow_write: Vec<PathBuf>,
    /// Let the script talk to this host; can be repeated
    #[arg(long, value_name = "HOST")]
    allow_net: Vec<String>,
    /// Let the script read this environment variable; can be repeated
    #[arg(long, value_name = "NAME")]
    allow_env: Vec<String>,
    /// Let the script use this environment variable in requests without seeing it; can be repeated
    #[arg(long, value_name = "NAME")]
    allow_secret: Vec<String>,
    /// Let the script declare this hook, which others run by a request; can be repeated
    #[arg(long, value_name = "NAME")]
    allow_hook: Vec<String>,
}

impl GrantArgs {
    /// Converts the flags to permissions. Relative paths are relative to the current folder.
    pub(super) fn permissions(&self) -> anyhow::Result<Permissions> {
        let absolute = |paths: &[PathBuf]| {
            paths.iter().map(std::path::absolute).collect::<Result<Vec<_>, _>>().context("the current folder")
        };
        Ok(Permissions {
            read: absolute(&self.allow_read)?,
            write: absolute(&self.allow_write)?,
            net: self.allow_net.clone(),
            env: self.allow_env.clone(),
            secrets: self.allow_secret.clone(),
            hooks: self.allow_hook.clone(),
        })
    }
}
