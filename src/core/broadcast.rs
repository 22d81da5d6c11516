//! The specification of a broadcast: the fields of `im.broadcast`. The worker, the host and the linter read it here.

use std::str::FromStr;

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::window::SendWindow;
use super::{
    AskedApproval, Call, MessageCap, Priority, Ramp, RecipientState, RequestFailure, StopIf, WholeNumber,
    unknown_name,
};

/// The names of the fields in Lua.
pub const BROADCAST_FIELDS: [&str; 28] = [
    "name",
    "run",
    "kind",
    "to",
    "message",
    "pack",
    "in_doubt",
    "rate",
    "window",
    "priority",
    "exclude",
    "stop_after_failures",
    "max_recipients",
    "preflight",
    "on_progress",
    "skip_bad",
    "id_column",
    "encoding",
    "separator",
    "sheet",
    "allow_empty",
    "on_change",
    "override",
    "tag",
    "cap",
    "ramp",
    "stop_if",
    "approval",
];

/// The most bytes of a name.
const NAME_BYTES: usize = 200;

words! {
    /// What happens to recipients in doubt.
    #[derive(Default)]
    InDoubtPolicy {
        /// They are reported, and a person settles them.
        #[default]
        Hold, "hold";
        /// They are sent again.
        Resend, "resend";
        /// The service's records settle them. Those that it did not accept are sent again; the broadcast waits for that.
        Reconcile, "reconcile";
    }
}

words! {
    /// What a run does with an unfinished broadcast whose inputs changed.
    #[derive(Default)]
    OnChange {
        /// Sends nothing, and reports the differences.
        #[default]
        Refuse, "refuse";
        /// Continues with the recipients and messages of the stored plan.
        Continue, "continue";
        /// Replaces the unsent part of the stored plan with a new plan.
        Replan, "replan";
    }
}

/// The fields of `im.broadcast` without functions and lists. A field that was not given is None, so that the hash of
/// the fields covers only what was given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BroadcastSpec {
    pub name: String,
    #[serde(deserialize_with = "run")]
    pub run: Option<String>,
    /// What its recipients are. None for groups, or members of groups if the first recipient names `users`.
    #[serde(deserialize_with = "kind")]
    pub kind: Option<Call>,
    /// The audience file, if the recipients are in a file.
    pub path: Option<String>,
    /// The message, if it is the same for all recipients.
    pub message: Option<Value>,
    /// The number of recipients in one call: 1 to 3 groups, 600 users or 10 rooms.
    #[serde(deserialize_with = "ranged::<1, { i64::MAX }, _, _>")]
    pub pack: Option<u64>,
    #[serde(deserialize_with = "word")]
    pub in_doubt: Option<InDoubtPolicy>,
    /// Its own rate limit in messages a second.
    pub rate: Option<f64>,
    pub window: Option<SendWindow>,
    #[serde(deserialize_with = "word")]
    pub priority: Option<Priority>,
    pub exclude: Option<ExcludedBroadcast>,
    /// Whether it is also sent to recipients on the suppression list.
    #[serde(rename = "override")]
    pub overrides: Option<bool>,
    /// What kind of messages it sends, for caps.
    pub tag: Option<String>,
    pub cap: Option<MessageCap>,
    /// The stages in which it begins.
    pub ramp: Option<Ramp>,
    /// The condition by which it pauses itself: [`StopIf`].
    pub stop_if: Option<String>,
    /// Whether another person must approve it before it is sent.
    pub approval: Option<AskedApproval>,
    /// The broadcast whose messages it edits. Its recipients are those of that broadcast.
    pub corrects: Option<CorrectedBroadcast>,
    /// The number of consecutive failures after which it pauses.
    #[serde(deserialize_with = "ranged::<1, { i64::MAX }, _, _>")]
    pub stop_after_failures: Option<u64>,
    #[serde(deserialize_with = "ranged::<1, { i64::MAX }, _, _>")]
    pub max_recipients: Option<u64>,
    /// Whether every group is looked up at the service before the plan is fixed.
    pub preflight: Option<bool>,
    pub skip_bad: Option<bool>,
    pub id_column: Option<String>,
    pub encoding: Option<String>,
    pub separator: Option<String>,
    pub sheet: Option<String>,
    #[serde(deserialize_with = "on_change")]
    pub on_change: OnChange,
    /// Whether test messages to a few groups are sent before it.
    pub tested: bool,
    /// Whether it ends after the test messages.
    pub test_only: bool,
}

/// A broadcast whose sent messages are edited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorrectedBroadcast {
    pub broadcast: String,
    #[serde(default, deserialize_with = "run", skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The user who edits. None for the app's admin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// The recipients of an earlier broadcast that are excluded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExcludedBroadcast {
    pub broadcast: String,
    #[serde(default, deserialize_with = "run", skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The states of the excluded recipients. Default: those that have the message.
    #[serde(default, deserialize_with = "states", skip_serializing_if = "Option::is_none")]
    pub states: Option<Vec<RecipientState>>,
}

impl BroadcastSpec {
    /// Reads the fields and validates them.
    ///
    /// # Errors
    ///
    /// The first problem, with the field's name.
    pub fn read(fields: &Value) -> Result<Self, RequestFailure> {
        let spec: Self = serde_path_to_error::deserialize(fields)
            .map_err(|error| Self::problem(&error.path().to_string(), &error.inner().to_string()))?;
        spec.validate()?;
        Ok(spec)
    }

    /// Checks what the types of the fields allow and a broadcast does not.
    ///
    /// # Errors
    ///
    /// The first problem, with the field's name.
    pub fn validate(&self) -> Result<(), RequestFailure> {
        let exclude = self.exclude.as_ref();
        for (field, text) in [
            // The host names an edit after its broadcast.
            ("name", self.corrects.is_none().then_some(&self.name)),
            ("run", self.run.as_ref()),
            ("id_column", self.id_column.as_ref()),
            ("sheet", self.sheet.as_ref()),
            ("exclude.broadcast", exclude.map(|exclude| &exclude.broadcast)),
            ("tag", self.tag.as_ref()),
            ("cap.tag", self.cap.as_ref().and_then(|cap| cap.tag.as_ref())),
            ("exclude.run", exclude.and_then(|exclude| exclude.run.as_ref())),
        ] {
            let is_name =
                |text: &String| (1..=NAME_BYTES).contains(&text.len()) && !text.contains(char::is_control);
            if text.is_some_and(|text| !is_name(text)) {
                return Err(Self::problem(field, "must have 1 to 200 bytes and no control characters"));
            }
        }
        let most = match self.kind {
            None | Some(Call::Group | Call::Edit | Call::Announce) => 3,
            Some(Call::Targeted) => 1,
            Some(Call::User) => 600,
            Some(Call::Room) => 10,
        };
        if let Some(pack) = self.pack.filter(|pack| *pack > most) {
            return Err(Self::problem("pack", &format!("must be 1 to {most}, not {pack}")));
        }
        if let Some(rate) = self.rate.filter(|rate| !rate.is_finite() || *rate <= 0.0) {
            return Err(Self::problem("rate", &format!("must be over 0 messages a second, not {rate}")));
        }
        if let Some(cap) = &self.cap {
            cap.validate(self.kind, self.tag.as_deref())
                .map_err(|(field, what)| Self::problem(field, &what))?;
        }
        if let Some(ramp) = &self.ramp {
            ramp.limits(1).map_err(|what| Self::problem("ramp", &what))?;
            ramp.pause().map_err(|what| Self::problem("ramp.pause", &what))?;
        }
        if let Some(condition) = &self.stop_if {
            condition.parse::<StopIf>().map_err(|what| Self::problem("stop_if", &what))?;
        }
        let of_file = [("encoding", &self.encoding), ("separator", &self.separator), ("sheet", &self.sheet)];
        if let (None, Some((field, _))) = (&self.path, of_file.iter().find(|(_, given)| given.is_some())) {
            let what = "it applies only to a file of recipients, and `to` is not a file; leave it out";
            return Err(RequestFailure::invalid(*field, format!("`{field}`: {what}")));
        }
        Ok(())
    }

    /// The tag of its messages: that of its cap, if it has none of its own.
    pub fn tag(&self) -> Option<&String> {
        self.tag.as_ref().or_else(|| self.cap.as_ref()?.tag.as_ref())
    }

    /// Returns the failure for a field that serde cannot read. `what` is serde's message, or one that follows the
    /// field's name: `must be 1 to 3, not 4`.
    pub fn problem(field: &str, what: &str) -> RequestFailure {
        if what.starts_with("must ") {
            return RequestFailure::invalid(field, format!("`{field}` {what}"));
        }
        let mut quoted = what.split('`').skip(1).step_by(2);
        let parent = field.rsplit_once('.').map_or("broadcast", |(parent, _)| parent);
        if what.starts_with("missing field ") {
            let field = format!("{field}.{}", quoted.next().unwrap_or_default());
            let field = field.trim_start_matches('.');
            return RequestFailure::invalid(field, format!("`{field}` is missing"));
        }
        if what.starts_with("unknown field ") {
            let name = quoted.next().unwrap_or_default();
            return RequestFailure::invalid(field, format!("{parent}: {}", unknown_name(name, quoted)));
        }
        RequestFailure::invalid(
            field,
            format!("{field}: {}", wrong_type(what).unwrap_or_else(|| what.to_owned())),
        )
    }
}

/// Returns a problem of serde with a value's type: `expected true or false, got string "x"`.
fn wrong_type(what: &str) -> Option<String> {
    let rest = what.strip_prefix("invalid type: ").or_else(|| what.strip_prefix("invalid value: "))?;
    let (got, expected) = rest.rsplit_once(", expected ")?;
    let expected = match expected {
        "f64" => "a number",
        "a boolean" => "true or false",
        other if other.starts_with("struct ") => "a table",
        other => other,
    };
    Some(format!("expected {expected}, got {got}"))
}

/// Reads a text, or a whole number as its text.
fn run<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a string")]
    enum Run {
        Text(String),
        Number(i64),
    }
    Ok(Option::deserialize(deserializer)?.map(|run| match run {
        Run::Text(text) => text,
        Run::Number(number) => number.to_string(),
    }))
}

/// Reads a whole number in a range. The largest integer as the maximum stands for no maximum.
fn ranged<'de, const LEAST: i64, const MOST: i64, T: TryFrom<i64>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let Some(WholeNumber(number)) = Option::deserialize(deserializer)? else { return Ok(None) };
    if (LEAST..=MOST).contains(&number)
        && let Ok(number) = T::try_from(number)
    {
        return Ok(Some(number));
    }
    let range = if MOST == i64::MAX { format!("at least {LEAST}") } else { format!("{LEAST} to {MOST}") };
    Err(D::Error::custom(format!("must be {range}, not {number}")))
}

/// Reads a word of an enum.
fn word<'de, T: FromStr<Err = String>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let word: Option<String> = Option::deserialize(deserializer)?;
    word.map(|word| word.parse().map_err(D::Error::custom)).transpose()
}

/// Reads the kind of recipients.
fn kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Call>, D::Error> {
    let word: Option<String> = Option::deserialize(deserializer)?;
    let Some(word) = word else { return Ok(None) };
    match Call::from_name(&word) {
        Some(Call::Edit | Call::Announce) | None => {
            let known = ["group", "targeted", "user", "room"];
            Err(D::Error::custom(super::words::unknown(&word, &known)))
        }
        call => Ok(call),
    }
}

fn on_change<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OnChange, D::Error> {
    word(deserializer).map(Option::unwrap_or_default)
}

/// Reads a state, or a list of states.
fn states<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<RecipientState>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a list of states")]
    enum States {
        One(String),
        List(Vec<String>),
    }
    let names = match Option::deserialize(deserializer)? {
        None => return Ok(None),
        Some(States::One(name)) => vec![name],
        Some(States::List(names)) => names,
    };
    let known = || RecipientState::ALL.map(RecipientState::name).join(", ");
    let state = |name: &String| {
        RecipientState::from_name(name).ok_or_else(|| {
            D::Error::custom(format!("there is no state `{name}`; the states are {}", known()))
        })
    };
    names.iter().map(state).collect::<Result<_, _>>().map(Some)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_names_the_field_the_value_and_the_nearest_name() {
        for (fields, field, expected) in [
            (json!({ "pack": 4 }), "pack", "`pack` must be 1 to 3, not 4"),
            (json!({ "pack": 601, "kind": "user" }), "pack", "`pack` must be 1 to 600, not 601"),
            (json!({ "pack": 11, "kind": "room" }), "pack", "`pack` must be 1 to 10, not 11"),
            (json!({ "pack": 2, "kind": "targeted" }), "pack", "`pack` must be 1 to 1, not 2"),
            (json!({ "kind": "users" }), "kind", "did you mean \"user\"?"),
            (json!({ "kind": "edit" }), "kind", "must be one of group, targeted, user, room"),
            (json!({ "pack": "two" }), "pack", "pack: expected a whole number"),
            (json!({ "in_doubt": "resnd" }), "in_doubt", "did you mean \"resend\"?"),
            (json!({ "rate": 0 }), "rate", "`rate` must be over 0 messages a second, not 0"),
            (json!({ "window": { "form": "9" } }), "window.form", "did you mean `from`?"),
            (json!({ "exclude": { "run": "1" } }), "exclude.broadcast", "`exclude.broadcast` is missing"),
            (
                json!({ "exclude": { "broadcast": "a", "states": ["snt"] } }),
                "exclude.states",
                "no state `snt`",
            ),
            (json!({ "sheet": "a" }), "sheet", "`to` is not a file"),
            (json!({ "run": "" }), "run", "1 to 200 bytes"),
        ] {
            let mut fields = fields;
            fields["name"] = json!("news");
            let failure = BroadcastSpec::read(&fields).unwrap_err();
            assert!(failure.message.contains(expected), "{failure}");
            assert_eq!(failure.field.as_deref(), Some(field), "{failure}");
        }
    }

    #[test]
    fn one_state_and_a_number_of_a_run_are_accepted() {
        let fields = json!({ "name": "news", "run": 7, "exclude": { "broadcast": "a", "states": "sent" } });
        let spec = BroadcastSpec::read(&fields).unwrap();
        assert_eq!(spec.run.as_deref(), Some("7"));
        assert_eq!(spec.exclude.unwrap().states, Some(vec![RecipientState::Sent]));
    }
}
