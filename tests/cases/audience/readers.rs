//! Other readers read accepted files the same way, and each id equals the text of its cell.
//!
//! Store: file

use std::io::Write as _;
use std::process::{Command, Stdio};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use super::{QUICK, groups, script};
use crate::support::Project;
use crate::support::service::Service;

/// Reads each text of a list with Python's `csv`.
const PYTHON: &str = r#"
import csv, io, json, sys
rows = []
for text in json.load(sys.stdin):
    try:
        rows.append(list(csv.reader(io.StringIO(text, newline=""), strict=False)))
    except csv.Error as error:
        rows.append(str(error))
json.dump(rows, sys.stdout)
"#;

/// Reads each text of a list. A refused one is an error.
const LUA: &str = r#"
    local csv, fs, json = require("csv"), require("fs"), require("json")
    local all = {}
    for index, text in ipairs(json.decode(fs.read("texts.json"))) do
      local ok, rows = pcall(csv.parse, text, { header = false, separator = "," })
      all[index] = ok and json.array(rows) or false
    end
    fs.write("data/rows.json", json.encode(all))
"#;

fn python(texts: &[String]) -> Vec<Value> {
    let mut python = Command::new("python3")
        .args(["-c", PYTHON])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(json!(texts).to_string().as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Returns the rows that have text.
fn with_text(rows: &Value) -> Vec<Vec<String>> {
    let rows = rows.as_array().unwrap().iter();
    let rows = rows
        .map(|row| row.as_array().unwrap().iter().map(|cell| cell.as_str().unwrap().to_owned()).collect());
    rows.filter(|row: &Vec<String>| row.iter().any(|cell| !cell.trim().is_empty())).collect()
}

#[test]
fn python_reads_the_same_of_what_is_not_refused() {
    let mut random = StdRng::seed_from_u64(20);
    let letters = ["a", "1", "\"", "\"\"", ",", "\n", "\r\n", "\r", " ", ";", "群", ",\"", "\",", "\"\n"];
    let texts: Vec<String> = (0..3_000)
        .map(|_| (0..random.random_range(0..14)).map(|_| *letters.choose(&mut random).unwrap()).collect())
        .collect();
    let theirs = python(&texts);
    let project = Project::with_script(LUA).file("texts.json", json!(texts).to_string());
    std::fs::create_dir_all(project.path("data")).unwrap();
    project.run_simulated().exits(0);
    let ours: Vec<Value> =
        serde_json::from_slice(&std::fs::read(project.path("data/rows.json")).unwrap()).unwrap();
    let mut read = 0;
    for ((text, ours), theirs) in texts.iter().zip(&ours).zip(&theirs) {
        if ours.is_array() {
            read += 1;
            assert_eq!(with_text(ours), with_text(theirs), "{text:?}");
        }
    }
    assert!((300..2_900).contains(&read), "{read} of {} were read", texts.len());
}

#[test]
fn an_id_that_goes_out_is_the_trimmed_text_of_its_cell() {
    let mut random = StdRng::seed_from_u64(5);
    let letters = [
        "1", "8", "0", "g", "-", "_", ".", ",", " ", "\u{a0}", "\u{200b}", "群", "E+", "'", "\t", "\u{3000}",
        "é", "#",
    ];
    let mut cells: Vec<String> = (0..600)
        .map(|_| (0..random.random_range(1..6)).map(|_| *letters.choose(&mut random).unwrap()).collect())
        .collect();
    cells.extend((0..50).map(|number| format!(" \u{a0}g{number}\u{3000}\t")));
    let rows: Vec<String> = cells.iter().map(|cell| format!("\"{cell}\",x\n")).collect();
    let content = rows.concat();
    let service = Service::accepting();
    let project = Project::with_script(script("a.csv", ", skip_bad = true"))
        .file("a.csv", format!("group_id,name\n{content}"))
        .file("mooncast.toml", QUICK);
    project.run_against(&service).exits(0);
    let trimmed: Vec<&str> = cells.iter().map(|cell| cell.trim()).collect();
    let sent = groups(&service);
    assert!(sent.len() > 60, "{}", sent.len());
    for id in &sent {
        assert!(trimmed.contains(&id.as_str()), "{id:?}");
    }
}
