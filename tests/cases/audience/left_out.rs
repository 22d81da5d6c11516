//! Lines that `skip_bad` skips.

use super::{QUICK, groups, script};
use crate::support::Project;
use crate::support::service::Service;

#[test]
fn skipped_lines_are_in_the_plan_with_their_numbers_and_reasons() {
    for (file, content, lines) in [
        (
            "a.csv",
            "group_id,name\n184524748161025,Ann\n1.84525E+14,Bob\n184524748161027\n,Eve\n1845 247,x\n",
            &[
                "line 3, column 1 (`group_id`): \"1.84525E+14\"",
                "line 4: it has 1 fields",
                "line 5",
                "line 6",
            ][..],
        ),
        ("a.jsonl", "\"184524748161025\"\n{\"group_id\":\n{}\n", &["line 2: it is not JSON", "line 3"]),
    ] {
        let service = Service::accepting();
        let project = Project::with_script(script(file, ", skip_bad = true"))
            .file(file, content)
            .file("mooncast.toml", QUICK);
        let skipped = lines.len();
        project
            .run_against(&service)
            .exits(0)
            .prints(&format!("total {} sent 1 skipped {skipped}", skipped + 1))
            .says(lines[0]);
        assert_eq!(groups(&service), ["184524748161025"]);
        let export =
            project.mooncast(&["runs", "export", "case", "--state", "skipped", "--format", "jsonl"]).exits(0);
        assert_eq!(export.stdout.lines().count(), skipped, "{export:#?}");
        for (row, line) in export.stdout.lines().zip(lines) {
            let row: serde_json::Value = serde_json::from_str(row).unwrap();
            assert!(row["error"].as_str().unwrap().starts_with(line), "{row}");
            assert_eq!(row["state"], "skipped");
        }
    }
}

#[test]
fn skipped_lines_do_not_hide_a_quote_that_makes_all_lines_after_it_doubtful() {
    let service = Service::accepting();
    let content = "group_id,name\n184524748161025,\"Ann\n184524748161026,Bob\n";
    let project = Project::with_script(script("a.csv", ", skip_bad = true"))
        .file("a.csv", content)
        .file("mooncast.toml", QUICK);
    project.run_against(&service).exits(1).says("line 2, column 2 (`name`): a quote opens here");
    assert!(service.messages().is_empty());
}
