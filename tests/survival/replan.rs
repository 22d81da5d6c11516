//! A plan is replaced by another one half-way, killed repeatedly while the service misbehaves.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt;

use super::random::{Random, deaths, seed, soak};
use super::server::Server;
use super::{command, in_state, rows, settings};
use crate::support::{Project, Ran};

/// Fail points at which a new plan is made.
const PLANNING: [&str; 5] = ["before-draft", "in-draft", "before-replan", "in-replan", "after-replan"];

/// Fail points at which it is sent.
const SENDING: [&str; 3] = ["before-intent", "after-intent", "after-request"];

const SCRIPT: &str = r#"
im.broadcast { name = "news", to = "groups.csv", rate = 400, stop_after_failures = 1000000,
  message = function(row) return { type = "txt", body = { msg = row.text } } end }
"#;

/// Returns a version of the audience. All versions have the same number of groups; an eighth of them differs from the
/// version before.
fn audience(many: usize, version: usize) -> Vec<usize> {
    let first = version * (many / 8);
    (first..first + many).collect()
}

fn pick(random: &Random, among: usize) -> usize {
    usize::try_from(random.below(among as u64)).unwrap()
}

fn file(groups: &[usize], version: usize) -> String {
    groups.iter().fold("group_id,text\n".to_owned(), |mut text, group| {
        let _ = writeln!(text, "{},version {version}", 1000 + group);
        text
    })
}

#[test]
fn replaced_again_and_again_no_group_has_two_texts_and_none_is_lost() {
    let (many, kills) = if soak() { (800, 30) } else { (160, deaths(8)) };
    let seed = seed();
    println!("MOONCAST_SEED={seed}");
    let random = Random::new(seed);
    let mut killed = 0;
    // A run that ends before its fail point ends its project. The next round starts a new one.
    for round in 0.. {
        assert!(round < kills * 2, "its fail points are never reached; MOONCAST_SEED={seed}");
        killed += one_project(&random, seed, many, kills - killed);
        if killed == kills {
            break;
        }
    }
    println!("replan: killed {killed} times in all (MOONCAST_SEED={seed})");
}

/// Kills the runs of one project until there are `kills` deaths or the broadcast has finished, and checks the result.
/// Returns the number of deaths.
fn one_project(random: &Random, seed: u64, many: usize, kills: usize) -> usize {
    let project = Project::with_script(SCRIPT).file("mooncast.toml", settings("10s"));
    let server = Server::spoiling(30, Random::new(random.below(u64::MAX)));
    let (mut killed, mut version) = (0, 0);
    let mut last = audience(many, version);
    project.write("groups.csv", file(&last, version));
    let mut at: BTreeMap<&str, usize> = BTreeMap::new();
    for life in 0.. {
        assert!(life < kills * 6 + 10, "it never comes to its end; MOONCAST_SEED={seed}");
        let context = format!("life {life}, version {version}, MOONCAST_SEED={seed}");
        let mut command = command(&project, &server, &["run", "--replan", "scripts/main.lua"]);
        let mut point = "";
        if killed < kills {
            // The first run has no stored plan yet. Without a new audience no new plan is made.
            if life > 0 && random.below(3) > 0 {
                version += 1;
                last = audience(many, version);
                project.write("groups.csv", file(&last, version));
                let at = if life <= PLANNING.len() { life - 1 } else { pick(random, PLANNING.len()) };
                point = PLANNING[at];
            } else {
                point = SENDING[pick(random, SENDING.len())];
            }
            let most = match point {
                "in-replan" => 4,
                "before-intent" | "after-intent" | "after-request" => 6,
                _ => 1,
            };
            command.env("MOONCAST_FAIL_POINT", format!("{point}:{}", random.below(most) + 1));
        }
        let child = Project::start(command);
        server.client(&child);
        let output = child.wait_with_output().unwrap();
        server.client_is_gone();
        let ran = Ran::of(&output);
        for (group, times) in server.accepted() {
            assert_eq!(times, 1, "{context}: group {group} got {times} texts");
        }
        match output.status.signal() {
            Some(6) => {
                killed += 1;
                project.wait_for_death();
                *at.entry(point).or_default() += 1;
            }
            None => {
                assert!([Some(0), Some(3)].contains(&ran.status), "{context}: {ran:#?}");
                break;
            }
            Some(other) => panic!("{context}: signal {other}: {ran:#?}"),
        }
    }
    let (rows, accepted) = (rows(&project), server.accepted());
    for group in &last {
        let group = (1000 + group).to_string();
        let state = rows.get(&group).map_or("no row", |row| row.state.as_str());
        assert!(
            ["sent", "in_doubt", "rejected"].contains(&state),
            "{group} is {state}, MOONCAST_SEED={seed}"
        );
        assert!(
            state != "sent" || accepted.contains_key(&group),
            "{group} never got it, MOONCAST_SEED={seed}"
        );
    }
    for (group, row) in &rows {
        let gone = !last.contains(&(group.parse::<usize>().unwrap() - 1000));
        assert!(!gone || accepted.contains_key(group) || row.state != "sent", "{group} {row:?}");
        assert!(row.state != "pending" && row.state != "sending", "{group} {row:?}, MOONCAST_SEED={seed}");
    }
    println!(
        "replan: {many} groups, {version} new audiences, killed {killed} times at {at:?}; {} accepted, {} sent, {} in doubt, \
         {} rejected, {} cancelled (MOONCAST_SEED={seed})",
        accepted.len(),
        in_state(&rows, "sent"),
        in_state(&rows, "in_doubt"),
        in_state(&rows, "rejected"),
        in_state(&rows, "cancelled"),
    );
    killed
}
