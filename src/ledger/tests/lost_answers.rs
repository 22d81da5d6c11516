//! Tests of a server whose connections break: before a commit begins, and after it was written. Without a server they do
//! nothing.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use secrecy::ExposeSecret as _;

use super::*;

/// A new send, whose key is `once`.
fn send(app: AppId, once: Option<&str>) -> NewSend {
    NewSend {
        app,
        once: once.map(str::to_owned),
        hash: "h".to_owned(),
        recipients: "[\"g1\"]".to_owned(),
        origin: "a.lua".to_owned(),
        fingerprints: String::new(),
        files: None,
        job_run: None,
    }
}

async fn begun(ledger: &Ledger, instance: &Instance, once: Option<&str>) -> SendTicket {
    let app = ledger.app("a").await.unwrap();
    match ledger.begin_send(instance, send(app, once)).await.unwrap() {
        BeginSendResult::New(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_group_commit_on_a_connection_that_broke_before_is_begun_again() {
    if server::address().is_none() {
        return;
    }
    with_folder(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let instance = ledger.register("run").await.unwrap();
        let mut first = begun(&ledger, &instance, Some("first")).await;
        let mut second = begun(&ledger, &instance, Some("second")).await;
        ledger.intend_send(&mut first).await.unwrap();
        // The server ends the connection of the group commits, as a restart does.
        let mut group = ledger.store().write_group(false).await.unwrap();
        let process: Option<(i64,)> =
            group.row(sql("SELECT CAST(pg_backend_pid() AS BIGINT)")).await.unwrap();
        group.end(Ok(())).await.unwrap();
        let end = sql("SELECT pg_terminate_backend(CAST(? AS INT), 60000)").bind(process.unwrap().0);
        let ended: Option<(bool,)> =
            ledger.store().transaction(async |write| write.row(end).await).await.unwrap();
        assert_eq!(ended, Some((true,)));
        // This commit has several statements.
        ledger.intend_send(&mut second).await.unwrap();
        assert!(ledger.is_healthy());
    });
}

/// Forwards connections to a server.
struct Proxy {
    address: SocketAddr,
    /// Whether it is to break the connection at the next acknowledgement of an INSERT, instead of forwarding it.
    breaks: Arc<AtomicBool>,
}

impl Proxy {
    fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let breaks = Arc::new(AtomicBool::new(false));
        let armed = Arc::clone(&breaks);
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let far = TcpStream::connect(&server).unwrap();
                let (from, to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                std::thread::spawn(move || pump(from, to, |_| false));
                let armed = Arc::clone(&armed);
                // The server sends the result of a statement only after it has committed it.
                let acknowledges = |bytes: &[u8]| bytes.windows(9).any(|part| part == b"INSERT 0 ");
                std::thread::spawn(move || {
                    pump(far, near, |bytes| acknowledges(bytes) && armed.swap(false, Ordering::SeqCst));
                });
            }
        });
        Self { address, breaks }
    }
}

/// Forwards until one side ends or `ends` says so.
fn pump(mut from: TcpStream, mut to: TcpStream, ends: impl Fn(&[u8]) -> bool) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if ends(&buffer[..count]) || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

/// Opens a ledger through a proxy.
async fn open_through_proxy(folder: &Path, clock: &Clock) -> (Ledger, Proxy) {
    let LedgerLocation::Server(address) = server::location(folder).await else { panic!("there is a server") };
    let address = address.expose_secret();
    let place = address.split_once("://").unwrap().1.split('/').next().unwrap();
    let place = place.rsplit('@').next().unwrap();
    let proxy = Proxy::start(place.to_owned());
    let through = address.replacen(place, &proxy.address.to_string(), 1);
    let ledger = Ledger::open_at(&LedgerLocation::Server(through.into()), clock.clone()).await.unwrap();
    (ledger, proxy)
}

#[test]
fn a_new_send_whose_acknowledgement_was_lost_is_recorded_once() {
    if server::address().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::real();
    clock
        .block_on(async {
            let (ledger, proxy) = open_through_proxy(folder.path(), &clock).await;
            let instance = ledger.register("run").await.unwrap();
            let other = ledger.register("serve").await.unwrap();
            // These stay: one with a key, one that is acknowledged, and one of another instance.
            let mut keyed = begun(&ledger, &instance, Some("key")).await;
            let mut before = begun(&ledger, &instance, None).await;
            let mut elsewhere = begun(&ledger, &other, None).await;
            for ticket in [&mut before, &mut elsewhere, &mut keyed] {
                ledger.intend_send(ticket).await.unwrap();
            }
            let mut ticket = begun(&ledger, &instance, None).await;
            proxy.breaks.store(true, Ordering::SeqCst);
            ledger.intend_send(&mut ticket).await.unwrap();
            assert!(!proxy.breaks.load(Ordering::SeqCst), "the acknowledgement was lost");
            let found = ledger.sends(SendFilter::default(), 9).await.unwrap();
            assert_eq!(found.len(), 4, "{found:#?}");
            assert!(found.iter().all(|send| send.state == RecipientState::Sending), "{found:#?}");
            // The record that is left is that of the ticket.
            let outcome = SendOutcome {
                state: RecipientState::Sent,
                receipts: vec![("g1".to_owned(), "m1".to_owned())],
                error: None,
                attempts: 1,
            };
            ledger.settle_send(&ticket, outcome).await.unwrap();
            let found = ledger.sends(SendFilter::default(), 1).await.unwrap();
            assert_eq!(found[0].state, RecipientState::Sent);
        })
        .unwrap();
    clock.block_on(server::clean(folder.path())).unwrap();
}
