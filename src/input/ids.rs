//! Reads ids of groups and users from files.

use crate::core::{Call, user_key};
use crate::message::{IdKind, altered, is_invisible, quoted};

/// Reads the id of a recipient of this call: the text without the blanks around it, otherwise unchanged.
pub fn recipient_id(text: &str, call: Call) -> Result<&str, String> {
    let trimmed = trim(text);
    if trimmed.is_empty() {
        return Err(format!("{} is blank; the id of a {} belongs here", quoted(text), call.recipient()));
    }
    read(text, trimmed, call.id_kind())
}

/// Reads the users of one cell, separated by `;` or `；`, without the blanks around them and without
/// repeats in any case.
pub fn split_users(cell: &str) -> Result<Vec<String>, String> {
    let mut users: Vec<String> = Vec::new();
    for part in cell.split([';', '；']).filter(|part| !trim(part).is_empty()) {
        let user = user(part)?;
        if !users.iter().any(|one| user_key(one) == user_key(&user)) {
            users.push(user);
        }
    }
    Ok(users)
}

/// Reads one user.
pub fn user(text: &str) -> Result<String, String> {
    let trimmed = trim(text);
    if trimmed.is_empty() {
        return Err(format!("{} is blank", quoted(text)));
    }
    read(text, trimmed, IdKind::User).map(str::to_owned)
}

fn trim(text: &str) -> &str {
    text.trim_matches(|letter: char| letter.is_whitespace() || letter == '\u{feff}')
}

fn read<'text>(text: &str, trimmed: &'text str, of: IdKind) -> Result<&'text str, String> {
    let hidden = trimmed.chars().enumerate().find(|(_, letter)| is_hidden(*letter));
    if let Some((before, letter)) = hidden {
        let what = if letter == ' ' { "a blank".to_owned() } else { format!("U+{:04X}", u32::from(letter)) };
        return Err(format!(
            "{} holds {what} as its character {}; an id has only visible characters, so remove it",
            quoted(text),
            before + 1
        ));
    }
    match altered(trimmed, of) {
        Some(what) => Err(format!("{}: {what}", quoted(text))),
        None => Ok(trimmed),
    }
}

fn is_hidden(letter: char) -> bool {
    letter == '\u{fffd}' || is_invisible(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group_id(text: &str) -> Result<&str, String> {
        recipient_id(text, Call::Group)
    }

    #[test]
    fn an_id_is_trimmed_and_otherwise_as_it_stands() {
        for text in [
            "184524748161025",
            "g1",
            "群组",
            "a-b_c.d",
            "007",
            "2024-01-01",
            "user.1",
            "e5",
            "12ab",
            "a,b".trim_end_matches(",b"),
        ] {
            assert_eq!(group_id(text), Ok(text));
            assert_eq!(group_id(&format!(" \u{a0}\u{3000}{text}\t\u{feff}")), Ok(text));
        }
    }

    #[test]
    fn what_a_program_made_of_an_id_is_refused() {
        for (text, says) in [
            ("1.84525E+14", "Excel has shortened this id; format the column as text and save again"),
            ("1,84525E+14", "Excel has shortened this id; format the column as text and save again"),
            ("1.84525e14", "Excel has shortened this id"),
            ("2E+14", "Excel has shortened this id"),
            ("1.E+14", "Excel has shortened this id"),
            ("184524748161025.0", "a number as a program writes it"),
            ("184,524,748,161,025", "a number as a program writes it"),
            ("184.524.748.161.025", "a number as a program writes it"),
            ("184'524'748", "a number as a program writes it"),
            ("184 524 748", "holds a blank"),
            ("+184524748161025", "a number as a program writes it"),
            ("-184524748161025", "a number as a program writes it"),
            ("=\"184524748161025\"", "a formula"),
            ("'184524748161025", "an apostrophe"),
            ("#N/A", "a spreadsheet error"),
            ("#####", "a spreadsheet error"),
            ("NULL", "a program's word for a value"),
            ("-", "neither a letter nor a digit"),
            ("１８４５", "full-width digits"),
            ("184524748161025;184524748161026", "one id"),
            ("184524748161025184524748161026", "two ids"),
            ("", "\"\" is blank"),
            (" \u{3000}", "\" \\u{3000}\" is blank"),
            ("1845\u{200b}24748", "\"1845\\u{200b}24748\" holds U+200B"),
            ("1845\u{a0}24x", "\"1845\\u{a0}24x\" holds U+00A0"),
            ("my group", "\"my group\" holds a blank"),
            ("1845\n2474", "\"1845\\n2474\""),
            ("1845\"2474", "holds the quote `\"`; are these two ids"),
            ("“1845”", "holds the quote `“`"),
        ] {
            let error = group_id(text).unwrap_err();
            assert!(error.contains(says), "{text:?}: {error}");
        }
    }

    #[test]
    fn users_of_a_cell() {
        assert_eq!(split_users("user1；user2").unwrap(), ["user1", "user2"]);
        assert_eq!(split_users(" user1 ; user1;; a ").unwrap(), ["user1", "a"]);
        assert!(split_users(" ; ").unwrap().is_empty());
        for text in ["user1,user2", "a，b", "a、b", "a|b"] {
            assert!(split_users(text).unwrap_err().contains("one user or several"), "{text}");
        }
        assert!(split_users("a b;c").unwrap_err().contains("holds a blank"));
        assert!(split_users("\"a\";c").unwrap_err().contains("holds the quote"));
    }
}
