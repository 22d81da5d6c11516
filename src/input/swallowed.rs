//! Detects quotes that open by mistake and are closed by a later one. The rows between them would be lost silently.

use super::csv::CsvRecord;
use super::fault::{InputError, column};

/// Refuses a row with a quoted cell whose lines look like rows of their own. `id` is the column of ids.
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
        // The last line ends where the quote closes, and the row continues after it.
        let ends = is_row(last, index + 1, separator, id, own) && index >= id && lines.len() > 1 && index > 0;
        // The first line may end a row that began before the quote. Then the cell's last line starts another row.
        let starts = others.first().is_some_and(|first| ends_row(first, index, width, separator, id, own));
        if inner || ends || starts || (lines.len() > 1 && is_row(last, width, separator, id, own)) {
            return Err(InputError::at(
                record.line,
                column(index, names.get(index).map(String::as_str)),
                "a quote opens in this row, and its cell contains lines that look like rows of the table; \
                 remove the quote",
            ));
        }
    }
    Ok(())
}

/// Whether the line has the cells from `index` to the end of a row, with an id among them.
fn ends_row(line: &str, index: usize, width: usize, separator: char, id: usize, own: &str) -> bool {
    let cells: Vec<&str> = line.split(separator).collect();
    let Some(cell) = id.checked_sub(index).filter(|at| *at > 0).and_then(|at| cells.get(at)) else {
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

/// Returns a text with each run of digits and each run of letters reduced to one character.
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
