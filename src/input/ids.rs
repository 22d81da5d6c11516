//! Ids of groups and users as files hold them, and what programs make of them on the way.

use crate::message::{is_invisible, quoted};

/// The most digits that a number for an id has.
const MOST_DIGITS: usize = 20;

/// What to do about an id that a spreadsheet has changed.
const AS_TEXT: &str = "format the column as text and save again";

/// An id of a group: the text without blanks around it, and nothing else changed.
///
/// # Errors
///
/// A sentence with the value for what is no id, or no longer the one that it was: blank, with something invisible or a
/// blank inside, shortened or rewritten by a spreadsheet.
pub fn group_id(text: &str) -> Result<&str, String> {
    let trimmed = trim(text);
    let is_digits = !trimmed.is_empty() && trimmed.bytes().all(|byte| byte.is_ascii_digit());
    if is_digits {
        if trimmed.len() > MOST_DIGITS {
            let value = quoted(text);
            return Err(format!(
                "{value} has {} digits, more than any id; are these two ids?",
                trimmed.len()
            ));
        }
        return Ok(trimmed);
    }
    if trimmed.is_empty() {
        return Err(format!("{} is blank; the id of a group belongs here", quoted(text)));
    }
    match changed(trimmed) {
        Some(what) if !trimmed.contains(is_hidden) => Err(format!("{}: {what}", quoted(text))),
        _ => visible(text, trimmed),
    }
}

/// The users of one cell, separated by `;` or `；`; without blanks around them and without repeats.
///
/// # Errors
///
/// A sentence with the value: a comma, which may separate users or not; an id that is none.
pub fn split_users(cell: &str) -> Result<Vec<String>, String> {
    let mut users: Vec<String> = Vec::new();
    for part in cell.split([';', '；']).filter(|part| !trim(part).is_empty()) {
        let user = user(part)?;
        if !users.contains(&user) {
            users.push(user);
        }
    }
    Ok(users)
}

/// One user.
///
/// # Errors
///
/// As [`split_users`].
pub fn user(text: &str) -> Result<String, String> {
    let trimmed = trim(text);
    if let Some(comma) = trimmed.chars().find(|letter| matches!(letter, ',' | '，' | '、' | ';' | '；' | '|'))
    {
        return Err(format!(
            "{} holds `{comma}`; is it one user or several? Several are separated by `;`",
            quoted(text)
        ));
    }
    if is_shortened(trimmed) && !trimmed.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(format!("{}: Excel has shortened this id; {AS_TEXT}", quoted(text)));
    }
    visible(text, trimmed).map(str::to_owned)
}

fn trim(text: &str) -> &str {
    text.trim_matches(|letter: char| letter.is_whitespace() || letter == '\u{feff}')
}

/// Something to see, and nothing invisible or blank inside, and no quote.
fn visible<'text>(text: &str, trimmed: &'text str) -> Result<&'text str, String> {
    let hidden = trimmed.chars().enumerate().find(|(_, letter)| is_hidden(*letter));
    if let Some((before, letter)) = hidden {
        let what = if letter == ' ' { "a blank".to_owned() } else { format!("U+{:04X}", u32::from(letter)) };
        return Err(format!(
            "{} holds {what}, as its character {}, where an id has nothing but visible characters; remove it",
            quoted(text),
            before + 1
        ));
    }
    if trimmed.is_empty() {
        return Err(format!("{} is blank", quoted(text)));
    }
    // In a file such a one is left of a cell's own quotes: two cells have become one.
    if let Some(quote) =
        trimmed.chars().find(|letter| matches!(letter, '"' | '“' | '”' | '„' | '＂' | '«' | '»'))
    {
        return Err(format!("{} holds the quote `{quote}`; are these two ids? Remove it", quoted(text)));
    }
    Ok(trimmed)
}

fn is_hidden(letter: char) -> bool {
    letter == '\u{fffd}' || is_invisible(letter)
}

/// What some program has made of an id, where that shows.
fn changed(id: &str) -> Option<String> {
    let first = id.chars().next()?;
    if is_shortened(id) {
        return Some(format!("Excel has shortened this id; {AS_TEXT}"));
    }
    if first == '=' {
        return Some(format!("this is a formula and no id; {AS_TEXT}, without `=`"));
    }
    if matches!(first, '\'' | '’' | '‘' | '`') {
        return Some(format!("an apostrophe stands before the id; remove it, {AS_TEXT}"));
    }
    if first == '#' {
        return Some("this is an error of a spreadsheet and no id".to_owned());
    }
    if is_nothing(id) {
        return Some("this stands for no value and is no id".to_owned());
    }
    if !id.contains(char::is_alphanumeric) {
        return Some("it has neither a letter nor a digit and is no id".to_owned());
    }
    if id.chars().any(|letter| letter.is_numeric() && !letter.is_ascii_digit() && is_full_width(letter)) {
        return Some("it holds full-width digits; write 0 to 9".to_owned());
    }
    if let Some(separator) = id.chars().find(|letter| matches!(letter, ';' | '；' | '，' | '、' | '\t' | '|'))
    {
        return Some(format!(
            "it holds `{separator}`; does that separate columns or several ids? Each row has one id"
        ));
    }
    let numeric = id
        .chars()
        .all(|letter| letter.is_ascii_digit() || matches!(letter, '.' | ',' | '\'' | '’' | '_' | '+' | '-'));
    let changed = numeric && id.contains(|letter: char| letter.is_ascii_digit()) && !is_plain_name(id);
    if changed {
        let what = "this is a number as a program writes it (with a sign, decimals or separators of thousands), and an id is digits alone";
        return Some(format!("{what}; {AS_TEXT}"));
    }
    id.contains(',')
        .then(|| "it holds `,`; does that separate columns or several ids? Each row has one id".to_owned())
}

/// Digits with `-` or `_` between them, as in a date or a name: no program makes that of a number.
fn is_plain_name(id: &str) -> bool {
    let mut parts = id.split(['-', '_']);
    id.contains(['-', '_'])
        && parts.all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

const fn is_full_width(letter: char) -> bool {
    matches!(letter, '０'..='９')
}

fn is_nothing(id: &str) -> bool {
    ["null", "nil", "none", "nan", "n/a", "undefined", "(null)", "\\n"]
        .iter()
        .any(|word| id.eq_ignore_ascii_case(word))
}

/// A number with an exponent, as `1.84525E+14`.
fn is_shortened(id: &str) -> bool {
    let Some(at) = id.find(['e', 'E']) else { return false };
    let (mantissa, exponent) = (&id[..at], &id[at + 1..]);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
    let mantissa = mantissa.split_once(['.', ',']).map_or_else(
        || digits(mantissa),
        |(whole, decimals)| digits(whole) && (decimals.is_empty() || digits(decimals)),
    );
    let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    mantissa && digits(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("#N/A", "an error of a spreadsheet"),
            ("#####", "an error of a spreadsheet"),
            ("NULL", "no value"),
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
