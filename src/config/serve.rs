//! `[serve]`: the daemon.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;

use super::{ConfigError, units};

/// How the daemon behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServeSettings {
    /// What runs get to end by themselves when the daemon is told to stop. Default 30 s.
    pub stop_within: Duration,
    /// Where the hooks' requests are listened for; nowhere by default.
    pub listen: Option<SocketAddr>,
}

impl Default for ServeSettings {
    fn default() -> Self {
        Self { stop_within: Duration::from_secs(30), listen: None }
    }
}

impl ServeSettings {
    /// The address to listen at, of a text like `127.0.0.1:7311`; the port 0 is any that is free.
    ///
    /// # Errors
    ///
    /// What is wrong with it: it is no address, or others than this machine would reach it.
    pub fn listen_at(text: &str) -> Result<SocketAddr, String> {
        let Ok(address) = text.parse::<SocketAddr>() else {
            return Err(format!(
                "`{text}` is no address with a port; write one of this machine, like \"127.0.0.1:7311\""
            ));
        };
        if !address.ip().is_loopback() {
            return Err(format!(
                "`{text}` could be reached from other machines, and requests would come without TLS; listen at a \
                 loopback address like \"127.0.0.1:{}\", and put a proxy with TLS in front of it",
                address.port()
            ));
        }
        Ok(address)
    }
}

/// The section as it stands in the file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ServeSection {
    #[serde(deserialize_with = "units::duration")]
    stop_within: Option<Duration>,
    listen: Option<String>,
}

impl ServeSection {
    pub(super) fn settings(self) -> Result<ServeSettings, ConfigError> {
        let listen = self.listen.as_deref().map(ServeSettings::listen_at).transpose();
        Ok(ServeSettings {
            stop_within: self.stop_within.unwrap_or(ServeSettings::default().stop_within),
            listen: listen.map_err(|why| ConfigError::invalid("[serve] listen", why))?,
        })
    }
}
