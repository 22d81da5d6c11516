//! `[permissions]`: what scripts may access outside of the project's folder.

use std::path::PathBuf;

use serde::Deserialize;

use crate::core::{RestGrant, UserScope};

/// What scripts may access. A script may read the project's folder and also write to its folder `data`. The
/// exceptions are the scripts and the host's own files: its state, its settings, files with credentials. Everything
/// else needs a permission.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Permissions {
    /// Files and folders that scripts may read, relative to the project or absolute.
    pub read: Vec<PathBuf>,
    /// Files and folders that scripts may read and write.
    pub write: Vec<PathBuf>,
    /// Hosts that the `http` module may connect to: `example.com`, `*.example.com`, `10.0.0.7:8080`. A host that
    /// resolves to a private address is refused unless that address or its range (`10.0.0.0/8`) is also listed.
    pub net: Vec<String>,
    /// Environment variables that `env.get` may read.
    pub env: Vec<String>,
    /// Environment variables that `env.secret` may name. The host fills them in; scripts never see them.
    pub secrets: Vec<String>,
    /// The hooks that `http.hook` may declare, through which other services start scripts.
    pub hooks: Vec<String>,
    /// Calls of the service's REST API that `im.request` may make: `GET /chatgroups/*`.
    pub requests: Vec<RestGrant>,
    /// The users that `im.announce` may send to: `all`, `online`.
    pub announce: Vec<UserScope>,
    /// Whether `im.suppress` may add to the suppression list.
    pub suppress: bool,
    /// Whether messages with `override = true` are also sent to recipients on the suppression list.
    pub override_suppression: bool,
}

impl Permissions {
    /// Adds the permissions that flags grant.
    pub fn extend(&mut self, more: Self) {
        self.read.extend(more.read);
        self.write.extend(more.write);
        self.net.extend(more.net);
        self.env.extend(more.env);
        self.secrets.extend(more.secrets);
        self.hooks.extend(more.hooks);
        self.requests.extend(more.requests);
        self.announce.extend(more.announce);
        self.suppress |= more.suppress;
        self.override_suppression |= more.override_suppression;
    }

    /// Whether a script may declare a hook with this name.
    pub fn grants_hook(&self, name: &str) -> bool {
        self.hooks.iter().any(|granted| granted == name)
    }
}
