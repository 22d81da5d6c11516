//! Detects a table's separator by its first rows: comma, semicolon or tab.

use super::csv::{CsvEvent, CsvRecord, CsvRowReader};
use super::fault::InputError;
use super::header;

/// The separators that are detected.
const KNOWN: [u8; 3] = [b',', b';', b'\t'];

/// The most rows that are examined.
const ROWS: usize = 50;

/// How well a separator fits the first rows.
struct SeparatorFit {
    separator: u8,
    width: usize,
    /// Whether all rows are as wide as the first.
    even: bool,
    has_id: bool,
}

/// Detects the separator of a table by its beginning. `whole` says whether the sample is the whole table. If a column
/// of ids is wanted, the separator must produce it.
pub(super) fn guess(sample: &[u8], whole: bool, id_column: Option<&str>) -> Result<u8, InputError> {
    let fits: Vec<SeparatorFit> =
        KNOWN.into_iter().map(|separator| fit(sample, whole, separator, id_column)).collect();
    if id_column.is_some() {
        let wide = fits.iter().rev().filter(|fit| fit.has_id).max_by_key(|fit| fit.width);
        let found = wide.or_else(|| fits.iter().rev().max_by_key(|fit| fit.width));
        return Ok(found.map_or(b',', |fit| fit.separator));
    }
    let several: Vec<&SeparatorFit> = fits.iter().filter(|fit| fit.width > 1).collect();
    match several[..] {
        [] => Ok(b','),
        [one] => Ok(one.separator),
        _ => {
            let mut even = several.iter().filter(|fit| fit.even);
            match (even.next(), even.next()) {
                (Some(one), None) => Ok(one.separator),
                _ => Err(InputError::whole(format!(
                    "its columns may be separated by {}; say which, for example `separator = \"{}\"`",
                    several.iter().map(|fit| name(fit.separator)).collect::<Vec<_>>().join(" or by "),
                    several[0].separator.escape_ascii()
                ))),
            }
        }
    }
}

fn fit(sample: &[u8], whole: bool, separator: u8, id_column: Option<&str>) -> SeparatorFit {
    let mut records = CsvRowReader::new(sample, separator, 1);
    let mut record = CsvRecord::default();
    let mut fit = SeparatorFit { separator, width: 0, even: true, has_id: false };
    let mut rows = 0;
    while rows < ROWS {
        let step = records.read(&mut record, &[]);
        let unreadable = step.is_err();
        // The last row of a sample may be cut off.
        if rows > 0 && !whole && records.source.is_empty() {
            break;
        }
        match step {
            Ok(CsvEvent::Row) if record.is_blank() => continue,
            Ok(CsvEvent::Row) => {}
            Ok(CsvEvent::End) => break,
            Ok(CsvEvent::Bad(_)) | Err(_) => fit.even = false,
        }
        if rows == 0 {
            fit.width = record.len();
            fit.has_id = id_column.is_some_and(|wanted| {
                record.iter().any(|name| name.trim() == wanted)
                    || header::names(record.iter(), 1).is_ok_and(|names| header::means_id(&names))
                        && record.len() > 1
                        && wanted == header::GROUP_ID
            });
        }
        fit.even &= record.len() == fit.width;
        rows += 1;
        if unreadable {
            break;
        }
    }
    fit
}

pub(super) fn name(separator: u8) -> String {
    match separator {
        b',' => "comma".to_owned(),
        b';' => "semicolon".to_owned(),
        b'\t' => "tab".to_owned(),
        other => format!("`{}`", char::from(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_separator_is_found() {
        for (text, id, separator) in [
            ("group_id,name\n1,Ann\n", Some("group_id"), b','),
            ("group_id;name,city\n1;Ann,Halle\n", Some("group_id"), b';'),
            ("group_id\tname\n", Some("group_id"), b'\t'),
            ("group_id\n1\n", Some("group_id"), b','),
            ("name;group_id\n\"a,b\";1\n", Some("group_id"), b';'),
            ("name;群组ID\n", Some("group_id"), b';'),
            ("a;b\n1,5;2,5\n", None, b';'),
            ("a,b\n1;2,3\n", None, b','),
            ("a b\n", None, b','),
            ("", None, b','),
            ("\n\na;b\n", None, b';'),
        ] {
            assert_eq!(guess(text.as_bytes(), true, id), Ok(separator), "{text:?}");
        }
        assert!(guess(b"a,b;c\n1,2;3\n", true, None).unwrap_err().what.contains("comma or by semicolon"));
    }
}
