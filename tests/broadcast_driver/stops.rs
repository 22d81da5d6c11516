//! What pauses, stops or ends a driver, and how the next one goes on.

use mooncast::WaitReason;

use super::*;

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
        let scene = Scene::new(&clock, service, StoredSpec::new(Call::Group), 300).await;
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
async fn crashed(clock: &Clock, spec: StoredSpec) -> (Scene, u64) {
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
    scene.instance = scene.ledger.register("next").await.unwrap();
    let sending = scene.ledger.counts(scene.id).await.unwrap().sending;
    assert!(sending > 0);
    (scene, sending)
}

#[test]
fn what_a_crash_leaves_in_flight_is_in_doubt_and_never_sent_again() {
    let clock = Clock::real();
    let test = async {
        let (scene, _) = Box::pin(crashed(&clock, StoredSpec::new(Call::Group))).await;
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
        let spec = StoredSpec { in_doubt: InDoubtPolicy::Resend, ..StoredSpec::new(Call::Group) };
        let (scene, sending) = Box::pin(crashed(&clock, spec)).await;
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
fn failures_in_a_row_pause_it_and_driving_it_again_goes_on() {
    virtually(async |clock| {
        let ill = Arc::new(AtomicBool::new(true));
        let is_ill = Arc::clone(&ill);
        let service = Service::answering(move |number, request| {
            if is_ill.load(Ordering::Relaxed) { json(400, REFUSED) } else { accept(number, request) }
        });
        let scene = Scene::new(&clock, service, StoredSpec::new(Call::Group), 300).await;
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
fn a_pause_of_a_person_stays_when_it_would_pause_itself() {
    let clock = Clock::real();
    let test = async {
        // Three calls are refused while others are in flight, and those are answered after the person's pause.
        let (others, paused) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (in_flight, is_paused) = (Arc::clone(&others), Arc::clone(&paused));
        let service = Service::answering(move |number, request| {
            let awaited = if number < 3 { &in_flight } else { &is_paused };
            if number == 3 {
                in_flight.store(true, Ordering::Relaxed);
            }
            while !awaited.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            if number < 3 { json(400, REFUSED) } else { accept(number, request) }
        });
        let spec = StoredSpec { stop_after_failures: Some(3), ..StoredSpec::new(Call::Group) };
        let scene = Scene::new(&clock, service, spec, 100).await;
        let other = Ledger::open_at(&scene.schema.place(scene.folder.path()), clock.clone()).await.unwrap();
        let (stop, progress) = (CancellationToken::new(), BroadcastProgress::default());
        let lease = scene.claim().await;
        let drive = scene.delivery.drive(&scene.ledger, lease, &scene.spec, &stop, &progress);
        let until = async |so: &dyn Fn() -> bool| {
            while !so() {
                clock.sleep(Duration::from_millis(5)).await;
            }
        };
        let person = async {
            until(&|| progress.snapshot().counts.rejected == 3).await;
            other.request_command(scene.id, BroadcastCommand::Pause, Some("lunch")).await.unwrap();
            paused.store(true, Ordering::Relaxed);
            let lunch = Some(WaitReason::Resume(Some("lunch".to_owned())));
            until(&|| progress.snapshot().waits_for == lunch).await;
            let shown = other.show(scene.id).await.unwrap();
            assert_eq!(
                (shown.command, shown.command_note.as_deref()),
                (BroadcastCommand::Pause, Some("lunch"))
            );
            other.request_command(scene.id, BroadcastCommand::Run, None).await.unwrap();
        };
        let mut drive = Box::pin(drive);
        tokio::select! {
            driven = &mut drive => panic!("it does not wait for the person: {driven:?}"),
            () = person => {}
        }
        let driven = drive.await.unwrap();
        assert_eq!((driven.end, driven.report.sent), (DriveEnd::Finished, 97));
        scene.each_was_asked_once(100);
    };
    clock.block_on(test).unwrap();
}

#[test]
fn credentials_that_are_not_taken_pause_it_and_reject_nobody() {
    virtually(async |clock| {
        let service = Service::answering(|_, _| json(401, r#"{"error":"unauthorized"}"#));
        let scene = Scene::new(&clock, service, StoredSpec::new(Call::Group), 50).await;
        let driven = scene.drive().await;
        assert!(matches!(driven.end, DriveEnd::Paused(_)), "{driven:?}");
        assert_eq!(scene.states().await, all(RecipientState::Pending, 50));
    });
}

#[test]
fn an_unreachable_service_pauses_it_with_everyone_still_pending() {
    virtually(async |clock| {
        let mut scene = Scene::new(&clock, Service::accepting(), StoredSpec::new(Call::Group), 30).await;
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let app = App {
            name: "default".into(),
            prefix: format!("http://{nobody}/org/app"),
            credentials: Credentials::Token("token".into()),
            limits: AppLimits::default(),
            records: mooncast::RecordSettings::default(),
            timeouts: Timeouts::default(),
        };
        let reachable = std::mem::replace(&mut scene.delivery, Delivery::new(&app, clock, None).unwrap());
        let driven = scene.drive().await;
        assert!(matches!(driven.end, DriveEnd::Paused(_)), "{driven:?}");
        assert_eq!(scene.states().await, all(RecipientState::Pending, 30));
        scene.delivery = reachable;
        assert_eq!(scene.drive().await.report.sent, 30);
    });
}

/// Records a command through another handle on the same file at the 30th request, while the quota leaves time to
/// apply it.
async fn requesting(clock: &Clock, command: BroadcastCommand) -> (Scene, DriveResult) {
    let (reached, mut at_30) = tokio::sync::mpsc::unbounded_channel();
    let service = Service::answering(move |number, request| {
        if number == 30 {
            reached.send(()).unwrap();
        }
        accept(number, request)
    });
    let spec = StoredSpec { rate: Some(100.0), ..StoredSpec::new(Call::Group) };
    let scene = Scene::new(clock, service, spec, 300).await;
    let place = scene.schema.place(scene.folder.path());
    let other = Ledger::open_at(&place, clock.clone()).await.unwrap();
    let lease = scene.claim().await;
    let stop = CancellationToken::new();
    let progress = BroadcastProgress::default();
    let drive = scene.delivery.drive(&scene.ledger, lease, &scene.spec, &stop, &progress);
    let steer = async {
        at_30.recv().await.unwrap();
        other.request_command(scene.id, command, Some("lunch")).await.unwrap();
        if command == BroadcastCommand::Pause {
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
        let (scene, driven) = Box::pin(requesting(&clock, BroadcastCommand::Pause)).await;
        assert_eq!((driven.end, driven.report.sent), (DriveEnd::Finished, 300));
        scene.each_was_asked_once(300);
        assert!(scene.clock.now().since_start() > Duration::from_mins(1));
    });
}

#[test]
fn a_person_cancels_it_from_elsewhere() {
    virtually(async |clock| {
        let (scene, driven) = Box::pin(requesting(&clock, BroadcastCommand::Cancel)).await;
        assert_eq!(driven.end, DriveEnd::Cancelled);
        assert_eq!(driven.report.sent + driven.report.cancelled, 300);
        assert!(driven.report.cancelled > 0);
        assert_eq!(scene.asked().len() as u64, driven.report.sent);
    });
}

#[test]
fn a_message_over_a_limit_that_was_lowered_is_rejected_unsent() {
    virtually(async |clock| {
        let mut scene = Scene::new(&clock, Service::accepting(), StoredSpec::new(Call::Group), 3).await;
        let app = App {
            name: "default".into(),
            prefix: format!("{}/org/app", scene.service.url()),
            credentials: Credentials::Token("token".into()),
            limits: AppLimits { message_bytes: 5, ..AppLimits::default() },
            records: mooncast::RecordSettings::default(),
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
        let spec = StoredSpec { rate: Some(100.0), ..StoredSpec::new(Call::Group) };
        let mut scene = Scene::new(&clock, service, spec, 300).await;
        let other = scene.ledger.register("other").await.unwrap();
        let lease = scene.claim().await;
        let stop = CancellationToken::new();
        let progress = BroadcastProgress::default();
        let first = std::mem::replace(&mut scene.instance, other);
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
