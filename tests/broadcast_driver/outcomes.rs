//! Outcomes that the ledger does not take: the process keeps them, and nobody gets a message twice.

use std::path::PathBuf;

use mooncast::WaitReason;

use super::*;
use crate::support::store::Refusal;

/// Makes each write of a scene's ledger fail.
async fn fail_writes(scene: &Scene) {
    if store::server().is_some() {
        let schema = Arc::clone(&scene.schema);
        tokio::task::spawn_blocking(move || schema.fill_disk(0, Refusal::ForGood)).await.unwrap();
        return;
    }
    let (file, away) = files(scene);
    std::fs::rename(file, away).unwrap();
}

async fn mend_writes(scene: &Scene) {
    if store::server().is_some() {
        let schema = Arc::clone(&scene.schema);
        tokio::task::spawn_blocking(move || schema.free_disk()).await.unwrap();
        return;
    }
    let (file, away) = files(scene);
    std::fs::rename(away, file).unwrap();
}

/// The ledger's file, and where it is put while each write is to fail.
fn files(scene: &Scene) -> (PathBuf, PathBuf) {
    (scene.folder.path().join("ledger.db"), scene.folder.path().join("away"))
}

/// A service that answers the 10th message and all later ones when `may_answer` is set. Tells when it has the 10th.
fn held(may_answer: &Arc<AtomicBool>) -> (Service, tokio::sync::mpsc::UnboundedReceiver<()>) {
    let (reached, at_10) = tokio::sync::mpsc::unbounded_channel();
    let may_answer = Arc::clone(may_answer);
    let service = Service::answering(move |number, request| {
        if number == 10 {
            reached.send(()).unwrap();
        }
        while number >= 10 && !may_answer.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        accept(number, request)
    });
    (service, at_10)
}

#[test]
fn answers_that_could_not_be_recorded_are_known_to_the_next_driver_of_the_process() {
    for in_doubt in [InDoubtPolicy::Resend, InDoubtPolicy::Hold] {
        virtually(async |clock| {
            let may_answer = Arc::new(AtomicBool::new(false));
            let (service, mut at_10) = held(&may_answer);
            let spec = StoredSpec { in_doubt, ..StoredSpec::new(Call::Group) };
            let mut scene = Scene::new(&clock, service, spec, 100).await;
            let lease = scene.claim().await;
            let (stop, progress) = (CancellationToken::new(), BroadcastProgress::default());
            let drive = scene.delivery.drive(&scene.ledger, lease, &scene.spec, &stop, &progress);
            let fail = async {
                at_10.recv().await.unwrap();
                fail_writes(&scene).await;
                may_answer.store(true, Ordering::Relaxed);
            };
            let (driven, ()) = tokio::join!(drive, fail);
            assert!(matches!(driven, Err(LedgerError::Store(_))), "{driven:?}");
            assert!(scene.service.messages().len() < 100);
            mend_writes(&scene).await;
            assert!(scene.ledger.counts(scene.id).await.unwrap().sending > 0);

            // The lease could not be released.
            scene.instance = scene.ledger.register("next").await.unwrap();
            let driven = scene.drive().await;
            assert_eq!((driven.end, driven.report.sent), (DriveEnd::Finished, 100), "{in_doubt:?}");
            scene.each_was_asked_once(100);
            assert_eq!(scene.states().await, all(RecipientState::Sent, 100));
        });
    }
}

#[test]
fn a_driver_whose_server_took_no_outcome_for_long_goes_on() {
    if store::server().is_none() {
        return;
    }
    virtually(async |clock| {
        let may_answer = Arc::new(AtomicBool::new(false));
        let (service, mut at_10) = held(&may_answer);
        let scene = Scene::new(&clock, service, StoredSpec::new(Call::Group), 100).await;
        let lease = scene.claim().await;
        let (stop, progress) = (CancellationToken::new(), BroadcastProgress::default());
        let drive = scene.delivery.drive(&scene.ledger, lease, &scene.spec, &stop, &progress);
        let run = |statements: &'static str| {
            let schema = Arc::clone(&scene.schema);
            async move { tokio::task::spawn_blocking(move || schema.run(statements)).await.unwrap() }
        };
        let fail = async {
            at_10.recv().await.unwrap();
            // A server that ends.
            run("CREATE FUNCTION away() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                    RAISE EXCEPTION 'the server ends' USING ERRCODE = '57P01';
                END $$;
                CREATE TRIGGER away BEFORE UPDATE ON recipients EXECUTE FUNCTION away()")
            .await;
            may_answer.store(true, Ordering::Relaxed);
            while !matches!(progress.snapshot().waits_for, Some(WaitReason::Store(_))) {
                clock.sleep(Duration::from_millis(100)).await;
            }
            run("DROP FUNCTION away() CASCADE").await;
        };
        let driven = Box::pin(async { tokio::join!(drive, fail).0 });
        let driven = clock.timeout(Duration::from_hours(2), driven).await;
        let driven = driven.expect("it waits for hosts that do not exist").unwrap();
        assert_eq!((driven.end, driven.report.sent), (DriveEnd::Finished, 100));
        scene.each_was_asked_once(100);
    });
}
