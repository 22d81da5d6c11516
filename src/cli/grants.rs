//! Command line permissions of one script, which add to those in `[permissions]`.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::config::Permissions;
use crate::core::{RestGrant, UserScope};

/// Permissions of the script, in addition to `[permissions]`.
#[derive(Debug, Args)]
#[expect(clippy::struct_field_names, reason = "they are the names of the flags")]
pub(super) struct GrantArgs {
    /// Let the script read this file or folder; can be repeated
    #[arg(long, value_name = "PATH")]
    allow_read: Vec<PathBuf>,
    /// Let the script read and write this file or folder; can be repeated
    #[arg(long, value_name = "PATH")]
    allow_write: Vec<PathBuf>,
    /// Let the script send requests to this host; can be repeated
    #[arg(long, value_name = "HOST")]
    allow_net: Vec<String>,
    /// Let the script read this environment variable; can be repeated
    #[arg(long, value_name = "NAME")]
    allow_env: Vec<String>,
    /// Let the script use this environment variable in requests without seeing it; can be repeated
    #[arg(long, value_name = "NAME")]
    allow_secret: Vec<String>,
    /// Let the script declare this hook, which other systems run with a request; can be repeated
    #[arg(long, value_name = "NAME")]
    allow_hook: Vec<String>,
    /// Let the script make this call of the service's REST API with `im.request`, for example `GET /chatgroups/*`; can be
    /// repeated
    #[arg(long, value_name = "CALL")]
    allow_request: Vec<RestGrant>,
    /// Let the script announce to these users, `all` or `online`; can be repeated
    #[arg(long, value_name = "USERS")]
    allow_announce: Vec<UserScope>,
    /// Let the script add to the suppression list with `im.suppress`
    #[arg(long)]
    allow_suppress: bool,
    /// Let the script send to recipients on the suppression list, where it says `override = true`
    #[arg(long)]
    allow_override_suppression: bool,
}

impl GrantArgs {
    /// The same flags, for another command.
    pub(super) fn flags(&self) -> Vec<String> {
        let mut flags = Vec::new();
        let mut add = |name: &str, value: String| flags.extend([name.to_owned(), value]);
        let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        for path in &self.allow_read {
            add("--allow-read", absolute(path).display().to_string());
        }
        for path in &self.allow_write {
            add("--allow-write", absolute(path).display().to_string());
        }
        for (name, values) in [
            ("--allow-net", &self.allow_net),
            ("--allow-env", &self.allow_env),
            ("--allow-secret", &self.allow_secret),
            ("--allow-hook", &self.allow_hook),
        ] {
            for value in values {
                add(name, value.clone());
            }
        }
        self.allow_request.iter().for_each(|grant| add("--allow-request", grant.to_string()));
        self.allow_announce.iter().for_each(|scope| add("--allow-announce", scope.to_string()));
        for (name, given) in [
            ("--allow-suppress", self.allow_suppress),
            ("--allow-override-suppression", self.allow_override_suppression),
        ] {
            flags.extend(given.then(|| name.to_owned()));
        }
        flags
    }

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
            requests: self.allow_request.clone(),
            announce: self.allow_announce.clone(),
            suppress: self.allow_suppress,
            override_suppression: self.allow_override_suppression,
        })
    }
}
