//! Tests of ramps with several drivers, on a store that many machines share. A file allows one driver, so these tests do
//! nothing there.

use super::*;

const LIMITS: [u64; 2] = [10, 20];
const PAUSE: Duration = Duration::from_secs(10);

/// A broadcast to 30 groups, and its drivers.
struct Ramp {
    ledger: Ledger,
    drivers: Vec<(Instance, Lease)>,
}

impl Ramp {
    async fn of(folder: &Path, clock: &Clock, drivers: usize) -> Option<Self> {
        let ledger = open(folder, clock).await;
        if !ledger.has_fleet() {
            return None;
        }
        let instance = ledger.register("run").await.unwrap();
        let lease = planned(&ledger, &instance, &spec(), 30).await;
        ledger.release(lease).await.unwrap();
        let mut ramp = Self { ledger, drivers: Vec::new() };
        for _ in 0..drivers {
            let instance = ramp.ledger.register("serve").await.unwrap();
            let lease = ramp.ledger.claim(lease.broadcast, &instance, LEASE).await.unwrap().unwrap();
            ramp.drivers.push((instance, lease));
        }
        Some(ramp)
    }

    fn lease(&self, driver: usize) -> Lease {
        self.drivers[driver].1
    }

    async fn turn(&self, driver: usize) -> RampTurn {
        self.ledger.ramp_turn(self.lease(driver), &LIMITS, PAUSE, 600).await.unwrap()
    }

    /// A driver sends to the next recipients. Returns their sequence numbers.
    async fn sends(&self, driver: usize, many: u32) -> Vec<i64> {
        let lease = self.lease(driver);
        let next = self.ledger.pending(lease, 0, many).await.unwrap();
        let seqs: Vec<i64> = next.iter().map(|recipient| recipient.seq).collect();
        self.ledger.intend(lease, seqs.clone()).await.unwrap();
        let sent = seqs.iter().map(|seq| RecipientOutcome::sent(*seq, "m", 1)).collect();
        self.ledger.settle(lease, sent).await.unwrap();
        seqs
    }
}

#[test]
fn what_a_turn_leaves_is_sent_to_by_the_next_one() {
    with_folder(|folder, clock| async move {
        let Some(ramp) = Ramp::of(&folder, &clock, 2).await else { return };
        assert_eq!(ramp.turn(0).await, RampTurn::Send(10));
        assert_eq!(ramp.turn(1).await, RampTurn::Settle, "the other driver may send to all of them");
        ramp.sends(0, 4).await;
        assert_eq!(ramp.turn(1).await, RampTurn::Settle);
        // The driver gives back less than it left, or could not write what it gives back.
        ramp.ledger.end_ramp_turn(ramp.lease(0), 1).await.unwrap();
        assert_eq!(ramp.turn(1).await, RampTurn::Send(6));
        assert_eq!(ramp.turn(0).await, RampTurn::Settle);
        // The driver that asks again has ended its turn.
        assert_eq!(ramp.turn(1).await, RampTurn::Send(6));
        ramp.sends(1, 6).await;
        ramp.ledger.end_ramp_turn(ramp.lease(1), 0).await.unwrap();
        assert!(matches!(ramp.turn(0).await, RampTurn::Wait { stage: 1, .. }));
    });
}

#[test]
fn what_a_dead_driver_leaves_is_sent_to_though_two_others_live() {
    with_folder(|folder, clock| async move {
        let Some(mut ramp) = Ramp::of(&folder, &clock, 3).await else { return };
        assert_eq!(ramp.turn(0).await, RampTurn::Send(10));
        let (dead, _) = ramp.drivers.remove(0);
        dies(&ramp.ledger, dead, &clock).await;
        assert_eq!(ramp.turn(0).await, RampTurn::Send(10));
        assert_eq!(ramp.turn(1).await, RampTurn::Settle);
    });
}

#[test]
fn a_recipient_that_is_pending_again_is_sent_to_in_its_stage() {
    with_folder(|folder, clock| async move {
        let Some(ramp) = Ramp::of(&folder, &clock, 2).await else { return };
        let lease = ramp.lease(0);
        assert_eq!(ramp.turn(0).await, RampTurn::Send(10));
        let first = ramp.ledger.pending(lease, 0, 1).await.unwrap()[0].seq;
        ramp.ledger.intend(lease, vec![first]).await.unwrap();
        let doubt = RecipientOutcome::failed(first, RecipientState::InDoubt, "no answer", 1);
        ramp.ledger.settle(lease, vec![doubt]).await.unwrap();
        ramp.sends(0, 9).await;
        ramp.ledger.end_ramp_turn(lease, 0).await.unwrap();
        ramp.ledger.settle_doubts(lease.broadcast, Settlement::Again).await.unwrap();
        assert_eq!(ramp.turn(1).await, RampTurn::Send(1));
    });
}

#[test]
fn a_driver_of_an_older_program_counts_as_sending() {
    with_folder(|folder, clock| async move {
        let Some(ramp) = Ramp::of(&folder, &clock, 2).await else { return };
        let older = sql("UPDATE drivers SET ramp_turn = NULL WHERE number = ?").bind(ramp.lease(0).number);
        ramp.ledger.change(older).await.unwrap();
        let released = sql("UPDATE broadcasts SET ramp_released = 10");
        ramp.ledger.change(released).await.unwrap();
        assert_eq!(ramp.turn(1).await, RampTurn::Settle);
        ramp.ledger.release(ramp.lease(0)).await.unwrap();
        assert_eq!(ramp.turn(1).await, RampTurn::Send(10));
    });
}
