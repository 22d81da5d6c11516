//! Quotes, headers, ids and rows of CSV.
//!
//! Store: file

use super::{broadcast, groups, refused, sent};
use crate::support::Project;

/// Returns 200 rows, with a change to row `at` (from 1).
fn rows(at: usize, change: impl Fn(String) -> String) -> String {
    let row = |number: usize| {
        let row = format!("{},N{number}", 184_524_748_100_000 + number as u64);
        if number == at { change(row) } else { row }
    };
    format!("group_id,name\n{}\n", (1..=200).map(row).collect::<Vec<_>>().join("\n"))
}

#[test]
fn quote_a_stray_one_before_a_cell_is_refused_with_its_line() {
    refused(
        "a.csv",
        rows(3, |row| row.replace(",N3", ",\"N3")),
        "",
        &["`a.csv`: line 4, column 2 (`name`): a quote opens here and is never closed"],
    );
}

#[test]
fn quote_one_inside_a_cell_text_behind_it_and_swallowed_rows_are_refused() {
    refused(
        "a.csv",
        rows(7, |row| format!("{row}\"x")),
        "",
        &["line 8, column 2 (`name`)", "a quote stands inside"],
    );
    refused(
        "a.csv",
        rows(7, |row| row.replace(",N7", ",\"N7\"x")),
        "",
        &["line 8, column 2 (`name`)", "text after"],
    );
    let two = rows(7, |row| row.replace(",N7", ",\"N7")).replace("100090,N90", "100090,N90\"");
    refused("a.csv", two, "", &["line 8, column 2 (`name`)", "look like rows"]);
    refused("a.csv", "group_id,\"name\n184524748161025,Ann\n", "", &["line 1, column 2: a quote opens here"]);
}

#[test]
fn quote_scripts_read_by_the_same_rules() {
    let content = rows(3, |row| row.replace(",N3", ",\"N3"));
    let project = Project::with_script(
        r#"local csv = require("csv")
        print(select(2, pcall(csv.read, "a.csv")))
        print(select(2, pcall(function() for _ in csv.rows("a.csv") do end end)))
        print(select(2, pcall(csv.parse, 'a,b\n1,2"\n')))
        print(select(2, pcall(csv.parse, 'a,b\n1,"2"x\n')))
        print(csv.parse("a;b\r\n1;2\r\n")[1].b, csv.parse("a\tb\n1\t2\n\n,\t", { header = false })[2][2])"#,
    )
    .file("a.csv", content);
    let ran = project.run_simulated().exits(0);
    for text in
        ["line 4, column 2 (`name`): a quote opens", "line 2, column 2 (`b`): a quote stands", "text after"]
    {
        assert!(ran.stdout.contains(text), "{ran:#?}");
    }
    assert_eq!(ran.stdout.matches("line 4, column 2").count(), 2, "{ran:#?}");
}

#[test]
fn header_twice_is_refused_with_its_name() {
    let content = "group_id,name,group_id\n184524748161025,Ann,184524748169999\n";
    refused("a.csv", content, "", &["line 1", "names \"group_id\" twice"]);
    refused("a.csv", "group_id,name, name \n184524748161025,Ann,B\n", "", &["names \"name\" twice"]);
}

#[test]
fn scientific_ids_are_refused_by_line() {
    let says = "Excel has shortened this id; format the column as text and save again";
    for id in ["1.84525E+14", "\"1,84525E+14\"", "1.84525e14", "1.84525E14"] {
        let content = format!("group_id,name\n184524748161027,Cai\n{id},Ann\n");
        refused("a.csv", content, "", &["line 3, column 1 (`group_id`)", says, "1"]);
    }
    for id in [
        "184524748161025.0",
        "\"184,524,748,161,025\"",
        "'184524748161025",
        "\"=\"\"184524748161025\"\"\"",
        "#N/A",
    ] {
        refused("a.csv", format!("group_id,name\n{id},Ann\n"), "", &["line 2, column 1 (`group_id`): \""]);
    }
}

#[test]
fn padded_ids_are_trimmed_and_are_duplicates() {
    let content = "group_id,name\n184524748161025 ,Ann\n 184524748161026,Bob\n184524748161025,Ann again\n";
    sent("a.csv", content, "", &["184524748161025", "184524748161026"]).prints("duplicates 1");
    sent("a.csv", "group_id\n\u{a0}184524748161025\u{3000}\n", "", &["184524748161025"]);
    sent("a.json", "[\" 184524748161025\",{\"group_id\":\"184524748161025\\t\"}]", "", &["184524748161025"])
        .prints("duplicates 1");
    sent("a.jsonl", "\"184524748161025 \"\n184524748161025\n", "", &["184524748161025"])
        .prints("duplicates 1");
}

#[test]
fn padded_with_something_inside_is_refused_by_line() {
    for (hidden, shown) in
        [("\u{200b}", "U+200B"), ("\u{a0}", "U+00A0"), (" ", "a blank"), ("\u{202e}", "U+202E")]
    {
        let id = format!("184524{hidden}748161025");
        refused("a.csv", format!("group_id,name\n1845247481610,A\n{id},Ann\n"), "", &["line 3", shown]);
        refused("a.jsonl", format!("\"1845247481610\"\n{{\"group_id\":\"{id}\"}}\n"), "", &["line 2", shown]);
        refused("a.json", format!("[\"1845247481610\",\n\"{id}\"]"), "", &["line 2", shown]);
    }
}

#[test]
fn empty_rows_are_passed_over_and_counted() {
    let content = "group_id,name,city\n184524748161025,Ann,Halle\n,,\n , ,\n";
    sent("a.csv", content, "", &["184524748161025"]).prints("total 1 sent 1").says("2 empty rows skipped");
    // A row without an id but with other text is not empty.
    refused(
        "a.csv",
        "group_id,name\n184524748161025,A\n\n,Bob\n",
        "",
        &["line 4, column 1 (`group_id`): \"\" is blank"],
    );
}

#[test]
fn lines_are_counted_as_an_editor_counts_them() {
    for end in ["\n", "\r\n", "\r"] {
        let content = ["group_id,name", "", "184524748161025,\"a", "b\"", "184524748161026", ""].join(end);
        refused("a.csv", content, "", &["line 5: it has 1 fields where the header has 2"]);
    }
}

#[test]
fn an_id_of_another_column_or_cut_off_is_refused() {
    let rows = "group_id,name\n184524748161025,Ann\nBob,184524748161026\n184524748161027,Cai\n";
    refused("a.csv", rows, "", &["line 3", "\"Bob\" is unlike the others"]);
    refused(
        "a.csv",
        "group_id\n184524748161025\n184524\n748161026\n184524748161027\n",
        "",
        &["line 3", "cut off"],
    );
    let swapped = "name,group_id\n184524748161025,Ann\n184524748161026,Bob\n";
    refused("a.csv", swapped, "", &["columns swapped", "id_column"]);
    sent("a.csv", swapped, ", id_column = \"name\"", &["184524748161025", "184524748161026"]);
    sent("a.csv", swapped, ", id_column = \"group_id\"", &["Ann", "Bob"]);
    refused("a.csv", "group_id\n-\n", "", &["line 2", "neither a letter nor a digit"]);
    // This also holds if there are more parts than complete ids.
    refused("a.csv", "group_id\r4741726\n58174978\r705227464399677\r", "", &["line 2", "cut off"]);
    refused("a.csv", "group_id\n184524748161025184524748161026\n", "", &["line 2", "two ids"]);
    let (ran, service) = broadcast("a.csv", "group_id,name\ng1,Ann\n22,Bob\n", "");
    ran.exits(0);
    assert_eq!(groups(&service), ["22", "g1"]);
}
