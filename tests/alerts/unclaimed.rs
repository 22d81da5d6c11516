//! Alerts that wait while their receiver is renamed or removed.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mooncast::{AlertSender, AlertSettings, Clock, Ledger};

use super::{SECOND, START, failed, settings};
use crate::support::service::{Service, json};
use crate::support::{Project, Ran};
use crate::web::{Site, request};

fn named(name: &str, service: &Service) -> AlertSettings {
    AlertSettings { name: name.to_owned(), ..settings(service) }
}

/// A service that accepts posts once the flag is set.
fn accepting_later() -> (Arc<Service>, Arc<AtomicBool>) {
    let open = Arc::new(AtomicBool::new(false));
    let is_open = Arc::clone(&open);
    let service =
        Service::answering(
            move |_, _| {
                if is_open.load(Ordering::Relaxed) { json(200, "{}") } else { json(500, "{}") }
            },
        );
    (Arc::new(service), open)
}

async fn sender(
    receivers: Vec<AlertSettings>,
    project: &Project,
    clock: &Clock,
) -> (Rc<AlertSender>, Ledger) {
    let ledger = Ledger::open_at(&project.place(), clock.clone()).await.unwrap();
    let alerts = AlertSender::new(receivers, ledger.clone(), clock.clone(), "shop".to_owned()).unwrap();
    (Rc::new(alerts), ledger)
}

/// Runs the sender until a condition holds.
async fn run_until(alerts: &Rc<AlertSender>, clock: &Clock, so: impl AsyncFn() -> bool) {
    let running = tokio::task::spawn_local({
        let alerts = Rc::clone(alerts);
        async move { alerts.run().await }
    });
    while !so().await {
        clock.sleep(SECOND).await;
    }
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
}

/// Runs the sender for a simulated time, in which it posts nothing.
async fn run_for(alerts: &Rc<AlertSender>, clock: &Clock, time: Duration) {
    let end = clock.now() + time;
    let passed = async || {
        clock.sleep(Duration::from_mins(10)).await;
        clock.now() >= end
    };
    run_until(alerts, clock, passed).await;
}

/// How many alerts for a receiver are pending and were dropped, and why.
async fn undelivered(ledger: &Ledger) -> Vec<(String, u64, u64, String)> {
    let listed = ledger.undelivered_alerts(Duration::ZERO).await.unwrap();
    listed.into_iter().map(|one| (one.receiver, one.pending, one.dropped, one.error)).collect()
}

#[test]
fn the_alerts_of_a_renamed_receiver_go_to_the_one_with_its_url() {
    let (service, open) = accepting_later();
    let other = Service::accepting();
    let project = Project::new();
    let clock = Clock::simulated(START);
    clock
        .block_on(async {
            let (alerts, ledger) = sender(vec![named("ops", &service)], &project, &clock).await;
            alerts.raise(failed(1)).await;
            run_until(&alerts, &clock, async || !undelivered(&ledger).await.is_empty()).await;
            assert_eq!(undelivered(&ledger).await[0].0, "ops");
            open.store(true, Ordering::Relaxed);
            // Another process, with other settings.
            let receivers = vec![named("new", &other), named("chat", &service)];
            let (alerts, ledger) = sender(receivers, &project, &clock).await;
            run_until(&alerts, &clock, async || undelivered(&ledger).await.is_empty()).await;
            assert_eq!(ledger.alert_next_due("ops").await.unwrap(), None);
            let posts = service.requests().len();
            assert_eq!(service.requests()[posts - 1].json()["key"], "run_failed job digest 1");
            // What the receiver was told under its old name is not told again.
            alerts.raise(failed(1)).await;
            let is_done = async || ledger.alert_next_due("new").await.unwrap().is_none();
            run_until(&alerts, &clock, is_done).await;
            assert_eq!((service.requests().len(), other.requests().len()), (posts, 1));
        })
        .unwrap();
}

#[test]
fn an_alert_without_a_receiver_waits_for_one_and_is_dropped_in_the_end() {
    let (service, open) = accepting_later();
    let other = Service::accepting();
    let project = Project::new();
    let clock = Clock::simulated(START);
    clock
        .block_on(async {
            let (alerts, ledger) = sender(vec![named("ops", &service)], &project, &clock).await;
            alerts.raise(failed(1)).await;
            alerts.raise(failed(2)).await;
            alerts.set(vec![named("new", &other)]).unwrap();
            run_for(&alerts, &clock, Duration::from_hours(1)).await;
            let listed = undelivered(&ledger).await;
            let [(receiver, 2, 0, why)] = listed.as_slice() else { panic!("{listed:?}") };
            assert_eq!(receiver, "ops");
            assert!(why.starts_with("the settings have no receiver of this name"), "{why}");
            assert_eq!((service.requests().len(), other.requests().len()), (0, 0));
            // One that comes back gets them.
            open.store(true, Ordering::Relaxed);
            alerts.set(vec![named("new", &other), named("ops-again", &service)]).unwrap();
            run_until(&alerts, &clock, async || undelivered(&ledger).await.is_empty()).await;
            assert_eq!((service.requests().len(), other.requests().len()), (2, 0));

            alerts.raise(failed(3)).await;
            alerts.set(Vec::new()).unwrap();
            run_for(&alerts, &clock, Duration::from_hours(71)).await;
            let waits: Vec<(u64, u64)> = undelivered(&ledger)
                .await
                .iter()
                .map(|(_, pending, dropped, _)| (*pending, *dropped))
                .collect();
            assert_eq!(waits, [(1, 0), (1, 0)]);
            run_for(&alerts, &clock, Duration::from_hours(2)).await;
            let waits: Vec<(u64, u64)> = undelivered(&ledger)
                .await
                .iter()
                .map(|(_, pending, dropped, _)| (*pending, *dropped))
                .collect();
            assert_eq!(waits, [(0, 1), (0, 1)]);
        })
        .unwrap();
}

#[test]
fn an_alert_without_a_receiver_is_told_by_doctor_on_the_page_and_in_the_log() {
    let service = Service::accepting();
    let gone = Service::accepting();
    let settings = format!("[[alerts]]\nname = \"chat\"\nurl = \"{}/chat\"\n", service.url());
    let project = Project::with_script("").file("mooncast.toml", settings);
    let clock = Clock::real();
    clock
        .block_on(async {
            let (alerts, _) = sender(vec![named("ops", &gone)], &project, &clock).await;
            alerts.raise(failed(1)).await;
        })
        .unwrap();
    let doctor = Ran::of(&project.command_against(&service, &["doctor"]).output().unwrap()).exits(1);
    doctor.prints("1 waiting alert for the receiver `ops`, which the settings do not have");
    let site = Site::of_against(project, &service);
    let overview = site.until("/overview", |overview| {
        overview["needs"].as_array().unwrap().iter().any(|need| need["code"] == "alert_pending")
    });
    assert_eq!(overview["needs"][0]["params"]["name"], "ops", "{overview:#}");
    let bearer = format!("Bearer {}", site.read);
    let headers = [("authorization", bearer.as_str()), ("accept-language", "zh")];
    let page = request(&site.address, "GET /", &headers, b"").body;
    assert!(page.contains("有 1 条告警没有送达 ops：设置里没有这个名字的接收方"), "{page}");
    site.serving.says("alerts wait for a receiver that the settings do not have", 1);
    site.serving.stop().exits(0);
    assert!(gone.requests().is_empty());
}
