//! A plan that is replaced by another half-way, killed again and again while the service misbehaves.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt;

use super::random::{Random, deaths, seed, soak};
use super::server::Server;
use super::{command, in_state, rows, settings};
use crate::support::{Project, Ran};

const POINTS: [&str; 7] = [
    "before-draft",
    "in-draft",
    "before-replan",
    "in-replan",
    "after-replan",
    "after-intent",
    "after-request",
];

const SCRIPT: &str = r#"
im.broadcast { name = "news", to = "groups.csv", stop_after_failures = 1000000,
  message = function(row) return { type = "txt", body = { msg = row.text } } end }
"#;

/// Some of the numbers under `many`, other ones in each version of the audience.
fn audience(many: usize, version: usize) -> Vec<usize> {
    (0..many).filter(|number| (number + version) % 10 != 0).collect()
}

fn file(groups: &[usize], version: usize) -> String {
    groups.iter().fold("group_id,text\n".to_owned(), |mut text, group| {
        let _ = writeln!(text, "{},version {version}", 1000 + group);
        text
    })
}

#[test]
fn replaced_again_and_again_no_group_has_two_texts_and_none_is_lost() {
    let (many, kills) = if soak() { (3_000, 30) } else { (400, deaths(8)) };
    let seed = seed();
    println!("MOONCAST_SEED={seed}");
    let random = Random::new(seed);
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
        let armed = killed < kills;
        let mut point = "after-request";
        if armed {
            // The first life has no stored plan yet.
            point = if life == 0 { "after-request" } else { POINTS[life % POINTS.len()] };
            let most = match point {
                "in-replan" => 5,
                "in-draft" => 1,
                "after-intent" | "after-request" => (many / kills / 2) as u64,
                _ => 1,
            };
            command.env("MOONCAST_FAIL_POINT", format!("{point}:{}", random.below(most.max(1)) + 1));
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
                *at.entry(point).or_default() += 1;
            }
            None => {
                assert!([Some(0), Some(3)].contains(&ran.status), "{context}: {ran:#?}");
                break;
            }
            Some(other) => panic!("{context}: signal {other}: {ran:#?}"),
        }
        // The audience is another one each time, but for the last.
        if killed < kills && random.coin() {
            version += 1;
            last = audience(many, version);
            project.write("groups.csv", file(&last, version));
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
    println!(
        "replan: {many} groups, {version} new audiences, killed {killed} times at {at:?}; {} accepted, {} sent, {} in doubt, \
         {} rejected, {} cancelled (MOONCAST_SEED={seed})",
        accepted.len(),
        in_state(&rows, "sent"),
        in_state(&rows, "in_doubt"),
        in_state(&rows, "rejected"),
        in_state(&rows, "cancelled"),
    );
    assert_eq!(killed, kills, "MOONCAST_SEED={seed}");
}
