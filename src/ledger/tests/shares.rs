//! Tests of quota slots among processes that all want more than there are.

use super::*;

const TOTAL: u32 = 100;
const COOL: Duration = Duration::from_millis(1100);

/// A process that wants all slots.
struct Hungry {
    instance: Instance,
    pace: u32,
    weight: u32,
    slots: u32,
}

impl Hungry {
    async fn new(ledger: &Ledger, pace: u32, weight: u32) -> Self {
        Self { instance: ledger.register("run").await.unwrap(), pace, weight, slots: 0 }
    }

    async fn claim(&mut self, ledger: &Ledger, app: AppId) {
        let claim = QuotaClaim {
            app,
            quota: "messages",
            total: TOTAL,
            need: TOTAL,
            least: 1,
            keep: self.slots,
            used: self.slots,
            pace: self.pace,
            weight: self.weight,
            lease: Duration::from_secs(1),
            cool: COOL,
        };
        let share = ledger.claim_slots(&self.instance, claim).await.unwrap();
        self.slots = share.slots.min(share.fair);
    }
}

/// Returns the slots of each process after some seconds of claims.
async fn settled<const N: usize>(ledger: &Ledger, clock: &Clock, mut all: [Hungry; N]) -> [u32; N] {
    let app = ledger.app("a").await.unwrap();
    for _ in 0..40 {
        for one in &mut all {
            one.claim(ledger, app).await;
            clock.sleep(Duration::from_millis(50)).await;
        }
    }
    let held = all.map(|one| one.slots);
    assert!(held.iter().sum::<u32>() <= TOTAL, "{held:?}");
    held
}

#[test]
fn what_is_urgent_has_more_places_on_whichever_host_it_waits() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let all = [
            Hungry::new(&ledger, 1000, 16).await,
            Hungry::new(&ledger, 1000, 4).await,
            Hungry::new(&ledger, 1000, 4).await,
        ];
        let [alert, one, other] = settled(&ledger, &clock, all).await;
        assert!(alert >= 60 && one >= 12 && other >= 12, "{alert}, {one}, {other}");
    });
}

#[test]
fn a_refusal_at_one_slows_all() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let all = [Hungry::new(&ledger, 1000, 4).await, Hungry::new(&ledger, 475, 4).await];
        let [calm, refused] = settled(&ledger, &clock, all).await;
        // Half of the quota, and a few slots to probe with.
        assert!((48..=56).contains(&(calm + refused)) && calm.abs_diff(refused) <= 4, "{calm}, {refused}");
    });
}
