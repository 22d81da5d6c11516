//! `[app] verify = true`: a daemon verifies finished broadcasts by itself. Days pass on a simulated clock.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use mooncast::{
    AlertFormat, AlertKind, AlertSender, AlertSettings, AppFlags, Ask, Clock, DaemonSetup, DaemonSignal,
    Environment, InDoubtPolicy, Language, Project as Place, RecordSettings, ScriptLoader, ScriptOutput,
    ScriptRegistry, Settings, serve,
};
use serde_json::Value;

use crate::reconcile::service::Fate;
use crate::reconcile::{HOUR, Scene, spec, virtually};
use crate::support::Project;
use crate::support::service::{Request, Service};

/// Scripts of these tests print nothing.
struct Silent;

impl ScriptOutput for Silent {
    fn print(&self, _: &[u8]) {}
}

/// Runs a daemon for half an hour, which is long enough for it to look at the finished broadcasts. Its alerts go to `hook`.
async fn serve_for_half_an_hour(scene: &Scene, project: &Project, clock: &Clock, hook: &Service) {
    let place = Place::at(&project.path("")).unwrap();
    let flags = AppFlags { offline: true, ..AppFlags::default() };
    let settings = Settings::load(&place, &Environment::of(vec![]), &flags).unwrap();
    let program = PathBuf::from(env!("CARGO_BIN_EXE_mooncast"));
    let loader = ScriptLoader::new(place.clone(), vec![], clock.clone(), program.clone());
    let wanted = AlertSettings {
        name: "default".to_owned(),
        format: AlertFormat::Json,
        language: Language::English,
        zone: None,
        url: hook.url().into(),
        secret: None,
        events: AlertKind::ALL.into(),
        after: Duration::from_mins(10),
    };
    let alerts = AlertSender::new(vec![wanted], scene.ledger.clone(), clock.clone(), "shop".to_owned());
    let alerts = Rc::new(alerts.unwrap());
    let (signals, heard) = tokio::sync::mpsc::unbounded_channel();
    let setup = DaemonSetup {
        project: place,
        registry: ScriptRegistry::new(loader, settings),
        apps: vec![Rc::clone(&scene.delivery)],
        ledger: scene.ledger.clone(),
        instance: scene.instance().await,
        roles: mooncast::HostRoles::ALL,
        clock: clock.clone(),
        rehearser: Rc::new(mooncast::Rehearser::new(program.clone(), Vec::new())),
        program,
        output: Rc::new(Silent),
        poll: Duration::from_mins(1),
        instead: None,
        report: Box::new({
            let alerts = Rc::clone(&alerts);
            move |event| {
                let alerts = Rc::clone(&alerts);
                Box::pin(async move { alerts.raise(event.alert()).await })
            }
        }),
    };
    let posting = tokio::task::spawn_local(async move { alerts.run().await });
    let time = clock.clone();
    tokio::task::spawn_local(async move {
        time.sleep(Duration::from_mins(30)).await;
        signals.send(DaemonSignal::Stop).unwrap();
    });
    serve(setup, heard).await.unwrap();
    posting.abort();
}

#[test]
fn a_daemon_verifies_by_itself_and_raises_one_alert_for_what_is_missing() {
    virtually(async |clock| {
        let moderated = |_: u64, message: &Value| match message["to"][0].as_str() {
            Some("7" | "9") => Fate::Moderated,
            _ => Fate::Well,
        };
        let records = RecordSettings { verify: true, ..RecordSettings::default() };
        let scene = Scene::new(&clock, moderated, records).await;
        let (project, hook) = (Project::new(), Service::accepting());
        let spec = spec(InDoubtPolicy::Hold);
        let id = scene.groups(&spec, 30).await;
        assert_eq!(scene.drive(id, &spec).await.report.sent, 30);
        let verified = async || -> Value {
            let report = scene.ledger.show(id).await.unwrap().report.unwrap();
            let report: Value = serde_json::from_str(&report).unwrap();
            let told = &report["verification"];
            serde_json::json!([told["verified"], told["missing"], told["unknown"]])
        };

        // Without callbacks nothing is known until the history is complete, and nobody is alarmed.
        serve_for_half_an_hour(&scene, &project, &clock, &hook).await;
        assert_eq!(verified().await, serde_json::json!([0, 0, 30]));
        assert!(hook.requests().is_empty());

        clock.set_unix_time(clock.unix_time() + 26 * HOUR);
        serve_for_half_an_hour(&scene, &project, &clock, &hook).await;
        assert_eq!(verified().await, serde_json::json!([28, 2, 0]));
        let alerts: Vec<Value> = hook.requests().iter().map(Request::json).collect();
        assert_eq!(alerts.len(), 1, "{alerts:?}");
        let alert = &alerts[0];
        assert_eq!(alert["event"], "undelivered");
        assert_eq!((&alert["broadcast"], &alert["run"]), (&"news".into(), &"1".into()));
        assert_eq!(alert["figures"], serde_json::json!({ "missing": 2 }));
        let text = alert["text"].as_str().unwrap();
        assert!(text.contains("2 sent messages have no record") && text.contains("moderation"), "{text}");
        assert_eq!(alert["next"], "mooncast runs show 'news' --run '1'");

        // Other daemons, and later days, raise no second one.
        for _ in 0..2 {
            clock.set_unix_time(clock.unix_time() + 26 * HOUR);
            serve_for_half_an_hour(&scene, &project, &clock, &hook).await;
        }
        assert_eq!(hook.requests().len(), 1);
    });
}

#[test]
fn without_the_setting_nothing_is_verified() {
    virtually(async |clock| {
        let scene = Scene::new(&clock, |_: u64, _: &Value| Fate::Moderated, RecordSettings::default()).await;
        let (project, hook) = (Project::new(), Service::accepting());
        let spec = spec(InDoubtPolicy::Hold);
        let id = scene.groups(&spec, 3).await;
        scene.drive(id, &spec).await;
        clock.set_unix_time(clock.unix_time() + 26 * HOUR);
        serve_for_half_an_hour(&scene, &project, &clock, &hook).await;
        assert!(!scene.ledger.show(id).await.unwrap().report.unwrap().contains("verification"));
        assert!(scene.service.asked().is_empty() && hook.requests().is_empty());
    });
}

#[test]
fn doubts_that_are_settled_while_no_daemon_runs_are_told_by_the_next_one() {
    virtually(async |clock| {
        let silent = |number: u64, _: &Value| if number == 1 { Fate::AcceptedSilently } else { Fate::Well };
        let scene = Scene::new(&clock, silent, RecordSettings::default()).await;
        let (project, hook) = (Project::new(), Service::accepting());
        let spec = spec(InDoubtPolicy::Hold);
        let id = scene.groups(&spec, 3).await;
        assert_eq!(scene.drive(id, &spec).await.report.in_doubt, 1);
        serve_for_half_an_hour(&scene, &project, &clock, &hook).await;
        assert!(hook.requests().is_empty(), "{:?}", hook.requests());

        clock.sleep(2 * HOUR).await;
        scene.delivery.reconcile(Ask::Due).await.unwrap();
        assert_eq!(scene.ledger.counts(id).await.unwrap().in_doubt, 0);
        // The first daemon tells it, and no later one again.
        for _ in 0..3 {
            serve_for_half_an_hour(&scene, &project, &clock, &hook).await;
            clock.set_unix_time(clock.unix_time() + 26 * HOUR);
        }
        let alerts: Vec<Value> = hook.requests().iter().map(Request::json).collect();
        assert_eq!(alerts.len(), 1, "{alerts:?}");
        assert_eq!((&alerts[0]["event"], &alerts[0]["broadcast"]), (&"reconciled".into(), &"news".into()));
        assert_eq!(alerts[0]["figures"], serde_json::json!({ "sent": 3, "total": 3 }));
    });
}
