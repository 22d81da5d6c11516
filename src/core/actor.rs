//! Who acts, and what an act is, as the audit records both.

use serde_json::Value;

use super::TokenRole;

words! {
    /// How an actor is known.
    #[derive(utoipa::ToSchema)]
    #[schema(rename_all = "snake_case", as = ActorKindView)]
    ActorKind {
        /// By a token, or by the session of a browser that logged in with it.
        Token, "token";
        /// By the user header of a trusted proxy.
        Proxy, "proxy";
        /// By the operating system: a user of the command line.
        System, "system";
        /// By its path: a script that runs.
        Script, "script";
    }
}

words! {
    /// Where an act came in.
    #[derive(utoipa::ToSchema)]
    #[schema(rename_all = "snake_case", as = DoorView)]
    Door {
        /// The page.
        Page, "page";
        /// The API.
        Api, "api";
        /// The command line.
        Cli, "cli";
        /// A call of a script.
        Script, "script";
    }
}

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The name of the token, the user whom the proxy names, the user of the system, or the path of the script.
    pub name: String,
    pub kind: ActorKind,
    pub role: TokenRole,
    pub door: Door,
    /// The name of the machine that carries out the act.
    pub host: String,
    /// The network address that the act came from. `None` on the command line and for a script.
    pub address: Option<String>,
}

/// One act of an actor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    pub actor: Actor,
    /// What is done: `broadcast.pause`.
    pub verb: String,
    /// What it is done to: the name of a broadcast, a job, a script, a token.
    pub object: String,
    /// More about it, an object without secrets.
    pub details: Value,
}

impl Actor {
    /// Returns an act of this actor without details.
    pub fn act(&self, act: impl Into<String>, object: impl Into<String>) -> Act {
        Act { actor: self.clone(), verb: act.into(), object: object.into(), details: Value::Null }
    }
}

impl Act {
    /// Adds details.
    #[must_use]
    pub fn with(mut self, details: Value) -> Self {
        self.details = details;
        self
    }
}

/// The name of this machine.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
