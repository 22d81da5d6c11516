//! Groups by cursor, members by page.

use std::collections::BTreeSet;

use mooncast::{SimulatorLimits, SimulatorSettings};
use serde_json::json;

use super::harness::{Service, settings};

async fn service(groups: u64, members: u64) -> Service {
    Service::start(SimulatorSettings { groups, members, limits: SimulatorLimits::lifted(), ..settings() })
        .await
}

#[tokio::test]
async fn two_thousand_three_hundred_and_forty_five_groups_come_in_pages() {
    let service = service(2_345, 10).await;
    for (limit, pages) in
        [("", 235), ("limit=100", 24), ("limit=1000", 3), ("limit=9999", 3), ("limit=469", 5)]
    {
        let (mut ids, mut cursor, mut seen) = (BTreeSet::new(), String::new(), 0);
        loop {
            let page = service.get(&format!("/o/a/chatgroups?{limit}{cursor}")).await.json();
            let entries = page["data"].as_array().unwrap();
            assert_eq!(page["count"], json!(entries.len()));
            ids.extend(entries.iter().map(|group| group["groupid"].as_str().unwrap().to_owned()));
            seen += 1;
            match page["cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!((ids.len(), seen), (2_345, pages), "{limit}");
        assert_eq!(ids.first().unwrap(), "184524748161025");
        assert_eq!(ids.last().unwrap(), "184524748163369");
    }
}

#[tokio::test]
async fn a_group_has_the_fields_of_the_contract() {
    let service = service(1, 10).await;
    let page = service.get("/o/a/chatgroups?limit=1&cursor=").await.json();
    let group = page["data"][0].as_object().unwrap();
    let names: Vec<_> = group.keys().map(String::as_str).collect();
    assert_eq!(names, ["affiliations", "groupid", "groupname", "lastModified", "owner", "type"]);
    assert!(page.get("cursor").is_none());
}

#[tokio::test]
async fn members_are_an_owner_an_admin_and_the_rest_and_a_short_page_is_the_last() {
    let service = service(3, 25).await;
    let path = "/o/a/chatgroups/184524748161027/users";
    let first = service.get(&format!("{path}?pagenum=1&pagesize=10")).await.json();
    assert_eq!(first["data"][0], json!({"owner": "user1"}));
    assert_eq!(first["data"][1], json!({"admin": "user2"}));
    assert_eq!(first["data"][9], json!({"member": "user10"}));
    let last = service.get(&format!("{path}?pagenum=3&pagesize=10")).await.json();
    assert_eq!((&last["count"], &last["data"][4]), (&json!(5), &json!({"member": "user25"})));
    let beyond = service.get(&format!("{path}?pagenum=4&pagesize=10")).await.json();
    assert_eq!(beyond["count"], 0);
    let all = service.get(&format!("{path}?pagesize=1000")).await.json();
    assert_eq!(all["count"], 25);
}

#[tokio::test]
async fn nonsense_is_refused() {
    let service = service(3, 25).await;
    let users = "/o/a/chatgroups/184524748161025/users";
    for path in [
        "/o/a/chatgroups?limit=0",
        "/o/a/chatgroups?limit=many",
        "/o/a/chatgroups?cursor=AAAA",
        "/o/a/chatgroups?cursor=%21",
        &format!("{users}?pagenum=0"),
        &format!("{users}?pagesize=-1"),
    ] {
        let refusal = service.get(path).await.refusal();
        assert_eq!((refusal.0, refusal.1.as_str()), (400, "illegal_argument"), "{path}");
    }
    for group in ["184524748161028", "1", "x"] {
        let refusal = service.get(&format!("/o/a/chatgroups/{group}/users")).await.refusal();
        assert_eq!((refusal.0, refusal.1.as_str()), (404, "resource_not_found"), "{group}");
    }
}
