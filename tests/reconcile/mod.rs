//! Messages in doubt that the service's history settles, against a service that shares no code with the program. Days pass
//! on a simulated clock.

mod kills;
pub mod service;
mod settle;

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use mooncast::{
    App, AppLimits, BroadcastId, BroadcastProgress, Call, Clock, Credentials, Delivery, DriveResult,
    Instance, LEASE, LazyLedger, Ledger, NewMessage, NewRecipient, RecordSettings, StoredSpec, Timeouts,
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::support::store::Schema;
use service::{HistoryService, Plan};

pub const HOUR: Duration = Duration::from_hours(1);

/// 2027-01-15T08:20:00Z.
const START: Duration = Duration::from_mins(30_000_020);

/// A ledger, a service with history files, and the delivery code between them.
pub struct Scene {
    _folder: TempDir,
    _schema: Schema,
    pub service: HistoryService,
    pub ledger: Ledger,
    pub delivery: Rc<Delivery>,
    clock: Clock,
    key: String,
}

impl Scene {
    pub async fn new(clock: &Clock, plan: impl Plan, records: RecordSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let schema = Schema::default();
        let place = schema.place(folder.path());
        let ledger = Ledger::open_at(&place, clock.clone()).await.unwrap();
        let service = HistoryService::start(clock, plan);
        let lazy_ledger = Rc::new(LazyLedger::new(place, clock.clone(), "test"));
        let app = App {
            name: "default".into(),
            prefix: format!("{}/org/app", service.url()),
            credentials: Credentials::Token("canary-token".into()),
            limits: AppLimits {
                group_per_second: 1_000_000,
                targeted_per_second: 1_000_000,
                read_per_second: 1_000_000,
                ..AppLimits::default()
            },
            records,
            timeouts: Timeouts::default(),
        };
        let key = app.prefix.clone();
        let delivery = Delivery::new(&app, clock.clone(), None).unwrap().with_ledger(lazy_ledger, &key);
        let delivery = Rc::new(delivery);
        Self { _folder: folder, _schema: schema, service, ledger, delivery, clock: clock.clone(), key }
    }

    /// Makes a broadcast to these groups, each with these users, with a fixed plan.
    async fn broadcast(&self, name: &str, spec: &StoredSpec, to: &[(u32, &[&str])]) -> BroadcastId {
        let instance = self.instance().await;
        let app = self.ledger.app(&self.key).await.unwrap();
        let found = self.ledger.find_or_create(app, name, "1", spec).await.unwrap();
        let id = found.broadcast().id;
        let lease = self.ledger.claim(id, &instance, LEASE).await.unwrap().unwrap();
        let message = NewMessage {
            content: Bytes::from_static(br#"{"from":"shop","type":"txt","body":{"msg":"hi"},"ext":{"n":1}}"#),
            size: 12,
            known_as: None,
        };
        let recipients: Vec<_> = to
            .iter()
            .map(|(group, users)| NewRecipient {
                zone: None,
                target: None,
                group_id: group.to_string(),
                users: users.iter().map(|user| (*user).to_owned()).collect(),
                message: Some(message.clone()),
                fields: Vec::new(),
            })
            .collect();
        self.ledger.append(lease, &recipients).await.unwrap();
        self.ledger.fix_plan(lease, None, None).await.unwrap();
        self.ledger.release(lease).await.unwrap();
        id
    }

    pub async fn groups(&self, spec: &StoredSpec, many: u32) -> BroadcastId {
        let to: Vec<(u32, &[&str])> = (1..=many).map(|group| (group, &[][..])).collect();
        self.broadcast("news", spec, &to).await
    }

    pub async fn instance(&self) -> Instance {
        self.ledger.register("driver").await.unwrap()
    }

    /// Drives the broadcast until it ends.
    pub async fn drive(&self, id: BroadcastId, spec: &StoredSpec) -> DriveResult {
        let instance = self.instance().await;
        let lease = self.ledger.claim(id, &instance, LEASE).await.unwrap().unwrap();
        let (stop, progress) = (CancellationToken::new(), BroadcastProgress::default());
        self.delivery.drive(&self.ledger, lease, spec, &stop, &progress).await.unwrap()
    }
}

/// Runs a test on a simulated clock.
pub fn virtually<F: Future<Output = ()>>(test: impl FnOnce(Clock) -> F) {
    let clock = Clock::simulated(START);
    clock.block_on(test(clock.clone())).unwrap();
}

pub fn spec(in_doubt: mooncast::InDoubtPolicy) -> StoredSpec {
    StoredSpec { in_doubt, stop_after_failures: Some(1_000_000), ..StoredSpec::new(Call::Group) }
}
