//! XLSX.
//!
//! Store: file

use rust_xlsxwriter::{Format, Formula, Workbook};

use super::{QUICK, THREE, broadcast, groups, made, refused, sent};
use crate::support::Project;
use crate::support::service::Service;

/// Makes a workbook with one sheet that `fill` fills.
fn workbook(fill: impl FnOnce(&mut rust_xlsxwriter::Worksheet)) -> Vec<u8> {
    let mut book = Workbook::new();
    fill(book.add_worksheet());
    book.save_to_buffer().unwrap()
}

fn head(sheet: &mut rust_xlsxwriter::Worksheet) {
    sheet.write_string(0, 0, "group_id").unwrap();
    sheet.write_string(0, 1, "name").unwrap();
}

#[test]
fn xlsx_is_read_as_it_is() {
    let content = workbook(|sheet| {
        head(sheet);
        sheet.write_string(1, 0, " 184524748161025 ").unwrap();
        sheet.write_string(1, 1, "跑步群").unwrap();
        sheet
            .write_number_with_format(2, 0, 184_524_748_161_026.0, &Format::new().set_num_format("0.00E+00"))
            .unwrap();
        sheet.write_number(2, 1, 42).unwrap();
        sheet.write_string(4, 1, "  ").unwrap();
        sheet.write_formula(5, 0, Formula::new("=A2+2").set_result("184524748161027")).unwrap();
        sheet
            .write_datetime_with_format(
                5,
                1,
                rust_xlsxwriter::ExcelDateTime::parse_from_str("2026-11-28").unwrap(),
                &Format::new().set_num_format("yyyy-mm-dd"),
            )
            .unwrap();
    });
    let service = Service::accepting();
    let project = Project::with_script(made("a.xlsx", "", "row.name"))
        .file("a.xlsx", content)
        .file("mooncast.toml", QUICK);
    project.run_against(&service).exits(0).says("read as XLSX, 3 rows, sheet `Sheet1`, 1 empty row skipped");
    assert_eq!(groups(&service), THREE);
    let mut texts: Vec<String> =
        service.messages().iter().map(|message| message["body"]["msg"].to_string()).collect();
    texts.sort();
    assert_eq!(texts, ["\"2026-11-28\"", "\"42\"", "\"跑步群\""]);
}

#[test]
fn xlsx_numbers_that_lost_digits_and_cells_that_hold_no_id_are_refused_by_line() {
    let cell = |write: fn(&mut rust_xlsxwriter::Worksheet)| {
        workbook(|sheet| {
            head(sheet);
            sheet.write_string(1, 0, "184524748161025").unwrap();
            sheet.write_string(2, 1, "Ann").unwrap();
            write(sheet);
        })
    };
    let says = |content: Vec<u8>, text: &str| {
        refused("a.xlsx", content, "", &["line 3, column 1 (`group_id`)", text]);
    };
    says(cell(|sheet| drop(sheet.write_number(2, 0, 1_845_247_481_610_251.0))), "more than 15 digits");
    says(cell(|sheet| drop(sheet.write_number(2, 0, 1.5))), "not an id");
    says(cell(|sheet| drop(sheet.write_boolean(2, 0, true))), "true or false");
    says(cell(|sheet| drop(sheet.write_string(2, 0, "1.84525E+14"))), "Excel has shortened this id");
    says(cell(|_| ()), "is blank");
    says(cell(|sheet| drop(sheet.write_formula(2, 0, Formula::new("=1/0").set_result("#DIV/0!")))), "");
    let date = Format::new().set_num_format("yyyy-mm-dd");
    let content = workbook(|sheet| {
        head(sheet);
        sheet.write_string(1, 0, "184524748161025").unwrap();
        sheet.write_number_with_format(2, 0, 45_000, &date).unwrap();
    });
    says(content, "a date");
}

#[test]
fn xlsx_has_sheets() {
    let mut book = Workbook::new();
    book.add_worksheet().set_name("Notes").unwrap().write_string(0, 0, "nothing").unwrap();
    let sheet = book.add_worksheet().set_name("群组").unwrap();
    sheet.write_string(0, 0, "群ID").unwrap();
    sheet.write_string(1, 0, "184524748161025").unwrap();
    let content = book.save_to_buffer().unwrap();
    refused("a.xlsx", &content, "", &["no column `group_id`", "`nothing`"]);
    refused("a.xlsx", &content, ", sheet = \"群\"", &["no sheet `群`", "`Notes`, `群组`"]);
    refused("a.xlsx", &content, ", sheet = \"群组\"", &["id_column = \"群ID\""]);
    sent("a.xlsx", &content, ", sheet = \"群组\", id_column = \"群ID\"", &THREE[..1]);
    refused("a.xlsx", &content, ", separator = \";\"", &["separator", "leave it out"]);
    refused("a.csv", "group_id\n1\n", ", sheet = \"x\"", &["sheet", "leave it out"]);
    let header = workbook(|sheet| drop(sheet.write_string(0, 0, "group_id")));
    let (ran, _) = broadcast("a.xlsx", header, "");
    ran.exits(3).says("no recipients");
    let twice = workbook(|sheet| {
        sheet.write_string(0, 0, "group_id").unwrap();
        sheet.write_string(0, 1, "group_id ").unwrap();
    });
    refused("a.xlsx", twice, "", &["names \"group_id\" twice"]);
}

#[test]
fn xlsx_that_is_none_is_told() {
    refused("a.xlsx", "group_id\n1\n", "", &["not an Excel workbook", ".csv"]);
    refused("a.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "", &["an old Excel workbook"]);
    refused("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "", &["save it as .xlsx"]);
    refused("a.xlsx", b"PK\x03\x04 and no more", "", &["damaged"]);
    let content = workbook(|sheet| drop(sheet.write_string(0, 0, "group_id")));
    refused("a.csv", &content, "", &["an Excel workbook", ".xlsx"]);
    let mut cut = content.clone();
    cut.truncate(content.len() / 2);
    refused("a.xlsx", cut, "", &["`a.xlsx`"]);
}

/// Makes a workbook whose second row is filled by `write`, with a valid row beside it.
fn with_row(write: impl FnOnce(&mut rust_xlsxwriter::Worksheet)) -> Vec<u8> {
    workbook(|sheet| {
        head(sheet);
        sheet.write_string(1, 0, "184524748161025").unwrap();
        sheet.write_string(2, 1, "Ann").unwrap();
        write(sheet);
    })
}

#[test]
fn xlsx_numbers_are_ids_as_they_are_shown_or_not_at_all() {
    let shown = |number: f64, format: &str| {
        let format = Format::new().set_num_format(format);
        with_row(|sheet| drop(sheet.write_number_with_format(2, 0, number, &format)))
    };
    let id = 184_524_748_161_026.0;
    for format in ["General", "0", "0.00", "#,##0", "0.00E+00", "@"] {
        sent("a.xlsx", shown(id, format), "", &THREE[..2]);
    }
    sent("a.xlsx", shown(4_524_748_161_026.0, "000000000000000"), "", &["004524748161026", THREE[0]]);
    for (number, format, says) in [
        (0.5, "0%", "not an id"),
        (id, "0%", "a format of its own"),
        (id, "\"G\"0", "a format of its own"),
        (id, "000-000", "a format of its own"),
        (id, "yyyy-mm-dd hh:mm", "a date"),
        (46_000.0, "yyyy-mm-dd", "a date"),
        (id * 10.0, "0", "more than 15 digits"),
        (-id, "0", "not an id"),
    ] {
        refused("a.xlsx", shown(number, format), "", &["line 3, column 1 (`group_id`)", says]);
    }
}

#[test]
fn xlsx_text_in_pieces_and_cells_that_are_one() {
    let (bold, plain) = (Format::new().set_bold(), Format::new());
    let pieces = [(&bold, "184524"), (&plain, "748161026")];
    sent("a.xlsx", with_row(|sheet| drop(sheet.write_rich_string(2, 0, &pieces))), "", &THREE[..2]);
    // Excel keeps the text of merged cells in the first one, so the second row has no id.
    let merged = workbook(|sheet| {
        head(sheet);
        sheet.merge_range(1, 0, 2, 0, "184524748161025", &plain).unwrap();
        sheet.write_string(1, 1, "Ann").unwrap();
        sheet.write_string(2, 1, "Bob").unwrap();
    });
    refused("a.xlsx", merged, "", &["line 3, column 1 (`group_id`)", "is blank"]);
    let beyond = with_row(|sheet| {
        sheet.write_string(2, 0, "184524748161026").unwrap();
        sheet.write_string(2, 3, "Cai").unwrap();
    });
    refused("a.xlsx", beyond, "", &["line 3, column 4", "the header does not name"]);
    let invisible = with_row(|sheet| drop(sheet.write_string(2, 0, "18452474\u{200b}8161026")));
    refused("a.xlsx", invisible, "", &["line 3, column 1 (`group_id`)", "U+200B"]);
}

#[test]
fn xlsx_formulas_count_as_the_value_that_was_saved() {
    let formula = |result: &str| {
        let formula = Formula::new("=B1").set_result(result);
        with_row(|sheet| drop(sheet.write_formula(2, 0, formula)))
    };
    sent("a.xlsx", formula("184524748161026"), "", &THREE[..2]);
    for (result, says) in
        [("#N/A", "#N/A"), ("#DIV/0!", "#DIV/0!"), ("TRUE", "id"), ("", "id"), ("Total", "id")]
    {
        refused("a.xlsx", formula(result), "", &["line 3", says]);
    }
    // The text of an error in a column of text is also reported.
    let error = with_row(|sheet| {
        sheet.write_string(2, 0, "184524748161026").unwrap();
        sheet.write_formula(2, 1, Formula::new("=1/0").set_result("#DIV/0!")).unwrap();
    });
    refused("a.xlsx", error, "", &["line 3, column 2 (`name`)", "#DIV/0!"]);
}

#[test]
fn xlsx_hidden_rows_and_columns_are_read_and_a_hidden_first_sheet_is_asked_about() {
    let rows = workbook(|sheet| {
        head(sheet);
        sheet.set_row_hidden(2).unwrap();
        sheet.set_column_hidden(0).unwrap();
        for (row, id) in (1..).zip(THREE) {
            sheet.write_string(row, 0, id).unwrap();
        }
    });
    sent("a.xlsx", rows, "", &THREE);
    let mut book = Workbook::new();
    let first = book.add_worksheet();
    head(first);
    first.set_hidden(true).write_string(1, 0, THREE[0]).unwrap();
    let second = book.add_worksheet().set_active(true);
    head(second);
    second.write_string(1, 0, THREE[1]).unwrap();
    let content = book.save_to_buffer().unwrap();
    refused(
        "a.xlsx",
        &content,
        "",
        &["its first sheet, `Sheet1`, is hidden", "sheet = \"NAME\"", "`Sheet2`"],
    );
    sent("a.xlsx", &content, ", sheet = \"Sheet2\"", &THREE[1..2]);
    sent("a.xlsx", &content, ", sheet = \"Sheet1\"", &THREE[..1]);
}

#[test]
fn xlsx_without_anything_in_it_is_told() {
    refused("a.xlsx", workbook(|_| ()), "", &["its sheet `Sheet1` is empty"]);
    let blank = workbook(|sheet| {
        head(sheet);
        sheet.write_string(1, 0, " ").unwrap();
        sheet.write_string(3, 1, "\u{3000}").unwrap();
    });
    broadcast("a.xlsx", blank, "").0.exits(3).says("no recipients").says("2 empty rows skipped");
    let wide = workbook(|sheet| {
        head(sheet);
        sheet.write_string(1, 2_000, "x").unwrap();
    });
    refused("a.xlsx", wide, "", &["line 2", "more than 1000 columns"]);
}

/// Makes a compressed archive of parts: names, and texts that are each repeated.
fn archive(parts: &[(&str, &str, usize)]) -> Vec<u8> {
    use std::io::Write as _;

    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let packed =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    for (name, text, times) in parts {
        archive.start_file(*name, packed.large_file(true)).unwrap();
        let block = text.repeat((1 << 20) / text.len() + 1);
        let mut left = text.len() * times;
        while left > 0 {
            let part = left.min(block.len());
            archive.write_all(&block.as_bytes()[..part]).unwrap();
            left -= part;
        }
    }
    archive.finish().unwrap().into_inner()
}

#[test]
fn xlsx_that_unpacks_to_more_than_it_may_is_refused() {
    let texts = archive(&[("xl/sharedStrings.xml", "<si><t>text</t></si>", 7 << 20)]);
    assert!(texts.len() < 2 << 20, "{}", texts.len());
    refused("a.xlsx", texts, "", &["texts and formats unpack to more than 128 MiB", "save it as CSV"]);
    let sheets = archive(&[("xl/worksheets/sheet1.xml", "<row><c><v>1</v></c></row>\n", 40 << 20)]);
    refused("a.xlsx", sheets, "", &["sheets unpack to more than 1024 MiB"]);
    let cell = archive(&[("xl/worksheets/sheet1.xml", "1", 2 << 20)]);
    refused("a.xlsx", cell, "", &["a cell of the workbook has more than 1048576 bytes"]);
    let names: Vec<String> = (0..10_001).map(|part| format!("p{part}")).collect();
    let parts: Vec<_> = names.iter().map(|name| (name.as_str(), "x", 1)).collect();
    refused("a.xlsx", archive(&parts), "", &["more than 10000 parts"]);
}
