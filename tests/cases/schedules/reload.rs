//! Files that are saved, moved, hidden or skipped under a running daemon.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::{Service, hourly, logged, serve};
use crate::daemon::Serving;
use crate::support::{Project, Ran};

#[test]
fn swap_two_scripts_that_exchange_jobs_are_taken_in_together() {
    let (project, service) = (Project::new(), Service::accepting());
    let save = |a: &str, b: &str| {
        project.write("scripts/a.lua", hourly("X", "ax") + &hourly(a, a));
        project.write("scripts/b.lua", hourly("Y", "by") + &hourly(b, b));
    };
    save("P", "Q");
    let serving = serve(&project, &service);
    save("Q", "P");
    serving.says("script loaded in a new version", 2);
    assert_eq!(logged(&serving, "failed to load"), 0, "{:#?}", serving.logged());
    serving.stop().exits(0);
}

#[test]
fn passing_fault_a_script_that_was_too_long_for_a_moment_is_well_again() {
    let (project, service) = (Project::new(), Service::accepting());
    project.write("scripts/a.lua", hourly("a", "a"));
    let serving = serve(&project, &service);
    project.write("scripts/a.lua", vec![b'-'; 5 * 1024 * 1024]);
    serving.says("script failed to load", 1);
    project.write("scripts/a.lua", hourly("a", "a"));
    serving.says("script loads again; its active version is unchanged", 1);
    serving.stop().exits(0);
}

/// A script that is briefly replaced by something unreadable and put back by a rename. The path always exists, since
/// the daemon would otherwise treat the script as removed.
fn unreadable_for_a_moment(spoil: impl Fn(&Project)) {
    let (project, service) = (Project::new(), Service::accepting());
    project.write("scripts/a.lua", hourly("a", "a"));
    project.write("scripts/b.lua", hourly("b", "b"));
    let serving = serve(&project, &service);
    let script = project.path("scripts/a.lua");
    std::fs::hard_link(&script, project.path("a.kept")).unwrap();
    spoil(&project);
    std::fs::rename(project.path("a.spoilt"), &script).unwrap();
    serving.says("script failed to load", 1);
    std::fs::rename(project.path("a.kept"), &script).unwrap();
    serving.says("script loads again; its active version is unchanged", 1);
    let asked = project.command_against(&service, &["jobs", "trigger", "a"]).output().unwrap();
    Ran::of(&asked).exits(0);
    serving.prints("ran a", 1);
    serving.stop().exits(0);
}

#[test]
fn passing_fault_a_script_that_was_too_long_for_a_moment_and_is_put_back_by_a_rename_is_well_again() {
    unreadable_for_a_moment(|project| {
        project.write("a.spoilt", vec![b'-'; 5 * 1024 * 1024]);
    });
}

#[test]
fn passing_fault_a_script_that_cannot_be_read_for_a_moment_is_well_again() {
    // A user that may read everything is not affected by modes. A link into a hidden folder is refused for it too.
    unreadable_for_a_moment(|project| {
        project.write(".mooncast/a.lua", hourly("a", "a"));
        std::os::unix::fs::symlink("../.mooncast/a.lua", project.path("a.spoilt")).unwrap();
    });
}

#[test]
fn project_through_a_link_that_moves_is_told_loudly_and_the_jobs_are_kept() {
    let (project, service) = (Project::new(), Service::accepting());
    for release in ["1", "2"] {
        project.write(&format!("releases/{release}/scripts/a.lua"), hourly("a", release));
        project.write(&format!("releases/{release}/mooncast.toml"), "");
    }
    std::os::unix::fs::symlink("releases/1", project.path("current")).unwrap();
    let args = ["serve", "--project", "current", "--listen", "nowhere"];
    let serving = Serving::start(project.command_against(&service, &args));
    std::os::unix::fs::symlink("releases/2", project.path("next")).unwrap();
    std::fs::rename(project.path("next"), project.path("current")).unwrap();
    serving.says("releases/2, but this daemon still uses", 1);
    std::fs::rename(project.path("releases/1"), project.path("releases/gone")).unwrap();
    serving.says("the project's folder", 1);
    assert_eq!(logged(&serving, "script removed"), 0, "{:#?}", serving.logged());
    serving.stop();
}

#[test]
fn check_and_serve_leave_the_same_files_out_and_say_so() {
    let (project, service) = (Project::new(), Service::accepting());
    for (path, job) in [
        ("scripts/a.lua", "a"),
        ("scripts/lib/b.lua", "b"),
        ("scripts/tests/c.lua", "c"),
        ("scripts/d_test.lua", "d"),
        ("scripts/team/lib/e.lua", "e"),
    ] {
        project.write(path, hourly(job, job));
    }
    let odd = project.path("scripts").join(OsStr::from_bytes(b"odd\xff.lua"));
    std::fs::write(odd, "local x = 1\n").unwrap();
    let ran = project.mooncast(&["check"]);
    assert_eq!(ran.stdout.matches(": job `").count(), 1, "{ran:#?}");
    assert_eq!(ran.stdout.matches("does not load this file").count(), 5, "{ran:#?}");
    let serving = serve(&project, &service);
    serving.says("file not loaded: ", 5);
    serving.says("not UTF-8", 1);
    serving.stop().exits(0);
}

#[test]
fn lazy_require_a_module_that_a_job_requires_is_of_its_version() {
    let (project, service) = (Project::new(), Service::accepting());
    let script =
        "require('schedule').every('10000h', { name = 'a' }, function() print(require('texts').hello) end)\n";
    project.write("scripts/a.lua", script);
    project.write("scripts/lib/texts.lua", "return { hello = 'first' }\n");
    let serving = serve(&project, &service);
    project.write("scripts/lib/texts.lua", "return { hello = \n");
    serving.says("failed to load, so its last version stays active", 1);
    let asked = project.command_against(&service, &["jobs", "trigger", "a"]).output().unwrap();
    Ran::of(&asked).exits(0);
    serving.prints("first", 1);
    project.write("scripts/lib/texts.lua", "return { hello = 'second' }\n");
    serving.says("script loaded", 2);
    serving.stop().exits(0);
}

#[test]
fn first_start_a_script_that_only_sends_is_for_mooncast_run() {
    let (project, service) = (Project::new(), Service::accepting());
    project.write("scripts/a.lua", hourly("a", "a"));
    project.write("scripts/send.lua", "im.group_send({ to = '1', type = 'txt', body = { msg = 'x' } })\n");
    let serving = serve(&project, &service);
    serving.says("script not loaded: it sends at its top level", 1);
    assert_eq!(logged(&serving, "failed to load"), 0, "{:#?}", serving.logged());
    let listed = || {
        let list = project.command_against(&service, &["jobs"]).output().unwrap();
        String::from_utf8_lossy(&list.stdout).into_owned()
    };
    crate::support::until("the script is listed", || {
        listed().contains("scripts/send.lua is not loaded: it sends at its top level")
    });
    serving.stop().exits(0);
}
