//! The sending hours of a broadcast and its own rate: no wait of a call takes it past them.

use std::sync::Mutex;

use super::*;

/// A service that answers the first message with 429 and this wait, and the times of its requests in milliseconds since
/// 1970.
fn throttling(clock: &Clock, first_wait: u64) -> (Service, Arc<Mutex<Vec<u64>>>) {
    let times = Arc::new(Mutex::new(Vec::new()));
    let (told, clock) = (Arc::clone(&times), clock.clone());
    let service = Service::answering(move |number, request| {
        told.lock().unwrap().push(u64::try_from(clock.unix_time().as_millis()).unwrap());
        if number > 0 || first_wait == 0 {
            return accept(number, request);
        }
        let body = r#"{"error":"reach_limit"}"#;
        let head =
            format!("HTTP/1.1 429 X\r\nRetry-After: {first_wait}\r\nContent-Length: {}\r\n", body.len());
        format!("{head}Content-Type: application/json\r\n\r\n{body}").into_bytes()
    });
    (service, times)
}

fn window(from: &str, to: &str) -> Value {
    serde_json::json!({ "from": from, "to": to, "tz": "UTC" })
}

/// Checks that at most a message a second left.
fn one_a_second(times: &Mutex<Vec<u64>>) {
    let mut times = times.lock().unwrap().clone();
    times.sort_unstable();
    assert!(times.windows(2).all(|two| two[1] - two[0] >= 850), "{times:?}");
}

/// The clock of [`virtually`] begins at 8:00 UTC.
#[test]
fn no_message_leaves_after_the_hours_however_long_its_permit_took() {
    virtually(async |clock| {
        // The wait ends while it is closed, from 8:01 to 8:03.
        let (service, times) = throttling(&clock, 120);
        let spec = StoredSpec { window: Some(window("08:03", "08:01")), ..StoredSpec::new(Call::Group) };
        let scene = Scene::new(&clock, service, spec, 40).await;
        let driven = scene.drive().await;
        assert_eq!((driven.end, driven.report.sent), (DriveEnd::Finished, 40));
        let times = times.lock().unwrap().clone();
        let begun = |time: &u64| (time - times[0]) / 1_000;
        assert!(times.iter().all(|time| !(60..180).contains(&begun(time))), "{times:?}");
        assert!(begun(&times[times.len() - 1]) >= 180, "the throttled one waited: {times:?}");
    });
}

#[test]
fn when_its_hours_begin_it_keeps_to_its_own_rate() {
    virtually(async |clock| {
        let (service, times) = throttling(&clock, 0);
        let spec = StoredSpec {
            window: Some(window("09:00", "21:00")),
            rate: Some(1.0),
            ..StoredSpec::new(Call::Group)
        };
        let scene = Scene::new(&clock, service, spec, 20).await;
        assert_eq!(scene.drive().await.report.sent, 20);
        one_a_second(&times);
    });
}

#[test]
fn after_a_throttled_answer_it_keeps_to_its_own_rate() {
    virtually(async |clock| {
        let (service, times) = throttling(&clock, 600);
        let spec = StoredSpec { rate: Some(1.0), ..StoredSpec::new(Call::Group) };
        let scene = Scene::new(&clock, service, spec, 20).await;
        assert_eq!(scene.drive().await.report.sent, 20);
        assert_eq!(times.lock().unwrap().len(), 21);
        one_a_second(&times);
    });
}
