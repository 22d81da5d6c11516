//! Counts how often several hosts with one ledger, each with its own client, ask the service for a token.

use std::path::Path;
use std::sync::Mutex;

use bytes::Bytes;
use http::{Request, Response};

use super::*;
use crate::client::{FailureClass, InProcessService, ServiceResponse};
use crate::clock::Clock;
use crate::config::{App, AppLimits, Credentials, Timeouts};
use crate::core::Call;
use crate::ledger::tests::server;

const KEY: &str = "http://service/org/app";
const SECRET: &str = "CANARY-secret";

/// A service that returns the tokens CANARY-t1, CANARY-t2, …, each after a delay, and refuses those below `first_good`.
#[derive(Debug)]
struct Service {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    fetched: u64,
    /// Tokens below this are refused.
    first_good: u64,
    /// Whether it returns no token.
    closed: bool,
}

impl Service {
    fn fetched(&self) -> u64 {
        self.state.lock().unwrap().fetched
    }

    fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let mut state = self.state.lock().unwrap();
        let (status, body) = if request.uri().path().ends_with("/token") {
            state.fetched += 1;
            let number = state.fetched;
            if state.closed || !String::from_utf8_lossy(request.body()).contains(SECRET) {
                (401, r#"{"error":"unauthorized","error_description":"CANARY-secret"}"#.to_owned())
            } else {
                (200, format!(r#"{{"access_token":"CANARY-t{number}","expires_in":3600}}"#))
            }
        } else {
            let token = request.headers()["authorization"].to_str().unwrap();
            let number: u64 = token.strip_prefix("Bearer CANARY-t").unwrap().parse().unwrap();
            if number < state.first_good {
                (401, r#"{"error":"unauthorized"}"#.to_owned())
            } else {
                (200, r#"{"data":{"1":"m1"}}"#.to_owned())
            }
        };
        Response::builder().status(status).body(body.into()).unwrap()
    }
}

#[async_trait]
impl InProcessService for Service {
    async fn carry(&self, request: Request<Bytes>) -> ServiceResponse {
        self.clock.sleep(Duration::from_millis(300)).await;
        ServiceResponse::Whole(self.answer(&request))
    }
}

/// A host: a client and a ledger of its own, on the shared store.
async fn host(folder: &Path, service: &Arc<Service>, secret: &str) -> (Client, Ledger) {
    let app = App {
        name: "default".into(),
        prefix: KEY.into(),
        credentials: Credentials::Client { id: "id".into(), secret: secret.to_owned().into() },
        limits: AppLimits::default(),
        records: crate::config::RecordSettings::default(),
        timeouts: Timeouts::default(),
    };
    let clock = service.clock.clone();
    let client = Client::over(Arc::clone(service) as _, &app, clock.clone()).unwrap();
    let ledger = Ledger::open_at(&server::location(folder).await, clock).await.unwrap();
    let id = ledger.app(KEY).await.unwrap();
    use_ledger_store(&client, KEY, &ledger, id);
    (client, ledger)
}

async fn send(client: &Client) -> Result<(), crate::client::CallError> {
    let body = Bytes::from_static(br#"{"to":["1"]}"#);
    client.send(Call::Group, body, || ()).await.map(drop)
}

fn with_service<F, Fut>(test: F)
where
    F: FnOnce(std::path::PathBuf, Arc<Service>) -> Fut,
    Fut: Future<Output = ()>,
{
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::simulated(Duration::from_hours(490_896));
    let service = Arc::new(Service { clock: clock.clone(), state: Mutex::default() });
    let project = folder.path().join("project");
    clock.block_on(test(project.clone(), service)).unwrap();
    clock.block_on(server::clean(&project)).unwrap();
}

#[test]
fn all_hosts_have_one_token_and_renew_it_once() {
    with_service(|folder, service| async move {
        let mut hosts = Vec::new();
        for _ in 0..4 {
            hosts.push(host(&folder, &service, SECRET).await);
        }
        let all_send = async || {
            let sends = hosts.iter().flat_map(|(client, _)| (0..5).map(move |_| send(client)));
            for sent in futures_util::future::join_all(sends).await {
                sent.unwrap();
            }
        };
        all_send().await;
        assert_eq!(service.fetched(), 1);
        // A host that starts later finds the token, even if every other host has ended.
        let (late, _ledger) = host(&folder, &service, SECRET).await;
        send(&late).await.unwrap();
        assert_eq!(service.fetched(), 1);
        // One host renews it before its end, once; meanwhile the old one serves.
        service.clock.sleep(Duration::from_mins(56)).await;
        all_send().await;
        all_send().await;
        assert_eq!(service.fetched(), 2);
        // The service refuses it to all hosts, and one host replaces it once.
        service.state.lock().unwrap().first_good = 3;
        all_send().await;
        assert_eq!(service.fetched(), 3);
        // A host with an older token fetches none either.
        send(&late).await.unwrap();
        assert_eq!(service.fetched(), 3);
    });
}

#[test]
fn what_is_refused_twice_is_asked_for_by_no_host_for_a_while() {
    with_service(|folder, service| async move {
        let mut hosts = Vec::new();
        for _ in 0..4 {
            hosts.push(host(&folder, &service, SECRET).await);
        }
        service.state.lock().unwrap().first_good = 100;
        for _ in 0..3 {
            for (client, _) in &hosts {
                assert_eq!(send(client).await.unwrap_err().class, FailureClass::Auth);
            }
        }
        assert_eq!(service.fetched(), 2);
    });
}

#[test]
fn a_token_that_served_on_one_host_is_renewed_on_another() {
    with_service(|folder, service| async move {
        let (first, _one) = host(&folder, &service, SECRET).await;
        let (second, _two) = host(&folder, &service, SECRET).await;
        send(&first).await.unwrap();
        // This token replaces a refused one. Only the first host has used it.
        service.state.lock().unwrap().first_good = 2;
        send(&first).await.unwrap();
        service.state.lock().unwrap().first_good = 3;
        send(&second).await.unwrap();
        assert_eq!(service.fetched(), 3);
    });
}

#[test]
fn a_token_that_serves_elsewhere_while_a_call_with_it_is_under_way_is_renewed() {
    with_service(|folder, service| async move {
        let (first, _one) = host(&folder, &service, SECRET).await;
        let (second, _two) = host(&folder, &service, SECRET).await;
        send(&first).await.unwrap();
        service.state.lock().unwrap().first_good = 2;
        // A refusal, a token and a send of the first host take 300 ms each. The second host begins with that token
        // before the first send with it succeeds. The service refuses it after that.
        let later = async {
            service.clock.sleep(Duration::from_millis(700)).await;
            send(&second).await
        };
        let refuses = async {
            service.clock.sleep(Duration::from_millis(950)).await;
            service.state.lock().unwrap().first_good = 3;
        };
        let (one, other, ()) = tokio::join!(send(&first), later, refuses);
        one.unwrap();
        other.unwrap();
        assert_eq!(service.fetched(), 3);
    });
}

#[test]
fn one_host_asks_in_vain_for_all_and_says_why() {
    with_service(|folder, service| async move {
        let (first, _one) = host(&folder, &service, SECRET).await;
        let (second, _two) = host(&folder, &service, SECRET).await;
        service.state.lock().unwrap().closed = true;
        for client in [&first, &second, &first, &second] {
            let failure = send(client).await.unwrap_err();
            assert_eq!((failure.class, failure.status), (FailureClass::Auth, Some(401)));
            assert!(!failure.to_string().contains("CANARY"), "{failure}");
        }
        assert_eq!(service.fetched(), 1);
        service.state.lock().unwrap().closed = false;
        service.clock.sleep(Duration::from_secs(61)).await;
        send(&second).await.unwrap();
        send(&first).await.unwrap();
        assert_eq!(service.fetched(), 2);
    });
}

#[test]
fn a_host_that_dies_in_its_turn_is_waited_for_and_no_longer() {
    with_service(|folder, service| async move {
        let (first, _one) = host(&folder, &service, SECRET).await;
        let (second, _two) = host(&folder, &service, SECRET).await;
        // The future is dropped while its request is in flight.
        assert!(service.clock.timeout(Duration::from_millis(100), send(&first)).await.is_err());
        let began = service.clock.now();
        send(&second).await.unwrap();
        let waited = service.clock.now() - began;
        assert!(waited > Duration::from_secs(25) && waited < Duration::from_secs(35), "{waited:?}");
    });
}

#[test]
fn the_ledger_holds_neither_token_nor_secret_and_another_secret_opens_nothing() {
    with_service(|folder, service| async move {
        let (client, ledger) = host(&folder, &service, SECRET).await;
        send(&client).await.unwrap();
        let rows = ledger.all_app_tokens().await;
        assert_eq!(rows.len(), 1);
        assert!(!rows[0].contains("CANARY") && !rows[0].contains("secret"), "{rows:?}");
        // A host whose secret was changed meanwhile fetches a token of its own. The others' token stays.
        let (other, _other) = host(&folder, &service, "CANARY-secret-of-tomorrow").await;
        send(&other).await.unwrap();
        send(&client).await.unwrap();
        assert_eq!(service.fetched(), 2);
        let (again, _again) = host(&folder, &service, SECRET).await;
        send(&again).await.unwrap();
        assert_eq!(service.fetched(), 2);
        let files = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        for file in files.filter(|file| file.path().is_file()) {
            let bytes = std::fs::read(file.path()).unwrap();
            assert!(!bytes.windows(6).any(|window| window == b"CANARY"), "{:?}", file.path());
        }
    });
}
