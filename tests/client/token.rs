//! The token's life: it is fetched once, renewed before its end and on a 401, shared between processes, and never
//! shown.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use mooncast::{Call, Client, Clock, FailureClass};

use super::server::{Request, Server, Step, willing};
use super::{SECRET, TOKEN, app, assert_no_secret, client_secret, run, send};

fn logged_in(url: &str, clock: &Clock, state: Option<&Path>) -> Client {
    Client::new(&app(url, client_secret()), clock.clone(), state).unwrap()
}

/// A service that issues the tokens t0, t1, … and accepts only those from `first_good` on.
fn strict(first_good: usize, expires_in: u64) -> impl Fn(&Request, usize) -> Step {
    move |request, before| {
        if request.target.ends_with("/token") {
            return Step::token(&format!("CANARY-t{before}"), expires_in);
        }
        let number = request.bearer().and_then(|token| token.strip_prefix("CANARY-t")).unwrap();
        if number.parse::<usize>().unwrap() >= first_good {
            Step::ok()
        } else {
            Step::error(401, "unauthorized", "Unable to authenticate")
        }
    }
}

#[test]
fn a_hundred_sends_at_once_fetch_one_token() {
    let server = Server::start(willing);
    let client = logged_in(&server.url, &Clock::real(), None);
    let sent = run(futures_util::future::join_all((0..100).map(|_| send(&client))));
    assert!(sent.iter().all(Result::is_ok));
    assert_eq!((server.count("/token"), server.count("/messages/chatgroups")), (1, 100));
    let request = server.requests().into_iter().find(|request| request.target.ends_with("/token")).unwrap();
    let asked = format!(
        r#"{{"grant_type":"client_credentials","client_id":"client-id","client_secret":"{SECRET}"}}"#
    );
    assert_eq!(String::from_utf8_lossy(&request.body), asked);
    assert!(request.bearer().is_none());
}

#[test]
fn a_refused_token_is_replaced_once_for_all_and_each_send_repeated_once() {
    let server = Server::start(strict(1, 3600));
    let client = logged_in(&server.url, &Clock::real(), None);
    let sent = run(futures_util::future::join_all((0..100).map(|_| send(&client))));
    assert!(sent.iter().all(Result::is_ok));
    assert_eq!((server.count("/token"), server.count("/messages/chatgroups")), (2, 200));
}

#[test]
fn a_late_401_for_the_old_token_fetches_nothing() {
    let service = strict(1, 3600);
    let (renewed, until_renewed) = std::sync::mpsc::channel();
    let until_renewed = std::sync::Mutex::new(until_renewed);
    let server = Server::start(move |request, before| {
        let step = service(request, before);
        let old = request.bearer() == Some("CANARY-t0");
        if request.body == b"late" && old {
            // Answered after another send has succeeded with the new token.
            until_renewed.lock().unwrap().recv().unwrap();
        } else if request.bearer().is_some() && !old {
            renewed.send(()).unwrap();
        }
        step
    });
    let client = logged_in(&server.url, &Clock::real(), None);
    let late = client.send(Call::Group, Bytes::from_static(b"late"), || ());
    let (late, early) = run(async { tokio::join!(late, send(&client)) });
    assert!(late.is_ok() && early.is_ok());
    assert_eq!((server.count("/token"), server.count("/messages/chatgroups")), (2, 4));
}

#[test]
fn a_second_401_is_permanent_and_stops_the_fetching() {
    let server = Server::start(strict(usize::MAX, 3600));
    let clock = Clock::simulated(Duration::ZERO);
    let client = logged_in(&server.url, &clock, None);
    clock
        .block_on(async {
            let failure = send(&client).await.unwrap_err();
            assert_eq!((failure.class, failure.status), (FailureClass::Auth, Some(401)));
            assert_no_secret(&format!("{failure} {failure:?} {client:?}"));
            assert_eq!((server.count("/token"), server.count("/messages/chatgroups")), (2, 2));
            for _ in 0..50 {
                assert_eq!(send(&client).await.unwrap_err().class, FailureClass::Auth);
            }
            assert_eq!((server.count("/token"), server.count("/messages/chatgroups")), (2, 2));
            // A minute later the credentials may have been corrected.
            clock.sleep(Duration::from_secs(61)).await;
            assert_eq!(send(&client).await.unwrap_err().class, FailureClass::Auth);
            assert_eq!(server.count("/token"), 3);
        })
        .unwrap();
}

#[test]
fn a_token_is_renewed_before_its_end_and_not_earlier() {
    let server = Server::start(strict(0, 10_000));
    let clock = Clock::simulated(Duration::ZERO);
    let client = logged_in(&server.url, &clock, None);
    clock
        .block_on(async {
            send(&client).await.unwrap();
            clock.sleep(Duration::from_secs(9_699)).await;
            send(&client).await.unwrap();
            assert_eq!(server.count("/token"), 1);
            clock.sleep(Duration::from_secs(2)).await;
            send(&client).await.unwrap();
            assert_eq!(server.count("/token"), 2);
        })
        .unwrap();
}

#[test]
fn a_token_still_serves_while_it_cannot_be_renewed() {
    let server = Server::start(|request, before| match before {
        0 if request.target.ends_with("/token") => Step::token(TOKEN, 1000),
        _ if request.target.ends_with("/token") => Step::error(503, "", ""),
        _ => Step::ok(),
    });
    let clock = Clock::simulated(Duration::ZERO);
    let client = logged_in(&server.url, &clock, None);
    clock
        .block_on(async {
            send(&client).await.unwrap();
            clock.sleep(Duration::from_secs(950)).await;
            for _ in 0..20 {
                send(&client).await.unwrap();
            }
            assert_eq!(server.count("/token"), 2);
            clock.sleep(Duration::from_secs(51)).await;
            let failure = send(&client).await.unwrap_err();
            assert_eq!(failure.class, FailureClass::NothingSent, "{failure}");
            assert!(
                failure.to_string().starts_with("POST /token: nothing was sent: status 503"),
                "{failure}"
            );
        })
        .unwrap();
}

#[test]
fn failed_fetches_are_shared_and_come_ever_more_rarely() {
    let server = Server::start(|_, _| Step::error(503, "busy", ""));
    let clock = Clock::simulated(Duration::ZERO);
    let client = logged_in(&server.url, &clock, None);
    clock
        .block_on(async {
            let failures = futures_util::future::join_all((0..1000).map(|_| send(&client))).await;
            for failure in failures {
                let failure = failure.unwrap_err();
                assert_eq!(failure.class, FailureClass::NothingSent);
                assert!(failure.retry_after.is_some_and(|wait| wait <= Duration::from_secs(1)));
            }
            assert_eq!(server.count("/token"), 1);
            // Requests every second for ten minutes.
            for _ in 0..600 {
                clock.sleep(Duration::from_secs(1)).await;
                send(&client).await.unwrap_err();
            }
            let fetches = server.count("/token");
            assert!((10..=18).contains(&fetches), "{fetches} fetches");
        })
        .unwrap();
}

#[test]
fn wrong_credentials_are_told_to_everybody_by_one_fetch() {
    for (step, class) in [
        (Step::error(400, "invalid_grant", &format!("invalid secret {SECRET}")), FailureClass::Auth),
        (Step::error(401, "unauthorized", ""), FailureClass::Auth),
        (Step::error(404, "organization_application_not_found", ""), FailureClass::Permanent),
        // The token cannot be issued at the moment.
        (Step::error(429, "reach_limit", ""), FailureClass::NothingSent),
        (Step::Answer(200, format!(r#"{{"access_token":{{"{TOKEN}":1}}}}"#)), FailureClass::NothingSent),
        (Step::Truncated(200, format!(r#"{{"access_token":"{TOKEN}"}}"#)), FailureClass::NothingSent),
        (Step::token("CANARY\\n", 5), FailureClass::Permanent),
        (Step::Reset, FailureClass::NothingSent),
    ] {
        let told = step.clone();
        let server = Server::start(move |_, _| told.clone());
        let client = logged_in(&server.url, &Clock::real(), None);
        let failures = run(futures_util::future::join_all((0..100).map(|_| send(&client))));
        for failure in failures {
            let failure = failure.unwrap_err();
            assert_eq!(failure.class, class, "{step:?}: {failure}");
            assert_no_secret(&format!("{failure} {failure:?}"));
        }
        assert_eq!((server.count("/token"), server.requests().len()), (1, 1), "{step:?}");
    }
}

/// Returns the token file of a state folder.
fn token_file(state: &Path) -> std::path::PathBuf {
    let files = std::fs::read_dir(state).unwrap().map(|entry| entry.unwrap().path());
    let mut tokens: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    assert_eq!(tokens.len(), 1, "{tokens:?}");
    tokens.remove(0)
}

#[test]
fn processes_share_a_token_through_a_file_that_only_the_owner_reads() {
    let server = Server::start(strict(0, 3600));
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join(".mooncast");
    // This many processes at once. They wait for each other in real time. A process that another test starts here
    // holds their lock until it executes its own program, and a simulated clock would not wait for that.
    let real = Clock::real();
    real.block_on(async {
        let clients: Vec<Client> = (0..10).map(|_| logged_in(&server.url, &real, Some(&state))).collect();
        let sent = futures_util::future::join_all(clients.iter().map(send)).await;
        assert!(sent.iter().all(Result::is_ok));
    })
    .unwrap();
    assert_eq!(server.count("/token"), 1);

    let clock = Clock::simulated(real.unix_time());
    let new = || logged_in(&server.url, &clock, Some(&state));
    clock
        .block_on(async {
            let early = new();
            send(&early).await.unwrap();
            let file = token_file(&state);
            assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
            let text = std::fs::read_to_string(&file).unwrap();
            assert!(text.contains("CANARY-t0") && !text.contains(SECRET), "{text}");
            for entry in std::fs::read_dir(&state).unwrap() {
                let path = entry.unwrap().path();
                assert_no_secret(&path.display().to_string());
                assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o077, 0, "{}", path.display());
            }

            // Near its end, any process renews it.
            clock.sleep(Duration::from_secs(3200)).await;
            send(&new()).await.unwrap();
            assert_eq!(server.count("/token"), 1);
            clock.sleep(Duration::from_secs(101)).await;
            send(&new()).await.unwrap();
            assert_eq!(server.count("/token"), 2);
            send(&early).await.unwrap();
            assert_eq!(server.count("/token"), 2);

            // A file that other users could read or write is not trusted.
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
            send(&new()).await.unwrap();
            assert_eq!(server.count("/token"), 3);
            assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        })
        .unwrap();
}

#[test]
fn a_stored_token_that_is_refused_is_replaced_on_disk() {
    let server = Server::start(strict(1, 3600));
    let state = tempfile::tempdir().unwrap();
    // Real time, for the same reason.
    let clock = Clock::real();
    let new = || logged_in(&server.url, &clock, Some(state.path()));
    clock
        .block_on(async {
            new().authorise().await.unwrap();
            let sent = futures_util::future::join_all([new(), new()].iter().map(send)).await;
            assert!(sent.iter().all(Result::is_ok));
            assert_eq!(server.count("/token"), 2);
            send(&new()).await.unwrap();
            assert_eq!(server.count("/token"), 2);
        })
        .unwrap();
}

#[test]
fn a_folder_that_cannot_be_written_costs_a_fetch_and_no_more() {
    let server = Server::start(willing);
    let folder = tempfile::NamedTempFile::new().unwrap();
    let client = logged_in(&server.url, &Clock::real(), Some(folder.path()));
    run(async {
        send(&client).await.unwrap();
        send(&client).await.unwrap();
    });
    assert_eq!(server.count("/token"), 1);
}
