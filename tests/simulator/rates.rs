//! The rates over HTTP. The four ways of counting have their own tests beside the meter.

use mooncast::{RateCounting, SimulatorLimits, TargetedBy};
use serde_json::json;

use super::harness::{Service, settings, text};

const API_LIMIT: &str = "This request has reached api limit";

fn limits(limits: SimulatorLimits) -> mooncast::SimulatorSettings {
    mooncast::SimulatorSettings { limits, ..settings() }
}

#[tokio::test]
async fn of_single_messages_twenty_pass_and_the_next_call_is_one_too_many() {
    for count in [RateCounting::Fixed, RateCounting::Strict, RateCounting::Sliding, RateCounting::Bucket] {
        let service = Service::start(limits(SimulatorLimits { count, ..SimulatorLimits::default() })).await;
        for _ in 0..20 {
            assert_eq!(service.text(&["1"]).await, 200);
        }
        let refusal = service.send(&text(&["1"])).await.refusal();
        assert_eq!(refusal, (429, "reach_limit".to_owned(), API_LIMIT.to_owned()), "{count:?}");
        service.time.advance(1_000);
        assert_eq!(service.text(&["1"]).await, 200, "{count:?}");
        assert_eq!(service.simulator.stats().group_messages, 21);
    }
}

#[tokio::test]
async fn of_calls_of_three_seven_pass_and_the_eighth_fails() {
    for count in [RateCounting::Fixed, RateCounting::Strict, RateCounting::Sliding, RateCounting::Bucket] {
        let service = Service::start(limits(SimulatorLimits { count, ..SimulatorLimits::default() })).await;
        for _ in 0..7 {
            assert_eq!(service.text(&["1", "2", "3"]).await, 200);
        }
        let refusal = service.send(&text(&["1", "2", "3"])).await.refusal();
        let expected = (403, "message_send_error".to_owned(), "message send reach limit".to_owned());
        assert_eq!(refusal, expected, "{count:?}");
        assert_eq!(service.simulator.stats().group_messages, 21);
    }
}

#[tokio::test]
async fn the_edge_of_a_wall_clock_second_lets_forty_in_and_a_sliding_one_does_not() {
    for (count, passing) in [(RateCounting::Fixed, 40), (RateCounting::Sliding, 20)] {
        let service = Service::start(limits(SimulatorLimits { count, ..SimulatorLimits::default() })).await;
        service.time.advance(999);
        let mut passed = 0;
        for step in 0..40 {
            if step == 20 {
                service.time.advance(1);
            }
            passed += u32::from(service.text(&["1"]).await == 200);
        }
        assert_eq!(passed, passing, "{count:?}");
    }
}

#[tokio::test]
async fn targeted_calls_count_by_call_or_by_user_against_a_quota_of_their_own() {
    let users: Vec<_> = (0..20).map(|n| format!("user{n}")).collect();
    for (targeted_by, passing) in [(TargetedBy::Call, 100), (TargetedBy::User, 5)] {
        let service =
            Service::start(limits(SimulatorLimits { targeted_by, ..SimulatorLimits::default() })).await;
        let mut message = text(&["1"]);
        message["users"] = json!(users);
        for _ in 0..passing {
            assert_eq!(service.targeted(&message).await.status, 200);
        }
        let refusal = service.targeted(&message).await.refusal();
        let expected = (403, "message_send_error".to_owned(), "message send reach limit".to_owned());
        assert_eq!(refusal, expected);
        // The group quota is unchanged.
        assert_eq!(service.text(&["1"]).await, 200);
        let stats = service.simulator.stats();
        assert_eq!((stats.targeted_messages, stats.group_messages), (passing, 1));
        assert_eq!(
            stats.refused,
            [("403 message_send_error: message send reach limit".to_owned(), 1)].into()
        );
    }
}

#[tokio::test]
async fn lists_have_a_rate_each_and_lifted_limits_have_none() {
    let read_per_second = Some(3);
    let service =
        Service::start(limits(SimulatorLimits { read_per_second, ..SimulatorLimits::default() })).await;
    for _ in 0..3 {
        assert_eq!(service.get("/o/a/chatgroups").await.status, 200);
    }
    assert_eq!(service.get("/o/a/chatgroups").await.refusal().2, API_LIMIT);
    assert_eq!(service.get("/o/a/chatgroups/184524748161025/users").await.status, 200);

    let service = Service::start(limits(SimulatorLimits::lifted())).await;
    for _ in 0..150 {
        assert_eq!(service.text(&["1", "2", "3"]).await, 200);
    }
    assert_eq!(service.simulator.stats().group_messages, 450);
}

#[tokio::test]
async fn messages_to_users_count_by_the_minute_and_their_calls_by_the_second() {
    let reached = (403, "message_send_error".to_owned(), "message send reach limit".to_owned());
    for count in [RateCounting::Fixed, RateCounting::Strict, RateCounting::Sliding, RateCounting::Bucket] {
        let service = Service::start(limits(SimulatorLimits { count, ..SimulatorLimits::default() })).await;
        // The start is 20 seconds after a whole minute.
        service.time.advance(40_000);
        let users: Vec<String> = (0..600).map(|number| format!("user{number}")).collect();
        let users: Vec<&str> = users.iter().map(String::as_str).collect();
        for _ in 0..10 {
            assert_eq!(service.post("/o/a/messages/users", &text(&users)).await.status, 200, "{count:?}");
        }
        let refusal = service.post("/o/a/messages/users", &text(&["user1"])).await.refusal();
        assert_eq!(refusal, reached, "{count:?}");
        // Groups have a quota of their own, also a group with the id of a user.
        assert_eq!(service.text(&["user1"]).await, 200);
        service.time.advance(59_000);
        let later = service.post("/o/a/messages/users", &text(&users)).await.status;
        // A bucket has filled again by 5,900.
        assert_eq!(later, if count == RateCounting::Bucket { 200 } else { 403 }, "{count:?}");
        service.time.advance(1_000);
        for _ in 0..5 {
            assert_eq!(service.post("/o/a/messages/users", &text(&users)).await.status, 200, "{count:?}");
        }
        assert_eq!(
            service.simulator.count("user:user1"),
            if count == RateCounting::Bucket { 16 } else { 15 }
        );
        assert_eq!(service.simulator.count("user1"), 1);
        service.stop().await;
    }
    let service = Service::start(limits(SimulatorLimits::default())).await;
    for _ in 0..100 {
        assert_eq!(service.post("/o/a/messages/users", &text(&["u"])).await.status, 200);
    }
    let refusal = service.post("/o/a/messages/users", &text(&["u"])).await.refusal();
    assert_eq!(refusal, (429, "reach_limit".to_owned(), API_LIMIT.to_owned()));
    let many: Vec<String> = (0..601).map(|number| format!("user{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    service.time.advance(1_000);
    let refusal = service.post("/o/a/messages/users", &text(&many)).await.refusal();
    assert_eq!(
        refusal,
        (400, "message_send_error".to_owned(), "params to's size can't exceed limit 600".to_owned())
    );
    service.stop().await;
}

#[tokio::test]
async fn messages_to_rooms_count_by_room() {
    let service = Service::start(limits(SimulatorLimits::default())).await;
    let rooms: Vec<String> = (0..10).map(|number| format!("room{number}")).collect();
    let rooms: Vec<&str> = rooms.iter().map(String::as_str).collect();
    for _ in 0..10 {
        assert_eq!(service.post("/o/a/messages/chatrooms", &text(&rooms)).await.status, 200);
    }
    let refusal = service.post("/o/a/messages/chatrooms", &text(&["room1"])).await.refusal();
    assert_eq!(refusal, (403, "message_send_error".to_owned(), "message send reach limit".to_owned()));
    assert_eq!(service.simulator.stats().room_messages, 100);
    assert_eq!(service.simulator.count("room:room1"), 10);
    service.stop().await;
}
