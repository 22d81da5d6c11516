//! The app's groups and their members. They are computed, so that a million of them use no memory. Each list has `params` and
//! `entities`, which the vendor's Java client reads.

use std::collections::BTreeMap;

use axum::extract::Query;
use axum::http::Uri;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::groups::GroupChanges;
use super::refusal::Refusal;
use super::settings::SimulatorSettings;

/// The id of the first group, from the vendor's example.
pub(super) const FIRST_ID: u64 = 184_524_748_161_025;
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
    /// `v3` lists the members without the owner, as ids, by cursor.
    version: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// Returns one page of groups, with the cursor of the next page if there is one.
pub(super) fn groups(
    settings: &SimulatorSettings,
    changes: &GroupChanges,
    uri: &Uri,
    unix_ms: u64,
) -> Result<Value, Refusal> {
    let query: GroupsQuery = query(uri)?;
    let limit = page(settings, query.limit, "limit")?;
    let start = read_cursor("group", query.cursor)?;
    let created = changes.created();
    let total = settings.groups + created.len() as u64;
    let end = start.saturating_add(limit).min(total);
    let entry = |index: u64| {
        let new =
            index.checked_sub(settings.groups).and_then(|index| created.get(usize::try_from(index).ok()?));
        let id = new.map_or_else(|| (FIRST_ID + index).to_string(), |id| (*id).to_owned());
        let (name, owner, members) = changes.listed(settings, &id)?;
        Some(json!({
            "groupid": id,
            "groupname": name,
            "owner": owner,
            "affiliations": members,
            "type": "group",
            "lastModified": unix_ms.to_string(),
        }))
    };
    let entries: Vec<_> = (start..end).filter_map(entry).collect();
    Ok(answer(uri, &entries, (end < total).then(|| write_cursor("group", end))))
}

/// Returns a page of a list. `params` has each parameter of the query with its values.
fn answer(uri: &Uri, entries: &[Value], cursor: Option<String>) -> Value {
    let pairs =
        Query::<Vec<(String, String)>>::try_from_uri(uri).map(|Query(pairs)| pairs).unwrap_or_default();
    let mut params: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in pairs {
        params.entry(name).or_default().push(value);
    }
    let mut answer = json!({ "params": params, "entities": [], "count": entries.len(), "data": entries });
    if let Some(cursor) = cursor {
        answer["cursor"] = cursor.into();
    }
    answer
}

/// Returns one page of a group's members.
pub(super) fn members(
    settings: &SimulatorSettings,
    changes: &GroupChanges,
    group: &str,
    uri: &Uri,
) -> Result<Value, Refusal> {
    let query: MembersQuery = query(uri)?;
    let known = changes.members(group);
    let index = group.parse::<u64>().ok().and_then(|id| id.checked_sub(FIRST_ID));
    let is_computed = !changes.is_deleted(group) && index.is_some_and(|index| index < settings.groups);
    if known.is_none() && !is_computed {
        return Err(Refusal::missing("resource_not_found", format!("grpID {group} does not exist!")));
    }
    let total = known.map_or(settings.members.max(1), |members| members.len() as u64);
    let user = |index: u64| {
        let member = known.and_then(|members| members.get(usize::try_from(index).ok()?)).cloned();
        member.unwrap_or_else(|| format!("user{}", index + 1))
    };
    if query.version.as_deref() == Some("v3") {
        let size = page(settings, query.limit, "limit")?;
        // The owner has index 0.
        let start = read_cursor("member", query.cursor)?.max(1);
        let end = start.saturating_add(size).min(total);
        let ids: Vec<Value> = (start..end).map(|index| user(index).into()).collect();
        return Ok(answer(uri, &ids, (end < total).then(|| write_cursor("member", end))));
    }
    let size = page(settings, query.pagesize, "pagesize")?;
    let number = query.pagenum.unwrap_or(1);
    if number == 0 {
        return Err(Refusal::illegal_argument("pagenum must be over 0"));
    }
    let start = (number - 1).saturating_mul(size);
    let end = start.saturating_add(size).min(total);
    let entries: Vec<_> = (start..end)
        .map(|index| match index {
            0 => json!({ "owner": user(index) }),
            1 if known.is_none() => json!({ "admin": user(index) }),
            _ => json!({ "member": user(index) }),
        })
        .collect();
    Ok(answer(uri, &entries, None))
}

fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Refusal> {
    let query = Query::try_from_uri(uri).map(|Query(query)| query);
    query.map_err(|_| Refusal::illegal_argument("the query holds a value of the wrong type"))
}

fn page(settings: &SimulatorSettings, requested: Option<usize>, name: &str) -> Result<u64, Refusal> {
    match requested.unwrap_or(DEFAULT_PAGE).min(settings.limits.page) {
        0 => Err(Refusal::illegal_argument(format!("{name} must be over 0"))),
        size => Ok(size as u64),
    }
}

/// Formats a cursor of a list. It is opaque to the caller, which must return it unchanged.
fn write_cursor(list: &str, index: u64) -> String {
    URL_SAFE_NO_PAD.encode(format!("{list}:{index}"))
}

/// Reads a cursor of a list. Without one, the list begins at 0.
fn read_cursor(list: &str, cursor: Option<String>) -> Result<u64, Refusal> {
    let Some(cursor) = cursor.filter(|cursor| !cursor.is_empty()) else { return Ok(0) };
    let text = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let index = text.as_deref().and_then(|text| text.strip_prefix(list)?.strip_prefix(':')?.parse().ok());
    index.ok_or_else(|| Refusal::illegal_argument("cursor is invalid"))
}
