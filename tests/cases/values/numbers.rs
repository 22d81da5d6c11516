//! Row "numbers": every digit of a number in the input is unchanged in the output.

use crate::support::Project;
use crate::support::service::Service;

const BIG: &str = r#"{"group_id": 184524748161025, "order": 18446744073709551615}"#;

#[test]
fn a_big_number_of_an_audience_keeps_its_digits_in_a_template() {
    let service = Service::accepting();
    Project::with_script(
        "require('campaign').run { name = 'c', to = 'a.jsonl', text = 'Order {{ order }}' }",
    )
    .file("a.jsonl", format!("{BIG}\n"))
    .run_against(&service)
    .exits(0);
    assert_eq!(service.messages()[0]["body"]["msg"], "Order 18446744073709551615");
}

#[test]
fn a_big_number_of_an_audience_keeps_its_digits_in_ext() {
    for (file, content) in [("a.jsonl", format!("{BIG}\n")), ("a.json", format!("[{BIG}]"))] {
        let service = Service::accepting();
        let script = format!(
            "im.broadcast {{ name = 'b', to = '{file}', message = function(row)
                return {{ type = 'txt', body = {{ msg = 'm' }}, ext = {{ order = row.order }} }} end }}"
        );
        Project::with_script(script).file(file, content).run_against(&service).exits(0);
        let sent = String::from_utf8(service.requests()[0].body.clone()).unwrap();
        assert!(sent.contains("18446744073709551615"), "{sent}");
    }
}

#[test]
fn numbers_that_lua_cannot_hold_are_texts_when_decoded() {
    let script = r#"
        local json = require("json")
        for _, text in ipairs({ "18446744073709551615", "-9223372036854775809", "9223372036854775807",
                "123456789012345678901234567890", "12345678901234567.89", "0.1", "1.5" }) do
            local value = json.decode(text)
            print(type(value), value)
        end"#;
    let expected = "string\t18446744073709551615\nstring\t-9223372036854775809\nnumber\t9223372036854775807\n\
        string\t123456789012345678901234567890\nstring\t12345678901234567.89\nnumber\t0.1\nnumber\t1.5\n";
    assert_eq!(Project::with_script(script).run_simulated().exits(0).stdout, expected);
}

#[test]
fn numbers_of_an_http_answer_keep_their_digits_behind_a_byte_order_mark() {
    let service = Service::answering(|_, _| {
        crate::support::service::json(200, "\u{feff}{\"id\": 18446744073709551615, \"small\": 7}")
    });
    let script = format!(
        "local answer = require('http').get('{}/x').json()\nprint(answer.id, answer.small + 1)",
        service.url()
    );
    let project = Project::with_script(script);
    let ran = project.mooncast(&["run", "--simulator", "--allow-net", "127.0.0.1", "scripts/main.lua"]);
    assert_eq!(ran.exits(0).stdout, "18446744073709551615\t8\n");
}

#[test]
fn a_doubled_key_of_an_http_answer_is_refused() {
    let service =
        Service::answering(|_, _| crate::support::service::json(200, r#"{"group": "1", "\u0067roup": "2"}"#));
    let script = format!(
        "local answer = require('http').get('{}/x')\nprint(select(2, pcall(answer.json)))",
        service.url()
    );
    let project = Project::with_script(script);
    let ran = project.mooncast(&["run", "--simulator", "--allow-net", "127.0.0.1", "scripts/main.lua"]);
    ran.exits(0).prints("the key \"group\" appears twice in one object");
}
