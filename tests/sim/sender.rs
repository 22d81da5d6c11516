//! What a simulated process does: it drives the broadcasts that no other process drives, and sends single messages.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{LocalBoxFuture, join_all};
use mooncast::{
    App, AppId, AppLimits, BroadcastLookup, BroadcastProgress, Call, Clock, Credentials, Delivery, DriveEnd,
    Instance, LEASE, LazyLedger, Ledger, LedgerError, LedgerLocation, MessageCap, NewMessage, NewRecipient,
    RecordSettings, SendCounters, SendOptions, StoredSpec, Timeouts,
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::control::{Control, Life};
use crate::service::Wire;
use crate::story::{Planned, Single, Story};

/// How often a process asks for a broadcast that another one drives.
const AGAIN: Duration = Duration::from_secs(5);
/// How long a broadcast rests that paused itself.
const REST: Duration = Duration::from_mins(3);

pub struct Sender {
    pub story: Rc<Story>,
    pub clock: Clock,
    pub control: Control,
    pub folder: PathBuf,
    pub life: Life,
    pub stop: CancellationToken,
}

struct Opened<'a> {
    sender: &'a Sender,
    delivery: &'a Delivery,
    ledger: &'a Ledger,
    instance: &'a Instance,
    app: AppId,
}

enum Attempt {
    Over,
    Elsewhere,
    PausedItself,
}

impl Sender {
    pub fn begin(self, wire: Arc<Wire>) -> LocalBoxFuture<'static, ()> {
        Box::pin(async move { self.run(wire).await })
    }

    fn log(&self, line: &str) {
        let Life { process, start } = self.life;
        self.control.log(&self.clock, format!("p{}.{} {line}", process + 1, start + 1));
    }

    async fn run(&self, wire: Arc<Wire>) {
        let location = LedgerLocation::Folder(self.folder.clone());
        let name = format!("p{}.{}", self.life.process + 1, self.life.start + 1);
        let ledger = Rc::new(LazyLedger::new(location, self.clock.clone(), &name));
        let delivery = Delivery::over(wire, &app(self.story.quota), self.clock.clone()).unwrap();
        let delivery = delivery.with_ledger(Rc::clone(&ledger), "app");
        let (open, app) = match delivery.entry().await {
            Ok(entry) => entry.unwrap(),
            Err(failure) => {
                self.control.problem(&self.clock, format!("the ledger does not open: {}", failure.message));
                return;
            }
        };
        self.log("runs");
        let opened =
            Opened { sender: self, delivery: &delivery, ledger: &open.ledger, instance: &open.instance, app };
        let broadcasts = join_all(self.story.broadcasts.iter().map(|planned| opened.broadcast(planned)));
        let singles = join_all(self.story.singles.iter().map(|single| opened.single(single)));
        let done = CancellationToken::new();
        let work = async {
            futures_util::future::join(broadcasts, singles).await;
            done.cancel();
        };
        let upkeep = async {
            while !done.is_cancelled() {
                delivery.write_deferred().await;
                tokio::select! {
                    biased;
                    () = done.cancelled() => {}
                    () = self.clock.sleep(AGAIN) => {}
                }
            }
        };
        futures_util::future::join(work, upkeep).await;
        // A process with nothing left to send stays until it is stopped.
        self.stop.cancelled().await;
        delivery.release().await;
        ledger.close().await;
        self.log("ends");
    }

    /// Waits, unless the process is to stop; returns whether it goes on.
    async fn wait(&self, until: mooncast::Instant) -> bool {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            () = self.clock.sleep_until(until) => true,
        }
    }
}

impl Opened<'_> {
    async fn broadcast(&self, planned: &Planned) {
        let sender = self.sender;
        let mut next = mooncast::Instant::from_start(planned.begins);
        while sender.wait(next).await {
            let rest = match self.attempt(planned).await {
                Ok(Attempt::Over) => return,
                Ok(Attempt::Elsewhere) => AGAIN,
                Ok(Attempt::PausedItself) => REST,
                Err(error) => {
                    sender.log(&format!("{}: {error}", planned.name));
                    if !matches!(error, LedgerError::LeaseLost(_) | LedgerError::NotNow { .. }) {
                        let problem = format!("{}: an unexpected error: {error:?}", planned.name);
                        sender.control.problem(&sender.clock, problem);
                    }
                    AGAIN
                }
            };
            next = sender.clock.now() + rest;
        }
    }

    async fn attempt(&self, planned: &Planned) -> Result<Attempt, LedgerError> {
        let (ledger, sender) = (self.ledger, self.sender);
        let found = ledger.find_or_create(self.app, &planned.name, "1", &spec(planned)).await?;
        if matches!(found, BroadcastLookup::Finished(_)) {
            return Ok(Attempt::Over);
        }
        let id = found.broadcast().id;
        let Some(lease) = ledger.claim(id, self.instance, LEASE).await? else {
            return Ok(Attempt::Elsewhere);
        };
        let broadcast = ledger.show(id).await?;
        if broadcast.is_over() {
            ledger.release(lease).await?;
            return Ok(Attempt::Over);
        }
        sender.log(&format!("takes {} (lease {})", planned.name, lease.number));
        let is_new = broadcast.plan.is_none();
        if is_new {
            ledger.discard_unbuilt(lease, &spec(planned)).await?;
            for part in recipients(planned).chunks(25) {
                ledger.append(lease, part).await?;
            }
            ledger.fix_plan(lease, None, None).await?;
        }
        let progress = BroadcastProgress::default();
        let driven = if is_new {
            self.delivery.drive(ledger, lease, &broadcast.spec, &sender.stop, &progress).await?
        } else {
            self.delivery.resume(ledger, lease, &broadcast.spec, &sender.stop, &progress).await?
        };
        sender.log(&format!("{}: {:?}", planned.name, driven.end));
        Ok(match driven.end {
            DriveEnd::Finished | DriveEnd::Cancelled => Attempt::Over,
            DriveEnd::Paused(_) => Attempt::PausedItself,
            DriveEnd::Stopped => Attempt::Elsewhere,
        })
    }

    async fn single(&self, single: &Single) {
        let sender = self.sender;
        let at = mooncast::Instant::from_start(single.at);
        // A message without a key is sent by the process that lives at its time. One with a key is sent by each start.
        let is_mine = single.process == sender.life.process && (single.once || at >= sender.clock.now());
        if !is_mine || !sender.wait(at).await {
            return;
        }
        let message = json!({
            "type": "txt", "body": { "msg": single.text }, "to": [single.group.to_string()]
        });
        let message = self.delivery.check(Call::Group, message).unwrap();
        let options = SendOptions {
            once: single.once.then(|| single.text.clone()),
            origin: "sim".to_owned(),
            ..SendOptions::default()
        };
        let sent = self.delivery.send(&message, options, &sender.stop, &SendCounters::default()).await;
        let how = match &sent {
            Ok(receipts) => format!("{receipts:?}"),
            Err(failure) => format!("{:?}", failure.kind),
        };
        sender.log(&format!("single {}: {how}", single.text));
    }
}

fn app(quota: u32) -> App {
    App {
        name: "default".into(),
        prefix: "http://127.0.0.1:9/org/app".to_owned(),
        credentials: Credentials::Token("token".into()),
        limits: AppLimits { group_per_second: quota, targeted_per_second: quota, ..AppLimits::default() },
        records: RecordSettings::default(),
        timeouts: Timeouts {
            connect: Duration::from_secs(5),
            read: Duration::from_secs(10),
            overall: Duration::from_secs(20),
        },
    }
}

fn spec(planned: &Planned) -> StoredSpec {
    StoredSpec {
        in_doubt: planned.policy,
        pack: planned.pack,
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        rate: planned.rate.map(|rate| rate as f64),
        window: planned.window.map(|(from, to)| {
            let time = |minutes: u64| format!("{:02}:{:02}", 8 + minutes / 60, minutes % 60);
            json!({ "from": time(from), "to": time(to), "tz": "UTC" })
        }),
        cap: planned.cap.map(|per_group| MessageCap { per_group, within: "1h".to_owned(), tag: None }),
        approval_over: planned.needs_approval.then_some(0),
        ..StoredSpec::new(planned.call)
    }
}

fn recipients(planned: &Planned) -> Vec<NewRecipient> {
    let content = json!({ "type": "txt", "body": { "msg": planned.name } }).to_string();
    let message = NewMessage { content: Bytes::from(content), size: 30, known_as: None };
    let users = if planned.call == Call::Targeted { vec!["u1".to_owned(), "u2".to_owned()] } else { vec![] };
    let recipient = |group: &u64| NewRecipient {
        zone: None,
        target: None,
        group_id: group.to_string(),
        users: users.clone(),
        message: Some(message.clone()),
        fields: Vec::new(),
    };
    planned.groups.iter().map(recipient).collect()
}
