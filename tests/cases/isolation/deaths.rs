//! A run during which the host died.

use super::{Daemon, until};
use crate::support::Project;

/// A job that reports its start and waits.
fn job(options: &str) -> String {
    format!(
        "require('schedule').every('1s', {{ name = 'deadly', overlap = 'skip', {options} }}, function(context)
            print('entered', context.run, context.attempt)
            require('task').sleep('10m')
        end)"
    )
}

fn shown(project: &Project) -> String {
    // On a server each death is detected after a delay. Meanwhile a time of every second is skipped.
    project.mooncast(&["jobs", "show", "deadly", "--limit", "500", "--simulator"]).exits(0).stdout
}

#[test]
fn a_run_during_which_the_host_died_twice_is_not_entered_a_third_time_but_told_of() {
    let project = Project::new().file("scripts/deadly.lua", job("rerun = true"));
    let daemon = Daemon::start(&project, &[]);
    daemon.says("entered");
    let run = daemon.kill().split("entered\t").nth(1).unwrap().split('\t').next().unwrap().to_owned();
    let daemon = Daemon::start(&project, &[]);
    daemon.says(&format!("entered\t{run}\t2"));
    daemon.kill();
    let daemon = Daemon::start(&project, &[]);
    // The job's next time runs; this one does not.
    daemon.says("died twice during this run");
    daemon.says("entered");
    let said = daemon.kill();
    assert!(!said.contains(&format!("entered\t{run}")), "{said}");
    assert!(said.contains("mooncast jobs trigger 'deadly'"), "{said}");
    let shown = shown(&project);
    let line =
        shown.lines().find(|line| line.trim_start().starts_with(&run)).unwrap_or_else(|| panic!("{shown}"));
    assert!(line.contains("interrupted") && line.contains("died twice during this run"), "{line}");
}

#[test]
fn the_broadcast_of_such_a_run_goes_on_and_the_note_says_so() {
    let job = "require('schedule').every('1s', { name = 'deadly', overlap = 'skip' }, function(context)
        print('entered', context.run, context.attempt)
        im.broadcast { name = 'news', kind = 'user', to = { 'ann', 'bob', 'cy' }, message = { from = 'a', type = 'txt', body = { msg = 'm' } } }
    end)";
    let project =
        Project::new().file("scripts/deadly.lua", job).file("mooncast.toml", "[approval]\nover = 2\n");
    let daemon = Daemon::start(&project, &[]);
    // Its plan is fixed, and nothing of it is sent.
    daemon.says("awaits approval");
    let run = daemon.kill().split("entered\t").nth(1).unwrap().split('\t').next().unwrap().to_owned();
    let daemon = Daemon::start(&project, &[]);
    daemon.says(&format!("entered\t{run}\t2"));
    daemon.says("awaits approval");
    daemon.kill();
    let daemon = Daemon::start(&project, &[]);
    daemon.says(&format!("its broadcasts go on without it: news/{run}. Find out why"));
    daemon.says("as another run that sends to all recipients again");
    project.mooncast(&["runs", "--simulator", "approve", "news", "--run", &run]).exits(0);
    let shown = || project.mooncast(&["runs", "--simulator", "show", "news", "--run", &run]).exits(0).stdout;
    until("it is sent", || shown().contains("is finished"));
    let exported =
        project.mooncast(&["runs", "--simulator", "export", "news", "--run", &run]).exits(0).stdout;
    assert_eq!(exported.lines().filter(|line| line.contains(",sent,")).count(), 3, "{exported}");
    daemon.kill();
}

#[test]
fn a_stop_in_order_is_no_death() {
    let project = Project::new().file("scripts/deadly.lua", job(""));
    project.write("mooncast.toml", "[serve]\nstop_within = \"4s\"\n");
    let daemon = Daemon::start(&project, &[]);
    daemon.says("entered");
    let run = daemon.stop().split("entered\t").nth(1).unwrap().split('\t').next().unwrap().to_owned();
    for attempt in 2..5 {
        let daemon = Daemon::start(&project, &[]);
        daemon.says(&format!("entered\t{run}\t{attempt}"));
        daemon.stop();
    }
    until("it waits to be entered again", || shown(&project).contains(&run));
    assert!(!shown(&project).contains("interrupted"), "{}", shown(&project));
}

#[test]
fn a_daemon_whose_ledger_is_removed_sends_nothing_more_and_says_so() {
    let project = Project::new().file(
        "scripts/news.lua",
        "require('schedule').every('1s', { name = 'news' }, function(context)
            print('sent', context.run, im.group_send({ to = 'g', type = 'txt', body = { msg = 'm' } }).g)
        end)",
    );
    let daemon = Daemon::start(&project, &[]);
    daemon.says("sent\t");
    std::fs::rename(project.path(".mooncast"), project.path("elsewhere")).unwrap();
    daemon.says("removed or replaced while it was open");
    let sent = || daemon.said().matches("sent\t").count();
    let before = sent();
    until("it tries again", || daemon.said().matches("removed or replaced").count() > 3);
    assert!(sent() <= before + 1, "one may have been on its way: {}", daemon.said());
    std::fs::rename(project.path("elsewhere"), project.path(".mooncast")).unwrap();
    until("it goes on", || sent() > before + 2);
    daemon.stop();
}
