//! Drives broadcasts from the ledger against a service that shares no code with the program.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use mooncast::{
    App, AppLimits, BroadcastCommand, BroadcastId, BroadcastProgress, BroadcastSpec, BroadcastSummary, Call,
    Clock, Credentials, Delivery, DeliveryState, DriveEnd, DriveResult, InDoubtPolicy, Instance, LEASE,
    Lease, Ledger, LedgerError, NewMessage, NewRecipient, Timeouts,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::support::service::{Request, Service, accept, json};
use crate::support::store::{self, Schema};

const REFUSED: &str = r#"{"error":"illegal_argument","error_description":"no such group"}"#;
const BROKEN: &str = r#"{"error":"internal_server_error"}"#;

/// A ledger with one broadcast, a service, and the delivery code between them.
struct Scene {
    folder: TempDir,
    schema: Schema,
    service: Arc<Service>,
    ledger: Ledger,
    owner: Instance,
    delivery: Delivery,
    clock: Clock,
    spec: BroadcastSpec,
    id: BroadcastId,
}

impl Scene {
    /// Makes a broadcast to the groups 1 to `many`, with a fixed plan.
    async fn new(clock: &Clock, service: Service, spec: BroadcastSpec, many: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let schema = Schema::default();
        let ledger = Ledger::open_at(&schema.place(folder.path()), clock.clone()).await.unwrap();
        let owner = ledger.register("test").await.unwrap();
        let delivery = road(&service, clock);
        let app = ledger.app("app").await.unwrap();
        let found = ledger.find_or_create(app, "news", "1", &spec).await.unwrap();
        let id = found.broadcast().id;
        let lease = ledger.claim(id, &owner, LEASE).await.unwrap().unwrap();
        let message = NewMessage {
            content: Bytes::from_static(br#"{"type":"txt","body":{"msg":"hi"}}"#),
            size: 12,
            known_as: None,
        };
        let users = if spec.call == Call::Targeted { vec!["u1".to_owned(), "u2".to_owned()] } else { vec![] };
        let recipients: Vec<_> = (1..=many)
            .map(|group| NewRecipient {
                group_id: group.to_string(),
                users: users.clone(),
                message: Some(message.clone()),
                fields: Vec::new(),
            })
            .collect();
        ledger.append(lease, &recipients).await.unwrap();
        ledger.fix_plan(lease, None, None).await.unwrap();
        ledger.release(lease).await.unwrap();
        let service = Arc::new(service);
        Self { folder, schema, service, ledger, owner, delivery, clock: clock.clone(), spec, id }
    }

    async fn claim(&self) -> Lease {
        self.ledger.claim(self.id, &self.owner, LEASE).await.unwrap().unwrap()
    }

    async fn drive_until(&self, stop: &CancellationToken) -> DriveResult {
        let lease = self.claim().await;
        self.delivery
            .drive(&self.ledger, lease, &self.spec, stop, &BroadcastProgress::default())
            .await
            .unwrap()
    }

    async fn drive(&self) -> DriveResult {
        self.drive_until(&CancellationToken::new()).await
    }

    /// Returns the number of recipients in each state, counted from the rows.
    async fn states(&self) -> BTreeMap<DeliveryState, usize> {
        let mut states = BTreeMap::new();
        for row in self.ledger.export(self.id, 0, u32::MAX).await.unwrap() {
            assert_eq!(row.message_id.is_some(), row.state == DeliveryState::Sent, "{row:?}");
            *states.entry(row.state).or_default() += 1;
        }
        states
    }

    /// Returns how often the service got a request for each group.
    fn asked(&self) -> BTreeMap<String, usize> {
        let mut asked = BTreeMap::new();
        for message in self.service.messages() {
            for group in groups(&message) {
                *asked.entry(group).or_default() += 1;
            }
        }
        asked
    }

    fn each_was_asked_once(&self, many: usize) {
        let asked = self.asked();
        assert_eq!(asked.len(), many);
        assert!(asked.values().all(|count| *count == 1), "{asked:?}");
    }
}

fn groups(message: &Value) -> Vec<String> {
    message["to"].as_array().unwrap().iter().map(|group| group.as_str().unwrap().to_owned()).collect()
}

fn is_to(request: &Request, group: &str) -> bool {
    groups(&request.json()).iter().any(|one| one == group)
}

fn road(service: &Service, clock: &Clock) -> Delivery {
    let app = App {
        name: "default".into(),
        prefix: format!("{}/org/app", service.url()),
        credentials: Credentials::Token("token".into()),
        limits: AppLimits {
            group_per_second: 1_000_000,
            targeted_per_second: 1_000_000,
            ..AppLimits::default()
        },
        timeouts: Timeouts::default(),
    };
    Delivery::new(&app, clock.clone(), None).unwrap()
}

/// Runs a test on a virtual clock: backoffs and pauses take no time.
fn virtually<F: Future<Output = ()>>(test: impl FnOnce(Clock) -> F) {
    let clock = Clock::simulated(Duration::from_hours(500_000));
    clock.block_on(test(clock.clone())).unwrap();
}

fn all(state: DeliveryState, many: usize) -> BTreeMap<DeliveryState, usize> {
    BTreeMap::from([(state, many)])
}

#[test]
fn everyone_gets_it_once_and_the_report_says_so() {
    virtually(async |clock| {
        let scene = Scene::new(&clock, Service::accepting(), BroadcastSpec::new(Call::Group), 300).await;
        let driven = scene.drive().await;
        assert_eq!(driven.end, DriveEnd::Finished);
        assert_eq!((driven.report.total, driven.report.sent), (300, 300));
        scene.each_was_asked_once(300);
        assert_eq!(scene.states().await, all(DeliveryState::Sent, 300));
        let shown = scene.ledger.show(scene.id).await.unwrap();
        let stored: BroadcastSummary = serde_json::from_str(&shown.report.unwrap()).unwrap();
        assert_eq!(stored, driven.report);
        assert!(shown.driver.is_none());
    });
}

#[test]
fn groups_are_packed_as_asked_and_users_never_are() {
    virtually(async |clock| {
        let spec = BroadcastSpec { pack: 3, ..BroadcastSpec::new(Call::Group) };
        let scene = Scene::new(&clock, Service::accepting(), spec, 10).await;
        assert_eq!(scene.drive().await.report.sent, 10);
        let mut sizes: Vec<_> = scene.service.messages().iter().map(|sent| groups(sent).len()).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [1, 3, 3, 3]);
        scene.each_was_asked_once(10);

        let spec = BroadcastSpec { pack: 3, ..BroadcastSpec::new(Call::Targeted) };
        let scene = Scene::new(&clock, Service::accepting(), spec, 4).await;
        assert_eq!(scene.drive().await.report.sent, 4);
        assert_eq!(scene.service.messages().len(), 4);
        assert!(scene.service.messages().iter().all(|sent| sent["users"] == serde_json::json!(["u1", "u2"])));
    });
}

#[test]
fn a_refusal_is_that_of_its_group_and_of_a_pack_leaves_all_in_doubt() {
    virtually(async |clock| {
        let refusing =
            || {
                Service::answering(|number, request| {
                    if is_to(request, "2") { json(400, REFUSED) } else { accept(number, request) }
                })
            };
        let scene = Scene::new(&clock, refusing(), BroadcastSpec::new(Call::Group), 6).await;
        scene.drive().await;
        assert_eq!(
            scene.states().await,
            BTreeMap::from([(DeliveryState::Sent, 5), (DeliveryState::Rejected, 1)])
        );

        let spec = BroadcastSpec { pack: 3, ..BroadcastSpec::new(Call::Group) };
        let scene = Scene::new(&clock, refusing(), spec, 6).await;
        scene.drive().await;
        assert_eq!(
            scene.states().await,
            BTreeMap::from([(DeliveryState::Sent, 3), (DeliveryState::InDoubt, 3)])
        );
        scene.each_was_asked_once(6);

        // On the second attempt each group has its own call, and only the refused group is rejected.
        let spec =
            BroadcastSpec { pack: 3, in_doubt: InDoubtPolicy::Resend, ..BroadcastSpec::new(Call::Group) };
        let scene = Scene::new(&clock, refusing(), spec, 6).await;
        scene.drive().await;
        assert_eq!(
            scene.states().await,
            BTreeMap::from([(DeliveryState::Sent, 5), (DeliveryState::Rejected, 1)])
        );
    });
}

#[test]
fn a_200_that_lacks_a_group_leaves_that_group_in_doubt() {
    virtually(async |clock| {
        let service = Service::answering(|_, _| json(200, r#"{"data":{"1":"11","3":"33"}}"#));
        let spec = BroadcastSpec { pack: 3, ..BroadcastSpec::new(Call::Group) };
        let scene = Scene::new(&clock, service, spec, 3).await;
        let report = scene.drive().await.report;
        assert_eq!((report.sent, report.in_doubt), (2, 1));
        assert_eq!(
            scene.states().await,
            BTreeMap::from([(DeliveryState::Sent, 2), (DeliveryState::InDoubt, 1)])
        );
    });
}

#[test]
fn stopped_midway_and_driven_again_each_gets_it_once() {
    virtually(async |clock| {
        let stop = CancellationToken::new();
        let switch = stop.clone();
        let service = Service::answering(move |number, request| {
            if number == 40 {
                switch.cancel();
            }
            accept(number, request)
        });
        let scene = Scene::new(&clock, service, BroadcastSpec::new(Call::Group), 300).await;
        let first = scene.drive_until(&stop).await;
        assert_eq!(first.end, DriveEnd::Stopped);
        assert!((40..300).contains(&first.report.sent), "{first:?}");
        let counts = scene.ledger.counts(scene.id).await.unwrap();
        assert_eq!(counts.sending, 0);
        assert_eq!(counts.pending + counts.sent, 300);

        let second = scene.drive().await;
        assert_eq!((second.end, second.report.sent), (DriveEnd::Finished, 300));
        scene.each_was_asked_once(300);
    });
}

/// Drops the driver at the 20th request, as a crash would. Returns the scene and the number of calls in flight.
async fn crashed(clock: &Clock, spec: BroadcastSpec) -> (Scene, u64) {
    let hang = Arc::new(AtomicBool::new(true));
    let still = Arc::clone(&hang);
    let (reached, mut at_20) = tokio::sync::mpsc::unbounded_channel();
    let service = Service::answering(move |number, request| {
        if number == 20 {
            reached.send(()).unwrap();
        }
        // From then on the service does not answer until the crash has finished.
        while number >= 20 && still.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        accept(number, request)
    });
    let mut scene = Scene::new(clock, service, spec, 100).await;
    let lease = scene.claim().await;
    let stop = CancellationToken::new();
    let progress = BroadcastProgress::default();
    tokio::select! {
        driven = scene.delivery.drive(&scene.ledger, lease, &scene.spec, &stop, &progress) => {
            panic!("{driven:?}");
        }
        _ = at_20.recv() => {}
    }
    hang.store(false, Ordering::Relaxed);
    scene.owner = scene.ledger.register("next").await.unwrap();
    let sending = scene.ledger.counts(scene.id).await.unwrap().sending;
    assert!(sending > 0);
    (scene, sending)
}

#[test]
fn what_a_crash_leaves_in_flight_is_in_doubt_and_never_sent_again() {
    let clock = Clock::real();
    let test = async {
        let (scene, _) = crashed(&clock, BroadcastSpec::new(Call::Group)).await;
        let driven = scene.drive().await;
        assert_eq!(driven.end, DriveEnd::Finished);
        // Outcomes that were on their way to the ledger at the crash still arrive, so the exact number is unknown.
        assert!(driven.report.in_doubt > 0, "{driven:?}");
        assert_eq!(driven.report.sent + driven.report.in_doubt, 100);
        assert!(scene.asked().values().all(|count| *count == 1));
    };
    clock.block_on(test).unwrap();
}

#[test]
fn with_resend_everyone_gets_it_and_copies_are_those_in_flight() {
    let clock = Clock::real();
    let test = async {
        let spec = BroadcastSpec { in_doubt: InDoubtPolicy::Resend, ..BroadcastSpec::new(Call::Group) };
        let (scene, sending) = crashed(&clock, spec).await;
        let driven = scene.drive().await;
        assert_eq!((driven.end, driven.report.sent), (DriveEnd::Finished, 100));
        let asked = scene.asked();
        assert_eq!(asked.len(), 100);
        let copies: usize = asked.values().map(|count| count - 1).sum();
        assert!(copies as u64 <= sending, "{copies} copies, {sending} in flight");
    };
    clock.block_on(test).unwrap();
}

#[test]
fn an_answer_in_doubt_is_held_or_sent_again() {
    virtually(async |clock| {
        let broken_once = || {
            Service::answering(
                |number, request| {
                    if number == 1 { json(500, BROKEN) } else { accept(number, request) }
                },
            )
        };
        let scene = Scene::new(&clock, broken_once(), BroadcastSpec::new(Call::Group), 5).await;
        scene.drive().await;
        assert_eq!(
            scene.states().await,
            BTreeMap::from([(DeliveryState::Sent, 4), (DeliveryState::InDoubt, 1)])
        );
        scene.each_was_asked_once(5);

        let spec = BroadcastSpec { in_doubt: InDoubtPolicy::Resend, ..BroadcastSpec::new(Call::Group) };
        let scene = Scene::new(&clock, broken_once(), spec, 5).await;
        scene.drive().await;
        assert_eq!(scene.states().await, all(DeliveryState::Sent, 5));
        assert_eq!(scene.asked().values().sum::<usize>(), 6);
    });
}

#[test]
fn failures_in_a_row_pause_it_and_driving_it_again_goes_on() {
    virtually(async |clock| {
        let ill = Arc::new(AtomicBool::new(true));
        let is_ill = Arc::clone(&ill);
        let service = Service::answering(move |number, request| {
            if is_ill.load(Ordering::Relaxed) { json(400, REFUSED) } else { accept(number, request) }
        });
        let scene = Scene::new(&clock, service, BroadcastSpec::new(Call::Group), 300).await;
        let driven = scene.drive().await;
        let DriveEnd::Paused(why) = &driven.end else { panic!("{driven:?}") };
        assert!(why.starts_with("20 failures in a row") && why.contains("no such group"), "{why}");
        let shown = scene.ledger.show(scene.id).await.unwrap();
        assert_eq!(shown.command, BroadcastCommand::Pause);
        assert!(shown.command_note.unwrap().contains("20 failures in a row"));
        // Only the calls that were in flight at the twentieth request.
        assert!((20..100).contains(&driven.report.rejected), "{driven:?}");

        ill.store(false, Ordering::Relaxed);
        let rejected = driven.report.rejected;
        let driven = scene.drive().await;
        assert_eq!(driven.end, DriveEnd::Finished);
        assert_eq!((driven.report.sent, driven.report.rejected), (300 - rejected, rejected));
        scene.each_was_asked_once(300);
    });
}

#[test]
fn credentials_that_are_not_taken_pause_it_and_reject_nobody() {
    virtually(async |clock| {
        let service = Service::answering(|_, _| json(401, r#"{"error":"unauthorized"}"#));
        let scene = Scene::new(&clock, service, BroadcastSpec::new(Call::Group), 50).await;
        let driven = scene.drive().await;
        assert!(matches!(driven.end, DriveEnd::Paused(_)), "{driven:?}");
        assert_eq!(scene.states().await, all(DeliveryState::Pending, 50));
    });
}

#[test]
fn what_was_throttled_is_sent_again_and_counts_as_no_try() {
    virtually(async |clock| {
        let service = Service::answering(|number, request| {
            if number % 3 == 0 { json(429, r#"{"error":"reach_limit"}"#) } else { accept(number, request) }
        });
        let scene = Scene::new(&clock, service, BroadcastSpec::new(Call::Group), 60).await;
        let driven = scene.drive().await;
        assert_eq!((driven.end, driven.report.sent), (DriveEnd::Finished, 60));
        let rows = scene.ledger.export(scene.id, 0, u32::MAX).await.unwrap();
        assert!(rows.iter().all(|row| row.attempts == 1));
    });
}

#[test]
fn an_unreachable_service_pauses_it_with_everyone_still_pending() {
    virtually(async |clock| {
        let mut scene = Scene::new(&clock, Service::accepting(), BroadcastSpec::new(Call::Group), 30).await;
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let app = App {
            name: "default".into(),
            prefix: format!("http://{nobody}/org/app"),
            credentials: Credentials::Token("token".into()),
            limits: AppLimits::default(),
            timeouts: Timeouts::default(),
        };
        let reachable = std::mem::replace(&mut scene.delivery, Delivery::new(&app, clock, None).unwrap());
        let driven = scene.drive().await;
        assert!(matches!(driven.end, DriveEnd::Paused(_)), "{driven:?}");
        assert_eq!(scene.states().await, all(DeliveryState::Pending, 30));
        scene.delivery = reachable;
        assert_eq!(scene.drive().await.report.sent, 30);
    });
}

/// Records a command through another handle on the same file at the 30th request, while the quota leaves time to
/// apply it.
async fn wishing(clock: &Clock, wish: BroadcastCommand) -> (Scene, DriveResult) {
    let (reached, mut at_30) = tokio::sync::mpsc::unbounded_channel();
    let service = Service::answering(move |number, request| {
        if number == 30 {
            reached.send(()).unwrap();
        }
        accept(number, request)
    });
    let spec = BroadcastSpec { rate: Some(100.0), ..BroadcastSpec::new(Call::Group) };
    let scene = Scene::new(clock, service, spec, 300).await;
    let place = scene.schema.place(scene.folder.path());
    let other = Ledger::open_at(&place, clock.clone()).await.unwrap();
    let lease = scene.claim().await;
    let stop = CancellationToken::new();
    let progress = BroadcastProgress::default();
    let drive = scene.delivery.drive(&scene.ledger, lease, &scene.spec, &stop, &progress);
    let steer = async {
        at_30.recv().await.unwrap();
        other.request_command(scene.id, wish, Some("lunch")).await.unwrap();
        if wish == BroadcastCommand::Pause {
            while progress.snapshot().waits_for.is_none() {
                clock.sleep(Duration::from_millis(100)).await;
            }
            let asked = scene.service.messages().len();
            assert!(asked < 300);
            clock.sleep(Duration::from_mins(1)).await;
            assert_eq!(scene.service.messages().len(), asked);
            other.request_command(scene.id, BroadcastCommand::Run, None).await.unwrap();
        }
    };
    let (driven, ()) = tokio::join!(drive, steer);
    (scene, driven.unwrap())
}

#[test]
fn a_person_pauses_and_resumes_it_from_elsewhere() {
    virtually(async |clock| {
        let (scene, driven) = wishing(&clock, BroadcastCommand::Pause).await;
        assert_eq!((driven.end, driven.report.sent), (DriveEnd::Finished, 300));
        scene.each_was_asked_once(300);
        assert!(scene.clock.now().since_start() > Duration::from_mins(1));
    });
}

#[test]
fn a_person_cancels_it_from_elsewhere() {
    virtually(async |clock| {
        let (scene, driven) = wishing(&clock, BroadcastCommand::Cancel).await;
        assert_eq!(driven.end, DriveEnd::Cancelled);
        assert_eq!(driven.report.sent + driven.report.cancelled, 300);
        assert!(driven.report.cancelled > 0);
        assert_eq!(scene.asked().len() as u64, driven.report.sent);
    });
}

#[test]
fn a_message_over_a_limit_that_was_lowered_is_rejected_unsent() {
    virtually(async |clock| {
        let mut scene = Scene::new(&clock, Service::accepting(), BroadcastSpec::new(Call::Group), 3).await;
        let app = App {
            name: "default".into(),
            prefix: format!("{}/org/app", scene.service.url()),
            credentials: Credentials::Token("token".into()),
            limits: AppLimits { message_bytes: 5, ..AppLimits::default() },
            timeouts: Timeouts::default(),
        };
        scene.delivery = Delivery::new(&app, clock, None).unwrap();
        assert_eq!(scene.drive().await.report.rejected, 3);
        assert_eq!(scene.service.messages().len(), 0);
    });
}

#[test]
fn a_driver_that_lost_its_lease_sends_nothing_more() {
    // On a server the other driver would help. The ledger's own tests check how a dead driver is detected there.
    if store::server().is_some() {
        return;
    }
    virtually(async |clock| {
        let (reached, mut at_30) = tokio::sync::mpsc::unbounded_channel();
        let service = Service::answering(move |number, request| {
            if number == 30 {
                reached.send(()).unwrap();
            }
            accept(number, request)
        });
        let spec = BroadcastSpec { rate: Some(100.0), ..BroadcastSpec::new(Call::Group) };
        let mut scene = Scene::new(&clock, service, spec, 300).await;
        let other = scene.ledger.register("other").await.unwrap();
        let lease = scene.claim().await;
        let stop = CancellationToken::new();
        let progress = BroadcastProgress::default();
        let first = std::mem::replace(&mut scene.owner, other);
        let drive = scene.delivery.drive(&scene.ledger, lease, &scene.spec, &stop, &progress);
        let take = async {
            at_30.recv().await.unwrap();
            drop(first);
            scene.claim().await
        };
        let (driven, lease) = tokio::join!(drive, take);
        assert!(matches!(driven, Err(LedgerError::LeaseLost(_))), "{driven:?}");
        let asked = scene.service.messages().len();
        assert!(asked < 300, "{asked}");

        let driven = scene.delivery.drive(&scene.ledger, lease, &scene.spec, &stop, &progress).await.unwrap();
        assert_eq!(driven.end, DriveEnd::Finished);
        assert_eq!(driven.report.sent + driven.report.in_doubt, 300);
        scene.each_was_asked_once(300);
    });
}
