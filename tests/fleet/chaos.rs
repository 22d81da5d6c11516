//! Three daemons send one broadcast after another, while one of them is killed, stopped or cut off from the store, or
//! the store is killed. The service's own log says what each group got. The daemons' clocks are minutes apart.
//!
//! On a server: apart

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
/// The error of each host's clock, in seconds.
const CLOCKS: [i64; HOSTS] = [0, -60, 60];
/// Recipients of a round, and the number per second.
const MANY: usize = 3_000;
const QUOTA: u32 = 300;
/// A host without a heartbeat for this time counts as dead. The others must continue within twice this time.
const LIFE: Duration = Duration::from_secs(10);
/// The longest wait for a round.
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
    /// A host is killed and started again.
    Killed,
    /// A host is stopped for longer than its heartbeat may be absent, and continued.
    Stopped,
    /// The store is killed and started again.
    Restarted,
    /// A host is cut off from the store, but not from the service, for longer than its heartbeat may be absent.
    CutOff,
}

const FAULTS: [Fault; 4] = [Fault::Killed, Fault::Stopped, Fault::Restarted, Fault::CutOff];

struct Fleet {
    hosts: Vec<Option<Serving>>,
    server: Server,
    network: Option<Network>,
    projects: Vec<Project>,
    /// The logs of hosts that have ended.
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

    /// Returns a command of a host, run where it can always reach both.
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

    /// Starts the fault.
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

    /// Ends the fault.
    fn end(&mut self, fault: Fault, host: usize) {
        match fault {
            Fault::Killed => self.launch(host),
            Fault::Stopped => self.host(host).signal(Signal::CONT),
            Fault::Restarted => {}
            Fault::CutOff => self.network.as_ref().unwrap().cut(host, false),
        }
    }

    /// Returns the broadcast's run that is not in `known`, and whether it has finished. Returns None if no host can
    /// say.
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

    /// Returns the logs of the fleet, for the diagnosis of a failure.
    fn told(&self) -> String {
        let living = self.hosts.iter().flatten().map(|host| host.logged().join("\n"));
        self.logs.iter().cloned().chain(living).collect::<Vec<_>>().join("\n--\n")
    }
}

/// The measurements of a round.
struct Round {
    host: usize,
    /// The length of the fault.
    lasts: Duration,
    doubts: usize,
    /// The longest time without a message since the first fault.
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
    // Longer than the heartbeat limit, and sometimes longer than the lease.
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
        // Other conditions have no event, so they are polled.
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
        // A query costs more than reading the count.
        if (all && !goes_on) || changed.elapsed() > Duration::from_secs(1) {
            match fleet.newest(known) {
                Some((run, true)) if !goes_on => break run,
                // The remaining recipients wait for the end of the fault.
                Some((_, true)) => changed = Instant::now(),
                _ => {}
            }
        }
    };
    let took = began.elapsed();
    // A continued host must not send what it was about to.
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
        // The calls that a host has in flight: its part of the quota during an answer and a commit. Beside other
        // tests both may take any time.
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
