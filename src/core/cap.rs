//! Caps: how many messages a group gets within a time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Call, parse_duration};

/// The longest time within which messages are counted.
const LONGEST: Duration = Duration::from_hours(24 * 366);

/// At most this many messages to a group within a time, over all broadcasts of the app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageCap {
    /// 1 or more.
    pub per_group: u32,
    /// A time such as `7d` or `12h`.
    pub within: String,
    /// Only messages of broadcasts with this tag count. `None` counts all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl MessageCap {
    /// Returns the time within which messages are counted.
    ///
    /// # Errors
    ///
    /// What is wrong with the text, if it is not a time from a second to 366 days.
    pub fn within(&self) -> Result<Duration, String> {
        let length = parse_duration(&self.within).ok();
        length.filter(|length| (Duration::from_secs(1)..=LONGEST).contains(length)).ok_or_else(|| {
            let shown = self.within.escape_debug();
            format!("must be a time from 1s to 366d, like \"7d\" or \"12h\", not \"{shown}\"")
        })
    }

    /// Checks the cap of a broadcast of this kind with this tag of its own.
    ///
    /// # Errors
    ///
    /// The field, and the problem, which follows the field's name.
    pub fn validate(&self, kind: Option<Call>, tag: Option<&str>) -> Result<(), (&'static str, String)> {
        if self.per_group == 0 {
            return Err(("cap.per_group", "must be at least 1, not 0".to_owned()));
        }
        self.within().map_err(|what| ("cap.within", what))?;
        if let Some(kind @ (Call::User | Call::Room)) = kind {
            let what = format!("must be left out: a cap counts messages to groups, and `kind` is \"{kind}\"");
            return Err(("cap", what));
        }
        match (tag, self.tag.as_deref()) {
            (Some(own), Some(counted)) if own != counted => {
                let what = format!(
                    "must be the broadcast's own `tag`, \"{own}\", not \"{counted}\"; leave out one of the two"
                );
                Err(("cap.tag", what))
            }
            _ => Ok(()),
        }
    }

    /// Why a group is left out that got `count` messages: `2 messages with the tag marketing in the last 7d; the cap is 2`.
    pub fn why(&self, count: u64) -> String {
        let noun = if count == 1 { "message" } else { "messages" };
        let tag = self.tag.as_ref().map_or_else(String::new, |tag| format!(" with the tag {tag}"));
        format!("{count} {noun}{tag} in the last {}; the cap is {}", self.within, self.per_group)
    }
}
