//! A workbook's cell, read as an id or as text.

use calamine::{DataRef, ExcelDateTime};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum SheetCell {
    Empty,
    Text(String),
    /// A number, and its format code.
    Number(f64, String),
    /// A value that cannot be an id: the name of its type, and its text.
    Other(&'static str, String),
    /// An error such as `#N/A`.
    Error(String),
}

impl SheetCell {
    pub(super) fn of(value: &DataRef<'_>, format: &str) -> Self {
        match value {
            DataRef::Empty => Self::Empty,
            DataRef::String(text) => Self::Text(text.clone()),
            DataRef::SharedString(text) => Self::Text((*text).to_owned()),
            #[expect(clippy::cast_precision_loss, reason = "more digits than it has are refused")]
            DataRef::Int(number) => Self::Number(*number as f64, format.to_owned()),
            DataRef::Float(number) => Self::Number(*number, format.to_owned()),
            DataRef::Bool(answer) => Self::Other("true or false", answer.to_string().to_uppercase()),
            DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => Self::Other("a date", text.clone()),
            DataRef::DateTime(when) => Self::Other("a date", date(when)),
            DataRef::Error(error) => Self::Error(error.to_string()),
        }
    }

    /// Returns the text of an id: a text unchanged, or the digits of a whole number that has lost none.
    pub(super) fn id(&self) -> Result<String, String> {
        match self {
            Self::Empty => Ok(String::new()),
            Self::Text(text) => Ok(text.clone()),
            Self::Number(number, format) => digits(*number, format),
            Self::Other(what, text) => Err(format!("the cell holds {what} ({text}), not an id; {AS_TEXT}")),
            Self::Error(error) => Err(format!("the cell holds the error {error}, not an id")),
        }
    }

    /// Returns the text for people.
    pub(super) fn text(&self) -> Result<String, String> {
        match self {
            Self::Empty => Ok(String::new()),
            Self::Text(text) | Self::Other(_, text) => Ok(text.clone()),
            Self::Number(number, _) => Ok(if number.fract() == 0.0 && number.abs() < MOST {
                format!("{:.0}", number + 0.0)
            } else {
                number.to_string()
            }),
            Self::Error(error) => {
                Err(format!("the cell holds the error {error}; correct the cell or empty it"))
            }
        }
    }

    pub(super) fn is_blank(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Text(text) => text.trim().is_empty(),
            _ => false,
        }
    }
}

/// The remedy for an id that is not text.
const AS_TEXT: &str = "format the column as text and enter the id again";

/// The first number of 16 digits. Excel keeps 15.
const MOST: f64 = 1e15;

fn digits(number: f64, format: &str) -> Result<String, String> {
    if number.fract() != 0.0 || number < 0.0 {
        return Err(format!("the cell holds the number {number}, which is not an id"));
    }
    if number >= MOST {
        return Err(format!(
            "the cell holds a number of more than 15 digits, of which Excel keeps only 15, so the id may be wrong; {AS_TEXT}"
        ));
    }
    let digits = format!("{:.0}", number + 0.0);
    // A format of zeros sets the number of digits. A format with other letters or signs shows another text.
    let whole = format.split(['.', ';']).next().unwrap_or_default();
    let zeros = whole.matches('0').count();
    let is_known = format.eq_ignore_ascii_case("general")
        || format.chars().all(|letter| {
            matches!(
                letter,
                '0' | '#' | ',' | '.' | 'E' | '+' | '?' | ' ' | '@' | '_' | '(' | ')' | ';' | '-'
            )
        });
    if !is_known || zeros > 1 && zeros != whole.len() {
        return Err(format!("the number {digits} is shown in a format of its own ({format}); {AS_TEXT}"));
    }
    Ok(if zeros > 1 { format!("{digits:0>zeros$}") } else { digits })
}

/// Formats a date. The file stores it as days since 1900.
fn date(when: &ExcelDateTime) -> String {
    let (year, month, day, hour, minute, second, _) = when.to_ymd_hms_milli();
    match (when.is_duration(), hour, minute, second) {
        (true, ..) => when.as_f64().to_string(),
        (false, 0, 0, 0) => format!("{year:04}-{month:02}-{day:02}"),
        _ => format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_an_id_where_it_has_all_its_digits() {
        let id = |number: f64, format: &str| SheetCell::Number(number, format.to_owned()).id();
        assert_eq!(id(184_524_748_161_025.0, "General").unwrap(), "184524748161025");
        assert_eq!(id(184_524_748_161_025.0, "0.00E+00").unwrap(), "184524748161025");
        assert_eq!(id(184_524_748_161_025.0, "#,##0").unwrap(), "184524748161025");
        assert_eq!(id(12.0, "000000").unwrap(), "000012");
        for (number, format) in
            [(1e15, "0"), (1.5, "General"), (-1.0, "0"), (12.0, "\"G\"0"), (12.0, "000-000"), (12.0, "0%")]
        {
            assert!(id(number, format).is_err(), "{number} {format}");
        }
        assert_eq!(SheetCell::Number(42.0, String::new()).text().unwrap(), "42");
        assert_eq!(SheetCell::Number(0.5, String::new()).text().unwrap(), "0.5");
    }
}
