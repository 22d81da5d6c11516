//! The program is killed repeatedly while the service misbehaves, and the service's history settles what that leaves in
//! doubt a day later. The service's own log says what each group got.
//!
//! Store: file

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use super::random::{Random, seed, soak};
use super::server::Server;
use super::{in_state, project, readable, rows, run, settings, shim};
use crate::support::{Project, Ran, store, until};

/// Longer than until the history of the last hour is complete.
const A_DAY_LATER: i64 = 27 * 60 * 60;

/// Longer than the service keeps its history.
const DAYS_LATER: i64 = 4 * 24 * 60 * 60;

/// Which of its records the service gives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Records {
    Nothing,
    History,
    /// The history, and callbacks that are signed with this secret.
    Both(&'static str),
}

#[test]
fn reconciled_by_history_each_group_has_it_exactly_once() {
    killed_and_settled(Records::History);
}

#[test]
fn reconciled_by_callbacks_too_what_they_show_is_settled_at_once() {
    killed_and_settled(Records::Both("a-callback-secret"));
}

#[test]
fn without_any_records_no_group_has_it_twice_and_what_is_in_doubt_is_held() {
    killed_and_settled(Records::Nothing);
}

/// Kills the program again and again, and lets it come to its end a day later, or days later without records. With a
/// secret, a daemon beside it takes the service's callbacks.
fn killed_and_settled(records: Records) {
    let secret = if let Records::Both(secret) = records { Some(secret) } else { None };
    if store::server().is_some() {
        // A server's clock decides there.
        return;
    }
    let (many, kills) = if soak() { (3_000, 30) } else { (300, 4) };
    let seed = seed();
    println!("MOONCAST_SEED={seed}");
    let random = Random::new(seed);
    let project = project(many, ", in_doubt = \"reconcile\", stop_after_failures = 1000000")
        .file("mooncast.toml", settings("2s"));
    let server = Server::spoiling(0, Random::new(random.below(u64::MAX)));
    let daemon = secret.map(|secret| {
        // The sender of the messages must be known, so that no callback counts as another's.
        project.write("first.lua", "im.group_send { to = '1', type = 'txt', body = { msg = 'first' } }");
        super::ended(super::command(&project, &server, &["run", "first.lua"])).exits(0);
        let mut command = super::command(&project, &server, &["serve", "--listen", "127.0.0.1:0"]);
        command.env("MOONCAST_CALLBACK_SECRET", secret);
        let (serving, address) = crate::web::listening(command);
        server.call_back(&address, secret);
        serving
    });
    let before = server.told().accepted;
    server.spoil(30);
    let latest = u64::try_from(many / 2).unwrap();
    let mut counts = BTreeSet::new();
    while counts.len() < kills {
        counts.insert(before + usize::try_from(random.below(latest)).unwrap() + 1);
    }
    server.kill_at(counts);
    while server.told().kills < kills {
        let child = Project::start(run(&project, &server));
        server.client(&child);
        let output = child.wait_with_output().unwrap();
        server.client_is_gone();
        assert_eq!(output.status.signal(), Some(9), "{:#?}, MOONCAST_SEED={seed}", Ran::of(&output));
    }
    // What is left is sent; then the program says what it waits for, and until when. It can be stopped meanwhile.
    let mut command = run(&project, &server);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut waiting = command.spawn().unwrap();
    let mut told = BufReader::new(waiting.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("waits for the service's records") {
        line.clear();
        assert!(told.read_line(&mut line).unwrap() > 0, "it ended without waiting, MOONCAST_SEED={seed}");
    }
    assert!(line.contains("in doubt") && line.contains("until"), "{line}");
    kill_process(Pid::from_child(&waiting), Signal::INT).unwrap();
    told.read_to_string(&mut line).unwrap();
    let code = waiting.wait().unwrap().code();
    // With callbacks, nothing may be left to wait for.
    assert!(code == Some(130) || secret.is_some(), "{code:?}: {line}");
    if let Some(daemon) = daemon {
        let told = server.called_back();
        // The daemon settles what the callbacks show, once a second at most.
        until("the callbacks settle what arrived", || {
            let rows = rows(&project);
            told.iter().filter_map(|group| rows.get(group)).all(|row| row.state == "sent")
        });
        daemon.stop().exits(0);
    }
    let before = rows(&project);
    let in_doubt = in_state(&before, "in_doubt");
    assert!(
        (in_doubt > 0 || secret.is_some()) && in_state(&before, "pending") == 0,
        "{in_doubt}, MOONCAST_SEED={seed}"
    );
    let held = if records == Records::Nothing { in_doubt } else { 0 };
    server.behave();
    server.serve_files(records != Records::Nothing);
    let mut command = run(&project, &server);
    shim::clock_apart(&mut command, if records == Records::Nothing { DAYS_LATER } else { A_DAY_LATER });
    let ran = super::ended(command);
    readable(&ran, "days later");
    let rows = rows(&project);
    let (accepted, refused) = (server.accepted(), server.refused());
    for (group, row) in &rows {
        let copies = accepted.get(group).copied().unwrap_or_default();
        let is_right = match row.state.as_str() {
            "sent" => copies == 1,
            "rejected" => copies == 0 && refused.contains(group),
            "in_doubt" => copies <= 1,
            _ => false,
        };
        assert!(is_right, "{group} {row:?}: {copies} copies, MOONCAST_SEED={seed}");
    }
    assert_eq!(in_state(&rows, "in_doubt"), held, "MOONCAST_SEED={seed}");
    assert_eq!(rows.len(), many);
    println!(
        "{many} recipients, {kills} kills, {in_doubt} in doubt, {} sent, {} rejected (MOONCAST_SEED={seed})",
        in_state(&rows, "sent"),
        in_state(&rows, "rejected")
    );
}

#[test]
fn held_doubts_are_settled_by_hand_with_what_the_history_proves() {
    if store::server().is_some() {
        return;
    }
    let (many, seed) = (120, seed());
    println!("MOONCAST_SEED={seed}");
    let project = project(many, ", stop_after_failures = 1000000").file("mooncast.toml", settings("2s"));
    let server = Server::spoiling(300, Random::new(seed));
    super::ended(run(&project, &server));
    let doubts = in_state(&rows(&project), "in_doubt");
    assert!(doubts > 0, "MOONCAST_SEED={seed}");
    let show = project.mooncast(&["runs", "show", "news"]).exits(0);
    show.prints(&format!("in doubt: {doubts} may still be settled by the service's records, until "));
    server.behave();
    let later = |seconds: i64, args: &[&str]| {
        let mut command = super::command(&project, &server, args);
        shim::clock_apart(&mut command, A_DAY_LATER + seconds);
        super::ended(command)
    };
    // A file that is not there proves nothing, and is asked for again.
    let show = project.mooncast(&["runs", "show", "news"]).exits(0).prints("not asked for yet; next at ");
    assert!(show.stdout.contains("history of the hour from "), "{show:#?}");
    server.serve_files(false);
    later(0, &["runs", "settle", "news", "--from-service"]).exits(3).says("the service has no history file");
    let show = later(1, &["runs", "show", "news"]).exits(0);
    show.prints("the service has no such file, which proves nothing; next at ");
    assert_eq!(in_state(&rows(&project), "in_doubt"), doubts);
    server.serve_files(true);
    // A file is asked for once a minute at most.
    let at_once = |args: &[&str]| later(120, args);
    let told = at_once(&["runs", "settle", "news", "--from-service"]);
    let left = in_state(&rows(&project), "in_doubt");
    let settled = doubts - left;
    assert!(
        told.stdout.contains(&format!("{settled} message")) && told.stdout.contains("in doubt"),
        "{told:#?}"
    );
    assert_eq!(told.status, Some(if left == 0 { 0 } else { 3 }), "{told:#?}");
    assert_eq!(in_state(&rows(&project), "pending"), 0, "nothing is sent again by itself");
    if left > 0 {
        assert!(told.stdout.contains("--again --proven"), "{told:#?}");
        let show = at_once(&["runs", "show", "news"]).exits(0);
        show.prints(&format!("in doubt: {left} were not accepted by the service, as its history proves"));
        at_once(&["runs", "settle", "news", "--again", "--proven"]).exits(0).prints(&format!("{left} "));
        at_once(&["runs", "resume", "news"]);
    }
    let (rows, accepted) = (rows(&project), server.accepted());
    for (group, row) in &rows {
        let copies = accepted.get(group).copied().unwrap_or_default();
        assert_eq!(copies, usize::from(row.state == "sent"), "{group} {row:?}, MOONCAST_SEED={seed}");
    }
    assert_eq!(in_state(&rows, "in_doubt") + in_state(&rows, "pending"), 0, "MOONCAST_SEED={seed}");
}
