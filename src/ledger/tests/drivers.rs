//! Tests of several drivers of one broadcast, on a store that many machines share. A file allows one driver, so these
//! tests do nothing there.

use proptest::prelude::*;

use super::*;

/// The number of recipients. Ranges have 16 recipients in tests.
const MANY: u32 = 56;

/// A program that drives the broadcast together with others.
struct Driver {
    ledger: Ledger,
    instance: Instance,
    lease: Option<Lease>,
    /// The recipients that it was given and has not begun.
    page: Vec<i64>,
    /// The recipients that it has begun.
    sending: Vec<i64>,
}

impl Driver {
    async fn start(folder: &Path, clock: &Clock) -> Self {
        let ledger = open(folder, clock).await;
        let instance = ledger.register("serve").await.unwrap();
        Self { ledger, instance, lease: None, page: vec![], sending: vec![] }
    }

    /// Returns its lease. If it has none, claims one and takes over, as a driver does first.
    async fn lease(&mut self, id: BroadcastId) -> Lease {
        if let Some(lease) = self.lease {
            return lease;
        }
        (self.page, self.sending) = (vec![], vec![]);
        let lease = loop {
            if let Some(lease) = self.ledger.claim(id, &self.instance, LEASE).await.unwrap() {
                break lease;
            }
            // It may still hold an earlier lease in the ledger, so it waits until that expires.
            self.ledger.0.store.clock.sleep(LEASE).await;
        };
        self.lease = Some(lease);
        self.ledger.take_over(lease).await.unwrap();
        lease
    }

    async fn next(&self, after: i64, limit: u32) -> Vec<i64> {
        let next = self.ledger.pending(self.lease.unwrap(), after, limit).await.unwrap();
        next.iter().map(|recipient| recipient.seq).collect()
    }
}

/// Creates a broadcast with a fixed plan and no driver; `None` on a file.
async fn fixed(ledger: &Ledger, in_doubt: InDoubtPolicy) -> Option<BroadcastId> {
    if !ledger.has_fleet() {
        return None;
    }
    let instance = ledger.register("run").await.unwrap();
    let lease = planned(ledger, &instance, &StoredSpec { in_doubt, ..spec() }, MANY).await;
    ledger.release(lease).await.unwrap();
    ledger.unregister(&instance).await.unwrap();
    Some(lease.broadcast)
}

fn sent(seq: i64) -> RecipientOutcome {
    RecipientOutcome::sent(seq, format!("m{seq}"), 1)
}

async fn states(ledger: &Ledger, id: BroadcastId) -> Vec<RecipientState> {
    counted(ledger, id).await;
    ledger.export(id, 0, 99).await.unwrap().iter().map(|row| row.state).collect()
}

#[test]
fn two_drivers_have_different_recipients() {
    with_folder(|folder, clock| async move {
        let (mut one, mut other) =
            (Driver::start(&folder, &clock).await, Driver::start(&folder, &clock).await);
        let Some(id) = fixed(&one.ledger, InDoubtPolicy::Hold).await else { return };
        let lease = one.lease(id).await;
        other.lease(id).await;
        assert_eq!(one.ledger.claim(id, &one.instance, LEASE).await.unwrap(), None, "it has one");
        let all = |from: i64, to: i64| (from..=to).collect::<Vec<_>>();
        assert_eq!((one.next(0, 99).await, other.next(0, 99).await), (all(1, 16), all(17, 32)));
        assert_eq!(one.next(16, 99).await, all(33, 48));
        assert_eq!(other.next(32, 99).await, all(49, 56));
        assert_eq!(one.next(48, 99).await, [0; 0]);
        assert_eq!(one.next(0, 20).await, all(1, 16), "a page ends with its stretch");
        // Other drivers get the released ranges.
        one.ledger.hand_back(lease).await.unwrap();
        assert_eq!(other.next(56, 99).await, [0; 0]);
        assert_eq!(other.next(0, 99).await, all(17, 32));
        other.ledger.intend(other.lease.unwrap(), all(17, 32)).await.unwrap();
        assert_eq!(other.next(0, 99).await, all(49, 56));
        other.ledger.intend(other.lease.unwrap(), all(49, 56)).await.unwrap();
        assert_eq!(other.next(0, 99).await, all(1, 16));
    });
}

#[test]
fn a_late_driver_settles_nothing_and_the_others_take_over_its_part_alone() {
    with_folder(|folder, clock| async move {
        for in_doubt in [InDoubtPolicy::Hold, InDoubtPolicy::Resend] {
            let folder = folder.join(format!("{in_doubt:?}"));
            let (mut late, mut other) =
                (Driver::start(&folder, &clock).await, Driver::start(&folder, &clock).await);
            let Some(id) = fixed(&other.ledger, in_doubt).await else { return };
            let (old, new) = (late.lease(id).await, other.lease(id).await);
            late.next(0, 99).await;
            other.next(0, 99).await;
            late.ledger.intend(old, vec![1, 2]).await.unwrap();
            other.ledger.intend(new, vec![17, 18]).await.unwrap();
            other.ledger.settle(new, vec![sent(18)]).await.unwrap();
            // The late driver sends no heartbeat any more, while the other one continues.
            let Driver { ledger: late, instance, .. } = late;
            assert_eq!(other.ledger.take_over(new).await.unwrap(), TakeoverCounts::default());
            dies(&late, instance, &clock).await;
            let taken = other.ledger.take_over(new).await.unwrap();
            let (doubt, again) = if in_doubt == InDoubtPolicy::Hold { (2, 0) } else { (0, 2) };
            assert_eq!(taken, TakeoverCounts { in_doubt: doubt, pending: again });
            let before = other.ledger.export(id, 0, 99).await.unwrap();
            let lost = LedgerError::LeaseLost(id);
            assert_eq!(late.intend(old, vec![3]).await, Err(lost.clone()));
            assert_eq!(late.settle(old, vec![sent(1)]).await, Err(lost.clone()));
            assert_eq!(late.renew(old, LEASE).await, Err(lost.clone()));
            assert_eq!(late.cancel_rest(old).await, Err(lost.clone()));
            assert_eq!(late.take_over(old).await, Err(lost.clone()));
            assert_eq!(late.pending(old, 16, 99).await, Err(lost.clone()));
            assert_eq!(late.finish(old, "{}").await, Err(lost));
            late.hand_back(old).await.unwrap();
            late.release(old).await.unwrap();
            assert_eq!(other.ledger.export(id, 0, 99).await.unwrap(), before);
            // The live driver settles its own recipients, and gets those of the late driver.
            other.ledger.settle(new, vec![sent(17)]).await.unwrap();
            other.ledger.intend(new, (19..=32).collect()).await.unwrap();
            let from = if in_doubt == InDoubtPolicy::Hold { 3 } else { 1 };
            assert_eq!(other.next(0, 99).await, (from..=16).collect::<Vec<_>>());
        }
    });
}

#[test]
fn a_cancel_leaves_alone_what_another_holds() {
    with_folder(|folder, clock| async move {
        let (mut one, mut other) =
            (Driver::start(&folder, &clock).await, Driver::start(&folder, &clock).await);
        let Some(id) = fixed(&one.ledger, InDoubtPolicy::Hold).await else { return };
        let (lease, others) = (one.lease(id).await, other.lease(id).await);
        one.next(0, 99).await;
        other.next(0, 99).await;
        one.ledger.request_command(id, BroadcastCommand::Cancel, None).await.unwrap();
        assert_eq!(one.ledger.cancel_rest(lease).await.unwrap(), u64::from(MANY) - 16);
        assert_eq!(counted(&one.ledger, id).await.pending, 16);
        assert!(matches!(one.ledger.finish(lease, "{}").await, Err(LedgerError::NotNow { .. })));
        assert_eq!(other.ledger.cancel_rest(others).await.unwrap(), 16);
        assert_eq!(one.ledger.finish(lease, "{}").await.unwrap(), BroadcastStage::Cancelled);
        assert_eq!(other.ledger.renew(others, LEASE).await, Err(LedgerError::LeaseLost(id)));
    });
}

#[test]
fn of_many_who_come_together_after_a_death_one_settles_what_was_in_flight() {
    with_folder(|folder, clock| async move {
        for left in ["dead", "nobody's"] {
            let folder = folder.join(left);
            let mut first = Driver::start(&folder, &clock).await;
            let Some(id) = fixed(&first.ledger, InDoubtPolicy::Hold).await else { return };
            let lease = first.lease(id).await;
            if left == "dead" {
                first.next(0, 99).await;
            }
            first.ledger.intend(lease, vec![2, 3]).await.unwrap();
            let Driver { ledger, instance, .. } = first;
            dies(&ledger, instance, &clock).await;
            // Both drivers get their lease before either one takes over.
            let (one, other) = (Driver::start(&folder, &clock).await, Driver::start(&folder, &clock).await);
            let mut taken = 0;
            let mut leases = Vec::new();
            for driver in [&one, &other] {
                leases.push(driver.ledger.claim(id, &driver.instance, LEASE).await.unwrap().unwrap());
            }
            for (driver, lease) in [&one, &other].into_iter().zip(&leases) {
                taken += driver.ledger.take_over(*lease).await.unwrap().in_doubt;
            }
            assert_eq!(taken, 2, "{left}");
            assert_eq!(counted(&one.ledger, id).await.sending, 0, "{left}");
        }
    });
}

#[derive(Debug, Clone)]
enum Step {
    /// Takes pending recipients.
    Next(usize, u32),
    /// Begins some of the recipients that it was given.
    Intend(usize, usize),
    Settle(usize, usize, RecipientState),
    /// Its process dies, and another one replaces it.
    Die(usize),
    Renew(usize),
    TakeOver(usize),
    /// It reaches the end of its recipients.
    HandBack(usize),
    Release(usize),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Step> {
    let settled = prop::sample::select(vec![
        RecipientState::Pending,
        RecipientState::Sent,
        RecipientState::Sent,
        RecipientState::Rejected,
        RecipientState::InDoubt,
    ]);
    let who = 0..2_usize;
    prop_oneof![
        6 => (who.clone(), 1..20_u32).prop_map(|(who, limit)| Step::Next(who, limit)),
        6 => (who.clone(), 1..8_usize).prop_map(|(who, many)| Step::Intend(who, many)),
        6 => (who.clone(), 0..4_usize, settled).prop_map(|(who, which, state)| Step::Settle(who, which, state)),
        1 => who.clone().prop_map(Step::Die),
        2 => who.clone().prop_map(Step::Renew),
        2 => who.clone().prop_map(Step::TakeOver),
        1 => who.clone().prop_map(Step::HandBack),
        1 => who.prop_map(Step::Release),
        2 => (1..35_u64).prop_map(Step::Wait),
    ]
}

/// Returns the result of a driver's call. If the driver has lost its lease, forgets the lease.
fn keeps<T>(driver: &mut Driver, result: Result<T, LedgerError>) -> Option<T> {
    match result {
        Ok(result) => Some(result),
        Err(LedgerError::LeaseLost(_)) => {
            driver.lease = None;
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Checks how often the service got each message against the message's state.
async fn agree(ledger: &Ledger, id: BroadcastId, times: &[u32], step: &Step) {
    for (state, times) in states(ledger, id).await.into_iter().zip(times) {
        let right = match state {
            RecipientState::Pending | RecipientState::Rejected => *times == 0,
            _ => *times == 1,
        };
        assert!(right, "{state:?}, and it was sent {times} times, after {step:?}");
    }
}

async fn check(folder: &Path, clock: &Clock, steps: Vec<Step>) {
    let mut drivers = [Driver::start(folder, clock).await, Driver::start(folder, clock).await];
    let Some(id) = fixed(&drivers[0].ledger, InDoubtPolicy::Hold).await else { return };
    let mut times = vec![0_u32; MANY as usize];
    let at = |seq: i64| usize::try_from(seq - 1).unwrap();
    for step in steps {
        match step.clone() {
            Step::Next(who, limit) => {
                let driver = &mut drivers[who];
                let lease = driver.lease(id).await;
                let next = driver.ledger.pending(lease, 0, limit).await;
                driver.page = keeps(driver, next).unwrap_or_default().iter().map(|next| next.seq).collect();
            }
            Step::Intend(who, many) => {
                let driver = &mut drivers[who];
                let (Some(lease), many) = (driver.lease, many.min(driver.page.len())) else { continue };
                let seqs: Vec<i64> = driver.page.drain(..many).collect();
                let done = driver.ledger.intend(lease, seqs.clone()).await;
                if keeps(driver, done).is_some() {
                    for seq in seqs {
                        times[at(seq)] += 1;
                        driver.sending.push(seq);
                    }
                }
            }
            Step::Settle(who, which, state) => {
                let driver = &mut drivers[who];
                let Some(lease) = driver.lease else { continue };
                if which >= driver.sending.len() {
                    continue;
                }
                let seq = driver.sending.remove(which);
                let id = (state == RecipientState::Sent).then(|| format!("m{seq}"));
                let outcome = RecipientOutcome { seq, state, message_id: id, error: None, attempts: 1 };
                let done = driver.ledger.settle(lease, vec![outcome]).await;
                if keeps(driver, done).is_some()
                    && [RecipientState::Pending, RecipientState::Rejected].contains(&state)
                {
                    // It is proved that it was not sent.
                    times[at(seq)] -= 1;
                }
            }
            Step::Die(who) => {
                let next = Driver::start(folder, clock).await;
                let Driver { ledger, instance, .. } = std::mem::replace(&mut drivers[who], next);
                dies(&ledger, instance, clock).await;
            }
            Step::Renew(who) => {
                let driver = &mut drivers[who];
                let Some(lease) = driver.lease else { continue };
                let done = driver.ledger.renew(lease, LEASE).await;
                keeps(driver, done);
            }
            Step::TakeOver(who) => {
                let driver = &mut drivers[who];
                let Some(lease) = driver.lease else { continue };
                let done = driver.ledger.take_over(lease).await;
                keeps(driver, done);
            }
            Step::HandBack(who) => {
                let driver = &mut drivers[who];
                let Some(lease) = driver.lease else { continue };
                driver.page.clear();
                driver.ledger.hand_back(lease).await.unwrap();
            }
            Step::Release(who) => {
                let driver = &mut drivers[who];
                let Some(lease) = driver.lease.take() else { continue };
                driver.ledger.release(lease).await.unwrap();
            }
            Step::Wait(seconds) => clock.sleep(Duration::from_secs(seconds)).await,
        }
        let [one, other] = &drivers;
        let both = one.lease.is_some() && other.lease.is_some();
        // A late driver may not know yet that it has lost its recipients.
        let alike = one.page.iter().filter(|seq| other.page.contains(seq)).count();
        if both && alike > 0 {
            let (a, b) = (one.lease.unwrap(), other.lease.unwrap());
            let renewed =
                [one.ledger.renew(a, LEASE).await.is_ok(), other.ledger.renew(b, LEASE).await.is_ok()];
            assert!(renewed.contains(&false), "both have {:?} and {:?} after {step:?}", one.page, other.page);
        }
        agree(&one.ledger, id, &times, &step).await;
    }
    // Whatever happened to the drivers, the next one finishes the broadcast.
    drop(drivers);
    clock.sleep(LEASE * 2).await;
    let mut last = Driver::start(folder, clock).await;
    let lease = last.lease(id).await;
    loop {
        let next = last.next(0, 99).await;
        if next.is_empty() {
            break;
        }
        last.ledger.intend(lease, next.clone()).await.unwrap();
        for seq in &next {
            times[at(*seq)] += 1;
        }
        last.ledger.settle(lease, next.into_iter().map(sent).collect()).await.unwrap();
    }
    agree(&last.ledger, id, &times, &Step::Wait(0)).await;
    assert_eq!(last.ledger.finish(lease, "{}").await.unwrap(), BroadcastStage::Finished);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn whoever_dies_or_is_late_nobody_is_sent_to_twice_or_lost(steps in prop::collection::vec(steps(), 1..60)) {
        with_folder(|folder, clock| async move { check(&folder, &clock, steps).await });
    }
}
