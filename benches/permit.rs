//! The cost of a permit without a limit, and how close to its rate a quota gets in real time.
//!
//! `cargo bench --bench permit` prints both. The second part takes 3 s per rate.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Duration;

use criterion::{Criterion, criterion_group};
use mooncast::{Clock, PermitOutcome, Priority, Quota, QuotaSettings, SendHistory};

fn quota(per_second: u32, clock: &Clock) -> Option<Quota> {
    let per_second = NonZeroU32::new(per_second)?;
    let settings =
        QuotaSettings { history: SendHistory::Unused, ..QuotaSettings::new("messages", per_second) };
    Some(Quota::new(settings, clock.clone()))
}

fn permit(criterion: &mut Criterion) {
    let clock = Clock::real();
    let Some(quota) = quota(100_000_000, &clock) else { return };
    criterion.bench_function("permit: acquire, written, answered", |bencher| {
        bencher.iter_custom(|times| {
            let spent = clock.block_on(async {
                let begun = clock.now();
                for _ in 0..times {
                    if let Ok(mut permit) = quota.acquire(1, Priority::Normal).await {
                        permit.written();
                        black_box(permit).answered(PermitOutcome::Accepted);
                    }
                }
                clock.now() - begun
            });
            spent.unwrap_or_default()
        });
    });
}

/// Sends for `span` as fast as the quota permits one sender, with answers after 5 ms. Returns the messages per
/// second.
async fn reached(quota: &Quota, clock: &Clock, span: Duration) -> f64 {
    let begun = clock.now();
    let mut sent: u32 = 0;
    while clock.now() - begun < span {
        let Ok(mut permit) = quota.acquire(1, Priority::Normal).await else { break };
        permit.written();
        sent += 1;
        let clock = clock.clone();
        tokio::spawn(async move {
            clock.sleep(Duration::from_millis(5)).await;
            permit.answered(PermitOutcome::Accepted);
        });
    }
    f64::from(sent) / (clock.now() - begun).as_secs_f64()
}

fn rates() {
    for per_second in [20, 100, 1_000, 10_000] {
        let clock = Clock::real();
        let Some(quota) = quota(per_second, &clock) else { continue };
        let measured = clock.block_on(async {
            // Warms up until the guard has measured the round trip to the service.
            reached(&quota, &clock, Duration::from_secs(4)).await;
            let reached = reached(&quota, &clock, Duration::from_secs(3)).await;
            (reached, quota.status())
        });
        if let Ok((reached, status)) = measured {
            let allowed = status.pace;
            println!(
                "{per_second}/s: {reached:.1}/s reached of {allowed:.1}/s that the guard allows, {:.2}%; spread {:?}",
                reached / allowed * 100.0,
                status.spread,
            );
        }
    }
}

criterion_group!(benches, permit);

fn main() {
    benches();
    // `cargo test` also runs benches, to check that they run.
    if std::env::args().any(|argument| argument == "--bench") {
        rates();
    }
    Criterion::default().configure_from_args().final_summary();
}
