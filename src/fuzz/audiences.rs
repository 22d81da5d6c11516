//! Files of recipients as text: tables, JSON lists and lines, in all encodings and with all options.

use std::fs::File;
use std::io::{Cursor, Seek as _, SeekFrom, Write as _};

use crate::core::Call;
use crate::input::{Audience, AudienceOptions, TableEvent, TableReader, recipient_id, split_users, user};

use super::{FuzzTarget, fuzz};

#[test]
fn no_input_breaks_it() {
    fuzz(&FuzzTarget { name: "audiences", seeds, words: WORDS, cases: 3000, read });
}

const WORDS: &[&str] = &[
    "csv",
    "tsv",
    "json",
    "jsonl",
    "utf-8",
    "utf-16",
    "utf-16le",
    "utf-16be",
    "gb18030",
    "gbk",
    "big5",
    "shift_jis",
    "euc-kr",
    "windows-1252",
    "iso-2022-jp",
    "x-user-defined",
    "replacement",
    "group_id",
    "users",
    "user_id",
    "room_id",
    "Group ID",
    "sep=;\r\n",
    "\"\"",
    "\",\"",
    "\"a\"\"b\"",
    "\r\n",
    "\n\n",
    "\r",
    ",,,",
    ";;",
    "\t\t",
    "184524748161025",
    "1.84525E+14",
    "1,845,247",
    "\u{feff}",
    "[",
    "]",
    "{\"group_id\": ",
    "\"group_id\"",
    "}",
    "group",
    "targeted",
    "user",
    "room",
    "announce",
    "edit",
    "-",
    "'",
    "=1+1",
    "u1;u2",
    "u1|u2",
    "u1 u2",
];

/// The first line has the extension and the options, `-` for none: encoding, separator, column of ids, call. The rest is
/// the file.
fn seeds() -> Vec<Vec<u8>> {
    let table = "group_id,name,users\n184524748161025,组一,u1\n184524748161026,\"a, \"\"b\"\"\nc\",u2;u3\n";
    let wide = |order: fn(u16) -> [u8; 2]| -> Vec<u8> {
        std::iter::once(0xfeff).chain(table.encode_utf16()).flat_map(order).collect()
    };
    let chinese =
        [b"group_id,\xc3\xfb\xb3\xc6\n".as_slice(), b"1,\xd7\xe9\xd2\xbb\n2,\xb1\xb1\xbe\xa9\n"].concat();
    let with = |options: &str, file: &[u8]| [options.as_bytes(), b"\n", file].concat();
    let json = r#"[{"group_id": "184524748161025", "name": "n", "users": ["u1"]}, "184524748161026"]"#;
    vec![
        with("csv - - - -", table.as_bytes()),
        with("csv utf-8 , group_id group", b"\xef\xbb\xbfgroup_id,a\r\n1,2\r\n\r\n3,4\r\n"),
        with("csv utf-16 - - -", &wide(u16::to_le_bytes)),
        with("csv - - - targeted", &wide(u16::to_be_bytes)),
        with("csv gb18030 - - -", &chinese),
        with("csv - - - -", &chinese),
        with("csv - ; ID -", b"sep=;\nID;x\n1;a\n2;b\n"),
        with("tsv - - user_id user", b"user_id\tname\nann\tAnn\nbob\tBob\n"),
        with("csv - | room_id room", b"room_id|x\r1|a\r2|b\r"),
        with("json - - - -", json.as_bytes()),
        with("json utf-16le - - -", &json.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()),
        with(
            "jsonl - - - -",
            b"{\"group_id\": \"1\"}\n\n\"2\"\r\n{\"group_id\": \"3\", \"x\": {\"y\": [1, 2.50]}}\n",
        ),
        with("jsonl - - id user", b"{\"id\": \"ann\"}\n{\"id\": \"bob\", \"k\": null}\n"),
    ]
}

fn read(input: &[u8]) -> String {
    let cut = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let head = String::from_utf8_lossy(&input[..cut]).into_owned();
    let file = input.get(cut + 1..).unwrap_or_default();
    let mut given = head.split(' ').map(|word| Some(word).filter(|word| *word != "-").map(str::to_owned));
    let mut next = || given.next().flatten();
    let extension = next().unwrap_or_default();
    let options = AudienceOptions {
        encoding: next(),
        separator: next().and_then(|text| AudienceOptions::separator(&text).ok()),
        id_column: next(),
        kind: next().and_then(|name| Call::from_name(&name)),
        sheet: None,
    };
    let table = of_table(file, &options);
    let path = format!("audience.{extension}");
    if let Err((field, what)) = Audience::check_name(&path, &options) {
        return format!("{field}: {what}");
    }
    let mut kept = tempfile::tempfile().unwrap();
    kept.write_all(file).unwrap();
    kept.seek(SeekFrom::Start(0)).unwrap();
    format!("{}{table}", of_audience(&path, kept, &options))
}

/// Reads all recipients of a file.
pub(super) fn of_audience(path: &str, file: File, options: &AudienceOptions) -> String {
    let mut audience = match Audience::open(path, file, options) {
        Ok(audience) => audience,
        Err(fault) => return fault.to_string(),
    };
    let mut outcome = "ok".to_owned();
    let mut bad = 0;
    while !audience.is_over() {
        let page = match audience.page(100) {
            Ok(page) => page,
            Err(fault) => return fault.to_string(),
        };
        for line in page {
            if let Err(fault) = line.value {
                bad += 1;
                if bad <= 3 {
                    outcome = format!("{outcome} {fault}").replacen("ok", "partly", 1);
                }
            }
        }
    }
    let columns = audience.header().map_or(0, <[String]>::len);
    format!("{outcome} {} {} {}", audience.read_as(), columns.min(3), audience.blank_rows().min(2))
}

/// Reads the same bytes as `csv.read` does, and each cell as ids.
fn of_table(bytes: &[u8], options: &AudienceOptions) -> String {
    let mut outcome = String::new();
    for has_header in [false, true] {
        let mut table = match TableReader::open(Cursor::new(bytes), options, has_header, None) {
            Ok(table) => table,
            Err(fault) => return fault.to_string(),
        };
        loop {
            match table.advance() {
                Ok(TableEvent::Good(_)) => {
                    for cell in table.cells() {
                        let _ = (recipient_id(cell, Call::Group), recipient_id(cell, Call::User));
                        let _ = (split_users(cell), user(cell));
                    }
                }
                Ok(TableEvent::Bad(fault)) if outcome.is_empty() => outcome = fault.to_string(),
                Ok(TableEvent::Bad(_)) => {}
                Ok(TableEvent::End) => break,
                Err(fault) => return fault.to_string(),
            }
        }
        outcome.push_str(&table.taken_for().1);
    }
    outcome
}
