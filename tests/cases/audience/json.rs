//! JSON and JSON lines.
//!
//! Store: file

use super::{refused, sent};
use crate::support::Project;

#[test]
fn two_arrays_are_refused_with_the_position() {
    refused(
        "a.json",
        "[\"184524748161025\"]\n[\"184524748161026\"]\n",
        "",
        &["line 2, character 1", "text after the end"],
    );
    refused("a.json", "[\"184524748161025\"] x", "", &["line 1, character 21", "text after the end"]);
    refused("a.json", "[\"184524748161025\",]", "", &["line 1: it is not JSON"]);
    refused(
        "a.jsonl",
        "\"184524748161025\" \"184524748161026\"\n",
        "",
        &["line 1, character 19", "text after the end"],
    );
}

#[test]
fn header_twice_is_a_doubled_key_in_json() {
    let twice = "{\"group_id\":\"184524748161025\",\n\"group_id\":\"184524748169999\"}";
    refused("a.json", format!("[{twice}]"), "", &["line 2, character", "the key \"group_id\" appears twice"]);
    refused(
        "a.jsonl",
        twice.replace('\n', " "),
        "",
        &["line 1, character", "the key \"group_id\" appears twice"],
    );
    let project = Project::with_script(
        r#"local json = require("json")
        print(select(2, pcall(json.decode, '{"a":1,"b":{"c":1,"c":2}}')))
        print(select(2, pcall(json.decode, '[1]\n[2]')))
        print(json.decode("\u{feff}{\"a\":5}").a)"#,
    );
    project
        .run_simulated()
        .exits(0)
        .prints("the key \"c\" appears twice")
        .prints("line 2, character 1: text after the end")
        .prints("\n5\n");
}

#[test]
fn scientific_numbers_in_json_are_refused() {
    refused(
        "a.jsonl",
        "{\"group_id\":184524748161025}\n{\"group_id\":1.84525E+14}\n",
        "",
        &["line 2", "lost digits"],
    );
    refused("a.json", "[184524748161025.0]", "", &["line 1", "lost digits"]);
    sent("a.jsonl", "\u{feff}{\"group_id\":184524748161025}\r\n\r\n", "", &["184524748161025"]);
}

#[test]
fn encodings_of_json_are_recognised() {
    let text = "[{\"group_id\":\"184524748161025\",\"name\":\"跑步群\"},{\"group_id\":\"184524748161026\",\"name\":\"上海读书会\"}]";
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for content in [encoding_rs::GBK.encode(text).0.into_owned(), [b"\xff\xfe".to_vec(), utf16].concat()] {
        sent("a.json", content, "", &["184524748161025", "184524748161026"]);
    }
}
