//! Lists the app's groups and a group's members, one page a call.

use std::time::Duration;

use reqwest::{Method, Request};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Client;
use super::answer::{JsonPairs, LosslessText};
use super::call::CallSpec;
use super::failure::CallError;

/// The most groups or members in a page. Older tenants return at most 100, whatever the request says.
pub const PAGE_SIZE_MAX: u32 = 1000;
/// The page size at which older tenants silently cut a page.
const OLD_PAGE_SIZE: usize = 100;

const GROUPS: CallSpec = CallSpec::get("/chatgroups");
const MEMBERS: CallSpec = CallSpec::get("/chatgroups/{id}/users");

/// A group, in the form that scripts see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_field_names, reason = "scripts read the field as `group_id`")]
pub struct Group {
    pub group_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The owner's user id, as the service writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The number of members.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affiliations: Option<u64>,
    /// The kind of group, as the service writes it.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The last change, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupsPage {
    /// The groups, in the service's order.
    pub groups: Vec<Group>,
    /// The cursor of the next page; `None` on the last page.
    pub cursor: Option<String>,
    /// The service's wall-clock time of the answer, since 1970.
    pub timestamp: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupRole {
    /// The user owns the group.
    Owner,
    /// The user is an administrator of the group.
    Admin,
    /// The user has no special rights.
    Member,
}

/// A member, in the form that scripts see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    pub user_id: String,
    pub role: GroupRole,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembersPage {
    /// The members, in the service's order.
    pub members: Vec<Member>,
    pub last: bool,
}

#[derive(Deserialize)]
struct GroupsAnswer {
    data: Vec<GroupJson>,
    cursor: Option<String>,
    #[serde(default)]
    timestamp: Value,
}

#[derive(Deserialize)]
struct GroupJson {
    groupid: LosslessText,
    #[serde(default)]
    groupname: Value,
    #[serde(default)]
    owner: Value,
    #[serde(default)]
    affiliations: Value,
    #[serde(default, rename = "type")]
    kind: Value,
    #[serde(default, rename = "lastModified")]
    last_modified: Value,
    #[serde(default, rename = "last_modified")]
    last_modified_snake: Value,
}

impl From<GroupJson> for Group {
    fn from(entry: GroupJson) -> Self {
        Self {
            group_id: entry.groupid.0,
            name: text(entry.groupname),
            owner: text(entry.owner),
            affiliations: number(&entry.affiliations),
            kind: text(entry.kind),
            last_modified: number(&entry.last_modified).or_else(|| number(&entry.last_modified_snake)),
        }
    }
}

#[derive(Deserialize)]
struct MembersAnswer {
    data: Vec<JsonPairs>,
}

pub(super) fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

pub(super) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

impl Client {
    /// The page of groups at the cursor `after`, or the first page; at most `limit` groups, 1 to 1000.
    ///
    /// # Errors
    ///
    /// See [`CallError::class`]. [`super::FailureClass::Permanent`] when the answer's cursor is the one of the request,
    /// because the list would never end.
    pub async fn groups_page(&self, after: Option<&str>, limit: u32) -> Result<GroupsPage, CallError> {
        let mut url = self.url(&["chatgroups"]);
        url.query_pairs_mut().append_pair("limit", &limit.clamp(1, PAGE_SIZE_MAX).to_string());
        if let Some(cursor) = after {
            url.query_pairs_mut().append_pair("cursor", cursor);
        }
        let success = self.call(GROUPS, || Ok(Request::new(Method::GET, url.clone()).into())).await?;
        let answer: GroupsAnswer = success.read()?;
        let cursor = answer.cursor.filter(|cursor| !cursor.is_empty());
        if cursor.is_some() && cursor.as_deref() == after {
            return Err(GROUPS.refuse(
                "the service returned the same cursor again, so the list cannot be \
             read to its end",
            ));
        }
        let timestamp = number(&answer.timestamp).map(Duration::from_millis);
        Ok(GroupsPage { groups: answer.data.into_iter().map(Group::from).collect(), cursor, timestamp })
    }

    /// The page of members with the number `pagenum`, from 1; `pagesize` members a page, 1 to 1000.
    ///
    /// A short page is the last one. A tenant that silently cuts its pages at 100 returns 100 members where 1000 were
    /// requested. So a page counts as short only below 100, or below `pagesize` if that is less. This costs one more
    /// call at the end of a list, and loses no member.
    ///
    /// # Errors
    ///
    /// See [`CallError::class`]. [`super::FailureClass::Permanent`] without a call for an id that a path cannot hold.
    pub async fn members_page(
        &self,
        group_id: &str,
        pagenum: u32,
        pagesize: u32,
    ) -> Result<MembersPage, CallError> {
        // A path cannot hold these, even encoded.
        if matches!(group_id, "" | "." | "..") {
            return Err(MEMBERS.refuse(&format!("«{group_id}» is not a group id")));
        }
        let pagesize = pagesize.clamp(1, PAGE_SIZE_MAX);
        let mut url = self.url(&["chatgroups", group_id, "users"]);
        url.query_pairs_mut()
            .append_pair("pagenum", &pagenum.max(1).to_string())
            .append_pair("pagesize", &pagesize.to_string());
        let success = self.call(MEMBERS, || Ok(Request::new(Method::GET, url.clone()).into())).await?;
        let answer: MembersAnswer = success.read()?;
        let short = OLD_PAGE_SIZE.min(pagesize as usize);
        let last = answer.data.len() < short;
        let members = answer.data.into_iter().flat_map(|entry| entry.0).filter_map(member).collect();
        Ok(MembersPage { members, last })
    }
}

fn member((role, user_id): (String, String)) -> Option<Member> {
    let role = match role.as_str() {
        "owner" => GroupRole::Owner,
        "admin" => GroupRole::Admin,
        "member" => GroupRole::Member,
        _ => return None,
    };
    Some(Member { user_id, role })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::answer::decode;

    #[test]
    fn a_group_is_read_in_both_spellings() {
        let answer: GroupsAnswer = decode(
            br#"{"data":[
                {"groupid":"1","groupname":"a","owner":"o","affiliations":3,"type":"group","lastModified":"1500"},
                {"groupid":2,"affiliations":"4","last_modified":1600,"more":{}},
                {"groupid":"3","groupname":null,"lastModified":"soon"}],"count":3,"cursor":""}"#,
        )
        .unwrap();
        let groups: Vec<Group> = answer.data.into_iter().map(Group::from).collect();
        assert_eq!((groups[0].affiliations, groups[0].last_modified), (Some(3), Some(1500)));
        assert_eq!(groups[0].kind.as_deref(), Some("group"));
        assert_eq!((groups[1].group_id.as_str(), groups[1].affiliations), ("2", Some(4)));
        assert_eq!(groups[1].last_modified, Some(1600));
        assert_eq!((&groups[2].name, groups[2].last_modified), (&None, None));
    }

    #[test]
    fn a_member_is_known_by_the_name_of_its_field() {
        let answer: MembersAnswer =
            decode(br#"{"data":[{"owner":"a"},{"admin":7},{"member":"c","since":"1"}],"count":3}"#).unwrap();
        let members: Vec<Member> =
            answer.data.into_iter().flat_map(|entry| entry.0).filter_map(member).collect();
        let roles: Vec<_> = members.iter().map(|member| (member.user_id.as_str(), member.role)).collect();
        assert_eq!(roles, [("a", GroupRole::Owner), ("7", GroupRole::Admin), ("c", GroupRole::Member)]);
    }
}
