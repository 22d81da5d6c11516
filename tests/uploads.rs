//! Uploads that are reused, and uploads that expire before their broadcast is sent.
//!
//! On a server: in the soak

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mooncast::{
    App, AppLimits, BroadcastId, BroadcastProgress, Call, Clock, Credentials, Delivery, DriveEnd,
    DriveResult, LEASE, LazyLedger, NewMessage, NewRecipient, Priority, SendableFile, StoredSpec, Timeouts,
    UploadOptions,
};
use tokio_util::sync::CancellationToken;

use crate::support::Project;
use crate::support::service::{Service, accept, json};
use crate::support::store::Schema;

const KEY: &str = "app";
const DAY: Duration = Duration::from_hours(24);

/// Accepts uploads, each with its own URL and secret.
fn service() -> Service {
    locked(Arc::default())
}

/// [`service`] that accepts no message while it is locked.
fn locked(locked: Arc<AtomicBool>) -> Service {
    Service::answering(move |count, request| {
        if locked.load(Ordering::Relaxed) && request.path.ends_with("/messages/chatgroups") {
            return json(401, r#"{"error":"unauthorized"}"#);
        }
        if !request.path.ends_with("/chatfiles") {
            return accept(count, request);
        }
        json(
            200,
            &format!(
                r#"{{"uri":"http://files.test/f","entities":[{{"uuid":"u-{count}","type":"chatfile","share-secret":"s-{count}"}}]}}"#
            ),
        )
    })
}

fn uploads(service: &Service) -> usize {
    service.requests().iter().filter(|request| request.path.ends_with("/chatfiles")).count()
}

#[test]
fn the_same_content_is_uploaded_once_also_at_once_and_by_a_later_run() {
    let service = service();
    let project = Project::with_script(
        r#"local task = require "task"
        local files = {}
        for i = 1, 4 do
          files[i] = task.spawn(function() return im.upload(i % 2 == 0 and "a.txt" or "b/a.txt") end)
        end
        local urls = {}
        for i = 1, 4 do urls[files[i]:wait().url] = true end
        local count = 0
        for _ in pairs(urls) do count = count + 1 end
        print("urls " .. count, im.upload("a.txt").secret ~= nil)"#,
    )
    .file("mooncast.toml", "[permissions]\nwrite = [\"a.txt\"]\n")
    .file("a.txt", "the same")
    .file("b/a.txt", "the same");
    project.run_against(&service).exits(0).prints("urls 1\ttrue");
    assert_eq!(uploads(&service), 1);
    project.run_against(&service).exits(0).prints("urls 1");
    assert_eq!(uploads(&service), 1);
    for (source, more) in [
        (r#"im.upload("a.txt", { filename = "other.txt" })"#, 1),
        (r#"im.upload("a.txt", { restrict_access = false })"#, 1),
        (r#"im.upload("a.txt", { reuse = false })"#, 1),
        (r#"im.upload("a.txt")"#, 0),
        (r#"require("fs").write("a.txt", "another"); im.upload("a.txt")"#, 1),
    ] {
        let before = uploads(&service);
        project.write("scripts/main.lua", source);
        project.run_against(&service).exits(0);
        assert_eq!(uploads(&service) - before, more, "{source}");
    }
}

/// The delivery code with a ledger and a clock that the test moves.
struct Scene {
    folder: tempfile::TempDir,
    /// The ledger's schema on a server, which must live as long as the ledger.
    _schema: Schema,
    service: Arc<Service>,
    clock: Clock,
    delivery: Delivery,
    spec: StoredSpec,
}

impl Scene {
    fn new(clock: &Clock) -> Self {
        Self::with(clock, service())
    }

    fn with(clock: &Clock, service: Service) -> Self {
        let (folder, service) = (tempfile::tempdir().unwrap(), Arc::new(service));
        let app = App {
            name: "default".into(),
            prefix: format!("{}/org/app", service.url()),
            credentials: Credentials::Token("token".into()),
            limits: AppLimits::default(),
            records: mooncast::RecordSettings::default(),
            timeouts: Timeouts::default(),
        };
        let schema = Schema::default();
        let place = schema.place(&folder.path().join("ledger"));
        let lazy_ledger = Rc::new(LazyLedger::new(place, clock.clone(), "test"));
        let delivery = Delivery::new(&app, clock.clone(), None).unwrap().with_ledger(lazy_ledger, KEY);
        let (clock, spec) = (clock.clone(), StoredSpec::new(Call::Group));
        Self { folder, _schema: schema, service, clock, delivery, spec }
    }

    /// Passes days as on a machine that sleeps. An instance on a server cannot send its heartbeats meanwhile, but
    /// sends one before anything else happens.
    async fn pass(&self, time: Duration) {
        self.clock.set_unix_time(self.clock.unix_time() + time);
        self.clock.sleep(Duration::from_secs(5)).await;
    }

    async fn upload(&self, path: &Path) -> serde_json::Value {
        let file = SendableFile { file: std::fs::File::open(path).unwrap(), name: "a.jpg".into() };
        let options = UploadOptions {
            restrict_access: true,
            thumbnail: None,
            filename: None,
            priority: Priority::Normal,
            reuse: true,
            // The content has no known media type.
            force: true,
        };
        let stop = CancellationToken::new();
        serde_json::to_value(self.delivery.upload(file, options, &stop).await.unwrap()).unwrap()
    }

    /// Makes a broadcast of an image to three groups, with a fixed plan.
    async fn plan(&self, file: &serde_json::Value) -> BroadcastId {
        let (open, app) = self.delivery.entry().await.unwrap().unwrap();
        let found = open.ledger.find_or_create(app, "news", "1", &self.spec).await.unwrap();
        let lease = open.ledger.claim(found.broadcast().id, &open.instance, LEASE).await.unwrap().unwrap();
        let message = serde_json::json!({ "type": "img", "body": { "file": file } });
        let draft = self.delivery.check_draft(Call::Group, message).unwrap();
        let message = NewMessage { content: draft.to_json(), size: draft.size() as u64, known_as: None };
        let recipients = ["g1", "g2", "g3"].map(|group| NewRecipient {
            zone: None,
            target: None,
            group_id: group.to_owned(),
            users: Vec::new(),
            message: Some(message.clone()),
            fields: Vec::new(),
        });
        open.ledger.append(lease, &recipients).await.unwrap();
        open.ledger.fix_plan(lease, None, None).await.unwrap();
        open.ledger.release(lease).await.unwrap();
        lease.broadcast
    }

    async fn drive(&self, id: BroadcastId) -> DriveResult {
        let (open, _) = self.delivery.entry().await.unwrap().unwrap();
        let lease = open.ledger.claim(id, &open.instance, LEASE).await.unwrap().unwrap();
        let stop = CancellationToken::new();
        self.delivery
            .drive(&open.ledger, lease, &self.spec, &stop, &BroadcastProgress::default())
            .await
            .unwrap()
    }

    /// Returns the URLs and secrets that were sent.
    fn sent(&self) -> Vec<(String, String)> {
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let messages = self.service.messages();
        messages.iter().map(|one| (text(&one["body"]["url"]), text(&one["body"]["secret"]))).collect()
    }
}

#[test]
fn a_file_is_used_for_six_days_and_then_uploaded_again() {
    let clock = Clock::simulated(100 * DAY);
    let test = async {
        let scene = Scene::new(&clock);
        let path = scene.folder.path().join("a.jpg");
        std::fs::write(&path, "an image").unwrap();
        let first = scene.upload(&path).await;
        scene.pass(5 * DAY + Duration::from_hours(23)).await;
        assert_eq!(scene.upload(&path).await, first);
        scene.pass(Duration::from_hours(2)).await;
        assert_ne!(scene.upload(&path).await["url"], first["url"]);
        assert_eq!(uploads(&scene.service), 2);
    };
    clock.block_on(test).unwrap();
}

#[test]
fn what_expired_before_it_was_sent_is_uploaded_again_and_the_plan_goes_on_with_it() {
    let clock = Clock::simulated(100 * DAY);
    let test = async {
        let scene = Scene::new(&clock);
        let path = scene.folder.path().join("a.jpg");
        std::fs::write(&path, "an image").unwrap();
        let file = scene.upload(&path).await;
        let id = scene.plan(&file).await;
        scene.pass(8 * DAY).await;
        // Another upload of the same content does not change the plan.
        let second = scene.upload(&path).await;
        assert_ne!(second["url"], file["url"]);
        assert_eq!(scene.drive(id).await.end, DriveEnd::Finished);
        let new = (second["url"].as_str().unwrap().to_owned(), second["secret"].as_str().unwrap().to_owned());
        assert_eq!(scene.sent(), [new.clone(), new.clone(), new]);
        assert_eq!(uploads(&scene.service), 2);
    };
    clock.block_on(test).unwrap();
}

#[test]
fn a_process_that_has_begun_to_send_goes_on_with_the_new_file_too() {
    let clock = Clock::simulated(100 * DAY);
    let test = async {
        let lock = Arc::new(AtomicBool::new(true));
        let scene = Scene::with(&clock, locked(Arc::clone(&lock)));
        let path = scene.folder.path().join("a.jpg");
        std::fs::write(&path, "an image").unwrap();
        let file = scene.upload(&path).await;
        let id = scene.plan(&file).await;
        assert!(matches!(scene.drive(id).await.end, DriveEnd::Paused(_)));
        let before = scene.sent().len();
        lock.store(false, Ordering::Relaxed);
        scene.pass(8 * DAY).await;
        assert_eq!(scene.drive(id).await.end, DriveEnd::Finished);
        let sent = scene.sent().split_off(before);
        assert_eq!(sent.len(), 3);
        assert!(sent.iter().all(|(url, _)| *url != file["url"]), "{sent:?}");
    };
    clock.block_on(test).unwrap();
}

#[test]
fn a_file_that_is_gone_or_changed_keeps_its_broadcast_from_going_on() {
    let clock = Clock::simulated(100 * DAY);
    let test = async {
        let scene = Scene::new(&clock);
        let path = scene.folder.path().join("a.jpg");
        std::fs::write(&path, "an image").unwrap();
        let id = scene.plan(&scene.upload(&path).await).await;
        scene.pass(8 * DAY).await;
        for (change, says) in [(None, "cannot be opened"), (Some("another"), "has changed since the plan")] {
            std::fs::remove_file(&path).unwrap();
            if let Some(content) = change {
                std::fs::write(&path, content).unwrap();
            }
            let DriveEnd::Paused(why) = scene.drive(id).await.end else { panic!("it went on") };
            assert!(why.contains(says) && why.contains(path.to_str().unwrap()), "{why}");
            assert!(why.contains("put the original file back and resume"), "{why}");
            assert!(scene.sent().is_empty());
            std::fs::write(&path, "").unwrap();
        }
        std::fs::write(&path, "an image").unwrap();
        assert_eq!(scene.drive(id).await.end, DriveEnd::Finished);
        assert_eq!((scene.sent().len(), uploads(&scene.service)), (3, 2));
    };
    clock.block_on(test).unwrap();
}

#[test]
fn a_file_that_is_good_for_long_enough_is_left_alone_wherever_it_is() {
    let clock = Clock::simulated(100 * DAY);
    let test = async {
        let scene = Scene::new(&clock);
        let path = scene.folder.path().join("a.jpg");
        std::fs::write(&path, "an image").unwrap();
        let id = scene.plan(&scene.upload(&path).await).await;
        std::fs::remove_file(&path).unwrap();
        scene.pass(5 * DAY).await;
        assert_eq!(scene.drive(id).await.end, DriveEnd::Finished);
        assert_eq!((scene.sent().len(), uploads(&scene.service)), (3, 1));
    };
    clock.block_on(test).unwrap();
}
