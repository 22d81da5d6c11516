//! The app's token: calls in doubt while the program waits for one, and when it gives up.
//!
//! On a server: in the soak

use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use crate::support::service::{Request, Service, accept, json};
use crate::support::{Project, Ran};

use super::network::{forty, logged_in};

/// Holds answers back until it is opened.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn pass(&self) {
        let open = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(open, |open| !*open).unwrap());
    }

    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

/// Kills the process at once and opens the gate that its requests wait at.
fn kill(mut child: Child, gate: &Gate) {
    child.kill().unwrap();
    child.wait().unwrap();
    gate.open();
}

fn token(number: usize) -> Vec<u8> {
    json(200, &format!(r#"{{"access_token":"t{number}","expires_in":3600}}"#))
}

fn unauthorized() -> Vec<u8> {
    json(401, r#"{"error":"unauthorized"}"#)
}

fn has_token(request: &Request, token: &str) -> bool {
    request.header("authorization") == Some(&format!("Bearer {token}"))
}

/// A service whose token request hangs until the gate is opened.
fn hanging(gate: &Gate) -> Service {
    let gate = gate.clone();
    Service::answering(move |count, request| {
        if request.path.ends_with("/token") {
            gate.pass();
            return token(0);
        }
        accept(count, request)
    })
}

/// A service that refuses the first token and whose second token request hangs until the gate is opened.
fn hanging_after_a_401(gate: &Gate) -> Service {
    let (gate, tokens) = (gate.clone(), AtomicUsize::new(0));
    Service::answering(move |count, request| {
        if request.path.ends_with("/token") {
            let number = tokens.fetch_add(1, Ordering::Relaxed);
            if number > 0 {
                gate.pass();
            }
            return token(number);
        }
        if has_token(request, "t0") { unauthorized() } else { accept(count, request) }
    })
}

/// Returns how many messages came with another token than the first, which is refused.
fn accepted(service: &Service) -> usize {
    let requests = service.requests();
    requests.iter().filter(|one| one.path.contains("/messages/") && !has_token(one, "t0")).count()
}

const CAMPAIGN: &str = r#"im.broadcast { name = "news", to = "groups.csv",
    message = { type = "txt", body = { msg = "Hello" } } }"#;
const ONE: &str = "group_id\n184524748161025\n";
const ONCE: &str =
    r#"im.group_send({ to = "184524748161025", type = "txt", body = { msg = "Hello" } }, { once = "k" })"#;

/// Returns how many recipients of the broadcast are in a state.
#[track_caller]
fn count(project: &Project, state: &str) -> usize {
    let export = project.mooncast(&["runs", "export", "news", "--state", state]).exits(0);
    export.stdout.lines().count() - 1
}

#[test]
fn token_hang_and_kill_leaves_no_recipient_in_doubt() {
    let gate = Gate::default();
    let service = hanging(&gate);
    let project = Project::with_script(CAMPAIGN).file("groups.csv", forty());
    let child = Project::start(logged_in(&project, &service));
    service.wait_for(1);
    assert_eq!((count(&project, "sending"), count(&project, "pending")), (0, 40));
    kill(child, &gate);
    project.wait_for_death();
    Ran::of(&logged_in(&project, &service).output().unwrap()).exits(0);
    assert_eq!((service.messages().len(), count(&project, "sent")), (40, 40));
}

#[test]
fn token_hang_and_kill_leaves_no_single_send_in_doubt() {
    let gate = Gate::default();
    let service = hanging(&gate);
    let project = Project::with_script(ONCE);
    let child = Project::start(logged_in(&project, &service));
    service.wait_for(1);
    kill(child, &gate);
    project.wait_for_death();
    Ran::of(&logged_in(&project, &service).output().unwrap()).exits(0);
    assert_eq!(service.messages().len(), 1);
}

#[test]
fn token_hang_after_a_401_and_kill_leaves_no_recipient_in_doubt() {
    let gate = Gate::default();
    let service = hanging_after_a_401(&gate);
    let project = Project::with_script(CAMPAIGN).file("groups.csv", ONE);
    let child = Project::start(logged_in(&project, &service));
    service.wait_for(3);
    assert_eq!((count(&project, "sending"), count(&project, "pending")), (0, 1));
    kill(child, &gate);
    project.wait_for_death();
    Ran::of(&logged_in(&project, &service).output().unwrap()).exits(0);
    assert_eq!((accepted(&service), count(&project, "sent")), (1, 1));
}

#[test]
fn token_hang_after_a_401_and_kill_leaves_no_single_send_in_doubt() {
    let gate = Gate::default();
    let service = hanging_after_a_401(&gate);
    let project = Project::with_script(ONCE);
    let child = Project::start(logged_in(&project, &service));
    service.wait_for(3);
    kill(child, &gate);
    project.wait_for_death();
    Ran::of(&logged_in(&project, &service).output().unwrap()).exits(0);
    assert_eq!(accepted(&service), 1);
}

/// A service that accepts the first token for eight messages, and then refuses all tokens before the one with this
/// number.
fn refusing_until(good: usize) -> (Service, Arc<AtomicUsize>) {
    let (tokens, taken, spoilt) =
        (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0), AtomicBool::new(false));
    let fetched = Arc::clone(&tokens);
    let service = Service::answering(move |count, request| {
        if request.path.ends_with("/token") {
            return token(fetched.fetch_add(1, Ordering::Relaxed));
        }
        let works = if has_token(request, "t0") {
            !spoilt.load(Ordering::Relaxed) && taken.fetch_add(1, Ordering::Relaxed) < 8
        } else {
            (good..good + 9).any(|number| has_token(request, &format!("t{number}")))
        };
        if !works {
            spoilt.store(true, Ordering::Relaxed);
            return unauthorized();
        }
        accept(count, request)
    });
    (service, tokens)
}

#[test]
fn second_401_several_at_once_also_for_new_tokens_do_not_pause_a_campaign() {
    for good in [1, 2, 3] {
        let (service, tokens) = refusing_until(good);
        let project = Project::with_script(CAMPAIGN).file("groups.csv", forty());
        Ran::of(&logged_in(&project, &service).output().unwrap()).exits(0);
        assert_eq!(tokens.load(Ordering::Relaxed), good + 1);
        assert_eq!(count(&project, "sent"), 40);
    }
}

#[test]
fn second_401_new_tokens_that_never_work_are_given_up_after_the_third() {
    let (service, tokens) = refusing_until(usize::MAX - 9);
    let project = Project::with_script(CAMPAIGN).file("groups.csv", forty());
    let ran = Ran::of(&logged_in(&project, &service).output().unwrap());
    assert_ne!(ran.status, Some(0), "{ran:?}");
    assert_eq!(tokens.load(Ordering::Relaxed), 4);
    assert_eq!((count(&project, "sent"), count(&project, "pending")), (8, 32));
}
