//! Approvals: which broadcasts need one, and when two actors are one person.

use serde::{Deserialize, Serialize};

use super::{Actor, ActorKind, WholeNumber};

/// What a script says of the approval of its broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected true, false or { over = NUMBER }")]
pub enum AskedApproval {
    /// Whether it always needs one.
    Always(bool),
    /// It needs one if it has more recipients than this.
    Over(AskedApprovalOver),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedApprovalOver {
    #[serde(serialize_with = "as_number")]
    pub over: WholeNumber,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "it is what serde calls")]
fn as_number<S: serde::Serializer>(number: &WholeNumber, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(number.0)
}

impl AskedApproval {
    /// The most recipients of a broadcast that needs none; None if it asks for none.
    pub fn over(self) -> Option<u64> {
        match self {
            Self::Always(always) => always.then_some(0),
            Self::Over(rule) => Some(u64::try_from(rule.over.0).unwrap_or(0)),
        }
    }
}

/// A person or a machine, as approvals compare them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The name of the token, the user whom the proxy names, or the user of the system.
    pub name: String,
    pub kind: ActorKind,
}

impl Person {
    /// The person that this actor is, on the page, the API and the command line alike.
    pub fn of(actor: &Actor) -> Self {
        Self { name: actor.name.clone(), kind: actor.kind }
    }

    /// Whether both are one person. The same person may use a token, a proxy and the command line, and the
    /// case of the name may differ.
    pub fn is(&self, other: &Self) -> bool {
        same_name(&self.name) == same_name(&other.name)
    }
}

fn same_name(name: &str) -> String {
    name.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_known_by_the_name_at_every_door() {
        let person = |name: &str, kind| Person { name: name.to_owned(), kind };
        let alice = person("alice", ActorKind::Token);
        for same in [person("Alice", ActorKind::Proxy), person(" ALICE ", ActorKind::System)] {
            assert!(alice.is(&same) && same.is(&alice), "{same:?}");
        }
        assert!(person("ÉMILE", ActorKind::Proxy).is(&person("émile", ActorKind::Token)));
        assert!(!alice.is(&person("alice2", ActorKind::Token)));
    }

    #[test]
    fn what_a_script_asks_for_is_a_number_of_recipients() {
        let asked = |json: &str| serde_json::from_str::<AskedApproval>(json).map(AskedApproval::over);
        assert_eq!(asked("true").unwrap(), Some(0));
        assert_eq!(asked("false").unwrap(), None);
        assert_eq!(asked("{\"over\": 10.0}").unwrap(), Some(10));
        assert_eq!(asked("{\"over\": -1}").unwrap(), Some(0));
        for wrong in ["1", "\"yes\"", "{\"over\": 1.5}", "{\"over\": \"1\"}", "{\"ovr\": 1}"] {
            let error = asked(wrong).unwrap_err().to_string();
            assert!(error.contains("expected true, false or { over = NUMBER }"), "{wrong}: {error}");
        }
    }
}
