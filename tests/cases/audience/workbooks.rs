//! XLSX.

use rust_xlsxwriter::{Format, Formula, Workbook};

use super::{QUICK, THREE, broadcast, groups, made, refused, sent};
use crate::support::Project;
use crate::support::service::Service;

/// A workbook with one sheet that `fill` fills.
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
    project
        .run_against(&service)
        .exits(0)
        .says("read as XLSX, 3 rows, sheet `Sheet1`, 1 empty row passed over");
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
    says(cell(|sheet| drop(sheet.write_number(2, 0, 1.5))), "no id");
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
    refused("a.xlsx", "group_id\n1\n", "", &["no Excel workbook", ".csv"]);
    refused("a.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "", &["an old Excel workbook"]);
    refused("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "", &["save it as .xlsx"]);
    refused("a.xlsx", b"PK\x03\x04 and no more", "", &["damaged"]);
    let content = workbook(|sheet| drop(sheet.write_string(0, 0, "group_id")));
    refused("a.csv", &content, "", &["an Excel workbook", ".xlsx"]);
    let mut cut = content.clone();
    cut.truncate(content.len() / 2);
    refused("a.xlsx", cut, "", &["`a.xlsx`"]);
}
