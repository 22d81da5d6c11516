//! Single calls cannot wait for an approval: those with more recipients than the rule lets pass are refused.

use super::{OVER_TWO, project_with, reached};
use crate::support::service::{Service, json};

const ALWAYS: &str = "[approval]\nalways = true\n";
const BODY: &str = "type = 'txt', from = 'a', body = { msg = 'hi' }";

/// Runs a script that must be refused with these words, and reach nobody.
#[track_caller]
fn refused(settings: &str, script: &str, told: &[&str]) {
    let service = Service::accepting();
    let ran = project_with(script, settings).run_against(&service).exits(1);
    for told in told {
        assert!(ran.stderr.contains(told), "no {told:?} in {ran:?}");
    }
    let sent = service.requests().iter().filter(|one| one.path.contains("/messages")).count();
    assert_eq!(sent, 0, "{script}");
}

#[test]
fn a_single_call_to_more_than_the_rule_lets_pass_is_refused() {
    let denied = "a single call cannot wait for an approval";
    let users = format!("im.user_send {{ to = {{ 'a', 'b', 'c' }}, {BODY} }}");
    let over = "demands one for broadcasts with more than 2 recipients";
    refused(OVER_TWO, &users, &["im.user_send", denied, over, "3 users", "`kind = \"user\"`"]);
    let groups = format!("im.group_send {{ to = {{ '101', '102', '103' }}, {BODY} }}");
    refused(OVER_TWO, &groups, &["im.group_send", denied, "3 groups", "`kind = \"group\"`"]);
    let two = format!("im.group_send {{ to = {{ '101', '102' }}, {BODY} }}");
    refused(ALWAYS, &two, &[denied, "demands one for every broadcast", "2 groups, and nothing was sent"]);
    let strict = "[approval.scripts]\n\"scripts/main.lua\" = { over = 0 }\n";
    refused(strict, &two, &[denied]);
    // Up to the number it needs none, and so do the test messages of a campaign.
    let service = Service::accepting();
    project_with(&two, OVER_TWO).run_against(&service).exits(0);
    // Nor does a message to one recipient under any rule.
    let one = format!("im.group_send {{ to = '103', {BODY} }}");
    project_with(&one, ALWAYS).run_against(&service).exits(0);
    let test = "require('campaign').run { name = 'c', to = 'groups.csv', text = 'x', from = 'a', test = { '900' }, test_only = true }";
    project_with(test, ALWAYS).run_against(&service).exits(0);
    assert_eq!(reached(&service), ["101", "102", "103", "900"]);
}

#[test]
fn an_announcement_is_refused_unless_the_settings_permit_it() {
    let script = format!("im.announce {{ to = 'all', {BODY} }}");
    let granted = "[permissions]\nannounce = ['all']\n";
    let told =
        ["an announcement cannot wait for an approval", "`announcements = \"permitted\"` under [approval]"];
    for rule in [ALWAYS, "[approval]\nover = 1000000\n"] {
        refused(&format!("{rule}{granted}"), &script, &told);
    }
    let service = Service::answering(|_, _| json(200, "{\"data\":{\"id\":\"1\"}}"));
    let permitted = format!("{ALWAYS}announcements = \"permitted\"\n{granted}");
    project_with(&script, &permitted).run_against(&service).exits(0).says("made 1 announcement");
    project_with(&script, "[approval]\nannouncements = \"never\"\n")
        .run_against(&service)
        .exits(2)
        .says("`refused` or `permitted`");
}

#[test]
fn edits_by_receipts_of_more_than_the_rule_lets_pass_are_refused() {
    let edit =
        |receipts: &str| format!("print(im.edit({{ {receipts} }}, {{ body = {{ msg = 'x' }} }}).edited)");
    let three = edit("['101'] = '1', ['102'] = '2', ['103'] = '3'");
    let told =
        ["edits by receipts cannot wait", "3 messages, and nothing was edited", "`mooncast runs edit`"];
    refused(OVER_TWO, &three, &told);
    refused("[approval]\nover = 0\n", &edit("['101'] = '1'"), &["demands one for every broadcast"]);
}
