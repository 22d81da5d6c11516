//! Recognises ids that another program has changed on the way: spreadsheets, exports, scripts. Such an id names no
//! recipient or the wrong one, so it is refused.

/// The kind of thing that an id names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdKind {
    /// A group. The service makes its id, which is usually all digits.
    Group,
    /// A user. An operator chooses the id: letters and digits.
    User,
}

/// The most digits that a whole number written as an id has.
const MOST_DIGITS: usize = 20;

/// The remedy for an id that a spreadsheet has changed.
const AS_TEXT: &str = "format the column as text and save again";

/// Returns what is wrong with an id that a program has changed or that may be several ids: a sentence without its
/// subject. Returns None for an id without such a trace. `id` has no blanks around it and no invisible characters
/// inside.
pub fn altered(id: &str, of: IdKind) -> Option<String> {
    // Most ids are all digits, or letters and digits.
    if id.bytes().all(|byte| byte.is_ascii_digit()) {
        return (id.len() > MOST_DIGITS && of == IdKind::Group)
            .then(|| format!("it has {} digits, more than any id; are these two ids?", id.len()));
    }
    if is_word_for_value(id) {
        return Some(
            "this is a program's word for a value (nothing, true, false or infinity), not an id".to_owned(),
        );
    }
    if is_shortened(id, of) {
        return Some(format!("Excel has shortened this id; {AS_TEXT}"));
    }
    if of == IdKind::User && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let first = id.chars().next()?;
    if first == '=' {
        return Some(format!("this is a formula, not an id; {AS_TEXT}, without `=`"));
    }
    if matches!(first, '\'' | '’' | '‘' | '`') {
        return Some(format!("an apostrophe stands before the id; remove it, {AS_TEXT}"));
    }
    if first == '#' {
        return Some("this is a spreadsheet error, not an id".to_owned());
    }
    if let Some(quote) = id.chars().find(|letter| matches!(letter, '"' | '“' | '”' | '„' | '＂' | '«' | '»'))
    {
        return Some(format!("it holds the quote `{quote}`; are these two ids? Remove it"));
    }
    let is_signs = match of {
        IdKind::Group => !id.contains(char::is_alphanumeric),
        IdKind::User => id.bytes().all(|byte| byte.is_ascii_punctuation()),
    };
    if is_signs {
        return Some("it has neither a letter nor a digit, so it is not an id".to_owned());
    }
    if id.contains(|letter| matches!(letter, '０'..='９')) {
        return Some("it holds full-width digits; write 0 to 9".to_owned());
    }
    if let Some(digit) = id.chars().find(|letter| letter.is_numeric() && !letter.is_ascii_digit()) {
        return Some(format!("it holds `{digit}`, which is not one of the digits 0 to 9; write these"));
    }
    if id.contains("{{") || id.contains("}}") {
        return Some("it holds a field of a template that was not filled in".to_owned());
    }
    if let Some(separator) = id.chars().find(|letter| matches!(letter, ',' | ';' | '；' | '，' | '、' | '|'))
    {
        return Some(if is_number(id) { of_number() } else { of_several(separator, of) });
    }
    match of {
        IdKind::Group if is_number(id) && !is_plain_name(id) => Some(of_number()),
        IdKind::User if has_no_fraction(id) || is_number(id) && !is_name_of_digits(id) => Some(of_number()),
        _ => None,
    }
}

fn of_several(separator: char, of: IdKind) -> String {
    match of {
        IdKind::Group => {
            format!(
                "it holds `{separator}`; does that separate columns or several ids? Each group has one id"
            )
        }
        IdKind::User => {
            format!(
                "it holds `{separator}`; is it one user or several? Several are separated by `;` in a file, and are a list in Lua"
            )
        }
    }
}

fn of_number() -> String {
    format!(
        "this is a number as a program writes it (with a sign, a currency, decimals or separators of thousands), and an id is digits alone; {AS_TEXT}"
    )
}

/// Whether `id` is digits with what programs put between, before and after them.
fn is_number(id: &str) -> bool {
    let part = |letter: char| {
        letter.is_ascii_digit()
            || matches!(letter, '.' | ',' | '\'' | '’' | '_' | '+' | '-' | '%' | '(' | ')' | '/')
            || matches!(letter, '$' | '€' | '£' | '¥' | '￥' | '₩' | '₹')
    };
    id.chars().all(part) && id.contains(|letter: char| letter.is_ascii_digit())
}

/// Whether `id` is digits joined by `-` or `_`, as in a date or a name. No program turns a number into that.
fn is_plain_name(id: &str) -> bool {
    let mut parts = id.split(['-', '_']);
    id.contains(['-', '_'])
        && parts.all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether `id` is digits with signs that the ids of users may have, and no negative number.
fn is_name_of_digits(id: &str) -> bool {
    !id.starts_with('-') && id.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-'))
}

/// Whether `id` is a whole number with a fraction of zeros: `13800000000.0`.
fn has_no_fraction(id: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    id.split_once('.').is_some_and(|(whole, fraction)| {
        digits(whole) && digits(fraction) && fraction.bytes().all(|byte| byte == b'0')
    })
}

fn is_word_for_value(id: &str) -> bool {
    let id = id.trim_start_matches(['-', '+']);
    ["null", "nil", "none", "nan", "inf", "infinity", "n/a", "undefined", "(null)", "\\n", "true", "false"]
        .iter()
        .any(|word| id.eq_ignore_ascii_case(word))
}

/// Whether `id` is a number with an exponent: `1.84525E+14`. Of letters and digits alone a user's id may be made by
/// chance, such as `12e4`, but programs write one digit before the exponent.
fn is_shortened(id: &str, of: IdKind) -> bool {
    let Some((mantissa, exponent)) = id.split_once(['e', 'E']) else { return false };
    if of == IdKind::User && mantissa.len() > 1 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return false;
    }
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
    fn ids_as_people_have_them_are_left_alone() {
        for id in
            ["184524748161025", "g1", "群组", "a-b_c.d", "007", "2024-01-01", "user.1", "e5", "12ab", "a@b+c"]
        {
            assert_eq!(altered(id, IdKind::Group), None, "{id}");
            assert_eq!(altered(id, IdKind::User), None, "{id}");
        }
        for id in ["12E4", "1.5", "nonesuch", "1_000", "e5", "a+b"] {
            assert_eq!(altered(id, IdKind::User), None, "{id}");
        }
    }

    #[test]
    fn what_a_program_made_of_an_id_is_told() {
        for (id, says) in [
            ("1.84525E+14", "Excel has shortened this id; format the column as text and save again"),
            ("1,84525E+14", "Excel has shortened this id"),
            ("1.84525e14", "Excel has shortened this id"),
            ("1.E+14", "Excel has shortened this id"),
            ("=\"184524748161025\"", "a formula"),
            ("'184524748161025", "an apostrophe"),
            ("#N/A", "a spreadsheet error"),
            ("#####", "a spreadsheet error"),
            ("-", "neither a letter nor a digit"),
            ("１８４５", "full-width digits"),
            ("١٨٤٥", "not one of the digits 0 to 9"),
            ("1845②", "not one of the digits 0 to 9"),
            ("{{group}}", "a field of a template"),
            ("184524748161025;184524748161026", "holds `;`"),
            ("u1,u2", "holds `,`"),
            ("u1、u2", "holds `、`"),
            ("1845\"2474", "holds the quote `\"`; are these two ids"),
            ("184524748161025.0", "a number as a program writes it"),
            ("184,524,748,161,025", "a number as a program writes it"),
            ("+184524748161025", "a number as a program writes it"),
            ("-5", "a number as a program writes it"),
            ("1845%", "a number as a program writes it"),
            ("1E5", "Excel has shortened this id"),
            ("NULL", "a program's word"),
            ("None", "a program's word"),
            ("nan", "a program's word"),
            ("n/a", "a program's word"),
            ("TRUE", "a program's word"),
            ("undefined", "a program's word"),
            ("-inf", "a program's word"),
        ] {
            for of in [IdKind::Group, IdKind::User] {
                let what = altered(id, of).unwrap_or_default();
                assert!(what.contains(says), "{id:?} {of:?}: {what}");
            }
        }
        for (id, says) in [
            ("2E14", "Excel has shortened this id"),
            ("184.524.748.161.025", "a number as a program writes it"),
            ("184'524'748", "a number as a program writes it"),
            ("-184524748161025", "a number as a program writes it"),
            ("$184524748161025", "a number as a program writes it"),
            ("(184524748161025)", "a number as a program writes it"),
            ("184524748161025/24", "a number as a program writes it"),
            ("184524748161025184524748161026", "two ids"),
        ] {
            let what = altered(id, IdKind::Group).unwrap_or_default();
            assert!(what.contains(says), "{id:?}: {what}");
        }
    }
}
