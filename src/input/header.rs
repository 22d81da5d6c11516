//! The names of a table's columns, and which of them holds the ids.

use std::collections::HashMap;

use crate::message::{nearest, quoted};

use super::fault::{Fault, column};

/// The column of ids where nothing else is said.
pub(super) const GROUP_ID: &str = "group_id";

/// The column of users.
const USERS: &str = "users";

/// Names that people give the column of ids, in lower case and without blanks and signs.
const MEANT: &[&str] = &[
    "groupid",
    "gid",
    "group",
    "groupno",
    "groupnumber",
    "groupnum",
    "chatgroupid",
    "chatgroup",
    "imgroupid",
    "easemobgroupid",
    "hxgroupid",
    "chatid",
    "群组id",
    "群id",
    "群組id",
    "群组",
    "群組",
    "群",
    "群号",
    "群號",
    "群组号",
    "群組號",
    "群组编号",
    "群組編號",
    "群编号",
    "群組编号",
    "群聊id",
    "群聊",
    "群聊号",
    "环信群组id",
    "环信群id",
    "环信id",
    "群标识",
    "群组标识",
    "groupids",
    "群组ids",
];

/// The names in a row, without blanks around them.
pub(super) fn names<'cell>(cells: impl Iterator<Item = &'cell str>, line: u64) -> Result<Vec<String>, Fault> {
    let names: Vec<String> = cells.map(|name| name.trim().to_owned()).collect();
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (index, name) in names.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
        if let Some(before) = seen.insert(name, index) {
            let what = format!(
                "the header names {} twice, in column {} and here; give each column a name of its own",
                quoted(name),
                before + 1
            );
            return Err(Fault::at(line, format!("column {}", index + 1), what));
        }
        let hidden = name.chars().find(|letter| {
            !letter.is_whitespace() && (letter.is_control() || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ad}'))
        });
        if let Some(hidden) = hidden {
            let what = format!(
                "the name {} holds U+{:04X}, which nobody sees; remove it",
                quoted(name),
                u32::from(hidden)
            );
            return Err(Fault::at(line, format!("column {}", index + 1), what));
        }
    }
    Ok(names)
}

/// The column that holds the ids.
pub(super) fn id_column(names: &[String], wanted: &str, line: u64) -> Result<usize, Fault> {
    let wanted = wanted.trim();
    if let Some(index) = names.iter().position(|name| name == wanted) {
        return Ok(index);
    }
    let listed: Vec<String> =
        names.iter().take(30).map(|name| format!("`{}`", name.escape_debug())).collect();
    let listed = if names.len() > 30 { format!("{} and more", listed.join(", ")) } else { listed.join(", ") };
    let hint = match proposed(names, wanted) {
        Some(name) => format!("; `{name}` seems to be meant: say `id_column = \"{name}\"`"),
        None if wanted == GROUP_ID => "; say which column holds the ids: `id_column = \"NAME\"`".to_owned(),
        None => String::new(),
    };
    Err(Fault::line(
        line,
        format!("the header has no column `{}`; it has: {listed}{hint}", wanted.escape_debug()),
    ))
}

/// Refuses a column that seems to be meant for users and is not called so: the whole group would get the message.
pub(super) fn check_users(names: &[String], line: u64) -> Result<(), Fault> {
    if names.iter().any(|name| name == USERS) {
        return Ok(());
    }
    match names.iter().position(|name| name.eq_ignore_ascii_case(USERS)) {
        Some(index) => Err(Fault::at(
            line,
            column(index, names.get(index).map(String::as_str)),
            "the column of a group's users is called `users`; rename this one, or the whole group gets the message",
        )),
        None => Ok(()),
    }
}

/// Whether one of the names seems to be meant for the ids.
pub(super) fn means_id(names: &[String]) -> bool {
    names.iter().any(|name| MEANT.contains(&plain(name).as_str()))
}

/// A name in lower case, without blanks and signs.
fn plain(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The name that was meant.
pub(super) fn proposed<'name>(names: &'name [String], wanted: &str) -> Option<&'name str> {
    let same = names.iter().find(|name| !name.is_empty() && plain(name) == plain(wanted));
    let meant = || names.iter().find(|name| MEANT.contains(&plain(name).as_str()));
    let near = || nearest(wanted, names.iter().map(String::as_str).filter(|name| !name.is_empty()));
    same.or_else(meant).map(String::as_str).or_else(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_column_that_means_the_id_is_proposed() {
        for name in
            ["群组ID", "群ID", "groupid", "Group ID", "groupId", "GROUP-ID", "group_Id", "群号", "Group_id"]
        {
            let fault = id_column(&owned(&["name", name]), GROUP_ID, 1).unwrap_err().to_string();
            assert!(fault.contains(&format!("id_column = \"{name}\"")), "{fault}");
        }
        let names = owned(&["群组ID", "name"]);
        assert_eq!(id_column(&names, "群组ID", 1), Ok(0));
        assert_eq!(id_column(&owned(&["a", "group_id"]), GROUP_ID, 1), Ok(1));
        let fault = id_column(&names, "群ID", 1).unwrap_err().to_string();
        assert!(fault.contains("no column `群ID`") && fault.contains("`群组ID`"), "{fault}");
        assert!(check_users(&owned(&["group_id", "Users"]), 1).is_err());
    }
}
