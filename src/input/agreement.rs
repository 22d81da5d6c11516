//! Tests with random texts that other CSV readers read accepted files the same way, and that each id equals the text
//! of its cell.

use std::fs::File;
use std::io::{Cursor, Seek, Write as _};

use encoding_rs::GB18030;
use proptest::prelude::*;
use serde_json::Value;

use super::audience::Audience;
use super::options::AudienceOptions;
use super::table::{TableEvent, TableReader};

type TextRows = Vec<Vec<String>>;

/// Returns the non-blank rows as this crate reads them. Returns None if anything is refused.
fn ours(text: &str, separator: Option<u8>) -> Option<TextRows> {
    let options = AudienceOptions { separator, ..AudienceOptions::default() };
    let mut table = TableReader::open(Cursor::new(text.as_bytes().to_vec()), &options, false, None).ok()?;
    let mut rows = Vec::new();
    loop {
        match table.advance().ok()? {
            TableEvent::Good(_) => rows.push(table.cells().map(str::to_owned).collect()),
            TableEvent::Bad(_) => return None,
            TableEvent::End => return Some(rows),
        }
    }
}

fn with_text(rows: TextRows) -> TextRows {
    rows.into_iter().filter(|row| row.iter().any(|cell| !cell.trim().is_empty())).collect()
}

/// Returns the rows as the crate `csv` reads them.
fn crate_csv(text: &str) -> TextRows {
    let mut reader =
        ::csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let rows = reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect());
    with_text(rows.collect())
}

/// Returns the rows as Excel splits them. A line `sep=` gives the separator and is hidden. A cell that begins with a
/// quote extends to the next single quote and also includes the text after it. Any other quote is text. CR, LF and CR
/// LF end a row.
fn excel(text: &str) -> TextRows {
    let said = text.get(..4).filter(|head| head.eq_ignore_ascii_case("sep="));
    let mut head = text.chars().skip(4);
    let (separator, text) = match (said, head.next(), head.next()) {
        (Some(_), Some(said), None | Some('\r' | '\n')) => {
            let rest = &text[4 + said.len_utf8()..];
            (said, rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix(['\r', '\n'])).unwrap_or(rest))
        }
        _ => (',', text),
    };
    let mut letters = text.chars().peekable();
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut fresh) = (false, true);
    while let Some(letter) = letters.next() {
        match letter {
            '"' if fresh => quoted = true,
            '"' if quoted && letters.next_if_eq(&'"').is_some() => cell.push('"'),
            '"' if quoted => quoted = false,
            _ if quoted => cell.push(letter),
            _ if letter == separator => row.push(std::mem::take(&mut cell)),
            '\r' | '\n' => {
                if letter == '\r' {
                    letters.next_if_eq(&'\n');
                }
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            _ => cell.push(letter),
        }
        fresh = !quoted && (letter == separator || matches!(letter, '\r' | '\n'));
    }
    row.push(cell);
    rows.push(row);
    with_text(rows)
}

/// Random texts of the significant characters, sometimes arranged as a table.
fn texts() -> impl Strategy<Value = String> {
    let odd = "(a|1|\"|\"\"|,|\n|\r\n|\r| |;|\t|=|群|,\"|\",|\"\n){0,14}";
    let table =
        "((a|1|群|\"a\"|\"a,b\"|\"a\"\"b\"|\"a\nb\"| a|a b|),(b|\"b\"|\"\"|\"b;c\"|b )(\n|\r\n|\r)){0,6}";
    prop_oneof![odd, table]
}

/// A cell with an id: the blanks around it, the id, whether it is quoted, and the name beside it.
fn cells(id: &'static str) -> impl Strategy<Value = Vec<(String, String, String, bool, String)>> {
    let blanks = "[ \u{a0}\u{3000}\u{2003}]{0,2}";
    let cell = (blanks, id, blanks, any::<bool>(), "[A-Za-z群组名称 ]{0,6}");
    prop::collection::vec(cell, 1..12)
}

fn file(cells: &[(String, String, String, bool, String)], separator: char, encoding: usize) -> File {
    let mut text = format!("name{separator}group_id\r\n");
    for (before, id, after, quoted, name) in cells {
        let cell = format!("{before}{id}{after}");
        let cell = if *quoted { format!("\"{cell}\"") } else { cell };
        text.extend([name, &separator.to_string(), &cell, "\r\n"]);
    }
    let utf16 = |big: bool| -> Vec<u8> {
        let units = text.encode_utf16();
        units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    };
    let bytes = match encoding {
        0 => text.into_bytes(),
        1 => [b"\xef\xbb\xbf".to_vec(), text.into_bytes()].concat(),
        2 => [b"\xff\xfe".to_vec(), utf16(false)].concat(),
        3 => [b"\xfe\xff".to_vec(), utf16(true)].concat(),
        _ => GB18030.encode(&text).0.into_owned(),
    };
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    file.rewind().unwrap();
    file
}

/// Returns the ids of a file, with None for each refused line. Returns None if the whole file is refused.
fn ids(file: File, encoding: usize) -> Option<Vec<Option<String>>> {
    let encoding = (encoding == 4).then(|| "gb18030".to_owned());
    let mut audience =
        Audience::open("a.csv", file, &AudienceOptions { encoding, ..AudienceOptions::default() }).ok()?;
    let lines = audience.page(100).ok()?;
    let id = |value: Value| value["group_id"].as_str().map(str::to_owned);
    Some(lines.into_iter().map(|line| line.value.ok().and_then(id)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_crate_csv_reads_the_same_of_what_is_not_refused(text in texts()) {
        if let Some(rows) = ours(&text, Some(b',')) {
            prop_assert_eq!(rows, crate_csv(&text));
        }
    }

    #[test]
    fn excel_reads_the_same_of_what_is_not_refused(text in texts(), said in prop::option::of("[,;\t|]")) {
        let text = said.map_or_else(|| text.clone(), |said| format!("sep={said}\r\n{text}"));
        let asked = if text.starts_with("sep=") { None } else { Some(b',') };
        if let Some(rows) = ours(&text, asked) {
            prop_assert_eq!(rows, excel(&text));
        }
    }

    #[test]
    fn a_table_that_is_written_with_care_is_not_refused(
        rows in prop::collection::vec(("[a-z群 ;\n\",]{0,6}", "[a-z]{1,4}"), 1..8),
    ) {
        let quoted = |cell: &str| format!("\"{}\"", cell.replace('"', "\"\""));
        let lines: Vec<String> =
            rows.iter().map(|(one, two)| format!("{},{}\r\n", quoted(one), quoted(two))).collect();
        let text = lines.concat();
        let rows: TextRows = rows.into_iter().map(|(one, two)| vec![one, two]).collect();
        prop_assert_eq!(ours(&text, Some(b',')), Some(rows));
    }

    #[test]
    fn an_id_is_the_trimmed_text_of_its_cell_or_refused(
        cells in cells("[0-9a-zA-Z群é.,;'\\-_+#=|\u{200b}\u{feff} ]{0,9}"),
        separator in prop::sample::select(vec![',', ';', '\t']),
        encoding in 0_usize..5,
    ) {
        let Some(ids) = ids(file(&cells, separator, encoding), encoding) else { return Ok(()) };
        for id in ids.into_iter().flatten() {
            let is_there = cells.iter().any(|(before, cell, after, ..)| {
                let cell = format!("{before}{cell}{after}");
                cell.trim_matches(|letter: char| letter.is_whitespace() || letter == '\u{feff}') == id
            });
            prop_assert!(is_there, "{:?} of {:?}", id, cells);
        }
    }

    #[test]
    fn ids_as_people_have_them_come_out_of_every_encoding_and_separator(
        cells in cells("[1-9][0-9]{14}"),
        separator in prop::sample::select(vec![',', ';', '\t']),
        encoding in 0_usize..5,
    ) {
        let expected: Vec<_> = cells.iter().map(|cell| Some(cell.1.clone())).collect();
        prop_assert_eq!(ids(file(&cells, separator, encoding), encoding), Some(expected));
    }
}
