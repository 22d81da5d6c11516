//! The driver is killed again and again while the service misbehaves. History alone settles what that leaves in doubt, in
//! simulated time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mooncast::{BroadcastProgress, DriveEnd, InDoubtPolicy, LEASE, RecordSettings};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::service::Fate;
use super::{Scene, spec, virtually};
use crate::support::store;
use crate::survival::random::{Random, seed, soak};

#[test]
fn killed_again_and_again_each_group_has_it_exactly_once_and_no_doubt_is_left() {
    if store::server().is_some() && !soak() {
        // It takes minutes there.
        return;
    }
    let (many, kills) = if soak() { (3_000, 30) } else { (300, 6) };
    let seed = seed();
    println!("MOONCAST_SEED={seed}");
    virtually(async |clock| {
        let random = Random::new(seed);
        let (spoil, arrived) = (Random::new(random.below(u64::MAX)), Arc::new(Notify::new()));
        let next_kill = Arc::new(AtomicU64::new(u64::MAX));
        let (news, due) = (Arc::clone(&arrived), Arc::clone(&next_kill));
        let plan = move |number: u64, _: &serde_json::Value| {
            if number >= due.load(Ordering::SeqCst) {
                news.notify_one();
            }
            match spoil.below(100) {
                0..5 => Fate::Lost,
                5..10 => Fate::AcceptedSilently,
                _ => Fate::Well,
            }
        };
        let scene = Scene::new(&clock, plan, RecordSettings::default()).await;
        let spec = spec(InDoubtPolicy::Reconcile);
        let id = scene.groups(&spec, many).await;
        let mut killed = 0;
        let mut sent = 0;
        let report = loop {
            // Half of the messages are left when the last kill has come.
            let kill_after = random.below(u64::from(many / kills)) + 1;
            next_kill.store(if killed < kills { sent + kill_after } else { u64::MAX }, Ordering::SeqCst);
            let instance = scene.instance().await;
            // The lease of a killed driver expires, or its process is known to be dead.
            let lease = loop {
                match scene.ledger.claim(id, &instance, LEASE).await.unwrap() {
                    Some(lease) => break lease,
                    None => clock.sleep(LEASE).await,
                }
            };
            let (stop, progress) = (CancellationToken::new(), BroadcastProgress::default());
            tokio::select! {
                biased;
                driven = scene.delivery.drive(&scene.ledger, lease, &spec, &stop, &progress) => break driven.unwrap(),
                () = arrived.notified() => killed += 1,
            }
            sent = u64::try_from(scene.service.requests().len()).unwrap();
        };
        assert_eq!(
            (report.end, report.report.sent),
            (DriveEnd::Finished, u64::from(many)),
            "MOONCAST_SEED={seed}"
        );
        assert_eq!(killed, kills, "MOONCAST_SEED={seed}");
        let copies = scene.service.copies();
        let wrong: Vec<_> = copies.iter().filter(|(_, count)| **count != 1).collect();
        assert!(wrong.is_empty() && copies.len() == many as usize, "{wrong:?}, MOONCAST_SEED={seed}");
        println!(
            "{many} recipients, {killed} kills, {} requests, MOONCAST_SEED={seed}",
            scene.service.requests().len()
        );
    });
}
