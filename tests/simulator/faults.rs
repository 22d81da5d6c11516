//! Each fault has its documented effect, and the message is accepted or not as documented.

use mooncast::{FaultPlan, SimulatedResponse, SimulatorSettings};
use serde_json::json;
use tokio::io::AsyncReadExt;

use super::harness::{Reply, Service, as_json, bearer, settings, text};

const SEND: &str = "/o/a/messages/chatgroups";

async fn service(faults: &str) -> Service {
    Service::start(SimulatorSettings { faults: faults.parse().unwrap(), ..settings() }).await
}

async fn send(service: &Service) -> Reply {
    service.send(&text(&["1", "2"])).await
}

fn accepted(service: &Service) -> u64 {
    service.simulator.stats().group_messages
}

#[tokio::test]
async fn every_status_is_answered_with_its_error() {
    let cases = [
        ("400", "message_send_error", "message is too large"),
        ("401", "unauthorized", "Unable to authenticate due to expired access token"),
        (
            "401=auth_bad_access_token",
            "auth_bad_access_token",
            "Unable to authenticate due to corrupt access token",
        ),
        ("403", "message_send_error", "message send reach limit"),
        ("403=forbidden_op", "forbidden_op", "Forbidden"),
        ("404", "service_resource_not_found", "Service resource not found"),
        ("408", "request_timeout", "Request Timeout"),
        ("413", "Request Entity Too Large", "Request Entity Too Large"),
        ("429", "reach_limit", "This request has reached api limit"),
        (
            "429=resource_limited",
            "resource_limited",
            "You have exceeded the limit of the Free edition. Please upgrade to higher edition.",
        ),
        ("500", "internal_server_error", "Internal Server Error"),
        ("500=web_application", "web_application", "javax.ws.rs.WebApplicationException"),
        (
            "500=unsupported_service_operation",
            "unsupported_service_operation",
            "Service operation not supported",
        ),
        ("501", "not_implemented", "Not Implemented"),
        ("502,json", "bad_gateway", "Bad Gateway"),
        ("503", "service_unavailable", "Service Unavailable"),
        ("504", "gateway_timeout", "Gateway Timeout"),
    ];
    for (fault, error, description) in cases {
        let service = service(&format!("send:{fault}")).await;
        let status = fault[..3].parse().unwrap();
        let refusal = send(&service).await.refusal();
        assert_eq!(refusal, (status, error.to_owned(), description.to_owned()), "{fault}");
        assert_eq!(accepted(&service), 0, "{fault}");
        assert_eq!(service.simulator.stats().faults, [(format!("send:{fault}"), 1)].into());
    }
}

#[tokio::test]
async fn gateways_answer_html_redirects_name_a_place_and_retry_after_is_told() {
    for fault in ["send:502", "send:503,html"] {
        let reply = send(&service(fault).await).await;
        assert!(reply.head.contains("content-type: text/html"), "{reply:?}");
        assert!(reply.body.starts_with(b"<html>"), "{reply:?}");
    }
    let reply = send(&service("send:301").await).await;
    assert!(reply.status == 301 && reply.head.contains("location: /moved"), "{reply:?}");
    let reply = send(&service("send:429,retry-after=7").await).await;
    assert!(reply.status == 429 && reply.head.contains("retry-after: 7"), "{reply:?}");
}

#[tokio::test]
async fn an_error_after_acceptance_hides_a_message_that_arrived() {
    let service = service("send:504,after").await;
    assert_eq!(send(&service).await.status, 504);
    assert_eq!(accepted(&service), 2);
}

#[tokio::test]
async fn a_reset_is_a_reset_before_acceptance_and_after() {
    for (fault, messages) in [("send:reset-before", 0), ("send:reset-after", 2)] {
        let service = service(fault).await;
        let body = text(&["1", "2"]).to_string();
        let error = service.raw("POST", SEND, &[bearer(), as_json()], body.as_bytes()).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{fault}");
        assert_eq!(accepted(&service), messages, "{fault}");
        // Other connections are not affected.
        service.simulator.plan(FaultPlan::default());
        assert_eq!(service.text(&["1"]).await, 200);
    }
}

#[tokio::test]
async fn a_truncated_answer_says_more_than_follows() {
    let service = service("send:truncated").await;
    let reply = send(&service).await;
    let length = reply.head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let length: usize = length.parse().unwrap();
    assert_eq!((reply.status, reply.body.len()), (200, length / 2));
    assert_eq!(accepted(&service), 2);
}

#[tokio::test]
async fn a_hang_answers_nothing_until_the_end() {
    for (fault, messages) in [("send:hang-before", 0), ("send:hang-after", 2)] {
        let service = service(fault).await;
        let body = text(&["1", "2"]).to_string();
        let mut stream = service.connect("POST", SEND, &[bearer(), as_json()], body.as_bytes()).await;
        service.until_seen("send", 1).await;
        assert_eq!(accepted(&service), messages, "{fault}");
        service.time.advance(3_600_000);
        // The server still runs and answers others.
        assert_eq!(service.get("/o/a/chatgroups").await.status, 200);
        service.stop().await;
        let mut bytes = Vec::new();
        assert!(stream.read_to_end(&mut bytes).await.is_err() && bytes.is_empty(), "{fault}");
    }
}

#[tokio::test]
async fn garbage_is_a_200_without_json_and_missing_a_200_without_a_group() {
    let garbled = service("send:garbage").await;
    let reply = send(&garbled).await;
    assert!(reply.status == 200 && serde_json::from_slice::<serde_json::Value>(&reply.body).is_err());
    assert_eq!(accepted(&garbled), 2);

    let service = service("send:missing").await;
    let reply = send(&service).await.json();
    assert_eq!(reply["data"].as_object().unwrap().keys().collect::<Vec<_>>(), ["2"]);
    assert_eq!(service.simulator.count("1"), 1);
}

#[tokio::test]
async fn faults_are_planned_over_http_and_bad_ones_refused_with_their_place() {
    let service = Service::start(settings()).await;
    let put = |rules: &'static str| service.call("PUT", "/_sim/faults", &[], rules.as_bytes());
    assert_eq!(put("send:at=2:503\ntoken:401").await.status, 200);
    assert_eq!(service.call("GET", "/_sim/faults", &[], b"").await.body, b"send:at=2:503\ntoken:401\n");
    assert_eq!(
        (service.text(&["1"]).await, service.text(&["1"]).await, service.text(&["1"]).await),
        (200, 503, 200)
    );
    let reply = put("send:at=0:503").await;
    let error = reply.json()["error"].as_str().unwrap().to_owned();
    assert!(reply.status == 400 && error.contains("column 6"), "{error}");
    // A plan that cannot be parsed leaves the old one in place.
    assert!(!service.simulator.faults().is_empty());
    assert_eq!(put("").await.status, 200);
    assert!(service.simulator.faults().is_empty());
}

#[tokio::test]
async fn without_a_network_the_same_faults_are_told_apart() {
    let service = Service::start(settings()).await;
    let mut request = axum::http::Request::post(SEND);
    for (name, value) in [bearer(), as_json()] {
        request = request.header(name, value);
    }
    let request = request.body(bytes::Bytes::from(text(&["1"]).to_string())).unwrap();
    let mut answers = Vec::new();
    for fault in ["send:reset-after", "send:hang-before", "send:truncated", ""] {
        service.simulator.plan(fault.parse().unwrap());
        answers.push(match service.simulator.handle(&request) {
            SimulatedResponse::Reset => "reset",
            SimulatedResponse::Hang => "hang",
            SimulatedResponse::Truncated(_) => "truncated",
            SimulatedResponse::Whole(_) => "whole",
        });
    }
    assert_eq!(answers, ["reset", "hang", "truncated", "whole"]);
    assert_eq!(accepted(&service), 3);
}

#[tokio::test]
async fn latency_is_waited_for_on_both_ways() {
    let latency = "100ms".parse().unwrap();
    let service = Service::start(SimulatorSettings { latency, ..settings() }).await;
    let sending = async { service.send(&text(&["1"])).await };
    let moving = async {
        // The request travels for 50 ms and then arrives. Its answer takes 50 ms more.
        while service.simulator.stats().calls.is_empty() {
            service.time.advance(10);
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
        }
        let arrived = service.simulator.received_by("1")[0].at;
        service.time.advance(50);
        arrived
    };
    let (reply, arrived) = tokio::join!(sending, moving);
    assert_eq!(reply.status, 200);
    assert!(arrived >= 1_700_000_000_050, "{arrived}");
    assert_eq!(reply.json()["timestamp"], json!(arrived));
}
