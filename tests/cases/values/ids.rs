//! Row "padded": ids are trimmed wherever they occur, and an id with an invisible character is refused.

use serde_json::json;

use crate::support::service::Service;
use crate::support::{Project, Ran};

/// Runs a script against a service that accepts everything. Returns the result and the received bodies.
#[track_caller]
fn run(script: &str) -> (Ran, Vec<serde_json::Value>) {
    let service = Service::accepting();
    let ran = Project::with_script(script).run_against(&service);
    (ran, service.requests().iter().map(crate::support::service::Request::json).collect())
}

#[test]
fn padded_ids_of_a_message_are_trimmed() {
    let (ran, sent) = run(
        "im.group_send { from = ' shop\\t', to = { '184524748161025 ', '\\u{3000}184524748161026' }, type = 'txt',
            roam_ignore_users = { '\\u{feff}user1', 'user2\\n' }, body = { msg = 'm' } }",
    );
    ran.exits(0);
    assert_eq!(sent[0]["to"], json!(["184524748161025", "184524748161026"]));
    assert_eq!(sent[0]["from"], "shop");
    assert_eq!(sent[0]["roam_ignore_users"], json!(["user1", "user2"]));
}

#[test]
fn padded_ids_of_a_targeted_message_are_trimmed() {
    let (ran, sent) = run(
        "im.targeted_send { to = '\\u{a0}184524748161025', users = { ' user1', 'user2\\u{2003}' }, type = 'txt', body = { msg = 'm' } }",
    );
    ran.exits(0);
    assert_eq!(sent[0]["to"], json!(["184524748161025"]));
    assert_eq!(sent[0]["users"], json!(["user1", "user2"]));
}

#[test]
fn padded_ids_of_a_list_are_one_recipient() {
    let (ran, sent) = run(
        "local r = im.broadcast { name = 'b', to = { '184524748161025 ', ' 184524748161025', { group_id = '\\t184524748161026' } },
            message = { type = 'txt', body = { msg = 'm' } } }
        print(r.total, r.duplicates)",
    );
    assert_eq!(ran.exits(0).stdout, "2\t1\n");
    let mut to: Vec<_> = sent.iter().map(|body| body["to"].clone()).collect();
    to.sort_by_key(ToString::to_string);
    assert_eq!(to, [json!(["184524748161025"]), json!(["184524748161026"])]);
}

#[test]
fn padded_users_of_recipients_are_trimmed() {
    let (ran, sent) = run(
        "im.broadcast { name = 'b', to = { { group_id = '184524748161025', users = { 'user1 ', 'user1', '\\u{feff}user2' } } },
            message = { type = 'txt', body = { msg = 'm' } } }",
    );
    ran.exits(0);
    assert_eq!(sent[0]["users"], json!(["user1", "user2"]));
}

#[test]
fn padded_ids_of_files_are_one_recipient() {
    for (name, content) in [
        ("a.csv", "group_id,name\n184524748161025 ,Ann\n 184524748161026,Bob\n184524748161025,Ann again\n"),
        ("a.json", r#"[" 184524748161025", "184524748161026\u3000", 184524748161025]"#),
        (
            "a.jsonl",
            "\"184524748161025\\t\"\n{\"group_id\": \" 184524748161026\"}\n{\"group_id\": 184524748161025}\n",
        ),
    ] {
        let service = Service::accepting();
        let script = format!(
            "local r = im.broadcast {{ name = 'b', to = '{name}', message = {{ type = 'txt', body = {{ msg = 'm' }} }} }}
            print(r.total, r.duplicates)"
        );
        let project = Project::with_script(script).file(name, content);
        assert_eq!(project.run_against(&service).exits(0).stdout, "2\t1\n", "{name}");
        let mut to: Vec<_> =
            service.requests().iter().map(|request| request.json()["to"].to_string()).collect();
        to.sort();
        assert_eq!(to, [r#"["184524748161025"]"#, r#"["184524748161026"]"#], "{name}");
    }
}

#[test]
fn ids_that_hide_something_are_refused() {
    for hidden in
        ["200b", "200d", "feff", "a0", "202e", "2066", "3000", "3164", "ad", "fe0f", "7", "85", "2028"]
    {
        for message in [
            format!("to = '1845\\u{{{hidden}}}25'"),
            format!("to = {{ 'g', '1845\\u{{{hidden}}}25' }}"),
            format!("to = 'g', from = '1845\\u{{{hidden}}}25'"),
            format!("to = 'g', roam_ignore_users = {{ '1845\\u{{{hidden}}}25' }}"),
        ] {
            let (ran, sent) =
                run(&format!("im.group_send {{ {message}, type = 'txt', body = {{ msg = 'm' }} }}"));
            let ran = ran.exits(1);
            assert!(sent.is_empty(), "{message}");
            assert!(ran.stderr.contains("its character 5 is"), "{message}: {}", ran.stderr);
        }
    }
}

#[test]
fn zero_width_characters_at_the_ends_are_refused_and_shown() {
    let (ran, sent) = run(
        "im.targeted_send { to = 'g', users = { 'user1\\u{200b}' }, type = 'txt', body = { msg = 'm' } }",
    );
    let ran = ran.exits(1);
    assert!(sent.is_empty());
    assert!(ran.stderr.contains(r#""user1\u{200b}""#), "{}", ran.stderr);
}

#[test]
fn an_id_that_a_spreadsheet_shortened_is_refused_in_a_script() {
    let (ran, sent) = run("im.group_send { to = '1.84525E+14', type = 'txt', body = { msg = 'm' } }");
    let ran = ran.exits(1);
    assert!(sent.is_empty());
    assert!(ran.stderr.contains("format the column as text"), "{}", ran.stderr);
}

#[test]
fn members_are_listed_of_the_trimmed_group() {
    let service =
        Service::answering(|_, _| crate::support::service::json(200, r#"{"data": [], "count": 0}"#));
    let script = "for _ in im.members(' 184524748161025 ') do end";
    Project::with_script(script).run_against(&service).exits(0);
    assert!(service.requests()[0].path.starts_with("/org/app/chatgroups/184524748161025/users"));
}

/// An id that a spreadsheet or a person has changed is refused wherever ids are read, not only in files.
#[test]
fn ids_that_a_program_has_changed_are_refused_in_single_sends_and_lists() {
    for id in [
        "1.84525E+14",
        "1.8E14",
        "184525E9",
        "184524748161025;184524748161026",
        "'184524748161025",
        "１８４５",
        "184524748161025.0",
        "=A1",
        "184524\"748161026",
        "-5",
    ] {
        let quoted = format!("{id:?}");
        for script in [
            format!("im.group_send {{ to = {quoted}, type = 'txt', body = {{ msg = 'm' }} }}"),
            format!("im.group_send {{ to = {{ '1845', {quoted} }}, type = 'txt', body = {{ msg = 'm' }} }}"),
            format!(
                "im.broadcast {{ name = 'b', to = {{ {quoted} }}, message = {{ type = 'txt', body = {{ msg = 'm' }} }} }}"
            ),
            format!(
                "require('campaign').run {{ name = 'c', to = {{ '1845' }}, text = 'm', test = {{ {quoted} }} }}"
            ),
        ] {
            let (ran, sent) = run(&script);
            assert!(ran.status != Some(0) && sent.is_empty(), "{script}: {ran:#?} {sent:?}");
        }
    }
    for users in [
        "u1,u2",
        "u1;u2",
        "u1，u2",
        "13800000000.0",
        "1.38E+10",
        "'u1",
        "NULL",
        "None",
        "nan",
        "n/a",
        "TRUE",
        "undefined",
        "1E5",
        "+86138",
        "-5",
        "a b",
    ] {
        let quoted = format!("{users:?}");
        for script in [
            format!(
                "im.targeted_send {{ to = '1845', users = {{ {quoted} }}, type = 'txt', body = {{ msg = 'm' }} }}"
            ),
            format!(
                "im.group_send {{ to = '1845', roam_ignore_users = {{ {quoted} }}, type = 'txt', body = {{ msg = 'm' }} }}"
            ),
            format!("im.group_send {{ to = '1845', from = {quoted}, type = 'txt', body = {{ msg = 'm' }} }}"),
            format!(
                "im.broadcast {{ name = 'b', to = {{ {{ group_id = '1845', users = {{ {quoted} }} }} }}, message = {{ type = 'txt', body = {{ msg = 'm' }} }} }}"
            ),
            format!("im.user_send {{ to = {quoted}, type = 'txt', body = {{ msg = 'm' }} }}"),
            format!(
                "im.broadcast {{ name = 'b', kind = 'user', to = {{ {quoted} }}, message = {{ type = 'txt', body = {{ msg = 'm' }} }} }}"
            ),
            format!("require('groups').add('184524748161025', {quoted})"),
            format!("require('groups').remove('184524748161025', {{ 'ann', {quoted} }})"),
        ] {
            let (ran, sent) = run(&script);
            assert!(ran.status != Some(0) && sent.is_empty(), "{script}: {ran:#?} {sent:?}");
        }
    }
}

/// A variable without a value leaves a hole in a list; the recipients after it would be lost.
#[test]
fn padded_out_lists_with_holes_are_refused() {
    for (list, says) in [
        ("{ '1845', nil, '1847' }", "is nil"),
        ("{ '1845', extra = '1847' }", "extra"),
        ("{ '1845', '1846', nil, nil, '1849' }", "is nil"),
    ] {
        for script in [
            format!(
                "im.broadcast {{ name = 'b', to = {list}, message = {{ type = 'txt', body = {{ msg = 'm' }} }} }}"
            ),
            format!("require('campaign').run {{ name = 'c', to = {list}, text = 'm' }}"),
        ] {
            let (ran, sent) = run(&script);
            assert!(sent.is_empty(), "{script}: {sent:?}");
            ran.exits(1).says(says);
        }
        let script =
            format!("require('campaign').run {{ name = 'c', to = {{ '1' }}, text = 'm', test = {list} }}");
        let (ran, sent) = run(&script);
        assert!(sent.is_empty(), "{script}: {sent:?}");
        ran.exits(1).says("`test` must be a list");
    }
}

/// A float may have lost digits on its way, whatever its value is now.
#[test]
fn floats_are_no_ids() {
    const MESSAGE: &str = "type = 'txt', body = { msg = 'm' }";
    for call in [
        format!("im.group_send {{ to = 1.84525e14, {MESSAGE} }}"),
        format!("im.group_send {{ to = {{ 1845, 184524748161025.0 }}, {MESSAGE} }}"),
        format!("im.group_send {{ to = 1845, from = 10 / 2, {MESSAGE} }}"),
        format!("im.group_send {{ to = 1845, roam_ignore_users = {{ 1.5e10 }}, {MESSAGE} }}"),
        format!("im.targeted_send {{ to = 1845, users = {{ 1.38e10 }}, {MESSAGE} }}"),
        format!("im.user_send {{ to = {{ 1.38e10 }}, {MESSAGE} }}"),
        format!(
            "im.broadcast {{ name = 'b', to = json.decode('[1.84525E+14]'), message = {{ {MESSAGE} }} }}"
        ),
        format!(
            "im.broadcast {{ name = 'b', to = json.decode('[{{\"group_id\":1.84525E+14}}]'), message = {{ {MESSAGE} }} }}"
        ),
        format!(
            "im.broadcast {{ name = 'b', to = coroutine.wrap(function() coroutine.yield(184524748161025.0) end), message = {{ {MESSAGE} }} }}"
        ),
        format!(
            "im.broadcast {{ name = 'b', to = {{ {{ no = 1.5e10 }} }}, id_column = 'no', message = {{ {MESSAGE} }} }}"
        ),
        format!(
            "im.broadcast {{ name = 'b', to = {{ {{ group_id = 1845, users = {{ 1.38e10 }} }} }}, message = {{ {MESSAGE} }} }}"
        ),
        format!(
            "im.broadcast {{ name = 'b', kind = 'user', to = {{ 1.38e10 }}, message = {{ {MESSAGE} }} }}"
        ),
    ] {
        let (ran, sent) = run(&format!("local json = require('json')\n{call}"));
        assert!(sent.is_empty(), "{call}: {sent:?}");
        ran.exits(1).says("may have lost digits").says("write the id as a text");
    }
    let call =
        format!("im.group_send {{ to = {{ 184524748161025, 10 // 2 }}, {MESSAGE}, ext = {{ n = 10 / 2 }} }}");
    let (ran, sent) = run(&call);
    ran.exits(0);
    assert_eq!(sent[0]["to"], json!(["184524748161025", "5"]));
    assert_eq!(sent[0]["ext"].to_string(), r#"{"n":5}"#);
}

/// The service takes ids of users in any case.
#[test]
fn a_user_in_several_spellings_is_one_user() {
    const MESSAGE: &str = "type = 'txt', body = { msg = 'm' }";
    let (ran, sent) = run(&format!(
        "local r = im.broadcast {{ name = 'b', kind = 'user', to = {{ 'Kim', 'kim', 'KIM', 'ann' }}, message = {{ {MESSAGE} }} }}
        print(r.total, r.duplicates)"
    ));
    assert_eq!(ran.exits(0).stdout, "2\t2\n");
    let mut to: Vec<_> = sent.iter().map(|body| body["to"][0].clone()).collect();
    to.sort_by_key(ToString::to_string);
    assert_eq!(to, [json!("Kim"), json!("ann")]);

    let (ran, sent) = run(&format!(
        "local r = im.broadcast {{ name = 'b', to = {{ {{ group_id = 'g', users = {{ 'Kim', 'kim' }} }},
            {{ group_id = 'g', users = {{ 'KIM' }} }}, {{ group_id = 'G', users = 'kim;Kim' }} }}, message = {{ {MESSAGE} }} }}
        print(r.total, r.duplicates)"
    ));
    assert_eq!(ran.exits(0).stdout, "2\t1\n");
    let mut users: Vec<_> =
        sent.iter().map(|body| (body["to"].to_string(), body["users"].to_string())).collect();
    users.sort();
    assert_eq!(users, [(r#"["G"]"#.into(), r#"["kim"]"#.into()), (r#"["g"]"#.into(), r#"["Kim"]"#.into())]);

    for send in ["user_send { to = { 'Kim', 'kim' },", "targeted_send { to = 'g', users = { 'Kim', 'kim' },"]
    {
        let (ran, sent) = run(&format!("im.{send} {MESSAGE} }}"));
        assert!(sent.is_empty(), "{send}: {sent:?}");
        ran.exits(1).says("has the same id").says("in any case");
    }
}
