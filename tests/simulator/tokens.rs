//! Tokens and logins.

use serde_json::{Value, json};

use super::harness::{Reply, Service, as_json, settings};

fn login() -> Value {
    json!({
        "grant_type": "client_credentials",
        "client_id": "simulator-client",
        "client_secret": "simulator-secret",
    })
}

async fn token(service: &Service, body: &Value) -> Reply {
    service.call("POST", "/o/a/token", &[as_json()], body.to_string().as_bytes()).await
}

async fn groups_with(service: &Service, token: &str) -> Reply {
    service.call("GET", "/o/a/chatgroups", &[("authorization", &format!("Bearer {token}"))], b"").await
}

#[tokio::test]
async fn a_token_is_good_until_its_end() {
    let service = Service::start(settings()).await;
    let mut body = login();
    body["ttl"] = json!(60);
    let granted = token(&service, &body).await.json();
    assert_eq!(granted["expires_in"], 60);
    assert!(granted["application"].is_string());
    let mine = granted["access_token"].as_str().unwrap();
    service.time.advance(59_999);
    assert_eq!(groups_with(&service, mine).await.status, 200);
    service.time.advance(1);
    let (status, error, description) = groups_with(&service, mine).await.refusal();
    assert_eq!((status, error.as_str()), (401, "unauthorized"));
    assert_eq!(description, "Unable to authenticate due to expired access token");
    // With a `ttl` of 0 it never expires.
    body["ttl"] = json!(0);
    let endless = token(&service, &body).await.json();
    assert_eq!(endless["expires_in"], i64::MAX / 1000);
    service.time.advance(u64::from(u32::MAX) * 1000);
    assert_eq!(groups_with(&service, endless["access_token"].as_str().unwrap()).await.status, 200);
    // Without a `ttl`, the token lives for 60 days and is a new one.
    let other = token(&service, &login()).await.json();
    assert_eq!(other["expires_in"], 60 * 24 * 3600);
    assert_ne!(other["access_token"], granted["access_token"]);
    assert_eq!(service.simulator.stats().tokens, 3);
}

#[tokio::test]
async fn wrong_credentials_are_an_invalid_grant() {
    let service = Service::start(settings()).await;
    let cases = [
        ("client_id", json!("nobody"), "invalid_grant", "client_id does not match"),
        ("client_secret", json!("guess"), "invalid_grant", "client_secret does not match"),
        ("client_secret", json!(1), "illegal_argument", "client_secret is missing or invalid"),
        ("grant_type", json!("password"), "illegal_argument", "grant_type is missing or invalid"),
        ("ttl", json!("long"), "illegal_argument", "ttl is missing or invalid"),
    ];
    for (name, value, error, description) in cases {
        let mut body = login();
        body[name] = value;
        let refusal = token(&service, &body).await.refusal();
        assert_eq!(refusal, (400, error.to_owned(), description.to_owned()), "{name}");
    }
    assert_eq!(service.call("POST", "/o/a/token", &[as_json()], b"{").await.refusal().1, "json_parse");
    assert_eq!(service.simulator.stats().tokens, 0);
}

#[tokio::test]
async fn revoked_tokens_are_unknown() {
    let service = Service::start(settings()).await;
    let granted = token(&service, &login()).await.json();
    let mine = granted["access_token"].as_str().unwrap();
    assert_eq!(groups_with(&service, mine).await.status, 200);
    assert_eq!(service.call("POST", "/_sim/revoke", &[], b"").await.status, 200);
    assert_eq!(groups_with(&service, mine).await.refusal().1, "auth_bad_access_token");
}
