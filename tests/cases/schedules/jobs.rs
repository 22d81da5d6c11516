//! Jobs and their scheduled times while scripts are broken, deleted, paused or in two folders.

use super::{Service, TWO_HOURS, hourly, logged, serve};
use crate::support::{Project, Ran, until};

/// A job of every second. After its third run the daemon has checked all jobs more than once.
const EVERY_SECOND: &str = "require('schedule').every('1s', { name = 'b' }, function() print('ran b') end)\n";

/// The job's time passes while the daemon is down, and the script fails to load at the start.
fn mended_after_the_start(broken: Option<&str>) {
    let (project, service) = (Project::new(), Service::accepting());
    project.write("scripts/a.lua", hourly("a", "first"));
    serve(&project, &service).stop().exits(0);
    project.write("scripts/b.lua", EVERY_SECOND);
    project.run_in_store(&format!("{TWO_HOURS} WHERE name = 'a'"));
    match broken {
        Some(text) => project.write("scripts/a.lua", text),
        None => std::fs::remove_file(project.path("scripts/a.lua")).unwrap(),
    }
    let serving = serve(&project, &service);
    serving.prints("ran b", 3);
    project.write("scripts/a.lua", hourly("a", "mended"));
    serving.prints("ran mended", 1);
    serving.stop().exits(0);
}

#[test]
fn fault_across_a_time_a_syntax_error_that_is_mended() {
    mended_after_the_start(Some("this is no Lua\n"));
}

#[test]
fn fault_across_a_time_a_module_that_is_missing() {
    mended_after_the_start(Some("require('nowhere')\n"));
}

#[test]
fn fault_across_a_time_a_script_that_is_missing() {
    mended_after_the_start(None);
}

#[test]
fn fault_across_a_time_a_script_that_is_deleted_for_a_moment_under_the_daemon() {
    let (project, service) = (Project::new(), Service::accepting());
    project.write("scripts/a.lua", hourly("a", "first"));
    project.write("scripts/b.lua", EVERY_SECOND);
    let serving = serve(&project, &service);
    std::fs::remove_file(project.path("scripts/a.lua")).unwrap();
    serving.says("script removed", 1);
    until("the ledger knows", || {
        let list = project.command_against(&service, &["jobs"]).output().unwrap();
        let list = String::from_utf8_lossy(&list.stdout).into_owned();
        list.contains("scripts/b.lua") && !list.contains("scripts/a.lua")
    });
    project.run_in_store(&format!("{TWO_HOURS} WHERE name = 'a'"));
    let ran = serving.printed().iter().filter(|line| line.contains("ran b")).count();
    serving.prints("ran b", ran + 3);
    project.write("scripts/a.lua", hourly("a", "again"));
    serving.prints("ran again", 1);
    serving.stop().exits(0);
}

#[test]
fn fault_across_a_time_what_is_too_old_is_a_row_and_a_line() {
    let (project, service) = (Project::new(), Service::accepting());
    project.write("scripts/a.lua", hourly("a", "first").replace("100h", "1s"));
    serve(&project, &service).stop().exits(0);
    project.run_in_store(TWO_HOURS);
    project.write("scripts/a.lua", "this is no Lua\n");
    let serving = serve(&project, &service);
    project.write("scripts/a.lua", hourly("a", "mended").replace("100h", "1s"));
    serving.says("scheduled times skipped", 1);
    serving.says("run skipped", 1);
    let show = project.command_against(&service, &["jobs", "show", "a"]).output().unwrap();
    Ran::of(&show).exits(0).prints(" skipped: ");
    serving.stop().exits(0);
}

/// A job whose runs wait for each other and take two seconds each.
const QUEUE: &str = "local schedule, task = require('schedule'), require('task')
schedule.every('10000h', { name = 'q', overlap = 'queue' }, function() print('begins') task.sleep('4s') print('ends') end)\n";

fn three_runs(project: &Project, service: &Service) -> crate::daemon::Serving {
    project.write("scripts/q.lua", QUEUE);
    project.write("scripts/b.lua", hourly("b", "b"));
    let serving = serve(project, service);
    for _ in 0..3 {
        let asked = project.command_against(service, &["jobs", "trigger", "q"]).output().unwrap();
        Ran::of(&asked).exits(0);
    }
    serving.prints("begins", 1);
    serving.says("run queued", 2);
    serving
}

#[test]
fn removal_the_runs_that_wait_of_a_removed_job_end() {
    let (project, service) = (Project::new(), Service::accepting());
    let serving = three_runs(&project, &service);
    std::fs::remove_file(project.path("scripts/q.lua")).unwrap();
    serving.says("queued run cancelled: no script declares the job now", 2);
    let show = project.command_against(&service, &["jobs", "show", "q"]).output().unwrap();
    Ran::of(&show).exits(0).prints("cancelled").prints("no script declares the job now");
    let begun = serving.printed().iter().filter(|line| line.contains("begins")).count();
    assert_eq!(begun, 1);
    serving.stop().exits(0);
}

#[test]
fn removal_the_runs_that_wait_of_a_job_removed_while_no_daemon_ran_end() {
    let (project, service) = (Project::new(), Service::accepting());
    three_runs(&project, &service).kill();
    std::fs::remove_file(project.path("scripts/q.lua")).unwrap();
    let serving = serve(&project, &service);
    serving.says("queued run cancelled: no script declares the job now", 2);
    // The run that had started continues with the version of the script that it started with.
    serving.prints("ends", 1);
    serving.stop().exits(0);
}

#[test]
fn removal_the_runs_that_wait_of_a_paused_job_wait() {
    let (project, service) = (Project::new(), Service::accepting());
    let serving = three_runs(&project, &service);
    let jobs = |act: &[&str]| {
        let args = [&["jobs"], act].concat();
        Ran::of(&project.command_against(&service, &args).output().unwrap()).exits(0)
    };
    jobs(&["pause", "q"]);
    serving.says("job paused", 1);
    serving.prints("ends", 1);
    let show = jobs(&["show", "q"]);
    assert_eq!(show.stdout.matches("it waits until you resume the job").count(), 2, "{show:#?}");
    jobs(&["resume", "q"]);
    serving.prints("ends", 3);
    serving.stop().exits(0);
}

#[test]
fn two_environments_the_second_daemon_with_another_app_is_refused() {
    let (project, service) = (Project::new(), Service::accepting());
    project.write("scripts/a.lua", hourly("a", "a"));
    let serving = serve(&project, &service);
    let mut other = project.command_against(&service, &["serve", "--listen", "nowhere"]);
    other.env("MOONCAST_APP", "another");
    let refused = crate::daemon::Serving::launch(other);
    refused.says("uses this ledger and sends through", 1);
    refused.ended().exits(2);
    assert_eq!(logged(&serving, "another process"), 0);
    serving.stop().exits(0);
}

#[test]
fn no_recipients_in_a_job_is_told_and_the_filled_file_is_sent_at_the_next_time() {
    let (project, service) = (Project::new(), Service::accepting());
    project.write(
        "scripts/news.lua",
        "require('schedule').every('10000h', { name = 'news' }, function()
            local report = im.broadcast { name = 'news', run = 'today', to = 'a.csv', message = { type = 'txt', body = { msg = 'x' } } }
            print('sent', report.sent, report.no_recipients)
        end)\n",
    );
    project.write("a.csv", "group_id,name\n");
    let serving = serve(&project, &service);
    let command =
        |args: &[&str]| Ran::of(&project.command_against(&service, args).output().unwrap()).exits(0);
    command(&["jobs", "trigger", "news"]);
    serving.says("there are no recipients in `a.csv`; nothing was sent", 1);
    serving.prints("sent\t0\ttrue", 1);
    serving.says("run finished", 1);
    command(&["runs", "list"]).prints("no broadcasts");
    project.write("a.csv", "group_id,name\n184524748161025,Ann\n");
    command(&["jobs", "trigger", "news"]);
    serving.prints("sent\t1\tnil", 1);
    assert_eq!(service.messages().len(), 1);
    serving.stop().exits(0);
}
