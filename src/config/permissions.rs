//! `[permissions]`: what scripts may reach beyond the project's own folder.

use std::path::PathBuf;

use serde::Deserialize;

/// What scripts may reach. The project's folder is readable, its folder `data` is writable too, but for what the host
/// keeps there (its state, its settings, files with credentials) and the scripts; nothing else is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Permissions {
    /// Files and folders that may be read, relative to the project or absolute.
    pub read: Vec<PathBuf>,
    /// Files and folders that may be read and written.
    pub write: Vec<PathBuf>,
    /// Hosts that the `http` module may talk to: `example.com`, `*.example.com`, `10.0.0.7:8080`. A host that
    /// resolves to a private address is refused unless that address or range (`10.0.0.0/8`) is named too.
    pub net: Vec<String>,
    /// Environment variables that `env.get` may read.
    pub env: Vec<String>,
    /// Environment variables that `env.secret` may name: the host fills them in, scripts never see them.
    pub secrets: Vec<String>,
    /// The hooks that `http.hook` may declare: by them others have scripts run.
    pub hooks: Vec<String>,
}

impl Permissions {
    /// Adds what flags grant to what the file grants.
    pub fn extend(&mut self, more: Self) {
        self.read.extend(more.read);
        self.write.extend(more.write);
        self.net.extend(more.net);
        self.env.extend(more.env);
        self.secrets.extend(more.secrets);
        self.hooks.extend(more.hooks);
    }

    /// Whether a hook of this name may be declared.
    #[must_use]
    pub fn grants_hook(&self, name: &str) -> bool {
        self.hooks.iter().any(|granted| granted == name)
    }
}
