//! Rows "columns" and "small": names in any script, names with blanks and dashes, full-width braces.

use crate::support::Project;
use crate::support::service::Service;

const TABLE: &str = "group_id,名称,Full Name,e-mail\n184524748161025,跑步群,Ann Bee,a@b.example\n";

/// Returns the text that a campaign sends to the single group of the table.
#[track_caller]
fn sent(text: &str) -> String {
    let service = Service::accepting();
    let script = format!("require('campaign').run {{ name = 'c', to = 'a.csv', text = [==[{text}]==] }}");
    Project::with_script(script).file("a.csv", TABLE).run_against(&service).exits(0);
    service.messages()[0]["body"]["msg"].as_str().unwrap().to_owned()
}

#[test]
fn chinese_columns_are_filled_in() {
    assert_eq!(sent("{{ 名称 }} {{名称|length}}{% if 名称 %}!{% endif %}"), "跑步群 3!");
}

#[test]
fn columns_with_blanks_and_dashes_are_reached_by_row() {
    assert_eq!(
        sent("{{ row[\"Full Name\"] }}, {{ row[\"e-mail\"] }}, {{ row.名称 }}"),
        "Ann Bee, a@b.example, 跑步群"
    );
}

#[test]
fn names_of_other_scripts_are_filled_in_by_the_template_module() {
    let script = r#"
        local template = require("template")
        print(template.render("{{ имя }} {{ 이름 }} {{ naïve }}", { ["имя"] = "Аня", ["이름"] = "김", ["naïve"] = 1 }))
        print(template.compile("{{ row['Full Name'] }}"):render({ ["Full Name"] = "Ann" }))"#;
    assert_eq!(Project::with_script(script).run_simulated().exits(0).stdout, "Аня 김 1\nAnn\n");
}

#[test]
fn a_column_that_is_not_there_is_named_as_it_was_written() {
    let script = "require('campaign').run { name = 'c', to = 'a.csv', text = '{{ 城市 }}' }";
    let service = Service::accepting();
    Project::with_script(script).file("a.csv", TABLE).run_against(&service).exits(1).says("城市");
    assert!(service.messages().is_empty());
}

#[test]
fn braces_of_another_width_are_refused() {
    for text in ["｛｛name｝｝", "Hi ｛{name}}", "{｛name｝}", "﹛﹛name﹜﹜", "｛% if a %}"] {
        let script = format!(
            "require('campaign').run {{ name = 'c', to = {{ '184524748161025' }}, text = '{text}' }}"
        );
        let service = Service::accepting();
        let ran = Project::with_script(script).run_against(&service).exits(1);
        ran.says("are not the braces that mark a place to fill in");
        assert!(service.messages().is_empty(), "{text}");
    }
}
