//! Alerts to several receivers, and to the robots of group chats.

use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};

use hmac::{Hmac, KeyInit, Mac};
use mooncast::{AlertFormat, AlertKind, AlertSender, AlertSettings, Clock, DaemonEvent, Language, Ledger};

use super::{SECOND, START, alerts, failed, settings, stale, until};
use crate::support::service::{Request, Service, json};
use crate::support::{Project, Ran};

/// A robot of a group chat as its vendor describes it: it checks its signature, and says in a body with the status 200
/// whether it took a post. The first post is refused as one too many in a minute.
fn robot(format: AlertFormat) -> Service {
    const SECRET: &str = "SEC-of-the-robot";
    let sign = |key: String, message: &str| {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key.as_bytes()).unwrap();
        mac.update(message.as_bytes());
        data_encoding::BASE64.encode(&mac.finalize().into_bytes())
    };
    Service::answering(move |number, request| {
        let url = reqwest::Url::parse(&format!("http://robot{}", request.path)).unwrap();
        let query: std::collections::HashMap<String, String> = url.query_pairs().into_owned().collect();
        let body = request.json();
        let busy = number == 0;
        match format {
            AlertFormat::DingTalk => {
                let expected = sign(SECRET.to_owned(), &format!("{}\n{SECRET}", query["timestamp"]));
                let (code, text) = if query["access_token"] != "t" || query["sign"] != expected {
                    (310_000, "sign not match")
                } else if busy {
                    (130_101, "send too fast")
                } else if body["msgtype"] != "text" || body["text"]["content"].as_str().unwrap().is_empty() {
                    (400_001, "param error")
                } else {
                    (0, "ok")
                };
                json(200, &serde_json::json!({ "errcode": code, "errmsg": text }).to_string())
            }
            AlertFormat::Feishu => {
                let key = format!("{}\n{SECRET}", body["timestamp"].as_str().unwrap());
                let (code, text) = if body["sign"] != sign(key, "").as_str() {
                    (19_021, "sign match fail or timestamp is not within one hour from current time")
                } else if busy {
                    (11_232, "frequency limited")
                } else if body["msg_type"] != "text" || !body["content"]["text"].is_string() {
                    (9499, "Bad Request")
                } else {
                    (0, "success")
                };
                json(200, &serde_json::json!({ "code": code, "msg": text, "data": {} }).to_string())
            }
            AlertFormat::WeCom => {
                let content = body["text"]["content"].as_str().unwrap();
                let (code, text) = if busy {
                    (45_009, "api freq out of limit")
                } else if body["msgtype"] != "text" || content.len() > 2048 {
                    (40_058, "text.content exceed max length 2048")
                } else {
                    (0, "ok")
                };
                json(200, &serde_json::json!({ "errcode": code, "errmsg": text }).to_string())
            }
            AlertFormat::Slack if busy => json(429, "rate_limited"),
            AlertFormat::Slack => {
                let text = body["text"].as_str().unwrap();
                let escaped = !text.contains("<it>") && text.contains("&lt;it&gt;");
                if escaped { json(200, "ok") } else { json(400, "invalid_payload") }
            }
            AlertFormat::Json => unreachable!(),
        }
    })
}

/// Returns what a robot was told.
fn told(body: &serde_json::Value) -> &str {
    [&body["text"]["content"], &body["content"]["text"], &body["text"]]
        .into_iter()
        .find_map(|text| text.as_str())
        .unwrap()
}

#[test]
fn robots_of_group_chats_get_signed_posts_and_their_refusals_are_read() {
    for format in [AlertFormat::DingTalk, AlertFormat::Feishu, AlertFormat::WeCom, AlertFormat::Slack] {
        let service = robot(format);
        let project = Project::new();
        let clock = Clock::simulated(START);
        let signed = matches!(format, AlertFormat::DingTalk | AlertFormat::Feishu);
        clock
            .block_on(async {
                let wanted = AlertSettings {
                    format,
                    language: Language::Chinese,
                    url: format!("{}/robot/send?access_token=t", service.url()).into(),
                    secret: signed.then(|| "SEC-of-the-robot".into()),
                    ..settings(&service)
                };
                let (alerts, ledger) = alerts(wanted, &project, &clock).await;
                for number in 1..=3 {
                    let event = DaemonEvent::RunFailed {
                        job: format!("digest-{number}"),
                        script: "scripts/digest.lua".to_owned(),
                        run: number.to_string(),
                        why: format!("<it> <at user_id=\"all\">x</at> <@all> {}", "x".repeat(560)),
                    };
                    alerts.raise(event.alert()).await;
                }
                until(&alerts, &ledger, &clock, &service, 2).await;
            })
            .unwrap();
        let requests = service.requests();
        let last: Vec<_> = requests.iter().skip(1).map(Request::json).collect();
        let texts: Vec<&str> = last.iter().map(told).collect();
        // Three alerts of over 700 bytes are one post where they fit: WeCom takes 2,048 bytes.
        let posts = if format == AlertFormat::WeCom { 2 } else { 1 };
        assert_eq!(texts.len(), posts, "{format:?}");
        for number in 1..=3 {
            let name = format!("任务 `digest-{number}` 的运行 {number} 失败：");
            assert_eq!(texts.iter().filter(|text| text.contains(&name)).count(), 1, "{format:?} {texts:?}");
            let next = format!("下一步：mooncast jobs show 'digest-{number}'");
            assert!(texts.iter().any(|text| text.contains(&next)), "{format:?} {texts:?}");
        }
        assert!(texts[0].starts_with("Mooncast，shop："), "{format:?} {texts:?}");
        for (body, text) in last.iter().zip(&texts) {
            assert!(text.contains("\n2027-01-15 16:00:00 Asia/Shanghai\n"), "{format:?} {text}");
            assert!(!["<at", "</at", "<@"].iter().any(|tag| text.contains(tag)), "{format:?} {text}");
            assert!(body["at"].is_null() && body["text"]["mentioned_list"].is_null(), "{body}");
        }
    }
}

#[test]
fn a_robot_is_posted_to_15_times_a_minute_and_the_rest_waits_together() {
    let service = Service::answering(|_, _| json(200, r#"{"errcode":0,"errmsg":"ok"}"#));
    let project = Project::new();
    let clock = Clock::simulated(START);
    clock
        .block_on(async {
            let wanted = AlertSettings { format: AlertFormat::WeCom, secret: None, ..settings(&service) };
            let (alerts, ledger) = alerts(wanted, &project, &clock).await;
            let running = tokio::task::spawn_local({
                let alerts = Rc::clone(&alerts);
                async move { alerts.run().await }
            });
            let mut before = 0;
            for number in 0..80 {
                alerts.raise(stale(number)).await;
                clock.sleep(SECOND).await;
                if number == 58 {
                    before = service.requests().len();
                }
            }
            assert_eq!(before, 15);
            while ledger.alert_next_due("default").await.unwrap().is_some() {
                clock.sleep(SECOND).await;
            }
            running.abort();
        })
        .unwrap();
    let bodies: Vec<_> = service.requests().iter().map(Request::json).collect();
    let all: String = bodies.iter().map(told).collect();
    assert!((0..80).all(|number| all.matches(&format!("scripts/{number}.lua failed")).count() == 1));
    assert!(bodies.len() < 45, "{}", bodies.len());
    assert!(bodies.iter().all(|body| told(body).len() <= 2048));
}

#[test]
fn each_receiver_gets_what_it_wants_and_one_that_is_gone_delays_no_other() {
    let (ops, gone) = (Service::accepting(), Service::answering(|_, _| json(500, "{}")));
    let project = Project::new();
    let clock = Clock::simulated(START);
    clock
        .block_on(async {
            let receiver = |name: &str, service: &Service, events: &[AlertKind]| AlertSettings {
                name: name.to_owned(),
                events: events.iter().copied().collect(),
                ..settings(service)
            };
            let ledger = Ledger::open_at(&project.place(), clock.clone()).await.unwrap();
            let receivers = vec![
                receiver("gone", &gone, &AlertKind::ALL),
                receiver("ops", &ops, &[AlertKind::RunFailed, AlertKind::Finished]),
            ];
            let alerts =
                AlertSender::new(receivers, ledger.clone(), clock.clone(), "shop".to_owned()).unwrap();
            let alerts = Rc::new(alerts);
            alerts.raise(failed(1)).await;
            alerts.raise(stale(1)).await;
            let running = tokio::task::spawn_local({
                let alerts = Rc::clone(&alerts);
                async move { alerts.run().await }
            });
            while ledger.alert_next_due("ops").await.unwrap().is_some() {
                clock.sleep(SECOND).await;
            }
            assert!(ledger.alert_next_due("gone").await.unwrap().is_some());
            running.abort();
        })
        .unwrap();
    let kinds: Vec<_> = ops.requests().iter().map(|request| request.json()["event"].clone()).collect();
    assert_eq!(kinds, ["run_failed"]);
}

#[test]
fn a_receiver_that_never_answers_delays_no_other() {
    let (let_go, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let slow = Service::answering(move |_, _| {
        let _ = held.lock().unwrap().recv();
        json(200, "{}")
    });
    let quick = Arc::new(Service::accepting());
    let project = Project::new();
    // The slow one takes real time.
    let clock = Clock::real();
    clock
        .block_on(async {
            let ledger = Ledger::open_at(&project.place(), clock.clone()).await.unwrap();
            let named =
                |name: &str, service: &Service| AlertSettings { name: name.to_owned(), ..settings(service) };
            let receivers = vec![named("slow", &slow), named("quick", &quick)];
            let alerts =
                AlertSender::new(receivers, ledger.clone(), clock.clone(), "shop".to_owned()).unwrap();
            let alerts = Rc::new(alerts);
            let running = tokio::task::spawn_local({
                let alerts = Rc::clone(&alerts);
                async move { alerts.run().await }
            });
            for number in 0..3 {
                alerts.raise(failed(number)).await;
                let quick = Arc::clone(&quick);
                tokio::task::spawn_blocking(move || quick.wait_for(number + 1)).await.unwrap();
            }
            assert_eq!(slow.requests().len(), 1);
            running.abort();
        })
        .unwrap();
    drop(let_go);
}

#[test]
fn receivers_are_tried_by_the_command_line() {
    let (json_service, robot) = (
        Service::accepting(),
        Service::answering(|_, _| {
            json(
                200,
                r#"{"errcode":310000,"errmsg":"keywords not in content of /robot/send?access_token=secret-path"}"#,
            )
        }),
    );
    let project = Project::new().file(
        "mooncast.toml",
        format!(
            "[[alerts]]\nname = \"ops\"\nurl = \"{}/secret-path\"\n[[alerts]]\nname = \"team-chat\"\n\
             format = \"dingtalk\"\nlanguage = \"zh\"\n",
            json_service.url()
        ),
    );
    let test = |args: &[&str]| {
        let mut command = project.command(args);
        command.env(
            "MOONCAST_ALERTS_TEAM_CHAT_URL",
            format!("{}/robot/send?access_token=secret-path", robot.url()),
        );
        command.env("MOONCAST_ALERTS_TEAM_CHAT_SECRET", "SECRET");
        Ran::of(&command.output().unwrap())
    };
    test(&["alerts", "test"])
        .exits(1)
        .prints("ops: 127.0.0.1 took the test alert")
        .prints("team-chat: 127.0.0.1 did not take the test alert: it refused the post with the code 310000")
        .prints("keywords not in content")
        .never_says("secret-path");
    assert_eq!(json_service.requests()[0].json()["event"], "test");
    assert!(robot.requests()[0].path.contains("sign="), "{}", robot.requests()[0].path);
    assert!(told(&robot.requests()[0].json()).contains("这是一条测试告警"));
    test(&["alerts", "test", "ops"]).exits(0);
    // Only who posts alerts needs their addresses, and only those that it posts to.
    project.mooncast(&["alerts", "test", "ops"]).exits(0);
    let without = project.mooncast(&["alerts", "test"]).exits(2);
    without.says("[[alerts]] 2: it has no address; set `url`, or the variable MOONCAST_ALERTS_TEAM_CHAT_URL");
    project.mooncast(&["serve", "--simulator"]).exits(2).says("MOONCAST_ALERTS_TEAM_CHAT_URL");
    project.mooncast(&["eval", "--simulator", "print(1)"]).exits(0);
    test(&["alerts", "test", "nobody"])
        .exits(2)
        .says("there is no receiver `nobody`; there are: ops, team-chat");
    assert_eq!((json_service.requests().len(), robot.requests().len()), (3, 1));
    Project::new().mooncast(&["alerts", "test"]).exits(2).says("no receiver of alerts is set");
}
