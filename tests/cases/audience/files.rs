//! Encodings, separators, columns, and audiences without recipients.
//!
//! Store: file

use super::{QUICK, THREE, broadcast, groups, made, refused, script, sent, table};
use crate::support::Project;
use crate::support::service::Service;

fn gbk(text: &str) -> Vec<u8> {
    encoding_rs::GBK.encode(text).0.into_owned()
}

fn utf16(text: &str, mark: &[u8], big: bool) -> Vec<u8> {
    let units =
        text.encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() });
    mark.iter().copied().chain(units).collect()
}

#[test]
fn encodings_are_recognised_and_said() {
    let head = "group_id,name,city";
    for (content, says) in [
        (gbk(&table(",", head)), "read as GB18030, 3 rows"),
        (gbk(&table(";", head)), "read as GB18030, 3 rows, separated by semicolon"),
        (utf16(&table("\t", head), b"\xff\xfe", false), "read as UTF-16LE, 3 rows, separated by tab"),
        (utf16(&table(",", head), b"\xfe\xff", true), "read as UTF-16BE, 3 rows"),
        (utf16(&table("\t", head), b"", false), "read as UTF-16LE, 3 rows"),
        (table(";", head).into_bytes(), "read as UTF-8, 3 rows, separated by semicolon"),
        (format!("\u{feff}{}", table(",", head)).into_bytes(), "read as UTF-8, 3 rows, separated by comma"),
        (
            format!("sep=;\r\n{}", table(";", head)).into_bytes(),
            "read as UTF-8, 3 rows, separated by semicolon",
        ),
    ] {
        sent("a.csv", content, "", &THREE).says(says);
    }
}

#[test]
fn encodings_keep_the_names() {
    let service = Service::accepting();
    let project = Project::with_script(made("a.csv", "", "row.name .. row.city"))
        .file("a.csv", gbk(&table(",", "group_id,name,city")))
        .file("mooncast.toml", QUICK);
    project.run_against(&service).exits(0);
    let mut texts: Vec<String> = service
        .messages()
        .iter()
        .map(|message| message["body"]["msg"].as_str().unwrap().to_owned())
        .collect();
    texts.sort();
    assert_eq!(texts, ["棋友苏州", "读书会杭州", "跑步群上海"]);
    let ran = project.mooncast(&["rehearse", "--simulator", "scripts/main.lua"]);
    ran.prints("read as GB18030, 3 rows");
}

#[test]
fn encodings_that_are_unclear_are_asked_about_and_decided_by_the_script() {
    let latin = encoding_rs::WINDOWS_1252.encode("group_id,name\n184524748161025,José\n").0.into_owned();
    refused("a.csv", &latin, "", &["line 2, character 20", "`encoding = \""]);
    sent("a.csv", &latin, ", encoding = \"windows-1252\"", &THREE[..1]);
    refused("a.csv", &latin, ", encoding = \"utf-8\"", &["line 2, character 20", "not UTF-8"]);
    refused("a.csv", "group_id\n", ", encoding = \"utf-9\"", &["encoding", "gb18030"]);
    let broken = [table(",", "group_id,name,city").as_bytes(), b"184524748161028,\xe8\xb7,x\r\n"].concat();
    refused("a.csv", broken, ", skip_bad = true", &["line 5, character 17", "not UTF-8"]);
}

#[test]
fn a_separator_is_decided_by_the_script() {
    sent("a.csv", table("|", "group_id,name,city"), ", separator = \"|\"", &THREE);
    refused("a.csv", table("|", "group_id,name,city"), "", &["no column `group_id`"]);
    refused("a.csv", "group_id\n1\n", ", separator = \"ab\"", &["separator", "one character"]);
    refused("a.json", "[]", ", separator = \";\"", &["separator", "leave it out"]);
}

#[test]
fn what_is_no_text_is_told() {
    refused("a.csv", b"PK\x03\x04....", "", &["an Excel workbook"]);
    refused(
        "a.csv",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1..",
        "",
        &["an old Excel workbook (.xls)", "save it as .xlsx"],
    );
    refused("a.csv", b"group_id\n1\0\n", "", &["zero bytes"]);
}

#[test]
fn columns_of_any_name_hold_the_ids_where_the_script_says_so() {
    let content = table(",", "群组ID,名称,城市");
    refused("a.csv", &content, "", &["no column `group_id`", "`id_column = \"群组ID\"`"]);
    let service = Service::accepting();
    let project =
        Project::with_script(made("a.csv", ", id_column = \"群组ID\"", "row.group_id .. row[\"名称\"]"))
            .file("a.csv", &content)
            .file("mooncast.toml", QUICK);
    project.run_against(&service).exits(0);
    assert_eq!(groups(&service), THREE);
    assert!(service.messages().iter().any(|message| message["body"]["msg"] == "184524748161025跑步群"));
    refused("a.csv", &content, ", id_column = \"群ID\"", &["no column `群ID`", "`群组ID`"]);
    for name in ["群ID", "groupid", "Group ID", "groupId", "GROUP_ID"] {
        let says = format!("id_column = \"{name}\"");
        refused("a.csv", format!("name;{name}\nAnn;184524748161025\n"), "", &["no column `group_id`", &says]);
    }
    sent("a.jsonl", "{\"gid\":\"184524748161025\"}\n", ", id_column = \"gid\"", &THREE[..1]);
    refused("a.jsonl", "{\"groupId\":\"184524748161025\"}\n", "", &["line 1", "id_column = \"groupId\""]);
}

#[test]
fn columns_of_a_campaign_are_named_the_same_way() {
    let service = Service::accepting();
    let source = r#"require("campaign").run { name = "c", to = "a.csv", id_column = "群组ID", encoding = "gbk", separator = ";",
        message = function(row) return { type = "txt", body = { msg = row["名称"] } } end }"#;
    let project = Project::with_script(source)
        .file("a.csv", gbk(&table(";", "群组ID,名称,城市")))
        .file("mooncast.toml", QUICK);
    project.run_against(&service).exits(0);
    assert_eq!(groups(&service), THREE);
    project.mooncast(&["check"]).exits(0);
}

#[test]
fn columns_of_a_list_are_named_the_same_way() {
    let (service, source) = (Service::accepting(), script("a.csv", ", id_column = \"gid\""));
    let list = source.replace("\"a.csv\"", "{ { gid = \" 184524748161025 \" }, { gid = 184524748161026 } }");
    Project::with_script(list).file("mooncast.toml", QUICK).run_against(&service).exits(0);
    assert_eq!(groups(&service), THREE[..2]);
}

#[test]
fn no_recipients_is_told_and_the_filled_file_is_sent_later() {
    let service = Service::accepting();
    let project = Project::with_script(script("a.csv", ""))
        .file("a.csv", "group_id,name\n")
        .file("mooncast.toml", QUICK);
    project.run_against(&service).exits(3).says("no recipients in `a.csv`").prints("total 0 sent 0");
    assert!(!project.mooncast(&["runs", "list"]).stdout.contains("case"));
    project.write("a.csv", "group_id,name\n184524748161025,Ann\n");
    project.run_against(&service).exits(0).prints("total 1 sent 1");
    assert_eq!(groups(&service), THREE[..1]);
    for (file, content) in [("a.json", "[]\n"), ("a.jsonl", "\n\n"), ("a.csv", "group_id,name\n,\n")] {
        let (ran, service) = broadcast(file, content, "");
        ran.exits(3).says("no recipients");
        assert!(service.messages().is_empty());
    }
}

#[test]
fn no_recipients_in_a_campaign_and_where_all_are_left_out() {
    let service = Service::accepting();
    let source = r#"require("campaign").run { name = "c", to = "a.csv", text = "Hello" }"#;
    let project = Project::with_script(source).file("a.csv", "group_id\n").file("mooncast.toml", QUICK);
    project.run_against(&service).exits(3).says("no recipients");
    project.write("a.csv", "group_id\n184524748161025\n");
    project.run_against(&service).exits(0);
    assert_eq!(groups(&service).len(), 1);
    // The second broadcast leaves out the recipients of the first one. Recipients that are added later get it.
    let second = r#"im.broadcast { name = "d", to = "a.csv", message = { type = "txt", body = { msg = "x" } }, exclude = { broadcast = "c" } }"#;
    project.write("scripts/main.lua", second);
    project.run_against(&service).exits(0);
    project.write("a.csv", "group_id\n184524748161025\n184524748161026\n");
    project.run_against(&service).exits(0);
    assert_eq!(groups(&service), THREE[..2]);
}
