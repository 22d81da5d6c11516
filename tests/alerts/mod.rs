//! Alerts from the ledger to a webhook: at least once whatever fails, and exactly once if nothing does.

mod receivers;
mod unclaimed;

use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use mooncast::{
    Alert, AlertFormat, AlertKind, AlertSender, AlertSettings, App, AppLimits, Clock, Credentials,
    DaemonEvent, Delivery, Language, Ledger, PermitOutcome, Priority, Timeouts,
};

use crate::support::Project;
use crate::support::service::{Service, json};

const START: Duration = Duration::from_hours(500_000);
const SECOND: Duration = Duration::from_secs(1);

fn settings(service: &Service) -> AlertSettings {
    AlertSettings {
        name: "default".to_owned(),
        format: AlertFormat::Json,
        language: Language::English,
        zone: Some("Asia/Shanghai".to_owned()),
        url: format!("{}/hooks/secret-path", service.url()).into(),
        secret: Some("shared".into()),
        events: AlertKind::ALL.into(),
        after: Duration::from_mins(10),
    }
}

async fn alerts(settings: AlertSettings, project: &Project, clock: &Clock) -> (Rc<AlertSender>, Ledger) {
    let ledger = Ledger::open_at(&project.place(), clock.clone()).await.unwrap();
    let alerts = AlertSender::new(vec![settings], ledger.clone(), clock.clone(), "shop".to_owned()).unwrap();
    (Rc::new(alerts), ledger)
}

fn failed(number: usize) -> Alert {
    let event = DaemonEvent::RunFailed {
        job: "digest".to_owned(),
        script: "scripts/digest.lua".to_owned(),
        run: number.to_string(),
        why: "it".to_owned(),
    };
    Alert { figures: [("in_doubt", 3)].into(), ..event.alert() }
}

fn stale(number: usize) -> Alert {
    let error = "line 1: unexpected symbol".to_owned();
    DaemonEvent::ScriptStale { script: format!("scripts/{number}.lua"), error }.alert()
}

/// Delivers until the service has received this many requests and all are recorded.
async fn until(alerts: &Rc<AlertSender>, ledger: &Ledger, clock: &Clock, service: &Service, count: usize) {
    let mut look = SECOND;
    let running = tokio::task::spawn_local({
        let alerts = Rc::clone(alerts);
        async move { alerts.run().await }
    });
    while service.requests().len() < count || ledger.alert_next_due("default").await.unwrap().is_some() {
        clock.sleep(look).await;
        // The wait grows, so that days are not polled second by second.
        look = (look + look / 100).min(Duration::from_mins(10));
    }
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
}

#[test]
fn what_fails_is_posted_again_until_it_is_taken_and_then_never() {
    let service = Service::answering(|number, _| match number {
        0 => json(500, "{}"),
        1 => b"HTTP/1.1 302 X\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n".to_vec(),
        2 => Vec::new(),
        3 => json(404, "gone"),
        _ => json(204, ""),
    });
    let project = Project::new();
    let clock = Clock::simulated(START);
    clock
        .block_on(async {
            let (alerts, ledger) = alerts(settings(&service), &project, &clock).await;
            alerts.raise(failed(1)).await;
            alerts.raise(failed(1)).await;
            let began = clock.now();
            until(&alerts, &ledger, &clock, &service, 5).await;
            // 5, 10, 20 and 40 s, each reduced by a random part.
            let waited = (clock.now() - began).as_secs();
            assert!((56..80).contains(&waited), "{waited} s");
            // An alert is raised once: the same key is not raised again, another one is.
            alerts.raise(failed(1)).await;
            assert_eq!(ledger.alert_next_due("default").await.unwrap(), None);
            alerts.raise(failed(2)).await;
            until(&alerts, &ledger, &clock, &service, 6).await;
        })
        .unwrap();
    let requests = service.requests();
    assert_eq!(requests.len(), 6);
    for request in &requests {
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hooks/secret-path"));
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"shared").unwrap();
        mac.update(&request.body);
        let expected = data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes());
        assert_eq!(request.header("x-mooncast-signature"), Some(format!("sha256={expected}").as_str()));
        assert_eq!(request.header("content-type"), Some("application/json"));
    }
    let bodies: Vec<_> = requests.iter().map(|request| request.body.clone()).collect();
    assert!(bodies[..5].iter().all(|body| *body == bodies[0]));
    let expected = serde_json::json!({
        "event": "run_failed", "key": "run_failed job digest 1", "at": "2027-01-15T08:00:00Z", "project": "shop",
        "text": "job `digest`, run 1, failed: it", "next": "mooncast jobs show 'digest'",
        "script": "scripts/digest.lua", "job": "digest", "run": "1", "figures": { "in_doubt": 3 },
    });
    assert_eq!(requests[0].json(), expected);
    assert_eq!(requests[5].json()["key"], "run_failed job digest 2");
}

#[test]
fn a_daemon_that_dies_before_it_notes_the_answer_tells_it_again() {
    let (let_go, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let service = Arc::new(Service::answering(move |number, _| {
        if number == 0 {
            // Waits until the first daemon is dead.
            let _ = held.lock().unwrap().recv();
        }
        json(200, "{}")
    }));
    let project = Project::new();
    let clock = Clock::simulated(START);
    clock
        .block_on(async {
            let (first, _) = alerts(settings(&service), &project, &clock).await;
            first.raise(stale(1)).await;
            // While the webhook does not answer, raising alerts still works.
            let arrived = tokio::task::spawn_blocking({
                let service = Arc::clone(&service);
                move || service.wait_for(1)
            });
            tokio::select! {
                () = first.run() => {}
                arrived = arrived => arrived.unwrap(),
            }
            for number in 2..=40 {
                first.raise(stale(number)).await;
            }
        })
        .unwrap();
    let_go.send(()).unwrap();
    let clock = Clock::simulated(START + SECOND);
    clock
        .block_on(async {
            let (second, ledger) = alerts(settings(&service), &project, &clock).await;
            until(&second, &ledger, &clock, &service, 41).await;
        })
        .unwrap();
    let mut keys: Vec<String> =
        service.requests().iter().map(|request| request.json()["key"].as_str().unwrap().to_owned()).collect();
    assert_eq!(keys.len(), 41);
    // The alert in doubt is delivered a second time, after the others.
    let again = "stale scripts/1.lua line 1: unexpected symbol";
    assert_eq!((keys[0].as_str(), keys[40].as_str()), (again, again));
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 40);
}

#[test]
fn what_the_ledger_cannot_take_is_told_once_it_can() {
    let service = Service::accepting();
    let project = Project::new();
    let clock = Clock::simulated(START);
    clock
        .block_on(async {
            let (alerts, ledger) = alerts(settings(&service), &project, &clock).await;
            let rename = |from, to| project.run_in_store(&format!("ALTER TABLE {from} RENAME TO {to}"));
            rename("alerts", "elsewhere");
            alerts.raise(failed(1)).await;
            alerts.raise(failed(2)).await;
            assert!(ledger.alert_next_due("default").await.is_err());
            rename("elsewhere", "alerts");
            assert_eq!(ledger.alert_next_due("default").await.unwrap(), None);
            until(&alerts, &ledger, &clock, &service, 2).await;
        })
        .unwrap();
    assert_eq!(service.requests().len(), 2);
}

#[test]
fn a_script_that_breaks_again_is_told_again() {
    let service = Service::accepting();
    let project = Project::new();
    let clock = Clock::simulated(START);
    clock
        .block_on(async {
            let (alerts, ledger) = alerts(settings(&service), &project, &clock).await;
            for told in [1, 1, 2] {
                alerts.raise(stale(1)).await;
                until(&alerts, &ledger, &clock, &service, told).await;
                clock.sleep(Duration::from_mins(40)).await;
            }
        })
        .unwrap();
    assert_eq!(service.requests().len(), 2);
}

#[test]
fn a_webhook_that_is_gone_for_days_is_given_up() {
    let service = Service::answering(|_, _| json(503, "{}"));
    let project = Project::new();
    let clock = Clock::simulated(START);
    clock
        .block_on(async {
            let (alerts, ledger) = alerts(settings(&service), &project, &clock).await;
            alerts.raise(failed(1)).await;
            let began = clock.now();
            until(&alerts, &ledger, &clock, &service, 1).await;
            let hours = (clock.now() - began).as_secs() / 3600;
            assert!((70..=72).contains(&hours), "{hours} h");
        })
        .unwrap();
    let tries = service.requests().len();
    assert!((75..120).contains(&tries), "{tries}");
}

#[test]
fn an_instant_that_was_set_before_the_clock_went_back_is_not_waited_for() {
    let service = Service::answering(|number, _| json(if number == 0 { 500 } else { 200 }, "{}"));
    let project = Project::new();
    let later = Clock::simulated(START + Duration::from_hours(48));
    later
        .block_on(async {
            let (alerts, _) = alerts(settings(&service), &project, &later).await;
            alerts.raise(stale(1)).await;
        })
        .unwrap();
    let clock = Clock::simulated(START);
    clock
        .block_on(async {
            let (alerts, ledger) = alerts(settings(&service), &project, &clock).await;
            until(&alerts, &ledger, &clock, &service, 2).await;
            assert!(clock.unix_time() < START + Duration::from_mins(3));
        })
        .unwrap();
}

#[test]
fn only_what_is_wanted_is_raised() {
    let service = Service::accepting();
    let project = Project::new();
    let clock = Clock::simulated(START);
    clock
        .block_on(async {
            let wanted = AlertSettings { events: [AlertKind::Stale].into(), ..settings(&service) };
            let (alerts, ledger) = alerts(wanted, &project, &clock).await;
            alerts.raise(failed(1)).await;
            assert_eq!(ledger.alert_next_due("default").await.unwrap(), None);
            alerts.raise(stale(1)).await;
            assert_eq!(ledger.alert_next_due("default").await.unwrap(), Some(START));
        })
        .unwrap();
}

#[test]
fn a_quota_that_is_refused_for_long_is_told_once_for_each_time() {
    let service = Service::accepting();
    let project = Project::new();
    let clock = Clock::simulated(START);
    let app = App {
        name: "main".to_owned(),
        prefix: format!("{}/org/app", service.url()),
        credentials: Credentials::Token("a-token".into()),
        limits: AppLimits::default(),
        records: mooncast::RecordSettings::default(),
        timeouts: Timeouts::default(),
    };
    clock
        .block_on(async {
            let (alerts, ledger) = alerts(settings(&service), &project, &clock).await;
            let delivery = Rc::new(Delivery::new(&app, clock.clone(), None).unwrap());
            let watching = tokio::task::spawn_local({
                let (alerts, apps) = (Rc::clone(&alerts), vec![Rc::clone(&delivery)]);
                async move { alerts.watch_quotas(&apps).await }
            });
            let refuse = async |minutes: u32| {
                for _ in 0..minutes * 2 {
                    let mut permit = delivery.quotas().group.acquire(1, Priority::Normal).await.unwrap();
                    permit.written();
                    permit.answered(PermitOutcome::Throttled { retry_after: None });
                    clock.sleep(Duration::from_secs(30)).await;
                }
            };
            // Nine minutes are too short; fifteen are enough; and there is another alert after a pause.
            refuse(9).await;
            clock.sleep(Duration::from_mins(5)).await;
            assert_eq!(ledger.alert_next_due("default").await.unwrap(), None);
            for _ in 0..2 {
                refuse(25).await;
                clock.sleep(Duration::from_mins(5)).await;
            }
            watching.abort();
            until(&alerts, &ledger, &clock, &service, 2).await;
        })
        .unwrap();
    let requests = service.requests();
    assert_eq!(requests.len(), 2);
    let told = requests[0].json();
    assert_eq!((told["event"].as_str(), told["app"].as_str()), (Some("quota"), Some("main")));
    assert!(
        told["text"].as_str().unwrap().contains("refused group messages over its rate limit for 10 minutes"),
        "{told}"
    );
    assert_ne!(told["key"], requests[1].json()["key"]);
}

#[test]
fn settings_that_make_no_sense_are_refused_without_the_address() {
    for (section, says) in [
        (
            "url = \"ftp://user:pass@host/secret-path\"",
            "[alerts] url: it must begin with https:// or http://",
        ),
        ("secret = \"x\"", "[alerts] url: it is missing"),
        ("url = \"https://host/secret-path\"\nafter = \"10s\"", "[alerts] after: it must be 1m or more"),
        ("url = \"https://host/secret-path\"\nevents = [\"failed\"]", "run_failed"),
        ("url = \"https://host/secret-path\"\nulr = 1", "ulr"),
        (
            "url = \"https://oapi.dingtalk.com/robot/send?access_token=secret-path\"\nformat = \"json\"",
            "[alerts] format: it is `json`, but the host of `url` reads `dingtalk`",
        ),
        (
            "url = \"https://hooks.slack.com/services/secret-path\"\nsecret = \"x\"",
            "[alerts] secret: `slack` checks no signature",
        ),
        ("format = \"wecom\"", "[alerts] url: it is missing"),
        ("name = \"ops\"", "[alerts] url: it is missing"),
        ("url = \"https://host/secret-path\"\nformat = \"teams\"", "teams"),
        (
            "url = \"https://host/secret-path\"\n[[alerts]]\nurl = \"https://host/secret-path\"",
            "mooncast.toml",
        ),
        ("url = \"https://host/secret-path\"\nname = \"Ops Team\"", "must be 1 to 32 of a-z, 0-9 and `-`"),
    ] {
        Project::with_script("print(1)")
            .file("mooncast.toml", format!("[alerts]\n{section}\n"))
            .run_simulated()
            .exits(2)
            .says(says)
            .never_says("secret-path");
    }
    for (sections, says) in [
        (["", "name = \"b\"\n"], "[[alerts]] 1: name: it is missing"),
        (["name = \"a\"\n", "name = \"a\"\n"], "[[alerts]] 2: name: two receivers are named `a`"),
    ] {
        let sections = sections.map(|one| format!("[[alerts]]\n{one}url = \"https://host/secret-path\"\n"));
        Project::with_script("print(1)")
            .file("mooncast.toml", sections.concat())
            .run_simulated()
            .exits(2)
            .says(says)
            .never_says("secret-path");
    }
    let right = "[alerts]\nurl = \"https://host/secret-path\"\nsecret = \"x\"\nevents = [\"stale\", \"quota\"]\nafter = \"1h\"\n";
    Project::with_script("print(1)").file("mooncast.toml", right).run_simulated().exits(0).prints("1");
}
