//! The calls of the module `groups`, as a service of its own on loopback gets them.
//!
//! On a server: in the soak

use serde_json::json;

use crate::requests::project;
use crate::support::Ran;
use crate::support::service::{self, Service};

#[test]
fn groups_are_created_and_members_muted_as_the_service_reads_it() {
    let service = Service::answering(|_, request| {
        let body = if request.path.ends_with("/chatgroups") {
            r#"{"data":{"groupid":"42"}}"#
        } else {
            r#"{"data":[]}"#
        };
        service::json(200, body)
    });
    let script = r#"
    local groups = require("groups")
    local many = {}
    for i = 1, 61 do many[i] = "u" .. i end
    local id = groups.create({ name = "Orders", owner = "boss", description = "all", members = { "ann" }, max_members = 300, public = true })
    print(id, groups.create({ name = "Plain", owner = "boss" }))
    groups.mute(id, many, 1.0005)
    groups.mute(7, "ann")
    "#;
    let project = project(script);
    let rehearsed =
        Ran::of(&project.command_against(&service, &["rehearse", "scripts/main.lua"]).output().unwrap());
    rehearsed.exits(0).prints("POST /chatgroups/rehearsed-group/mute");
    assert!(service.requests().is_empty(), "{:?}", service.requests());
    project.run_against(&service).exits(0).prints("42\t42");
    let calls: Vec<serde_json::Value> = service
        .requests()
        .iter()
        .map(|request| {
            let (_, path) = request.path.split_once("/chatgroups").unwrap();
            json!([format!("{} /chatgroups{path}", request.method), request.json()])
        })
        .collect();
    let users: Vec<String> = (1..=61).map(|number| format!("u{number}")).collect();
    let mute = |users: &[String], duration: i64| json!({ "usernames": users, "mute_duration": duration });
    let expected = [
        json!(["POST /chatgroups", {
            "groupname": "Orders", "owner": "boss", "description": "all", "members": ["ann"], "maxusers": 300, "public": true
        }]),
        json!(["POST /chatgroups", { "groupname": "Plain", "owner": "boss", "description": "", "public": false }]),
        json!(["POST /chatgroups/42/mute", mute(&users[..60], 1001)]),
        json!(["POST /chatgroups/42/mute", mute(&users[60..], 1001)]),
        json!(["POST /chatgroups/7/mute", mute(&["ann".to_owned()], -1)]),
    ];
    assert_eq!(calls, expected);

    // An answer without an id is no group.
    let silent = Service::answering(|_, _| service::json(200, r#"{"data":{}}"#));
    project.run_against(&silent).exits(1).says("groups.create: the service answered without a group id");
}
