//! Workbooks: their archive, and the parts in it.

use std::io::{Cursor, Read as _, Seek as _, SeekFrom, Write as _};

use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, Workbook};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::core::Call;
use crate::input::AudienceOptions;

use super::{FuzzTarget, audiences, fuzz};

#[test]
fn no_input_breaks_it() {
    fuzz(&FuzzTarget { name: "sheets", seeds, words: WORDS, cases: 800, read });
}

const WORDS: &[&str] = &[
    "<row r=\"1\">",
    "</row>",
    "<c r=\"A1\" t=\"s\"><v>0</v></c>",
    "<c r=\"XFD1048576\">",
    "t=\"inlineStr\"",
    "t=\"b\"",
    "t=\"e\"",
    "t=\"d\"",
    "t=\"str\"",
    "<is><t>",
    "</t></is>",
    "<f>A1</f>",
    "<v>",
    "</v>",
    "1e308",
    "-1",
    "45000.5",
    "s=\"1\"",
    "s=\"99999\"",
    "<dimension ref=\"A1:XFD1048576\"/>",
    "ref=\"B2:A1\"",
    "r=\"A0\"",
    "r=\"a1\"",
    "r=\"\"",
    "<sst count=\"4294967295\" uniqueCount=\"4294967295\">",
    "<si>",
    "</si>",
    "<xf numFmtId=\"14\"/>",
    "numFmtId=\"99\"",
    "&#x0;",
    "&lt;",
    "&a;",
    "<![CDATA[",
    "]]>",
    "<!--",
    "<?xml version=\"1.0\"?>",
    "state=\"hidden\"",
    "r:id=\"rId9\"",
    "date1904=\"1\"",
    "xml:space=\"preserve\"",
    "\n=== xl/worksheets/sheet1.xml\n",
    "\n=== xl/sharedStrings.xml\n",
    "\n=== xl/styles.xml\n",
    "\n=== xl/workbook.xml\n",
    "../",
    "/xl/",
];

/// Separates the parts of a workbook, before their names.
const PART: &str = "\n=== ";

fn workbook() -> Vec<u8> {
    let mut book = Workbook::new();
    let created = ExcelDateTime::from_ymd(2026, 1, 1).unwrap();
    book.set_properties(&DocProperties::new().set_creation_datetime(&created));
    let sheet = book.add_worksheet();
    let date = Format::new().set_num_format("yyyy-mm-dd");
    for (column, name) in (0_u16..).zip(["group_id", "name", "since", "done"]) {
        sheet.write_string(0, column, name).unwrap();
    }
    for (row, id) in (1_u32..).zip(["184524748161025", "184524748161026", "184524748161027"]) {
        sheet.write_string(row, 0, id).unwrap();
        sheet.write_string(row, 1, "Ann & 李").unwrap();
        sheet.write_number_with_format(row, 2, 46_000.0, &date).unwrap();
        sheet.write_boolean(row, 3, true).unwrap();
    }
    book.save_to_buffer().unwrap()
}

/// What begins as an archive is read as it is; any other input is the list of parts of an archive.
fn seeds() -> Vec<Vec<u8>> {
    let packed = workbook();
    let mut archive = ZipArchive::new(Cursor::new(&packed)).unwrap();
    let mut parts = Vec::new();
    for index in 0..archive.len() {
        let mut part = archive.by_index(index).unwrap();
        parts.extend_from_slice(PART.as_bytes());
        parts.extend_from_slice(part.name().unwrap().as_bytes());
        parts.push(b'\n');
        part.read_to_end(&mut parts).unwrap();
    }
    vec![packed, parts]
}

fn packed(parts: &[u8]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let separator = PART.as_bytes();
    let mut rest = parts;
    while let Some(start) = rest.windows(separator.len()).position(|bytes| bytes == separator) {
        rest = &rest[start + separator.len()..];
        let end = rest.windows(separator.len()).position(|bytes| bytes == separator).unwrap_or(rest.len());
        let part = &rest[..end];
        let line = part.iter().position(|byte| *byte == b'\n').unwrap_or(part.len());
        // A name that is there before is refused.
        if archive.start_file(String::from_utf8_lossy(&part[..line]), options).is_ok() {
            archive.write_all(part.get(line + 1..).unwrap_or_default()).unwrap();
        }
    }
    archive.finish().unwrap().into_inner()
}

fn read(input: &[u8]) -> String {
    let mut file = tempfile::tempfile().unwrap();
    if input.starts_with(b"PK") {
        file.write_all(input).unwrap();
    } else {
        file.write_all(&packed(input)).unwrap();
    }
    file.seek(SeekFrom::Start(0)).unwrap();
    // An odd length stands for other options.
    let kind = if input.len() % 2 == 1 { Some(Call::User) } else { None };
    let id_column = kind.map(|_| "group_id".to_owned());
    audiences::of_audience("a.xlsx", file, &AudienceOptions { id_column, kind, ..AudienceOptions::default() })
}
