//! Several processes on one ledger, started and killed at random, against services that count in all four ways.

use std::cell::RefCell;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::QuotaClaimer;
use crate::clock::Clock;
use crate::core::Priority;
use crate::ledger::Ledger;
use crate::ledger::tests::server;
use crate::quota::tests::model::{Counting, Service};
use crate::quota::{PermitOutcome, Quota, QuotaPeriod, QuotaSettings, SendHistory};

/// The ledger, the clock and the services that all processes use.
struct World {
    clock: Clock,
    folder: PathBuf,
    limit: NonZeroU32,
    period: QuotaPeriod,
    random: RefCell<StdRng>,
    services: RefCell<Vec<Service>>,
    refused: RefCell<u64>,
}

impl World {
    async fn way(&self) {
        let millis = self.random.borrow_mut().random_range(2.5..40.0);
        self.clock.sleep(Duration::from_secs_f64(millis / 1000.0)).await;
    }

    fn arrive(&self) {
        let at = self.clock.now().since_start();
        for service in &mut *self.services.borrow_mut() {
            *self.refused.borrow_mut() += u64::from(!service.takes(at, 1));
        }
    }

    /// Sends all that the quota allows, from `from` until it is killed at `until`. Returns how much it sent.
    async fn live(self: Rc<Self>, from: f64, until: f64) -> u64 {
        self.clock.sleep(Duration::from_secs_f64(from)).await;
        let location = server::location(&self.folder).await;
        let ledger = Ledger::open_at(&location, self.clock.clone()).await.unwrap();
        let instance = ledger.register("run").await.unwrap();
        let app = ledger.app("a").await.unwrap();
        let settings = QuotaSettings {
            history: SendHistory::Unused,
            period: self.period,
            shared: true,
            ..QuotaSettings::new("messages", self.limit)
        };
        let quota = Quota::new(settings, self.clock.clone());
        let claimant = QuotaClaimer {
            ledger,
            instance,
            app,
            name: quota.name().to_owned(),
            quota: quota.clone(),
            clock: self.clock.clone(),
        };
        let renewal = tokio::spawn(claimant.renew_claims());
        let death = self.clock.now() + Duration::from_secs_f64(until - from);
        let mut sent = 0;
        loop {
            let mut permit = tokio::select! {
                biased;
                () = self.clock.sleep_until(death) => break,
                permit = quota.acquire(1, Priority::Normal) => permit.unwrap(),
            };
            permit.written();
            sent += 1;
            let world = Rc::clone(&self);
            tokio::task::spawn_local(async move {
                world.way().await;
                world.arrive();
                world.way().await;
                permit.answered(PermitOutcome::Accepted);
            });
        }
        renewal.abort();
        sent
    }
}

/// Runs a process for each (start, end) in `lives`. Returns how much each sent.
fn play(per_second: u32, seed: u64, lives: &[(f64, f64)]) -> Vec<u64> {
    play_over(QuotaPeriod::Second, per_second, seed, lives)
}

/// The same with a quota of `limit` messages a period.
fn play_over(period: QuotaPeriod, limit: u32, seed: u64, lives: &[(f64, f64)]) -> Vec<u64> {
    let length = Duration::from_secs(period.seconds().into());
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::simulated(Duration::from_secs(1_700_000_000));
    let world = Rc::new(World {
        clock: clock.clone(),
        folder: folder.path().to_owned(),
        limit: NonZeroU32::new(limit).unwrap(),
        period,
        random: RefCell::new(StdRng::seed_from_u64(seed)),
        services: RefCell::new(Counting::ALL.map(|counting| Service::over(length, counting, limit)).into()),
        refused: RefCell::default(),
    });
    let sent = clock
        .block_on(async {
            let lives: Vec<_> = lives
                .iter()
                .map(|(from, until)| tokio::task::spawn_local(Rc::clone(&world).live(*from, *until)))
                .collect();
            let mut sent = Vec::new();
            for life in lives {
                sent.push(life.await.unwrap());
            }
            server::clean(folder.path()).await;
            sent
        })
        .unwrap();
    println!("{limit} in {length:?}, {lives:?}: {sent:?} sent, {} refused", world.refused.borrow());
    assert_eq!(*world.refused.borrow(), 0, "{limit} in {length:?}, seed {seed}, {lives:?}");
    sent
}

#[test]
fn however_they_start_and_die_nothing_is_refused() {
    for per_second in [20, 100] {
        for seed in 0..3 {
            let mut random = StdRng::seed_from_u64(seed);
            let mut lives = vec![(0.0, 12.0)];
            for _ in 0..5 {
                let from = random.random_range(0.0..9.0);
                lives.push((from, from + random.random_range(0.3..4.0)));
            }
            let sent: u64 = play(per_second, seed, &lives).into_iter().sum();
            assert!(sent >= u64::from(per_second) * 6, "{per_second}/s: {sent}");
        }
    }
}

#[test]
fn two_share_alike_and_one_alone_has_it_all() {
    for per_second in [20, 100] {
        let sent = play(per_second, 1, &[(0.0, 24.0), (4.0, 24.0)]);
        let n = u64::from(per_second);
        // 4 s alone, about 2 s until the other has its part, and half of 18 s.
        assert!(sent[0] >= n * 12 && sent[1] >= n * 8, "{per_second}/s: {sent:?}");
        let alone = play(per_second, 1, &[(0.0, 10.0)]);
        assert!(alone[0] * 100 >= n * 10 * 92, "{per_second}/s: {alone:?}");
        // The slots of a killed process are free again within 3 s.
        let sent = play(per_second, 1, &[(0.0, 4.0), (4.0, 12.0)]);
        assert!(sent[1] >= n * 4, "{per_second}/s: {sent:?}");
    }
}

#[test]
fn a_minute_s_quota_is_shared_and_nothing_is_refused() {
    let minutes = |seed, lives: &[(f64, f64)]| play_over(QuotaPeriod::Minute, 600, seed, lives);
    for seed in 0..3 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut lives = vec![(0.0, 600.0)];
        for _ in 0..5 {
            let from = random.random_range(0.0..500.0);
            lives.push((from, from + random.random_range(5.0..200.0)));
        }
        let sent: u64 = minutes(seed, &lives).into_iter().sum();
        assert!(sent >= 600 * 5, "{sent}");
    }
    let alone = minutes(1, &[(0.0, 600.0)]);
    assert!(alone[0] * 100 >= 600 * 10 * 92, "{alone:?}");
}
