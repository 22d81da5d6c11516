//! Tests random interleavings of all operations on a broadcast against a model of what is allowed.

use proptest::prelude::*;

use super::*;

/// The number of recipients.
const MANY: u32 = 8;
/// The indices of all recipients.
const ALL: std::ops::Range<usize> = 0..MANY as usize;

#[derive(Debug, Clone)]
enum Step {
    Intend(Vec<usize>),
    /// Requests an intent and does not wait for it.
    IntendAndLeave(usize),
    Settle(usize, RecipientState),
    /// The process dies, and another one continues.
    Crash,
    /// An earlier driver wakes up.
    Ghost(usize),
    Request(BroadcastCommand),
    CancelRest,
    Retry,
    Doubts(Settlement),
    Finish,
    Wait(Duration),
    /// The driver renews its lease.
    Renew,
    /// The driver releases its lease.
    Release,
    /// Another process tries to drive the broadcast while this one lives.
    Rival,
}

fn steps() -> impl Strategy<Value = Step> {
    let settled = prop::sample::select(vec![
        RecipientState::Pending,
        RecipientState::Sent,
        RecipientState::Rejected,
        RecipientState::InDoubt,
    ]);
    let command =
        prop::sample::select(vec![BroadcastCommand::Run, BroadcastCommand::Pause, BroadcastCommand::Cancel]);
    prop_oneof![
        6 => prop::collection::hash_set(ALL, 1..4).prop_map(|set| Step::Intend(set.into_iter().collect())),
        1 => (ALL).prop_map(Step::IntendAndLeave),
        8 => (ALL, settled).prop_map(|(index, state)| Step::Settle(index, state)),
        1 => Just(Step::Crash),
        1 => (ALL).prop_map(Step::Ghost),
        1 => command.prop_map(Step::Request),
        1 => Just(Step::CancelRest),
        1 => Just(Step::Retry),
        1 => prop::sample::select(vec![Settlement::AsSent, Settlement::Again]).prop_map(Step::Doubts),
        2 => Just(Step::Finish),
        2 => (1..40_u64).prop_map(|seconds| Step::Wait(Duration::from_secs(seconds))),
        1 => Just(Step::Renew),
        1 => Just(Step::Release),
        2 => Just(Step::Rival),
    ]
}

/// The expected content of the ledger.
struct Model {
    states: Vec<RecipientState>,
    /// How often each recipient was tried: once when it was settled, and once more for each sender that ended before
    /// that.
    attempts: Vec<u32>,
    /// Whether each recipient has a message id.
    known: Vec<bool>,
    stage: BroadcastStage,
    command: BroadcastCommand,
    /// When the lease expires.
    until: Duration,
}

impl Model {
    /// All recipients are pending, and the lease was just taken.
    fn new(until: Duration) -> Self {
        Self {
            states: vec![RecipientState::Pending; ALL.len()],
            attempts: vec![0; ALL.len()],
            known: vec![false; ALL.len()],
            stage: BroadcastStage::Ready,
            command: BroadcastCommand::Run,
            until,
        }
    }

    /// Moves all recipients from one state to another; returns how many.
    fn shift(&mut self, from: RecipientState, to: RecipientState) -> u64 {
        let mut moved = 0;
        for (state, attempts) in self.states.iter_mut().zip(&mut self.attempts) {
            if *state == from {
                *state = to;
                *attempts += u32::from(from == RecipientState::Sending);
                moved += 1;
            }
        }
        if to == RecipientState::Pending && moved > 0 && self.stage != BroadcastStage::Ready {
            (self.stage, self.command) = (BroadcastStage::Ready, BroadcastCommand::Run);
        }
        moved
    }

    fn none(&self, wanted: &[RecipientState]) -> bool {
        !self.states.iter().any(|state| wanted.contains(state))
    }
}

fn seq(index: usize) -> i64 {
    i64::try_from(index).unwrap() + 1
}

fn outcome(index: usize, state: RecipientState) -> RecipientOutcome {
    let id = (state == RecipientState::Sent).then(|| format!("m{index}"));
    RecipientOutcome { seq: seq(index), state, message_id: id, error: None, attempts: 1 }
}

/// A program that drives the broadcast.
struct Driver {
    ledger: Ledger,
    instance: Instance,
    lease: Option<Lease>,
}

impl Driver {
    async fn start(folder: &Path, clock: &Clock) -> Self {
        let ledger = open(folder, clock).await;
        let instance = ledger.register("run").await.unwrap();
        Self { ledger, instance, lease: None }
    }

    /// Returns the lease; claims it again if it was released.
    async fn lease(&mut self, id: BroadcastId) -> Lease {
        if let Some(lease) = self.lease {
            return lease;
        }
        let lease =
            self.ledger.claim_alone(id, &self.instance, LEASE).await.unwrap().expect("nobody else has it");
        self.lease = Some(lease);
        lease
    }
}

/// Checks that the ledger has the content that the model expects.
async fn agree(driver: &Driver, id: BroadcastId, model: &Model, step: &Step) {
    let ledger = &driver.ledger;
    counted(ledger, id).await;
    let rows = ledger.export(id, 0, 99).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.state).collect::<Vec<_>>(), model.states, "after {step:?}");
    // A process without a lease cannot list pending recipients.
    if let Some(lease) = driver.lease {
        let waiting: Vec<i64> =
            ledger.pending(lease, 0, 99).await.unwrap().iter().map(|recipient| recipient.seq).collect();
        let pending: Vec<i64> =
            ALL.filter(|index| model.states[*index] == RecipientState::Pending).map(seq).collect();
        assert_eq!(waiting, pending, "after {step:?}");
    }
    let shown = ledger.show(id).await.unwrap();
    assert_eq!((shown.stage, shown.command), (model.stage, model.command), "after {step:?}");
}

#[expect(clippy::too_many_lines, reason = "an arm a step")]
async fn check(folder: &Path, clock: &Clock, in_doubt: InDoubtPolicy, steps: Vec<Step>) {
    let mut driver = Driver::start(folder, clock).await;
    let lease = planned(&driver.ledger, &driver.instance, &StoredSpec { in_doubt, ..spec() }, MANY).await;
    driver.lease = Some(lease);
    let id = lease.broadcast;
    let mut ghost = None;
    let mut model = Model::new(clock.unix_time() + LEASE);
    // Live processes whose broadcast was taken over.
    let mut overtaken = Vec::new();
    for step in steps {
        if driver.lease.is_none() {
            takes_over(&mut driver, id, in_doubt, &mut model, clock).await;
        }
        let lease = driver.lease(id).await;
        match step.clone() {
            Step::Intend(set) => {
                let allowed = model.stage == BroadcastStage::Ready
                    && set.iter().all(|index| model.states[*index] == RecipientState::Pending);
                let done = driver.ledger.intend(lease, set.iter().copied().map(seq).collect()).await;
                assert_eq!(done.is_ok(), allowed, "{step:?}: {done:?}");
                if allowed {
                    for index in set {
                        model.states[index] = RecipientState::Sending;
                    }
                }
            }
            Step::IntendAndLeave(index) => {
                let allowed =
                    model.stage == BroadcastStage::Ready && model.states[index] == RecipientState::Pending;
                {
                    let intend = driver.ledger.intend(lease, vec![seq(index)]);
                    let intend = std::pin::pin!(intend);
                    poll_once(intend).await;
                }
                // This intent is behind it in the queue.
                driver.ledger.intend(lease, vec![]).await.unwrap();
                if allowed {
                    model.states[index] = RecipientState::Sending;
                }
            }
            Step::Settle(index, state) => {
                // Repeating the same outcome is no error, because the answer to it may have been lost.
                let known = state == RecipientState::Sent;
                let again =
                    model.states[index] == state && model.attempts[index] == 1 && model.known[index] == known;
                let allowed = model.states[index] == RecipientState::Sending || again;
                let done = driver.ledger.settle(lease, vec![outcome(index, state)]).await;
                assert_eq!(done.is_ok(), allowed, "{step:?}: {done:?}");
                if allowed {
                    model.states[index] = state;
                    (model.attempts[index], model.known[index]) = (1, known);
                }
            }
            Step::Crash => {
                let Driver { ledger, instance, .. } = driver;
                dies(&ledger, instance, clock).await;
                ghost = Some(lease);
                driver = Driver::start(folder, clock).await;
                takes_over(&mut driver, id, in_doubt, &mut model, clock).await;
            }
            Step::Rival => {
                let claimed = rival(folder, clock, id).await;
                assert_eq!(claimed.is_some(), clock.unix_time() > model.until, "{step:?}");
                if let Some(rival) = claimed {
                    ghost = Some(lease);
                    overtaken.push(std::mem::replace(&mut driver, rival));
                    takes_over(&mut driver, id, in_doubt, &mut model, clock).await;
                }
            }
            Step::Wait(time) => clock.sleep(time).await,
            Step::Renew => {
                driver.ledger.renew(lease, LEASE).await.unwrap();
                model.until = clock.unix_time() + LEASE;
            }
            Step::Release => {
                driver.ledger.release(lease).await.unwrap();
                driver.lease = None;
            }
            Step::Ghost(index) => {
                let Some(ghost) = ghost else { continue };
                changes_nothing(&driver.ledger, ghost, index).await;
            }
            Step::Request(command) => {
                let over = model.stage != BroadcastStage::Ready;
                let allowed = !over
                    && (model.command != BroadcastCommand::Cancel || command == BroadcastCommand::Cancel);
                let done = driver.ledger.request_command(id, command, None).await;
                assert_eq!(done.is_ok(), allowed, "{step:?}: {done:?}");
                if allowed {
                    model.command = command;
                }
            }
            Step::CancelRest => {
                let moved = driver.ledger.cancel_rest(lease).await.unwrap();
                assert_eq!(moved, model.shift(RecipientState::Pending, RecipientState::Cancelled));
            }
            Step::Retry => {
                let moved = driver.ledger.retry_rejected(id).await.unwrap();
                assert_eq!(moved, model.shift(RecipientState::Rejected, RecipientState::Pending));
            }
            Step::Doubts(settlement) => {
                let to = if settlement == Settlement::AsSent {
                    RecipientState::Sent
                } else {
                    RecipientState::Pending
                };
                let moved = driver.ledger.settle_doubts(id, settlement).await.unwrap();
                assert_eq!(moved, model.shift(RecipientState::InDoubt, to));
            }
            Step::Finish => {
                let allowed = model.stage == BroadcastStage::Ready
                    && model.none(&[RecipientState::Pending, RecipientState::Sending]);
                let done = driver.ledger.finish(lease, "{}").await;
                assert_eq!(done.is_ok(), allowed, "{step:?}: {done:?}");
                if allowed {
                    model.stage = if model.command == BroadcastCommand::Cancel {
                        BroadcastStage::Cancelled
                    } else {
                        BroadcastStage::Finished
                    };
                    driver.lease = None;
                }
            }
        }
        agree(&driver, id, &model, &step).await;
    }
}

/// Another process, if it gets the lease.
async fn rival(folder: &Path, clock: &Clock, id: BroadcastId) -> Option<Driver> {
    let mut rival = Driver::start(folder, clock).await;
    rival.lease = rival.ledger.claim_alone(id, &rival.instance, LEASE).await.unwrap();
    rival.lease.is_some().then_some(rival)
}

/// Checks that a driver whose broadcast was taken over cannot change anything.
async fn changes_nothing(ledger: &Ledger, ghost: Lease, index: usize) {
    assert!(ledger.intend(ghost, vec![seq(index)]).await.is_err());
    assert!(ledger.settle(ghost, vec![outcome(index, RecipientState::Sent)]).await.is_err());
    assert!(ledger.renew(ghost, LEASE).await.is_err());
    assert!(ledger.take_over(ghost).await.is_err());
    assert!(ledger.cancel_rest(ghost).await.is_err());
    assert!(ledger.finish(ghost, "{}").await.is_err());
    ledger.release(ghost).await.unwrap();
}

/// Takes the broadcast over, as a new driver does first.
async fn takes_over(
    driver: &mut Driver,
    id: BroadcastId,
    in_doubt: InDoubtPolicy,
    model: &mut Model,
    clock: &Clock,
) {
    let lease = driver.lease(id).await;
    model.until = clock.unix_time() + LEASE;
    let taken = driver.ledger.take_over(lease).await.unwrap();
    let to = if in_doubt == InDoubtPolicy::Hold { RecipientState::InDoubt } else { RecipientState::Pending };
    assert_eq!(taken.in_doubt + taken.pending, model.shift(RecipientState::Sending, to));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn only_what_is_allowed_happens(
        steps in prop::collection::vec(steps(), 1..40),
        in_doubt in prop::sample::select(vec![InDoubtPolicy::Hold, InDoubtPolicy::Resend]),
    ) {
        with_folder(|folder, clock| async move { check(&folder, &clock, in_doubt, steps).await });
    }
}
