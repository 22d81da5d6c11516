//! Drives broadcasts from the ledger against a service that shares no code with the program.

mod answers;
mod hours;
mod outcomes;
mod stops;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use mooncast::{
    App, AppLimits, BroadcastCommand, BroadcastId, BroadcastProgress, BroadcastSummary, Call, Clock,
    Credentials, Delivery, DriveEnd, DriveResult, InDoubtPolicy, Instance, LEASE, Lease, Ledger, LedgerError,
    NewMessage, NewRecipient, RecipientState, StoredSpec, Timeouts,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::support::service::{Request, Service, accept, json};
use crate::support::store::{self, Schema};

const REFUSED: &str = r#"{"error":"illegal_argument","error_description":"no such group"}"#;
const BROKEN: &str = r#"{"error":"internal_server_error"}"#;

/// A ledger with one broadcast, a service, and the delivery code between them.
struct Scene {
    folder: TempDir,
    schema: Arc<Schema>,
    service: Arc<Service>,
    ledger: Ledger,
    instance: Instance,
    delivery: Delivery,
    clock: Clock,
    spec: StoredSpec,
    id: BroadcastId,
}

impl Scene {
    /// Makes a broadcast to the groups 1 to `many`, with a fixed plan.
    async fn new(clock: &Clock, service: Service, spec: StoredSpec, many: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let schema = Arc::new(Schema::default());
        let ledger = Ledger::open_at(&schema.place(folder.path()), clock.clone()).await.unwrap();
        let instance = ledger.register("test").await.unwrap();
        let delivery = road(&service, clock);
        let app = ledger.app("app").await.unwrap();
        let found = ledger.find_or_create(app, "news", "1", &spec).await.unwrap();
        let id = found.broadcast().id;
        let lease = ledger.claim(id, &instance, LEASE).await.unwrap().unwrap();
        let message = NewMessage {
            content: Bytes::from_static(br#"{"type":"txt","body":{"msg":"hi"}}"#),
            size: 12,
            known_as: None,
        };
        let users = if spec.call == Call::Targeted { vec!["u1".to_owned(), "u2".to_owned()] } else { vec![] };
        let recipients: Vec<_> = (1..=many)
            .map(|group| NewRecipient {
                zone: None,
                target: None,
                group_id: group.to_string(),
                users: users.clone(),
                message: Some(message.clone()),
                fields: Vec::new(),
            })
            .collect();
        ledger.append(lease, &recipients).await.unwrap();
        ledger.fix_plan(lease, None, None).await.unwrap();
        ledger.release(lease).await.unwrap();
        let service = Arc::new(service);
        Self { folder, schema, service, ledger, instance, delivery, clock: clock.clone(), spec, id }
    }

    async fn claim(&self) -> Lease {
        self.ledger.claim(self.id, &self.instance, LEASE).await.unwrap().unwrap()
    }

    async fn drive_until(&self, stop: &CancellationToken) -> DriveResult {
        let lease = self.claim().await;
        self.delivery
            .drive(&self.ledger, lease, &self.spec, stop, &BroadcastProgress::default())
            .await
            .unwrap()
    }

    async fn drive(&self) -> DriveResult {
        self.drive_until(&CancellationToken::new()).await
    }

    /// Returns the number of recipients in each state, counted from the rows.
    async fn states(&self) -> BTreeMap<RecipientState, usize> {
        let mut states = BTreeMap::new();
        for row in self.ledger.export(self.id, 0, u32::MAX).await.unwrap() {
            assert_eq!(row.message_id.is_some(), row.state == RecipientState::Sent, "{row:?}");
            *states.entry(row.state).or_default() += 1;
        }
        states
    }

    /// Returns how often the service got a request for each group.
    fn asked(&self) -> BTreeMap<String, usize> {
        let mut asked = BTreeMap::new();
        for message in self.service.messages() {
            for group in groups(&message) {
                *asked.entry(group).or_default() += 1;
            }
        }
        asked
    }

    fn each_was_asked_once(&self, many: usize) {
        let asked = self.asked();
        assert_eq!(asked.len(), many);
        assert!(asked.values().all(|count| *count == 1), "{asked:?}");
    }
}

fn groups(message: &Value) -> Vec<String> {
    message["to"].as_array().unwrap().iter().map(|group| group.as_str().unwrap().to_owned()).collect()
}

fn is_to(request: &Request, group: &str) -> bool {
    groups(&request.json()).iter().any(|one| one == group)
}

fn road(service: &Service, clock: &Clock) -> Delivery {
    let app = App {
        name: "default".into(),
        prefix: format!("{}/org/app", service.url()),
        credentials: Credentials::Token("token".into()),
        limits: AppLimits {
            group_per_second: 1_000_000,
            targeted_per_second: 1_000_000,
            ..AppLimits::default()
        },
        records: mooncast::RecordSettings::default(),
        timeouts: Timeouts::default(),
    };
    Delivery::new(&app, clock.clone(), None).unwrap()
}

/// Runs a test on a virtual clock: backoffs and pauses take no time.
fn virtually<F: Future<Output = ()>>(test: impl FnOnce(Clock) -> F) {
    let clock = Clock::simulated(Duration::from_hours(500_000));
    clock.block_on(test(clock.clone())).unwrap();
}

fn all(state: RecipientState, many: usize) -> BTreeMap<RecipientState, usize> {
    BTreeMap::from([(state, many)])
}
