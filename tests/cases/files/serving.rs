//! A file with credentials under the name of a script or a module. A daemon that read it as Lua would show it in an
//! error.

use std::fs::hard_link;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::daemon::Serving;
use crate::support::Project;
use crate::support::service::Service;

/// Not valid Lua: a syntax error would quote the word.
const SECRET: &str = "CANARY-token";

/// Requires a module when the script is loaded, and by another way when its job runs.
const REQUIRES: &str = "local schedule = require('schedule')
print('loads', pcall(require, 'found'))
schedule.every('1s', { name = 'late', overlap = 'skip' }, function()
    print('runs', pcall(require, 'fou' .. 'nd'))
end)\n";

/// Starts a daemon whose token is in `secret`, and returns its output up to its second scan of all files.
fn said(project: &Project, secret: &Path, prints: Option<&str>, says: &str) -> String {
    let service = Service::accepting();
    let mut command = project.command_against(&service, &["serve", "--listen", "nowhere"]);
    command.env_remove("MOONCAST_TOKEN").env("MOONCAST_TOKEN_FILE", secret);
    let serving = Serving::start(command);
    if let Some(text) = prints {
        serving.prints(text, 1);
    }
    if !says.is_empty() {
        serving.says(says, 1);
    }
    serving.signal(rustix::process::Signal::HUP);
    serving.says("scanning all scripts and the settings again", 1);
    // A change makes the daemon scan every script again.
    project.write("scripts/other.lua", super::super::schedules::hourly("other", "other"));
    serving.says("scripts/other.lua", 1);
    let ran = serving.stop();
    ran.stdout + &ran.stderr
}

/// The file is reachable as a module.
fn module(place: impl Fn(&Project) -> std::path::PathBuf) {
    let project = Project::new();
    let secret = place(&project);
    project.write("scripts/late.lua", REQUIRES);
    let said = said(&project, &secret, Some("runs\tfalse"), "");
    assert!(!said.contains("CANARY"), "{said}");
    assert!(said.contains("no permission lets scripts use"), "{said}");
}

/// The file is reachable as a script.
fn script(place: impl Fn(&Project) -> std::path::PathBuf) {
    let project = Project::new();
    let secret = place(&project);
    let said = said(&project, &secret, None, "no permission lets scripts use");
    assert!(!said.contains("CANARY"), "{said}");
}

#[test]
fn a_module_that_is_the_file_of_the_token_is_not_read_as_lua() {
    module(|project| {
        project.write("scripts/lib/found.lua", SECRET);
        project.path("scripts/lib/found.lua")
    });
}

#[test]
fn a_module_that_links_to_the_file_of_the_token_is_not_read_as_lua() {
    module(|project| {
        project.write("keys/token", SECRET);
        std::fs::create_dir_all(project.path("scripts")).unwrap();
        symlink("../keys/token", project.path("scripts/found.lua")).unwrap();
        project.path("keys/token")
    });
}

#[test]
fn a_module_that_is_a_hard_link_to_the_file_of_the_token_is_not_read_as_lua() {
    module(|project| {
        project.write("keys/token", SECRET);
        std::fs::create_dir_all(project.path("scripts/found")).unwrap();
        hard_link(project.path("keys/token"), project.path("scripts/found/init.lua")).unwrap();
        project.path("keys/token")
    });
}

#[test]
fn a_script_that_is_the_file_of_the_token_is_not_read_as_lua() {
    script(|project| {
        project.write("scripts/token.lua", SECRET);
        project.path("scripts/token.lua")
    });
}

#[test]
fn a_script_that_links_to_the_file_of_the_token_is_not_read_as_lua() {
    script(|project| {
        project.write("keys/token", SECRET);
        std::fs::create_dir_all(project.path("scripts")).unwrap();
        symlink("../keys/token", project.path("scripts/token.lua")).unwrap();
        project.path("keys/token")
    });
}

#[test]
fn a_script_that_is_a_hard_link_to_the_file_of_the_token_is_not_read_as_lua() {
    script(|project| {
        project.write("keys/token", SECRET);
        std::fs::create_dir_all(project.path("scripts")).unwrap();
        hard_link(project.path("keys/token"), project.path("scripts/token.lua")).unwrap();
        project.path("keys/token")
    });
}

#[test]
fn a_script_that_links_to_the_settings_or_to_an_environment_is_not_read_as_lua() {
    for name in ["mooncast.toml", ".env", ".mooncast/notes"] {
        script(|project| {
            project.write("keys/token", SECRET);
            project.write(name, format!("# {SECRET}\n"));
            std::fs::create_dir_all(project.path("scripts")).unwrap();
            symlink(project.path(name), project.path("scripts/own.lua")).unwrap();
            project.path("keys/token")
        });
    }
}
