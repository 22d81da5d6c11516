//! Groups that calls create, describe and change.

use mooncast::{SimulatorLimits, SimulatorSettings};
use serde_json::{Value, json};

use super::harness::{Reply, Service, TOKEN, settings};

const FIRST: &str = "184524748161025";

async fn service() -> Service {
    let limits = SimulatorLimits::lifted();
    Service::start(SimulatorSettings { groups: 300, members: 4, limits, ..settings() }).await
}

/// Makes a call below `/chatgroups`.
async fn call(service: &Service, method: &str, path: &str, body: Value) -> Reply {
    let token = format!("Bearer {TOKEN}");
    let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    service.call(method, &format!("/o/a/chatgroups{path}"), &headers, body.as_bytes()).await
}

#[tokio::test]
async fn details_come_for_a_hundred_groups_and_one_alone_that_is_missing_is_a_404() {
    let service = service().await;
    let one = call(&service, "GET", &format!("/{FIRST}"), Value::Null).await.json();
    let group = &one["data"][0];
    assert_eq!(
        (&group["id"], &group["name"], &group["owner"]),
        (&json!(FIRST), &json!("Group 1"), &json!("user1"))
    );
    assert_eq!(
        (&group["affiliations_count"], &group["mute"], &group["disabled"]),
        (&json!(4), &json!(false), &json!(false))
    );
    let two = call(&service, "GET", &format!("/{FIRST},nowhere"), Value::Null).await.json();
    assert_eq!(two["data"][1], json!({ "id": "nowhere", "error": "group id doesn't exist" }));
    let (status, error, _) = call(&service, "GET", "/nowhere", Value::Null).await.refusal();
    assert_eq!((status, error.as_str()), (404, "service_resource_not_found"));
    let ids = |count: u64| {
        let ids: Vec<String> = (0..count).map(|index| (184_524_748_161_025 + index).to_string()).collect();
        format!("/{}", ids.join(","))
    };
    let most = call(&service, "GET", &ids(100), Value::Null).await.json();
    assert_eq!(most["data"].as_array().unwrap().len(), 100);
    assert_eq!(call(&service, "GET", &ids(101), Value::Null).await.status, 400);
}

#[tokio::test]
async fn what_calls_change_is_seen_by_all_others() {
    let service = service().await;
    let new = json!({ "groupname": "a", "owner": "boss", "members": ["ann"], "maxusers": 3 });
    let made = call(&service, "POST", "", new).await.json();
    let id = made["data"]["groupid"].as_str().unwrap().to_owned();
    let path = |more: &str| format!("/{id}{more}");
    assert_eq!(call(&service, "POST", &path("/users/bob"), Value::Null).await.status, 200);
    // It is full, and bob is in it already.
    assert_eq!(call(&service, "POST", &path("/users/carol"), Value::Null).await.status, 403);
    assert_eq!(call(&service, "POST", &path("/users/bob"), Value::Null).await.status, 403);
    let members = call(&service, "GET", &path("/users?pagenum=1&pagesize=10"), Value::Null).await.json();
    assert_eq!(members["data"], json!([{ "owner": "boss" }, { "member": "ann" }, { "member": "bob" }]));
    let listed = call(&service, "GET", "?limit=1000", Value::Null).await.json();
    let newest = listed["data"].as_array().unwrap().last().unwrap();
    assert_eq!((&newest["groupid"], &newest["affiliations"]), (&json!(id), &json!(3)));

    assert_eq!(call(&service, "POST", &path("/ban"), Value::Null).await.json()["data"]["mute"], true);
    assert_eq!(call(&service, "POST", &path("/disable"), Value::Null).await.json()["data"]["disabled"], true);
    let group = call(&service, "GET", &path(""), Value::Null).await.json()["data"][0].clone();
    assert_eq!((&group["mute"], &group["disabled"]), (&json!(true), &json!(true)));
    assert_eq!(call(&service, "PUT", &path(""), json!({ "groupname": "b" })).await.status, 200);
    assert_eq!(
        call(&service, "DELETE", &path("/users/ann"), Value::Null).await.json()["data"]["result"],
        true
    );
    assert_eq!(call(&service, "DELETE", &path("/users/ann"), Value::Null).await.status, 403);
    assert_eq!(call(&service, "DELETE", &path("/users/boss"), Value::Null).await.status, 403);
    assert_eq!(call(&service, "DELETE", &path(""), Value::Null).await.status, 200);
    assert_eq!(call(&service, "GET", &path(""), Value::Null).await.status, 404);
    assert_eq!(call(&service, "POST", &path("/users/eve"), Value::Null).await.status, 404);
}

#[tokio::test]
async fn what_the_service_limits_is_refused() {
    let service = service().await;
    let users: Vec<String> = (0..61).map(|user| format!("u{user}")).collect();
    for (path, body) in [
        ("", json!({ "groupname": "a" })),
        ("", json!({ "groupname": "x".repeat(129), "owner": "o" })),
        ("", json!({ "groupname": "a", "owner": "o", "description": "x".repeat(513) })),
        ("", json!("a")),
        (&format!("/{FIRST}/users"), json!({ "usernames": users })),
        (&format!("/{FIRST}/users"), json!({ "usernames": [] })),
        (&format!("/{FIRST}/mute"), json!({ "usernames": users })),
        (&format!("/{FIRST}/announcement"), json!({ "announcement": "x".repeat(513) })),
    ] {
        assert_eq!(call(&service, "POST", path, body.clone()).await.status, 400, "{path} {body}");
    }
    assert_eq!(call(&service, "PATCH", &format!("/{FIRST}"), Value::Null).await.status, 404);
    let nameless = service.call("POST", "/o/a/chatgroups", &[], b"{}").await;
    assert_eq!(nameless.status, 401);
}
