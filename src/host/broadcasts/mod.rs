//! The host's side of `im.broadcast`: from what a script asks to a fixed plan in the ledger, and then to its end.
//!
//! A plan is built by one script and driven by one process; whatever ends either leaves it to be built anew, or to go
//! on from where it stopped.

mod asked;
mod audience;
mod build;
mod drive;
mod fields;
mod keeper;
mod report;
mod watch;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::delivery::{LEASE, Report, Underway};
use crate::ledger::{Broadcast, BroadcastId, Found, Lease, Ledger, LedgerError, Owner, ScriptMark};
use crate::message::Call;
use crate::protocol::{Answer, BroadcastStep, Failure, Kind, Source};

use super::answers;
use super::services::Services;
use asked::Asked;
use build::Building;
pub use build::PlanUnderway;
use drive::Driving;

pub use keeper::{Keeper, Kept};

/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(8);

/// The broadcasts of one run.
#[derive(Default)]
pub struct Broadcasts {
    open: RefCell<HashMap<u64, Open>>,
    last: Cell<u64>,
    script: RefCell<Option<Source>>,
    watched: RefCell<Vec<Rc<Underway>>>,
    plans: RefCell<Vec<Weak<PlanUnderway>>>,
}

enum Open {
    Building(Box<Building>),
    Driving(Rc<Driving>),
}

impl Broadcasts {
    /// Says which script it is that asks.
    pub(super) fn of_script(&self, script: &Source) {
        self.script.replace(Some(script.clone()));
    }

    /// Those that are driven, and those that ended with something left to say about them; the oldest first.
    pub fn watched(&self) -> Vec<Rc<Underway>> {
        self.watched.borrow().clone()
    }

    /// The plans that are being built.
    pub fn plans(&self) -> Vec<Rc<PlanUnderway>> {
        let mut plans = self.plans.borrow_mut();
        plans.retain(|plan| plan.strong_count() > 0);
        plans.iter().filter_map(Weak::upgrade).collect()
    }

    /// Keeps one to be shown, and no longer those that were delivered to all.
    fn watch(&self, underway: Underway) -> Rc<Underway> {
        let underway = Rc::new(underway);
        let mut watched = self.watched.borrow_mut();
        watched.retain(|one| one.end().is_none_or(|driven| !driven.report.all_delivered()));
        watched.push(Rc::clone(&underway));
        underway
    }

    /// Gives up those that are being built. Those that are driven must have been told to stop and are waited for, but
    /// where they are `kept`: then they go on without their script.
    pub(super) async fn end(&self, kept: bool) {
        let all: Vec<Open> = self.open.borrow_mut().drain().map(|(_, open)| open).collect();
        for open in all {
            match open {
                Open::Building(building) => building.abandon().await,
                Open::Driving(driving) if !kept => driving.ended().await,
                Open::Driving(_) => {}
            }
        }
    }

    /// The numbers of those that are driven.
    #[must_use]
    pub fn driven(&self) -> Vec<BroadcastId> {
        let open = self.open.borrow();
        let driven = open.values().filter_map(|open| match open {
            Open::Driving(driving) => Some(driving.id()),
            Open::Building(_) => None,
        });
        driven.collect()
    }

    fn put(&self, handle: u64, open: Open) {
        self.open.borrow_mut().insert(handle, open);
    }

    fn building(&self, handle: u64) -> Result<Box<Building>, Failure> {
        let mut open = self.open.borrow_mut();
        match open.remove(&handle) {
            Some(Open::Building(building)) => Ok(building),
            Some(other) => {
                open.insert(handle, other);
                Err(Failure::new(Kind::Invalid, "the broadcast's plan is fixed"))
            }
            None => Err(Failure::new(Kind::Invalid, "no broadcast is being built under this handle")),
        }
    }

    fn driving(&self, handle: u64) -> Result<Rc<Driving>, Failure> {
        match self.open.borrow().get(&handle) {
            Some(Open::Driving(driving)) => Ok(Rc::clone(driving)),
            _ => Err(Failure::new(Kind::Invalid, "no broadcast is being sent under this handle")),
        }
    }

    fn script_mark(&self) -> Option<ScriptMark> {
        let script = self.script.borrow();
        let script = script.as_ref()?;
        let hash = HEXLOWER.encode(&Sha256::digest(&script.text));
        Some(ScriptMark { path: script.name.clone(), hash })
    }
}

/// Takes one step of a broadcast.
pub(super) async fn step(services: &Services, step: BroadcastStep) -> Result<Answer, Failure> {
    let broadcasts = &services.broadcasts;
    match step {
        BroadcastStep::Begin { app, spec } => begin(services, app, &spec).await,
        BroadcastStep::Page { handle } => {
            let mut building = broadcasts.building(handle)?;
            let page = building.page(services).await;
            keep(services, handle, building, page).await
        }
        BroadcastStep::Take { handle } => {
            let mut building = broadcasts.building(handle)?;
            let taken = building.take(services).await;
            keep(services, handle, building, taken.map(Value::from)).await
        }
        BroadcastStep::Append { handle, batch } => {
            let mut building = broadcasts.building(handle)?;
            let added = building.append(services, &batch).await;
            keep(services, handle, building, added.map(|()| Value::Null)).await
        }
        BroadcastStep::Fix { handle } => {
            let mut building = broadcasts.building(handle)?;
            match building.fix(services).await {
                Ok(plan) if plan.total == 0 => {
                    let number = building.unplaced(services);
                    let report = building.end_without_recipients(services, &plan).await?;
                    Ok(watch::noted(number, json_answer(&json!({ "report": report }))))
                }
                Ok(plan) => {
                    let number = building.unplaced(services);
                    let driving = Driving::start(services, building.into_drive());
                    broadcasts.put(handle, Open::Driving(driving));
                    Ok(watch::noted(number, json_answer(&json!(plan))))
                }
                Err(failure) => {
                    building.abandon().await;
                    Err(failure)
                }
            }
        }
        BroadcastStep::Wait { handle } => {
            let driving = broadcasts.driving(handle)?;
            Ok(json_answer(&driving.wait(&services.clock).await?))
        }
        BroadcastStep::Abandon { handle } => {
            if let Ok(building) = broadcasts.building(handle) {
                building.abandon().await;
            }
            Ok(Answer::Nothing)
        }
    }
}

/// Keeps a plan that goes on being built; one that met an error is given up.
async fn keep(
    services: &Services,
    handle: u64,
    building: Box<Building>,
    result: Result<Value, Failure>,
) -> Result<Answer, Failure> {
    match result {
        Ok(value) => {
            let number = building.unplaced(services);
            services.broadcasts.put(handle, Open::Building(building));
            Ok(watch::noted(number, json_answer(&value)))
        }
        Err(failure) => {
            building.abandon().await;
            Err(failure)
        }
    }
}

async fn begin(services: &Services, app: u32, spec: &[u8]) -> Result<Answer, Failure> {
    let delivery = services
        .apps
        .get(app as usize)
        .ok_or_else(|| Failure::new(Kind::Invalid, "no app is configured, so nothing can be sent"))?;
    let asked = Asked::read(spec)?;
    let entry = delivery.entry().await.map_err(answers::failure)?;
    let (open, app) = entry
        .ok_or_else(|| Failure::new(Kind::Invalid, "there is no ledger here, so nothing can be broadcast"))?;
    let (ledger, owner) = (&open.ledger, &open.owner);
    let mark = services.broadcasts.script_mark();
    let spec = asked.spec(Call::Group, mark);
    let run = asked.run(services.job.as_deref());
    let found = ledger.find_or_create(app, &asked.name, &run, &spec).await.map_err(fault)?;
    if let Found::Finished(broadcast) = &found {
        watch::over(services, delivery, broadcast)?;
        return Ok(already(services, broadcast));
    }
    let id = found.broadcast().id;
    if let Some(job) = &services.job {
        // Its script may end before it does.
        ledger.entrust(id).await.map_err(fault)?;
        if let Some(driving) = job.keeper.driving(id) {
            warn_if_changed(found.broadcast(), spec.script.as_ref());
            return Ok(opened(services, Open::Driving(driving), "resume"));
        }
    }
    let Some(lease) = claim(ledger, id, owner).await.map_err(fault)? else {
        return Err(driven_elsewhere(ledger, found.broadcast()).await);
    };
    let heartbeat = Heartbeat::start(ledger, lease, &services.clock);
    // Another may have driven it between the look and the claim.
    let broadcast = ledger.show(id).await.map_err(fault)?;
    if broadcast.is_over() {
        ledger.release(lease).await.map_err(fault)?;
        watch::over(services, delivery, &broadcast)?;
        return Ok(already(services, &broadcast));
    }
    let resumes = matches!(found, Found::Unfinished(_)) || broadcast.plan.is_some();
    let watched = watch::Watched::of(services);
    if resumes && let Err(failure) = watch::resumes(services, delivery, &broadcast) {
        ledger.release(lease).await.map_err(fault)?;
        return Err(failure);
    }
    let role = drive::Role {
        delivery: Rc::clone(delivery),
        ledger: ledger.clone(),
        lease,
        broadcast,
        heartbeat,
        bad_lines: 0,
        blank_rows: 0,
        watched,
    };
    if resumes {
        warn_if_changed(&role.broadcast, spec.script.as_ref());
        return Ok(opened(services, Open::Driving(Driving::start(services, role)), "resume"));
    }
    let building = Building::begin(role, asked, spec, app).await?;
    services.broadcasts.plans.borrow_mut().push(building.underway());
    Ok(opened(services, Open::Building(Box::new(building)), "build"))
}

/// The lease of a broadcast; none where a process that lives has it. On a store that hosts share, one that has just died
/// is waited for until that is known.
async fn claim(ledger: &Ledger, id: BroadcastId, owner: &Owner) -> Result<Option<Lease>, LedgerError> {
    let lease = ledger.claim(id, owner, LEASE).await?;
    if lease.is_some() || !ledger.is_shared() {
        return Ok(lease);
    }
    tracing::info!("another process has broadcast {id}, and may be dead: waiting for its next sign of life");
    if ledger.hears_driver(id).await? {
        return Ok(None);
    }
    ledger.claim(id, owner, LEASE).await
}

/// Gives a broadcast a handle, and says what comes next.
fn opened(services: &Services, open: Open, state: &str) -> Answer {
    let handle = services.broadcasts.last.get() + 1;
    services.broadcasts.last.set(handle);
    services.broadcasts.put(handle, open);
    json_answer(&json!({ "handle": handle, "state": state }))
}

/// Says that nothing is left to send, and how to send anew. Those who never got it count for the exit status as they
/// did when it ended.
fn already(services: &Services, broadcast: &Broadcast) -> Answer {
    let (name, run, counts) = (&broadcast.name, &broadcast.run, &broadcast.counts);
    services.tally.broadcast(&Report::new(broadcast, counts, 0, Duration::ZERO), 0);
    let doubts = match counts.in_doubt {
        0 => String::new(),
        many => format!(" ({many} are in doubt: `mooncast runs settle {}` settles them)", broadcast.id),
    };
    let when = broadcast
        .finished_at
        .and_then(|at| i64::try_from(at.as_secs()).ok())
        .and_then(|at| jiff::Timestamp::from_second(at).ok())
        .map_or_else(|| "before".to_owned(), |at| at.to_string());
    tracing::warn!(
        "broadcast `{name}` (run {run}) ended at {when}: it was sent to {} of {} recipients{doubts}; nothing is sent again. To send anew, give it another `run`",
        counts.sent,
        counts.total(),
    );
    let mut report = report::stored(broadcast);
    report["already"] = Value::Bool(true);
    json_answer(&json!({ "state": "already", "report": report }))
}

async fn driven_elsewhere(ledger: &Ledger, broadcast: &Broadcast) -> Failure {
    let driver = ledger.show(broadcast.id).await.ok().and_then(|now| now.driver);
    let who = driver.map_or_else(
        || "another process".to_owned(),
        |driver| format!("`{}` (process {})", driver.owner.name, driver.owner.pid),
    );
    Failure::invalid(
        "name",
        format!(
            "broadcast `{}` (run {}) is being built or sent by {who}; wait for its end, or give this one another name or run",
            broadcast.name, broadcast.run
        ),
    )
}

fn warn_if_changed(broadcast: &Broadcast, script: Option<&ScriptMark>) {
    let (name, run) = (&broadcast.name, &broadcast.run);
    if broadcast.spec.script.as_ref().map(|mark| &mark.hash) == script.map(|mark| &mark.hash) {
        tracing::info!("broadcast `{name}` (run {run}) goes on where it stopped");
    } else {
        tracing::warn!(
            "broadcast `{name}` (run {run}) goes on with the recipients and messages of its stored plan; the script has changed since, and that changes nothing in it. For the new ones, give it another `run`"
        );
    }
}

/// Renews a lease for as long as it lives.
struct Heartbeat(JoinHandle<()>);

impl Heartbeat {
    fn start(ledger: &Ledger, lease: Lease, clock: &Clock) -> Self {
        let (ledger, clock) = (ledger.clone(), clock.clone());
        Self(tokio::task::spawn_local(async move {
            loop {
                clock.sleep(RENEWAL).await;
                if let Err(error) = ledger.renew(lease, LEASE).await {
                    tracing::warn!("the lease of broadcast {} was not renewed: {error}", lease.broadcast);
                }
            }
        }))
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A failure of the ledger in the words of a script.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` takes")]
fn fault(error: LedgerError) -> Failure {
    match &error {
        LedgerError::TooMany { .. } => {
            Failure::invalid("max_recipients", format!("{error}; nothing was sent"))
        }
        // As for a single send: the ledger could not be reached.
        _ if error.is_fault() => Failure::new(
            Kind::Unreachable,
            format!("{error}; after that the same call goes on where it stopped"),
        ),
        _ => Failure::new(Kind::Invalid, error.to_string()),
    }
}

fn json_answer(value: &Value) -> Answer {
    Answer::Json(value.to_string().into())
}
