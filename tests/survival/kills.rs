//! The program is killed repeatedly while the service misbehaves. The service's own log says what each group got.
//!
//! On a server: apart

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;

use super::random::{Random, deaths, seed, soak};
use super::server::{Server, Told};
use super::{Row, in_state, nobody_lost, nothing_silent, project, readable, rows, run, settings};
use crate::support::{Project, Ran};

/// The most calls that one driver has in flight.
const WINDOW: usize = 512;

const POINTS: [&str; 4] = ["before-intent", "after-intent", "after-request", "before-outcome"];

/// The result of a crash test.
struct Survived {
    project: Project,
    server: Server,
    rows: BTreeMap<String, Row>,
    /// Processes that a fail point ended.
    aborted: usize,
    /// Recipients in flight at all the deaths together, by the ledger left behind.
    in_flight: usize,
    seed: u64,
}

/// Sends to `many` recipients, killed at `kills` random counts and at fail points between them, until the broadcast
/// finishes.
fn survive(many: usize, kills: usize, in_doubt: &str) -> Survived {
    let seed = seed();
    println!("MOONCAST_SEED={seed}");
    let random = Random::new(seed);
    let project = project(many, &format!(", in_doubt = \"{in_doubt}\", stop_after_failures = 1000000"))
        .file("mooncast.toml", settings(if soak() { "2s" } else { "10s" }));
    let server = Server::spoiling(30, Random::new(random.below(u64::MAX)));
    // So early that all kills happen, however many recipients are held in doubt before.
    let latest = u64::try_from(many / 2).unwrap();
    let mut counts = std::collections::BTreeSet::new();
    while counts.len() < kills {
        counts.insert(usize::try_from(random.below(latest)).unwrap() + 1);
    }
    server.kill_at(counts);
    let (mut aborted, mut in_flight) = (0, 0);
    for life in 0.. {
        assert!(life < kills * 4 + 10, "it never comes to its end; MOONCAST_SEED={seed}");
        let mut command = run(&project, &server);
        if random.below(3) == 0 && server.told().kills < kills {
            let point = POINTS[usize::try_from(random.below(4)).unwrap()];
            command.env("MOONCAST_FAIL_POINT", format!("{point}:{}", random.below(30) + 1));
        }
        let child = Project::start(command);
        server.client(&child);
        let output = child.wait_with_output().unwrap();
        server.client_is_gone();
        let ran = Ran::of(&output);
        let context = format!("life {life}, MOONCAST_SEED={seed}");
        let rows = rows(&project);
        if in_doubt == "hold" {
            nothing_silent(&rows, &server, &context);
        }
        match output.status.signal() {
            None => {
                assert!([Some(0), Some(3)].contains(&ran.status), "{context}: {ran:#?}");
                readable(&ran, &context);
                nobody_lost(&rows, many, &context);
                return Survived { project, server, rows, aborted, in_flight, seed };
            }
            Some(6) => aborted += 1,
            Some(signal) => assert_eq!(signal, 9, "{context}: {ran:#?}"),
        }
        let sending = in_state(&rows, "sending");
        assert!(sending <= WINDOW, "{context}: {sending} in flight");
        in_flight += sending;
    }
    unreachable!()
}

/// Returns the number of recipients and of kills.
fn scale() -> (usize, usize) {
    if soak() { (3_000, 30) } else { (400, deaths(5)) }
}

fn show(mode: &str, survived: &Survived, copies: usize) {
    let Survived { server, rows, aborted, in_flight, seed, .. } = survived;
    let Told { requests, accepted, faulted, faulted_accepted, throttled, kills } = server.told();
    println!(
        "{mode}: {} recipients; killed {kills} times and at {aborted} fail points with {in_flight} in flight; {requests} \
         requests, {accepted} accepted, {throttled} throttled, {faulted} spoiled ({faulted_accepted} of them accepted); {} \
         sent, {} in doubt, {} rejected, {copies} extra copies (MOONCAST_SEED={seed})",
        rows.len(),
        in_state(rows, "sent"),
        in_state(rows, "in_doubt"),
        in_state(rows, "rejected"),
    );
}

fn copies(server: &Server) -> usize {
    server.accepted().values().map(|times| times - 1).sum()
}

#[test]
fn held_no_group_has_it_twice_and_each_is_sent_or_reported() {
    let (many, kills) = scale();
    let survived = survive(many, kills, "hold");
    let Survived { server, rows, in_flight, seed, .. } = &survived;
    show("hold", &survived, copies(server));
    let told = server.told();
    assert_eq!(told.kills, kills, "MOONCAST_SEED={seed}");
    assert_eq!(copies(server), 0);
    let doubts = in_state(rows, "in_doubt");
    assert!(doubts <= in_flight + told.faulted, "{doubts} in doubt, MOONCAST_SEED={seed}");
    for (group, row) in rows {
        let refused = server.refused().contains(group);
        assert!(row.state != "rejected" || refused, "{group} was never refused, MOONCAST_SEED={seed}");
    }
    // The report agrees with the ledger, and another run changes nothing.
    let again = super::ended(run(&survived.project, server)).exits(3);
    let line = format!("{many}\t{}\t{}\t{doubts}\ttrue", in_state(rows, "sent"), in_state(rows, "rejected"));
    again.prints(&line);
    assert_eq!(server.told().requests, told.requests);
}

#[test]
fn resent_every_group_has_it_and_the_copies_are_those_in_flight_or_faulted() {
    let (many, kills) = scale();
    let survived = survive(many, kills, "resend");
    let Survived { server, rows, in_flight, seed, .. } = &survived;
    let copies = copies(server);
    show("resend", &survived, copies);
    let told = server.told();
    assert_eq!(told.kills, kills, "MOONCAST_SEED={seed}");
    assert!(copies <= in_flight + told.faulted_accepted, "{copies} copies, MOONCAST_SEED={seed}");
    let (accepted, refused) = (server.accepted(), server.refused());
    for (group, row) in rows {
        assert!(
            if row.state == "sent" { accepted.contains_key(group) } else { refused.contains(group) },
            "{group} is {}, and was accepted {:?} times ({}), MOONCAST_SEED={seed}",
            row.state,
            accepted.get(group),
            row.why
        );
    }
}
