//! A ramp whose stages two hosts send to, at a service that refuses some messages at first.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;

use super::has_server;
use crate::daemon::Serving;
use crate::support::service::{self, Service, json};
use crate::support::{Project, until};

const GROUPS: usize = 1_100;
const LIMITS: &str = "[app.limits]\ngroup_per_second = 400\n";

/// A host holds a thousand groups at a time. So in the first stage one host has the first thousand, and the other is given
/// more than the hundred that are left.
fn script() -> String {
    format!(
        "local groups = {{}}
        for i = 1, {GROUPS} do groups[i] = 1000 + i end
        require('schedule').every('10000h', {{ name = 'news' }}, function()
          im.broadcast {{
            name = 'news', to = groups, pack = 3, stop_after_failures = 100000, in_doubt = 'resend',
            ramp = {{ 1050, 1080, pause = '1s' }},
            message = {{ from = 'a', type = 'txt', body = {{ msg = 'hi' }} }},
          }}
        end)"
    )
}

#[test]
fn a_ramp_of_two_hosts_ends_though_calls_are_refused_and_connections_dropped() {
    if !has_server() {
        return;
    }
    // Each call to one of these groups fails at first: its connection is dropped, or it is one too many.
    let failed: Mutex<HashSet<String>> = Mutex::default();
    let accepted: std::sync::Arc<Mutex<BTreeMap<String, usize>>> = std::sync::Arc::default();
    let counted = std::sync::Arc::clone(&accepted);
    let service = Service::answering(move |count, request| {
        if !request.path.contains("/messages/chatgroups") {
            return service::accept(count, request);
        }
        let message = request.json();
        let groups: Vec<String> = message["to"]
            .as_array()
            .unwrap()
            .iter()
            .map(|group| group.as_str().unwrap().to_owned())
            .collect();
        for group in &groups {
            let number: usize = group.parse().unwrap();
            if number.is_multiple_of(20) && failed.lock().unwrap().insert(group.clone()) {
                return if number.is_multiple_of(40) { json(429, "{}") } else { Vec::new() };
            }
        }
        for group in groups {
            *counted.lock().unwrap().entry(group).or_default() += 1;
        }
        service::accept(count, request)
    });
    let script = script();
    let first = Project::with_script(&script).file("mooncast.toml", LIMITS);
    let second = first.beside();
    second.write("scripts/main.lua", &script);
    second.write("mooncast.toml", LIMITS);
    let hosts = [&first, &second].map(|project| {
        Serving::start(project.command_against(&service, &["serve", "--listen", "127.0.0.1:0"]))
    });
    first.mooncast(&["jobs", "trigger", "news"]).exits(0);
    let sent = || first.in_store("SELECT count(*) FROM recipients WHERE state = 2");
    until("the broadcast ends", || first.in_store("SELECT count(*) FROM broadcasts WHERE state = 2") == 1);
    assert_eq!(sent(), i64::try_from(GROUPS).unwrap());
    for host in hosts {
        host.stop().exits(0);
    }
    let accepted = accepted.lock().unwrap();
    assert_eq!(accepted.len(), GROUPS);
    assert!(accepted.values().all(|times| *times == 1), "{accepted:?}");
}
