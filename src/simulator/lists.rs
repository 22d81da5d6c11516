//! The app's groups and their members. They are computed, so that a million of them use no memory.

use axum::extract::Query;
use axum::http::Uri;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::refusal::Refusal;
use super::settings::SimulatorSettings;

/// The id of the first group, from the vendor's example.
const FIRST_ID: u64 = 184_524_748_161_025;
/// Entries on a page if the request gives no number.
const DEFAULT_PAGE: usize = 10;

#[derive(Deserialize)]
struct GroupsQuery {
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Deserialize)]
struct MembersQuery {
    pagenum: Option<u64>,
    pagesize: Option<usize>,
}

/// Returns one page of groups, with the cursor of the next page if there is one.
pub(super) fn groups(settings: &SimulatorSettings, uri: &Uri, unix_ms: u64) -> Result<Value, Refusal> {
    let query: GroupsQuery = query(uri)?;
    let limit = page(settings, query.limit, "limit")?;
    let start =
        query.cursor.filter(|cursor| !cursor.is_empty()).map_or(Ok(0), |cursor| read_cursor(&cursor))?;
    let end = start.saturating_add(limit).min(settings.groups);
    let entries: Vec<_> = (start..end)
        .map(|index| {
            json!({
                "groupid": (FIRST_ID + index).to_string(),
                "groupname": format!("Group {}", index + 1),
                "owner": "user1",
                "affiliations": settings.members.max(1),
                "type": "group",
                "lastModified": unix_ms.to_string(),
            })
        })
        .collect();
    let mut answer = json!({ "count": entries.len(), "data": entries });
    if end < settings.groups {
        answer["cursor"] = write_cursor(end).into();
    }
    Ok(answer)
}

/// Returns one page of a group's members.
pub(super) fn members(settings: &SimulatorSettings, group: &str, uri: &Uri) -> Result<Value, Refusal> {
    let query: MembersQuery = query(uri)?;
    let size = page(settings, query.pagesize, "pagesize")?;
    let number = query.pagenum.unwrap_or(1);
    if number == 0 {
        return Err(Refusal::illegal_argument("pagenum must be over 0"));
    }
    let index = group.parse::<u64>().ok().and_then(|id| id.checked_sub(FIRST_ID));
    if index.is_none_or(|index| index >= settings.groups) {
        return Err(Refusal::missing("resource_not_found", format!("grpID {group} does not exist!")));
    }
    let start = (number - 1).saturating_mul(size);
    let end = start.saturating_add(size).min(settings.members.max(1));
    let entries: Vec<_> = (start..end)
        .map(|index| {
            let user = format!("user{}", index + 1);
            match index {
                0 => json!({ "owner": user }),
                1 => json!({ "admin": user }),
                _ => json!({ "member": user }),
            }
        })
        .collect();
    Ok(json!({ "count": entries.len(), "data": entries }))
}

fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Refusal> {
    let query = Query::try_from_uri(uri).map(|Query(query)| query);
    query.map_err(|_| Refusal::illegal_argument("the query holds a value of the wrong type"))
}

fn page(settings: &SimulatorSettings, asked: Option<usize>, name: &str) -> Result<u64, Refusal> {
    match asked.unwrap_or(DEFAULT_PAGE).min(settings.limits.page) {
        0 => Err(Refusal::illegal_argument(format!("{name} must be over 0"))),
        size => Ok(size as u64),
    }
}

/// Formats a cursor. It is opaque to the caller, which must return it unchanged.
fn write_cursor(index: u64) -> String {
    URL_SAFE_NO_PAD.encode(format!("group:{index}"))
}

fn read_cursor(cursor: &str) -> Result<u64, Refusal> {
    let text = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let index =
        text.as_deref().and_then(|text| text.strip_prefix("group:")).and_then(|index| index.parse().ok());
    index.ok_or_else(|| Refusal::illegal_argument("cursor is invalid"))
}
