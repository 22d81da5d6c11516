//! Hosts of a fleet.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::core::utc;
use crate::ledger::Host;

/// A daemon that uses this ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostView {
    /// Its number. It gets a new one at each start.
    pub id: u64,
    /// The name of its machine.
    pub host: String,
    /// Its process id.
    pub pid: u64,
    /// The version of the program.
    pub version: String,
    /// Its roles: some of `schedule`, `send` and `page`.
    pub roles: Vec<String>,
    /// A hash of its scripts.
    pub scripts: String,
    /// Whether its scripts differ from those of most living hosts.
    pub differs: bool,
    /// When it started.
    pub since: String,
    /// Whether it is alive.
    pub alive: bool,
}

impl HostView {
    /// The views of the hosts, each compared with the others.
    pub fn all(hosts: &[Host]) -> Vec<Self> {
        let usual = usual(hosts);
        let view = |host: &Host| Self {
            id: host.id,
            host: host.host.clone(),
            pid: host.pid,
            version: host.program.clone(),
            roles: host.roles.split(',').map(str::to_owned).collect(),
            scripts: host.scripts.clone(),
            differs: usual.is_some_and(|usual| usual != host.scripts),
            since: utc(host.since),
            alive: host.alive,
        };
        hosts.iter().map(view).collect()
    }
}

/// The scripts that most living hosts have. In a tie, those of the host that runs longest.
fn usual(hosts: &[Host]) -> Option<&str> {
    let living = || hosts.iter().filter(|host| host.alive);
    let many = |scripts: &str| living().filter(|host| host.scripts == scripts).count();
    // `max_by_key` returns the last of equal elements.
    living().rev().max_by_key(|host| many(&host.scripts)).map(|host| host.scripts.as_str())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn host(id: u64, scripts: &str, alive: bool) -> Host {
        Host {
            id,
            host: "a".into(),
            pid: 1,
            program: "0.1.0".into(),
            roles: "schedule,send".into(),
            scripts: scripts.into(),
            since: Duration::from_secs(id),
            alive_until: None,
            alive,
        }
    }

    #[test]
    fn who_differs_from_most_is_told() {
        let differ = |hosts: &[Host]| -> Vec<u64> {
            HostView::all(hosts).into_iter().filter(|host| host.differs).map(|host| host.id).collect()
        };
        assert_eq!(differ(&[host(1, "x", true), host(2, "y", true), host(3, "y", true)]), [1]);
        assert_eq!(differ(&[host(1, "x", true), host(2, "y", true)]), [2]);
        assert_eq!(differ(&[host(1, "x", true), host(2, "y", false), host(3, "y", false)]), [2, 3]);
        assert_eq!(differ(&[]), [0_u64; 0]);
    }
}
