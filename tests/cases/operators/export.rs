//! Row "export": cells that Excel would run, round or garble.

use std::io::Cursor;

use calamine::{Data, Range, Reader as _, Xlsx};

use crate::support::Project;
use crate::web::Site;

/// A group's id of 19 digits, which a spreadsheet rounds if it reads it as a number.
const ID: &str = "1845247481610250001";

/// An audience whose cells begin like formulas, with a column name in Chinese and a column name that every export
/// has.
const AUDIENCE: &str = "group_id,名称,note,state\n\
    1845247481610250001,上海,\"=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\",gold\n\
    1845247481610250002,北京,+1+1,silver\n\
    1845247481610250003,广州,-2,\n\
    1845247481610250004,深圳,@SUM(A1),\n\
    1845247481610250005,成都,\"\t=1\",\n\
    1845247481610250006,武汉,plain,\n";

fn project() -> Project {
    let project = Project::with_script(
        r#"im.broadcast { name = "news", to = "audience.csv", message = { type = "txt", body = { msg = "x" } } }"#,
    )
    .file("audience.csv", AUDIENCE);
    project.run_simulated().exits(0);
    project
}

fn export(project: &Project, args: &[&str]) -> Vec<u8> {
    let all = [&["runs", "export", "--simulator", "news"], args].concat();
    let output = project.command(&all).env("TZ", "Asia/Shanghai").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

fn rows(text: &[u8]) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text);
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

fn column(rows: &[Vec<String>], name: &str) -> Vec<String> {
    let at =
        rows[0].iter().position(|known| known == name).unwrap_or_else(|| panic!("{name}: {:?}", rows[0]));
    rows[1..].iter().map(|row| row[at].clone()).collect()
}

#[test]
fn export_csv_has_the_audiences_columns_and_nothing_that_runs() {
    let written = export(&project(), &[]);
    let text = written.strip_prefix(b"\xef\xbb\xbf").expect("a byte order mark, for Excel");
    let rows = rows(text);
    assert_eq!(column(&rows, "名称"), ["上海", "北京", "广州", "深圳", "成都", "武汉"]);
    let notes = ["'=HYPERLINK(\"http://x\",\"y\")", "'+1+1", "'-2", "'@SUM(A1)", "'\t=1", "plain"];
    assert_eq!(column(&rows, "note"), notes);
    assert_eq!(column(&rows, "group_id")[0], ID);
    // A column that every export has keeps its name.
    assert_eq!(column(&rows, "state")[0], "sent");
    assert_eq!(column(&rows, "audience.state")[..2], ["gold", "silver"]);
    for row in &rows {
        assert!(row.iter().all(|cell| !cell.starts_with(['=', '+', '-', '@', '\t', '\r'])), "{row:?}");
    }
    // For programs, the cells are unchanged.
    let plain = export(&project(), &["--plain"]);
    assert!(plain.starts_with(b"seq,group_id"), "{plain:?}");
    assert_eq!(column(&self::rows(&plain), "note")[1], "+1+1");
    assert!(column(&self::rows(&plain), "updated_at")[0].ends_with('Z'));
}

/// Returns the sheet of recipients.
fn sheet(bytes: Vec<u8>) -> (Range<Data>, Range<String>) {
    let mut file: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).unwrap();
    (file.worksheet_range("recipients").unwrap(), file.worksheet_formula("recipients").unwrap())
}

#[test]
fn export_xlsx_is_text_in_every_cell() {
    let project = project();
    let (sheet, formulas) = sheet(export(&project, &["--format", "xlsx"]));
    assert!(formulas.is_empty(), "{formulas:?}");
    let text = |row, column| match sheet.get((row, column)) {
        Some(Data::String(text)) => text.clone(),
        Some(Data::Empty) | None => String::new(),
        other => panic!("{other:?} is no text"),
    };
    let all: Vec<Vec<String>> =
        (0..sheet.height()).map(|row| (0..sheet.width()).map(|column| text(row, column)).collect()).collect();
    assert_eq!(all.len(), 7);
    assert_eq!(column(&all, "group_id")[0], ID);
    assert_eq!(column(&all, "note")[..2], ["=HYPERLINK(\"http://x\",\"y\")", "+1+1"]);
    assert_eq!(column(&all, "名称")[0], "上海");
    assert!(column(&all, "updated_at")[0].ends_with(" +08:00"), "{all:?}");
    // The file exists and is complete.
    let path = project.path("out.xlsx");
    export(&project, &["--format", "xlsx", "--state", "sent", "--output", path.to_str().unwrap()]);
    assert_eq!(self::sheet(std::fs::read(path).unwrap()).0.height(), 7);
}

/// Texts that a spreadsheet might run, or read as a number, a date or a boolean.
const TEXTS: [&str; 16] = [
    "=1+1",
    "=cmd|' /C calc'!A0",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\n=1",
    "＝1+1",
    "＋1",
    "－1",
    "＠x",
    "'=1",
    "00123",
    "1E5",
    "2026-01-01",
    "TRUE",
];

#[test]
fn export_disarms_texts_and_headers_of_every_kind_and_changes_no_other() {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["group_id", "=head", "note"]).unwrap();
    for (number, text) in TEXTS.iter().enumerate() {
        writer.write_record([&format!("18452474816102500{number:02}"), "x", *text]).unwrap();
    }
    let project = Project::with_script(
        r#"im.broadcast { name = "news", to = "audience.csv", message = { type = "txt", body = { msg = "x" } } }"#,
    )
    .file("audience.csv", writer.into_inner().unwrap());
    project.run_simulated().exits(0);
    let written = export(&project, &[]);
    let rows = rows(written.strip_prefix(b"\xef\xbb\xbf").unwrap());
    assert_eq!(column(&rows, "'=head")[0], "x");
    let disarmed: Vec<String> = TEXTS
        .iter()
        .enumerate()
        .map(|(number, text)| if number < 11 { format!("'{text}") } else { (*text).to_owned() })
        .collect();
    assert_eq!(column(&rows, "note"), disarmed);
    assert_eq!(column(&rows, "group_id")[15], "1845247481610250015");
    // In a workbook each cell is marked as text.
    let (sheet, formulas) = sheet(export(&project, &["--format", "xlsx"]));
    assert!(formulas.is_empty(), "{formulas:?}");
    let last = sheet.width() - 1;
    let notes: Vec<Data> = (1..=TEXTS.len()).map(|row| sheet.get((row, last)).unwrap().clone()).collect();
    assert_eq!(notes, TEXTS.map(|text| Data::String(text.to_owned())));
}

#[test]
fn export_json_keeps_the_audiences_columns_by_name() {
    let project = project();
    let list: serde_json::Value = serde_json::from_slice(&export(&project, &["--format", "json"])).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 6);
    assert_eq!(list[0]["group_id"], ID);
    assert_eq!(list[0]["fields"]["名称"], "上海");
    assert_eq!(list[1]["fields"]["state"], "silver");
    let lines = String::from_utf8(export(&project, &["--format", "jsonl"])).unwrap();
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(first["fields"]["note"], "=HYPERLINK(\"http://x\",\"y\")");
    let none: serde_json::Value =
        serde_json::from_slice(&export(&project, &["--format", "json", "--state", "rejected"])).unwrap();
    assert_eq!(none, serde_json::json!([]));
}

#[test]
fn export_has_the_columns_of_a_message_function_and_of_tables_too() {
    let project = Project::with_script(
        r#"
local function message(one) return { type = "txt", body = { msg = "to " .. (one["名称"] or one.name) } } end
im.broadcast { name = "news", to = "audience.csv", message = message }
im.broadcast { name = "tables", message = message,
    to = { { group_id = "1", name = "a", tier = 7 }, { group_id = "2", name = "b", users = { "u" } } } and
         { { group_id = "1", name = "a", tier = 7 }, { group_id = "2", name = "=b" } } }
"#,
    )
    .file("audience.csv", AUDIENCE);
    project.run_simulated().exits(0);
    assert_eq!(column(&rows(&export(&project, &["--plain"])), "名称")[5], "武汉");
    let tables = project.mooncast(&["runs", "export", "--simulator", "tables", "--plain"]).exits(0).stdout;
    let tables = rows(tables.as_bytes());
    assert_eq!(
        (column(&tables, "name"), column(&tables, "tier")),
        (vec!["a".to_owned(), "=b".to_owned()], vec!["7".to_owned(), String::new()])
    );
}

#[test]
fn export_from_the_page_keeps_its_filter() {
    let site = Site::of(project());
    let bearer = format!("Bearer {}", site.operate);
    let headers = [("authorization", bearer.as_str())];
    let page = crate::web::request(&site.address, "GET /broadcasts/1?state=sent", &headers, b"");
    assert_eq!(page.status, 200, "{page:?}");
    for form in ["xlsx", "csv", "jsonl"] {
        let link = format!("/export?format={form}&amp;state=sent\"");
        assert!(page.body.contains(&link), "no {link}");
    }
    let exported = site.ask("GET /broadcasts/1/export?format=csv&state=rejected");
    assert_eq!((exported.status, exported.body.lines().count()), (200, 1), "{exported:?}");
    let headed = site.ask("HEAD /broadcasts/1/export?format=xlsx");
    assert_eq!(headed.status, 200);
    assert!(headed.header("content-type").unwrap().contains("spreadsheetml"), "{headed:?}");
}
