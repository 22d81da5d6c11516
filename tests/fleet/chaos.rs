//! Three daemons that send one broadcast after another, while one of them is killed, stopped or cut off from the store,
//! or the store itself is killed: what each group got, by the service's own account. Their clocks are minutes apart.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::network::Network;
use super::{Postgres, has_server};
use crate::daemon::Serving;
use crate::support::Project;
use crate::survival::random::{Random, seed, soak};
use crate::survival::server::Server;
use crate::survival::{command, shim};

const HOSTS: usize = 3;
/// By how many seconds the clock of each is wrong.
const CLOCKS: [i64; HOSTS] = [0, -60, 60];
/// Recipients of a round, and how many a second.
const MANY: usize = 3_000;
const QUOTA: u32 = 300;
/// After this without a word a host is dead; within twice that the others have gone on.
const LIFE: Duration = Duration::from_secs(10);
/// What no round takes.
const GUARD: Duration = Duration::from_mins(4);

/// A group's number begins with its round's.
const SCRIPT: &str = r#"
require("schedule").every("10000h", { name = "news" }, function(context)
  local groups = {}
  for i = 1, 3000 do groups[i] = math.floor(context.scheduled_at) * 10000 + i end
  im.broadcast { name = "news", to = groups, message = { type = "txt", body = { msg = "once" } } }
end)
"#;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// A host is killed, and started again.
    Killed,
    /// A host is stopped for longer than it counts as alive, and continued.
    Stopped,
    /// The store is killed, and started again.
    Restarted,
    /// A host is cut off from the store, but not from the service, for longer than it counts as alive.
    CutOff,
}

const FAULTS: [Fault; 4] = [Fault::Killed, Fault::Stopped, Fault::Restarted, Fault::CutOff];

struct Fleet {
    hosts: Vec<Option<Serving>>,
    server: Server,
    network: Option<Network>,
    projects: Vec<Project>,
    /// What hosts that have ended said.
    logs: Vec<String>,
    postgres: Postgres,
}

impl Fleet {
    fn start() -> Self {
        let (postgres, server) = (Postgres::start(), Server::slow(30));
        let store = ([127, 0, 0, 1], postgres.port()).into();
        let network = Network::new(HOSTS, server.address(), store);
        let first = Project::new();
        first.schema().on(&postgres.address);
        let projects = vec![first.beside(), first.beside(), first];
        for project in &projects {
            project.write("scripts/news.lua", SCRIPT);
            project.write("mooncast.toml", format!("[app.limits]\ngroup_per_second = {QUOTA}\n"));
        }
        let hosts = (0..HOSTS).map(|_| None).collect();
        let mut fleet = Self { hosts, server, network, projects, logs: Vec::new(), postgres };
        for host in 0..HOSTS {
            fleet.launch(host);
        }
        fleet
    }

    /// A command of a host, from where it can always reach both.
    fn command(&self, host: usize, args: &[&str]) -> Command {
        let project = &self.projects[host];
        let mut command = command(project, &self.server, args);
        command.env("MOONCAST_STORE", project.schema().on(&self.postgres.address));
        if let Some(network) = &self.network {
            command.env("MOONCAST_BASE_URL", format!("http://{}", network.service));
        }
        command
    }

    fn launch(&mut self, host: usize) {
        let mut command = self.command(host, &["serve", "--listen", "127.0.0.1:0"]);
        if let Some(network) = &self.network {
            let local = format!("127.0.0.1:{}", self.postgres.port());
            let address = self.projects[host].schema().on(&self.postgres.address);
            command.env("MOONCAST_STORE", address.replace(&local, &network.store.to_string()));
            command = network.within(host, &command);
        }
        shim::clock_apart(&mut command, CLOCKS[host]);
        self.hosts[host] = Some(Serving::start(command));
    }

    fn host(&self, host: usize) -> &Serving {
        self.hosts[host].as_ref().unwrap()
    }

    /// Lets it happen.
    fn begin(&mut self, fault: Fault, host: usize) {
        match fault {
            Fault::Killed => {
                let ran = self.hosts[host].take().unwrap().kill();
                self.logs.push(ran.stderr);
            }
            Fault::Stopped => self.host(host).signal(Signal::STOP),
            Fault::Restarted => self.postgres.restart(),
            Fault::CutOff => self.network.as_ref().unwrap().cut(host, true),
        }
    }

    /// Has it be over.
    fn end(&mut self, fault: Fault, host: usize) {
        match fault {
            Fault::Killed => self.launch(host),
            Fault::Stopped => self.host(host).signal(Signal::CONT),
            Fault::Restarted => {}
            Fault::CutOff => self.network.as_ref().unwrap().cut(host, false),
        }
    }

    /// The run of the broadcast that is not known yet, and whether it is over; nothing while nobody can say.
    fn newest(&self, known: &[String]) -> Option<(String, bool)> {
        let listed = self.command(0, &["runs", "list"]).output().unwrap();
        let text = String::from_utf8(listed.stdout).unwrap();
        let line = text.lines().find(|line| {
            line.split_whitespace()
                .any(|word| word.starts_with("news/") && !known.iter().any(|run| word.ends_with(run)))
        })?;
        let run = line.split_whitespace().find_map(|word| word.strip_prefix("news/")).unwrap().to_owned();
        Some((run, line.contains("finished")))
    }

    fn states(&self, run: &str) -> BTreeMap<String, String> {
        let export = ["runs", "export", "news", "--run", run, "--format", "jsonl"];
        let ran = self.command(0, &export).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let row = |line: &str| {
            let row: Value = serde_json::from_str(line).unwrap();
            let text = |field: &str| row[field].as_str().unwrap().to_owned();
            (text("group_id"), text("state"))
        };
        String::from_utf8(ran.stdout).unwrap().lines().map(row).collect()
    }

    /// What the fleet has said, for whoever looks into a failure.
    fn told(&self) -> String {
        let living = self.hosts.iter().flatten().map(|host| host.logged().join("\n"));
        self.logs.iter().cloned().chain(living).collect::<Vec<_>>().join("\n--\n")
    }
}

/// What happened in a round.
struct Round {
    host: usize,
    /// How long the fault lasted.
    lasts: Duration,
    doubts: usize,
    /// The longest time without a message from the first fault on.
    longest: Duration,
    took: Duration,
}

/// Sends one broadcast while something fails.
fn round(fleet: &mut Fleet, random: &Random, known: &mut Vec<String>, fault: Fault, context: &str) -> Round {
    let host = usize::try_from(random.below(HOSTS as u64)).unwrap();
    let before = fleet.server.told().accepted;
    let asked = fleet.command(host, &["jobs", "trigger", "news"]).output().unwrap();
    assert!(asked.status.success(), "{context}: {}", String::from_utf8_lossy(&asked.stderr));
    let at = before + 50 + usize::try_from(random.below(MANY as u64 / 2)).unwrap();
    assert!(fleet.server.wait_for(at), "{context}: nothing is sent\n{}", fleet.told());
    let began = Instant::now();
    // For longer than it counts as alive, at times for longer than its lease.
    let lasts = match fault {
        Fault::Killed => Duration::from_millis(random.below(12_000)),
        Fault::Restarted => Duration::ZERO,
        Fault::Stopped | Fault::CutOff => LIFE + Duration::from_millis(1_000 + random.below(24_000)),
    };
    fleet.begin(fault, host);
    let mut goes_on = true;
    let (mut count, mut changed, mut longest) =
        (fleet.server.told().accepted, Instant::now(), Duration::ZERO);
    let run = loop {
        // What else is looked at has no word for it.
        fleet.server.wait_within(Duration::from_millis(50), count + 1);
        let now = fleet.server.told().accepted;
        let all = now >= before + MANY;
        if now != count {
            longest = longest.max(changed.elapsed());
            (count, changed) = (now, Instant::now());
        }
        if goes_on && began.elapsed() >= lasts {
            fleet.end(fault, host);
            goes_on = false;
        }
        assert!(began.elapsed() < GUARD, "{context}: {fault:?} at host {host}: never over\n{}", fleet.told());
        // Asking costs more than looking at the count.
        if (all && !goes_on) || changed.elapsed() > Duration::from_secs(1) {
            match fleet.newest(known) {
                Some((run, true)) if !goes_on => break run,
                // What is left is for the end of the fault alone.
                Some((_, true)) => changed = Instant::now(),
                _ => {}
            }
        }
    };
    let took = began.elapsed();
    // Whoever was continued may not send what he was about to.
    let late = fleet.server.wait_within(Duration::from_secs(1), count + 1);
    assert!(!late, "{context}: somebody sends after the end\n{}", fleet.told());
    let states = fleet.states(&run);
    let accepted = fleet.server.accepted();
    assert_eq!(states.len(), MANY, "{context}");
    let mut doubts = 0;
    for (group, state) in &states {
        let times = accepted.get(group).copied().unwrap_or(0);
        match state.as_str() {
            "sent" => {
                assert_eq!(
                    times,
                    1,
                    "{context}: {group} is sent, and has it {times} times\n{}",
                    fleet.told()
                );
            }
            "in_doubt" => {
                assert!(times <= 1, "{context}: {group} has it {times} times\n{}", fleet.told());
                doubts += 1;
            }
            _ => panic!("{context}: {group} is {state}, and has it {times} times\n{}", fleet.told()),
        }
    }
    let twice: Vec<_> = accepted.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{context}: {twice:?}\n{}", fleet.told());
    known.push(run);
    Round { host, lasts, doubts, longest, took }
}

#[test]
fn whatever_fails_no_group_has_it_twice_none_is_lost_and_the_fleet_goes_on() {
    if !has_server() {
        return;
    }
    let seed = seed();
    println!("MOONCAST_SEED={seed}");
    let random = Random::new(seed);
    let mut fleet = Fleet::start();
    let faults: Vec<Fault> =
        FAULTS.into_iter().filter(|fault| *fault != Fault::CutOff || fleet.network.is_some()).collect();
    if fleet.network.is_none() {
        assert!(!rustix::process::geteuid().is_root(), "no network namespace could be made");
        println!("no host is cut off: this user may not make network namespaces");
    }
    let (mut known, mut doubts) = (Vec::new(), 0);
    for number in 0..if soak() { 20 } else { faults.len() } {
        let fault = faults[number % faults.len()];
        let context = format!("round {number}, MOONCAST_SEED={seed}");
        let round = round(&mut fleet, &random, &mut known, fault, &context);
        println!(
            "round {number}: {fault:?} at host {} for {:.1?}: {} in doubt, {:.1?} without a message at most, over after \
             {:.1?}",
            round.host, round.lasts, round.doubts, round.longest, round.took
        );
        // What a host has under way: its part of the quota in the time of an answer, and of a commit. Beside other tests
        // either takes as long as they let it.
        let (doubts_at_most, silence) =
            if soak() { (QUOTA as usize / 2, 2 * LIFE) } else { (MANY / 2, GUARD) };
        assert!(round.doubts <= doubts_at_most, "{context}: {} in doubt\n{}", round.doubts, fleet.told());
        assert!(
            round.longest < silence,
            "{context}: {:?} without a message\n{}",
            round.longest,
            fleet.told()
        );
        doubts += round.doubts;
    }
    for host in &mut fleet.hosts {
        host.take().unwrap().stop().exits(0);
    }
    let told = fleet.server.told();
    let wanted = known.len() * MANY;
    assert!(
        (wanted - doubts..=wanted).contains(&told.accepted),
        "{} accepted of {wanted}, {doubts} in doubt (MOONCAST_SEED={seed})",
        told.accepted
    );
    println!(
        "{} rounds of {MANY}: {} accepted, none twice, {doubts} in doubt (MOONCAST_SEED={seed})",
        known.len(),
        told.accepted
    );
}
