//! Groups that the app's calls have created or changed: their members, mutes and announcements. Such a group
//! replaces the one that `lists` computes.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::ServiceCall;
use super::lists::FIRST_ID;
use super::refusal::{INVALID_BODY, NOT_FOUND, Refusal, WRONG_METHOD};
use super::settings::SimulatorSettings;

/// The most ids that one request for details may name.
const DETAILS: usize = 100;
/// The most users that one call may add, remove or mute.
const USERS: usize = 60;
/// The most members that a new group may have beside its owner.
const NEW_MEMBERS: usize = 100;
/// The most characters of a group's name.
const NAME: usize = 128;
/// The most characters of a description and of an announcement.
const TEXT: usize = 512;
/// The place among ids at which new groups begin.
const FIRST_NEW: u64 = FIRST_ID + 1_000_000_000;

/// The owner of each computed group.
const COMPUTED_OWNER: &str = "user1";

/// Returns the call of a path below `/chatgroups` that reads details or changes a group.
pub(super) fn call(method: &Method, parts: &[&str]) -> Option<ServiceCall> {
    let changes = match (method.as_str(), parts) {
        ("GET", [_]) => return Some(ServiceCall::GroupDetails),
        (
            "POST",
            [] | [_, "users" | "mute" | "ban" | "announcement" | "disable" | "enable"] | [_, "users", _],
        )
        | ("PUT", [_])
        | ("DELETE", [_] | [_, "ban"] | [_, "users" | "mute", _])
        | ("GET", [_, "announcement"]) => true,
        _ => false,
    };
    changes.then_some(ServiceCall::GroupChange)
}

/// A group that differs from the computed ones.
#[derive(Debug, Clone)]
struct ChangedGroup {
    name: String,
    description: String,
    owner: String,
    max_users: u64,
    members: Vec<String>,
    muted: bool,
    muted_members: BTreeSet<String>,
    disabled: bool,
    announcement: String,
    /// Whether a call created it.
    is_new: bool,
}

/// All changed groups, by their ids.
#[derive(Debug, Default)]
pub(super) struct GroupChanges {
    groups: BTreeMap<String, ChangedGroup>,
    deleted: BTreeSet<String>,
    created: u64,
}

/// The place of a computed group, from 0.
fn index(settings: &SimulatorSettings, id: &str) -> Option<u64> {
    let index = id.parse::<u64>().ok()?.checked_sub(FIRST_ID)?;
    (index < settings.groups).then_some(index)
}

/// The group with this id, as `lists` computes it.
fn computed(settings: &SimulatorSettings, id: &str) -> Option<ChangedGroup> {
    index(settings, id).map(|index| ChangedGroup {
        name: computed_name(index),
        description: String::new(),
        owner: COMPUTED_OWNER.to_owned(),
        max_users: settings.members.max(200),
        members: (1..=settings.members.max(1)).map(|user| format!("user{user}")).collect(),
        muted: false,
        muted_members: BTreeSet::new(),
        disabled: false,
        announcement: String::new(),
        is_new: false,
    })
}

fn computed_name(index: u64) -> String {
    format!("Group {}", index + 1)
}

impl GroupChanges {
    /// The ids of the new groups that were not deleted, the oldest first.
    pub(super) fn created(&self) -> Vec<&str> {
        self.groups.iter().filter(|(_, group)| group.is_new).map(|(id, _)| id.as_str()).collect()
    }

    /// Name, owner and number of members of a group. `None` for one that does not exist.
    pub(super) fn listed(&self, settings: &SimulatorSettings, id: &str) -> Option<(String, String, u64)> {
        if self.deleted.contains(id) {
            return None;
        }
        if let Some(group) = self.groups.get(id) {
            return Some((group.name.clone(), group.owner.clone(), group.members.len() as u64));
        }
        let index = index(settings, id)?;
        Some((computed_name(index), COMPUTED_OWNER.to_owned(), settings.members.max(1)))
    }

    /// The members of a group that was changed. `None` for one that was not.
    pub(super) fn members(&self, id: &str) -> Option<&[String]> {
        self.groups.get(id).map(|group| group.members.as_slice())
    }

    /// Whether a computed group was deleted.
    pub(super) fn is_deleted(&self, id: &str) -> bool {
        self.deleted.contains(id)
    }

    /// Returns the details of up to 100 groups, whose ids are separated by commas. One id alone that does not exist is
    /// an error; several report it in its place.
    pub(super) fn details(
        &self,
        settings: &SimulatorSettings,
        ids: &str,
        unix_ms: u64,
    ) -> Result<Value, Refusal> {
        let ids: Vec<&str> = ids.split(',').collect();
        if ids.len() > DETAILS {
            return Err(Refusal::illegal_argument(format!("at most {DETAILS} group ids")));
        }
        let exists = |id: &str| self.listed(settings, id).is_some();
        let details = |id: &&str| match self.read(settings, id) {
            Some(group) => json!({
                "id": id,
                "name": group.name,
                "description": group.description,
                "owner": group.owner,
                "maxusers": group.max_users,
                "affiliations_count": group.members.len(),
                "mute": group.muted,
                "disabled": group.disabled,
                "public": true,
                "membersonly": false,
                "allowinvites": false,
                "created": unix_ms,
            }),
            None => json!({ "id": id, "error": "group id doesn't exist" }),
        };
        match &ids[..] {
            [id] if !exists(id) => Err(missing(id)),
            ids => Ok(json!({ "data": ids.iter().map(details).collect::<Vec<_>>(), "count": ids.len() })),
        }
    }

    fn read(&self, settings: &SimulatorSettings, id: &str) -> Option<ChangedGroup> {
        if self.deleted.contains(id) {
            return None;
        }
        self.groups.get(id).cloned().or_else(|| computed(settings, id))
    }

    /// Makes a change, or reads an announcement. `path` is the path below `/chatgroups`.
    pub(super) fn change(
        &mut self,
        settings: &SimulatorSettings,
        method: &Method,
        path: &str,
        body: &[u8],
        unix_ms: u64,
    ) -> Result<Value, Refusal> {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let (id, rest) = match parts.split_first() {
            None => return self.create(settings, body),
            Some((id, rest)) => (*id, rest),
        };
        let mut group = self.read(settings, id).ok_or_else(|| missing(id))?;
        let data = match (method.as_str(), rest) {
            ("DELETE", []) => {
                self.groups.remove(id);
                self.deleted.insert(id.to_owned());
                return Ok(json!({ "data": { "success": true, "groupid": id } }));
            }
            ("GET", ["announcement"]) => json!({ "announcement": group.announcement }),
            ("PUT", []) => group.modify(read(body)?)?,
            ("POST", ["announcement"]) => {
                let Announcement { announcement } = read(body)?;
                check_length("announcement", &announcement, TEXT)?;
                group.announcement = announcement;
                json!({ "id": id, "result": true })
            }
            ("POST", ["users", user]) => {
                group.add(&[(*user).to_owned()])?;
                json!({ "result": true, "groupid": id, "action": "add_member", "user": user })
            }
            ("POST", ["users"]) => {
                let Users { usernames } = read(body)?;
                check_users(&usernames)?;
                group.add(&usernames)?;
                json!({ "newmembers": usernames, "groupid": id, "action": "add_member" })
            }
            ("DELETE", ["users", users]) => group.remove(id, users)?,
            ("POST", ["mute"]) => {
                let Mute { usernames, mute_duration } = read(body)?;
                check_users(&usernames)?;
                let expire = mute_duration.map_or(-1, |duration| match u64::try_from(duration) {
                    Ok(duration) => i64::try_from(unix_ms + duration).unwrap_or(i64::MAX),
                    Err(_) => -1,
                });
                group.muted_members.extend(usernames.iter().cloned());
                let muted = |user: &String| json!({ "result": true, "expire": expire, "user": user });
                usernames.iter().map(muted).collect()
            }
            ("DELETE", ["mute", users]) => {
                let freed = |user: &str| {
                    let was_muted = group.muted_members.remove(user);
                    json!({ "result": was_muted, "user": user })
                };
                users.split(',').map(freed).collect()
            }
            ("POST" | "DELETE", ["ban"]) => {
                group.muted = *method == Method::POST;
                json!({ "mute": group.muted })
            }
            ("POST", [state @ ("disable" | "enable")]) => {
                group.disabled = *state == "disable";
                json!({ "disabled": group.disabled })
            }
            _ => return Err(WRONG_METHOD),
        };
        self.groups.insert(id.to_owned(), group);
        Ok(json!({ "data": data }))
    }

    fn create(&mut self, settings: &SimulatorSettings, body: &[u8]) -> Result<Value, Refusal> {
        let new: NewGroup = read(body)?;
        check_length("groupname", &new.groupname, NAME)?;
        check_length("description", &new.description, TEXT)?;
        if new.owner.is_empty() {
            return Err(Refusal::illegal_argument("owner must be provided"));
        }
        if new.members.len() > NEW_MEMBERS {
            return Err(Refusal::illegal_argument(format!("at most {NEW_MEMBERS} members")));
        }
        let mut group = ChangedGroup {
            name: new.groupname,
            description: new.description,
            max_users: new.maxusers.unwrap_or(200),
            members: vec![new.owner.clone()],
            owner: new.owner,
            muted: false,
            muted_members: BTreeSet::new(),
            disabled: false,
            announcement: String::new(),
            is_new: true,
        };
        let others: Vec<String> = new.members.into_iter().filter(|user| *user != group.owner).collect();
        group.add(&others)?;
        let id = (FIRST_NEW.max(FIRST_ID + settings.groups) + self.created).to_string();
        self.created += 1;
        self.groups.insert(id.clone(), group);
        Ok(json!({ "data": { "groupid": id } }))
    }
}

impl ChangedGroup {
    fn add(&mut self, users: &[String]) -> Result<(), Refusal> {
        let users: BTreeSet<&String> = users.iter().collect();
        if let Some(user) = users.iter().find(|user| self.members.contains(user)) {
            return Err(forbidden(format!("can not join this group, reason:user: {user} already in group")));
        }
        if (self.members.len() + users.len()) as u64 > self.max_users {
            return Err(forbidden("can not join this group, reason:group has reached its max users"));
        }
        self.members.extend(users.into_iter().cloned());
        Ok(())
    }

    fn remove(&mut self, id: &str, users: &str) -> Result<Value, Refusal> {
        let users: Vec<String> = users.split(',').map(str::to_owned).collect();
        check_users(&users)?;
        let mut results = Vec::new();
        for user in users {
            let known = self.members.len();
            self.members.retain(|member| *member != user || *member == self.owner);
            let is_removed = self.members.len() < known;
            let mut result =
                json!({ "result": is_removed, "groupid": id, "action": "remove_member", "user": user });
            if !is_removed {
                result["reason"] = json!(format!("user: {user} doesn't exist in group: {id}"));
            }
            results.push(result);
        }
        match (results.len(), results.pop()) {
            (1, Some(only)) if only["result"] == true => Ok(only),
            (1, Some(only)) => Err(forbidden(only["reason"].as_str().unwrap_or_default().to_owned())),
            (_, last) => Ok(results.into_iter().chain(last).collect()),
        }
    }

    fn modify(&mut self, changes: GroupFields) -> Result<Value, Refusal> {
        let mut answer = serde_json::Map::new();
        if let Some(name) = changes.groupname {
            check_length("groupname", &name, NAME)?;
            self.name = name;
            answer.insert("groupname".to_owned(), json!(true));
        }
        if let Some(description) = changes.description {
            check_length("description", &description, TEXT)?;
            self.description = description;
            answer.insert("description".to_owned(), json!(true));
        }
        if let Some(most) = changes.maxusers {
            self.max_users = most;
            answer.insert("maxusers".to_owned(), json!(true));
        }
        Ok(Value::Object(answer))
    }
}

#[derive(Deserialize)]
struct NewGroup {
    #[serde(default)]
    groupname: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    owner: String,
    maxusers: Option<u64>,
    #[serde(default)]
    members: Vec<String>,
}

#[derive(Deserialize)]
struct GroupFields {
    groupname: Option<String>,
    description: Option<String>,
    maxusers: Option<u64>,
}

#[derive(Deserialize)]
struct Users {
    usernames: Vec<String>,
}

#[derive(Deserialize)]
struct Mute {
    usernames: Vec<String>,
    mute_duration: Option<i64>,
}

#[derive(Deserialize)]
struct Announcement {
    announcement: String,
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|_| INVALID_BODY)
}

fn check_length(field: &str, text: &str, most: usize) -> Result<(), Refusal> {
    if text.chars().count() > most {
        return Err(Refusal::illegal_argument(format!("{field} is longer than {most} characters")));
    }
    Ok(())
}

fn check_users(users: &[String]) -> Result<(), Refusal> {
    if users.is_empty() || users.len() > USERS {
        return Err(Refusal::illegal_argument(format!("a call takes 1 to {USERS} users")));
    }
    Ok(())
}

fn missing(id: &str) -> Refusal {
    Refusal { description: format!("grpID {id} does not exist!").into(), ..NOT_FOUND }
}

fn forbidden(description: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal {
        status: StatusCode::FORBIDDEN,
        error: "forbidden_op".into(),
        exception: "ForbiddenOpException",
        description: description.into(),
        ..NOT_FOUND
    }
}
