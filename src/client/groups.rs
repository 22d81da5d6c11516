//! Reads the details of groups, a hundred a call.

use reqwest::{Method, Request};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Client;
use super::answer::LosslessText;
use super::call::CallSpec;
use super::failure::CallError;
use super::lists::{number, text};

/// The most groups that one call names (contract).
pub const DETAILS_MAX: usize = 100;

const DETAILS: CallSpec = CallSpec::get("/chatgroups/{id}");

/// The details of a group, in the form that scripts see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupDetails {
    pub group_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The owner's user id, as the service writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The number of members, with the owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_members: Option<u64>,
    /// Whether all members are muted.
    pub muted: bool,
    /// Whether the group is disabled.
    pub disabled: bool,
}

#[derive(Deserialize)]
struct DetailsAnswer<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct DetailsJson {
    id: LosslessText,
    #[serde(default)]
    name: Value,
    #[serde(default)]
    description: Value,
    #[serde(default)]
    owner: Value,
    #[serde(default)]
    affiliations_count: Value,
    #[serde(default)]
    maxusers: Value,
    #[serde(default)]
    mute: Value,
    #[serde(default)]
    disabled: Value,
}

/// Reads an entry of the answer. `None` for a group that does not exist: the service writes a text in its place, or an
/// object that has no fields of a group.
fn group(entry: &RawValue) -> Option<GroupDetails> {
    let json: DetailsJson = serde_json::from_str(entry.get()).ok()?;
    let group = GroupDetails {
        group_id: json.id.0,
        name: text(json.name),
        description: text(json.description).filter(|text| !text.is_empty()),
        owner: text(json.owner),
        members: number(&json.affiliations_count),
        max_members: number(&json.maxusers),
        muted: is_true(&json.mute),
        disabled: is_true(&json.disabled),
    };
    (group.owner.is_some() || group.members.is_some() || group.max_members.is_some()).then_some(group)
}

fn is_true(value: &Value) -> bool {
    value.as_bool().unwrap_or(false) || value.as_str() == Some("true")
}

impl Client {
    /// The details of up to 100 groups. A group that does not exist is absent.
    ///
    /// # Errors
    ///
    /// See [`CallError::class`]. A single group that does not exist is a failure with status 404, and a service may answer
    /// so for several.
    pub async fn group_details(&self, ids: &[String]) -> Result<Vec<GroupDetails>, CallError> {
        let url = self.url(&["chatgroups", &ids.join(",")]);
        let success = self.call(DETAILS, || Ok(Request::new(Method::GET, url.clone()).into())).await?;
        let answer: DetailsAnswer<'_> = success.read()?;
        let mut found: Vec<GroupDetails> = answer.data.into_iter().filter_map(group).collect();
        found.retain(|group| ids.contains(&group.group_id));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(json: &Value) -> Option<GroupDetails> {
        group(&serde_json::value::to_raw_value(json).unwrap())
    }

    #[test]
    fn a_group_is_read_and_a_missing_one_is_not_one() {
        let group = read(&json!({
            "id": 7, "name": "a", "description": "", "owner": "o", "affiliations_count": "3", "maxusers": 200,
            "mute": true, "disabled": "true", "more": {},
        }));
        let group = group.unwrap();
        assert_eq!((group.group_id.as_str(), group.members, group.max_members), ("7", Some(3), Some(200)));
        assert!(group.muted && group.disabled && group.description.is_none());
        assert!(!read(&json!({ "id": "7", "owner": "o", "mute": null })).unwrap().muted);
        for missing in [
            json!("group id doesn't exist"),
            json!({ "id": "7", "error": "group id doesn't exist" }),
            json!({ "7": "group id doesn't exist" }),
            json!({ "owner": "o" }),
            json!(null),
        ] {
            assert_eq!(read(&missing), None, "{missing}");
        }
    }
}
