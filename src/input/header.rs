//! The names of a table's columns, and the column of ids.

use std::collections::HashMap;

use crate::core::{Call, nearest};
use crate::message::quoted;

use super::fault::{InputError, column};
use super::options::AudienceOptions;

/// The default name of the column of ids.
pub(super) const GROUP_ID: &str = "group_id";

/// The name of the column of users.
pub(super) const USERS: &str = "users";

/// Likely names of the column of ids, in lower case, without blanks and signs.
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

/// Words that stand for users in the name of a column, in the same form.
const USER_WORDS: &[&str] = &[
    "users",
    "user",
    "uids",
    "uid",
    "members",
    "member",
    "recipients",
    "recipient",
    "receivers",
    "receiver",
    "accounts",
    "account",
    "用户",
    "用戶",
    "成员",
    "成員",
    "会员",
    "會員",
    "接收人",
    "接收者",
    "接收方",
    "收件人",
    "收信人",
    "账号",
    "帐号",
    "賬號",
    "帳號",
    "账户",
    "帐户",
    "賬戶",
    "帳戶",
];

/// Words that stand before or after them without another meaning.
const BESIDE_USERS: &[&str] = &[
    "easemob", "chat", "group", "target", "list", "names", "name", "ids", "id", "im", "hx", "to", "环信",
    "群组", "群組", "群", "目标", "目標", "名单", "名單", "列表", "名称", "名稱", "编号", "編號", "名", "号",
    "號", "的",
];

/// Whether a name means a group's users: a word for users, beside others of these words alone (`userName`, `群成员ID`).
fn means_users(name: &str) -> bool {
    let (name, mut found) = (plain(name), false);
    let mut rest = name.as_str();
    while !rest.is_empty() {
        let word = |words: &[&str]| words.iter().find_map(|word| rest.strip_prefix(word));
        if let Some(after) = word(USER_WORDS) {
            (rest, found) = (after, true);
        } else if let Some(after) = word(BESIDE_USERS) {
            rest = after;
        } else {
            return false;
        }
    }
    found
}

/// The error for a field of a script's recipient that means a group's users, if there is one. `named` are the fields that
/// hold a text or a list.
pub fn users_by_another_name<'name>(named: impl IntoIterator<Item = &'name str>) -> Option<String> {
    let name = named.into_iter().find(|name| *name != USERS && means_users(name))?;
    Some(format!("`{}`: {}", name.escape_debug(), other_users("field")))
}

/// Returns the names in a row, without blanks around them.
pub(super) fn names<'cell>(
    cells: impl Iterator<Item = &'cell str>,
    line: u64,
) -> Result<Vec<String>, InputError> {
    let names: Vec<String> = cells.map(|name| name.trim().to_owned()).collect();
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (index, name) in names.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
        if let Some(before) = seen.insert(name, index) {
            let what = format!(
                "the header names {} twice, in column {} and here; give each column a name of its own",
                quoted(name),
                before + 1
            );
            return Err(InputError::at(line, format!("column {}", index + 1), what));
        }
        // A spreadsheet's name may contain a tab or a line break. Other line ends may have ended this name.
        let hidden = name.chars().find(|letter| {
            !matches!(letter, '\t' | '\n' | '\r')
                && (letter.is_control() || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ad}'))
        });
        if let Some(hidden) = hidden {
            let what = format!(
                "the name {} holds U+{:04X}, an invisible character; remove it",
                quoted(name),
                u32::from(hidden)
            );
            return Err(InputError::at(line, format!("column {}", index + 1), what));
        }
    }
    Ok(names)
}

pub(super) fn id_column(names: &[String], wanted: &str, line: u64) -> Result<usize, InputError> {
    let wanted = wanted.trim();
    if let Some(index) = names.iter().position(|name| name == wanted) {
        return Ok(index);
    }
    let listed: Vec<String> =
        names.iter().take(30).map(|name| format!("`{}`", name.escape_debug())).collect();
    let listed = if names.len() > 30 { format!("{} and more", listed.join(", ")) } else { listed.join(", ") };
    let hint = match proposed(names, wanted) {
        Some(name) => format!("; `{name}` seems to be meant: say `id_column = \"{name}\"`"),
        None if Call::ALL.iter().any(|call| call.id_field() == wanted) => {
            "; say which column holds the ids: `id_column = \"NAME\"`".to_owned()
        }
        None => String::new(),
    };
    Err(InputError::line(
        line,
        format!("the header has no column `{}`; it has: {listed}{hint}", wanted.escape_debug()),
    ))
}

/// The probable meaning of a name that is neither the name of the ids nor `users`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnMeaning {
    /// The ids: the name differs from theirs only in case, blanks, signs and full-width letters.
    Id,
    Users,
    Itself,
}

/// Returns the probable meaning of a name.
pub(super) fn meaning(name: &str, id_column: &str) -> ColumnMeaning {
    let name = plain(name);
    if name == plain(id_column) {
        ColumnMeaning::Id
    } else if means_users(&name) {
        ColumnMeaning::Users
    } else {
        ColumnMeaning::Itself
    }
}

/// Returns the error for a second column or field of ids.
pub(super) fn two_of_ids(what: &str, id_column: &str) -> String {
    format!(
        "this {what} and `{id_column}` both seem to hold the ids; rename one, or say which: `id_column = \"{id_column}\"`"
    )
}

/// Returns the error for a column or field of users with another name.
pub(super) fn other_users(what: &str) -> String {
    format!(
        "this {what} looks like a group's users, whose {what} must be named `{USERS}`; rename it to `{USERS}`, or to an unrelated name if the whole group is meant"
    )
}

/// Refuses a column that probably means users but has another name: the whole group would get the message.
/// `chosen` is the column that the script names as that of the ids.
pub(super) fn check_users(names: &[String], chosen: Option<&str>, line: u64) -> Result<(), InputError> {
    if names.iter().any(|name| name == USERS) {
        return Ok(());
    }
    match names.iter().position(|name| Some(name.as_str()) != chosen && means_users(name)) {
        Some(index) => {
            let position = column(index, names.get(index).map(String::as_str));
            Err(InputError::at(line, position, other_users("column")))
        }
        None => Ok(()),
    }
}

/// Refuses a column by which the rows could be read as other recipients than those of the call.
pub(super) fn check_kind(names: &[String], options: &AudienceOptions, line: u64) -> Result<(), InputError> {
    let call = options.call();
    if call.recipient() == Call::Group.recipient() {
        return check_users(names, options.id_column.as_deref().map(str::trim), line);
    }
    if options.id_column.is_some() {
        return Ok(());
    }
    match names.iter().position(|name| is_other_kind(name, call)) {
        Some(index) => {
            let position = column(index, names.get(index).map(String::as_str));
            Err(InputError::at(line, position, other_kind("column", call)))
        }
        None => Ok(()),
    }
}

/// Whether a column or field of this name holds other recipients than those of the call: users or rooms.
pub(super) fn is_other_kind(name: &str, call: Call) -> bool {
    let name = plain(name);
    let known = [GROUP_ID, USERS, Call::User.id_field(), Call::Room.id_field()];
    known.into_iter().any(|other| name == plain(other)) && name != plain(call.id_field())
}

/// Returns the error for such a column or field.
pub(super) fn other_kind(what: &str, call: Call) -> String {
    let (recipient, own) = (call.recipient(), call.id_field());
    format!(
        "the broadcast goes to {recipient}s, and this {what} names other recipients, so there are two ways to read it; rename it, or say which {what} holds the ids of the {recipient}s: `id_column = \"{own}\"`"
    )
}

/// Refuses a second column whose name equals that of the ids except for case, blanks or signs.
pub(super) fn check_alike(names: &[String], id: usize, line: u64) -> Result<(), InputError> {
    let Some(of_ids) = names.get(id) else { return Ok(()) };
    let is_second = |(index, name): &(usize, &String)| *index != id && plain(name) == plain(of_ids);
    match names.iter().enumerate().find(is_second) {
        Some((index, name)) => {
            Err(InputError::at(line, column(index, Some(name)), two_of_ids("column", of_ids)))
        }
        None => Ok(()),
    }
}

/// Whether one of the names probably means the ids.
pub(super) fn means_id(names: &[String]) -> bool {
    names.iter().any(|name| MEANT.contains(&plain(name).as_str()))
}

/// Returns a name in lower case, without blanks and signs, and with plain letters for full-width ones.
fn plain(name: &str) -> String {
    let usual = |letter: char| match letter {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(letter) - 0xfee0).unwrap_or(letter),
        other => other,
    };
    name.chars().map(usual).filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Returns the name that was probably meant.
pub(super) fn proposed<'name>(names: &'name [String], wanted: &str) -> Option<&'name str> {
    let same = names.iter().find(|name| !name.is_empty() && plain(name) == plain(wanted));
    let is_of_group = ![Call::User, Call::Room].iter().any(|call| call.id_field() == wanted);
    let meant = || names.iter().find(|name| is_of_group && MEANT.contains(&plain(name).as_str()));
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
        for name in [
            "Users",
            "user_id",
            "User IDs",
            "ｕｓｅｒｓ",
            "用户",
            "群成员",
            "member",
            "recipients",
            "收件人",
            "userlist",
            "用户列表",
            "username",
            "用户名",
            "账号",
            "account",
            "Accounts",
            "uid",
            "会员",
            "userNames",
            "to_user",
            "group members",
            "环信用户ID",
        ] {
            assert!(check_users(&owned(&["group_id", name]), None, 1).is_err(), "{name}");
            assert!(check_users(&owned(&["group_id", "users", name]), None, 1).is_ok(), "{name}");
            assert_eq!(meaning(name, GROUP_ID), ColumnMeaning::Users, "{name}");
        }
        assert!(
            check_users(
                &owned(&["group_id", "member count", "customer", "groupname", "用户数", "群主", "nickname"]),
                None,
                1
            )
            .is_ok()
        );
        for name in ["Group_ID", "group id", "GROUPID", "ｇｒｏｕｐ_id"] {
            assert!(check_alike(&owned(&["x", "group_id", name]), 1, 1).is_err(), "{name}");
            assert_eq!(meaning(name, GROUP_ID), ColumnMeaning::Id, "{name}");
        }
        assert_eq!(meaning("user agent", GROUP_ID), ColumnMeaning::Itself);
        for name in ["name\u{85}1", "name\u{b}1", "name\u{c}1", "name\u{2028}1", "name\u{200b}"] {
            assert!(super::names([name].into_iter(), 1).is_err_and(|fault| fault.what.contains("U+")));
        }
    }
}
