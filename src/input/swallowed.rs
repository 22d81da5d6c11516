//! Quotes that open by mistake and close by another: the rows between them would vanish without a word.

use super::csv::CsvRecord;
use super::fault::{InputError, column};

/// Refuses a row with a cell in quotes whose lines read as rows of their own: the cell's first column is `id`.
pub(super) fn check(
    record: &CsvRecord,
    separator: char,
    id: usize,
    width: usize,
    names: &[String],
) -> Result<(), InputError> {
    let own = record.get(id).unwrap_or_default().trim();
    for index in record.broken_cells().filter(|_| width > 1) {
        let cell = record.get(index).unwrap_or_default();
        let lines: Vec<&str> = cell.split(['\n', '\r']).filter(|line| !line.is_empty()).collect();
        let Some((last, others)) = lines.split_last() else { continue };
        let inner = others.iter().skip(1).any(|line| is_row(line, width, separator, id, own));
        // The last line ends where the quote closes, and the row goes on behind it.
        let ends = is_row(last, index + 1, separator, id, own) && index >= id && lines.len() > 1 && index > 0;
        // The first line may end a row that began before the quote: then the cell's last line is the start of another.
        let starts = others.first().is_some_and(|first| ends_row(first, index, width, separator, id, own));
        if inner || ends || starts || (lines.len() > 1 && is_row(last, width, separator, id, own)) {
            return Err(InputError::at(
                record.line,
                column(index, names.get(index).map(String::as_str)),
                "a quote opens in this row, and the cell that it begins holds lines that look like rows of the table; remove the quote",
            ));
        }
    }
    Ok(())
}

/// Whether the line has the cells from `index` to a row's end, an id among them.
fn ends_row(line: &str, index: usize, width: usize, separator: char, id: usize, own: &str) -> bool {
    let cells: Vec<&str> = line.split(separator).collect();
    let Some(cell) = id.checked_sub(index).filter(|place| *place > 0).and_then(|place| cells.get(place))
    else {
        return false;
    };
    index + cells.len() == width && is_alike(cell.trim().trim_matches('"'), own)
}

fn is_row(line: &str, width: usize, separator: char, id: usize, own: &str) -> bool {
    let mut cells = line.split(separator);
    let Some(cell) = cells.clone().nth(id) else { return false };
    cells.by_ref().count() == width && is_alike(cell.trim().trim_matches('"'), own)
}

/// Whether both could be ids of one table: digits and letters in the same order.
fn is_alike(cell: &str, own: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits(cell) {
        return if digits(own) { cell.len() * 2 >= own.len() } else { cell.len() >= 6 };
    }
    !cell.is_empty() && pattern(cell) == pattern(own) && cell.contains(|letter: char| letter.is_ascii_digit())
}

/// A text with each run of digits as one and each run of letters as one.
fn pattern(text: &str) -> String {
    let mut pattern = String::new();
    for letter in text.chars() {
        let kind = match letter {
            '0'..='9' => '0',
            letter if letter.is_alphabetic() => 'a',
            other => other,
        };
        if !pattern.ends_with(kind) {
            pattern.push(kind);
        }
    }
    pattern
}
