//! The project's folder is renamed, replaced, moved behind a link or emptied under a running daemon.

use std::fs::rename;

use rustix::process::Signal;

use super::{Service, logged};
use crate::daemon::Serving;
use crate::support::Project;

/// A job of every second that reads a file and requires a module when it runs.
const READS: &str = "local fs = require('fs')
require('schedule').every('1s', { name = 'reads', overlap = 'skip', missed = 'skip' }, function()
    print('ran WORD', fs.read('text.txt'), pcall(require, 'wor' .. 'ds'))
end)\n";

/// Fills a project in its own folder. All its output names the folder.
fn fill(project: &Project, folder: &str) {
    project.write(&format!("{folder}/mooncast.toml"), "");
    project.write(&format!("{folder}/scripts/reads.lua"), READS.replace("WORD", folder));
    project.write(&format!("{folder}/scripts/words.lua"), format!("return 'words of {folder}'"));
    project.write(&format!("{folder}/text.txt"), format!("text of {folder}"));
}

/// Starts a daemon for the project in `named`.
fn start(project: &Project, service: &Service, named: &str) -> Serving {
    let args = ["serve", "--project", named, "--listen", "nowhere"];
    Serving::start(project.command_against(service, &args))
}

/// Waits for another run of the project `of` if its ledger is on a server. A ledger in the folder has moved with it.
fn goes_on(project: &Project, serving: &Serving, of: &str) {
    if project.schema().address().is_some() {
        runs_again(serving, of);
    }
}

fn runs_again(serving: &Serving, of: &str) {
    let text = format!("text of {of}\ttrue\twords of {of}");
    let printed = serving.printed().iter().filter(|line| line.contains(&text)).count();
    // One run may have started before.
    serving.prints(&text, printed + 2);
}

/// Checks that no file of another project than `of` was run or read.
#[track_caller]
fn has_only(serving: &Serving, of: &str) {
    let printed = serving.printed();
    let strange = printed.iter().find(|line| !line.contains(&format!("text of {of}\ttrue\twords of {of}")));
    assert_eq!(strange, None, "{:#?}", serving.logged());
    for text in ["a new version", "script removed;", "active for runs"] {
        assert_eq!(logged(serving, text), 0, "{text}: {:#?}", serving.logged());
    }
}

#[test]
fn project_that_is_renamed_and_replaced_is_told_loudly_and_nothing_of_the_other_is_taken_in() {
    let (project, service) = (Project::new(), Service::accepting());
    fill(&project, "own");
    fill(&project, "other");
    let serving = start(&project, &service, "own");
    serving.prints("text of own", 1);
    rename(project.path("own"), project.path("kept")).unwrap();
    rename(project.path("other"), project.path("own")).unwrap();
    serving.says("is not the folder that this daemon was started in", 1);
    goes_on(&project, &serving, "own");
    project.write("own/mooncast.toml", "[scripts]\ntimeout = \"1s\"\n[permissions]\nread = ['/etc']\n");
    project.write("own/scripts/new.lua", READS.replace("'reads'", "'new'"));
    serving.signal(Signal::HUP);
    serving.says("cannot read the settings", 1);
    goes_on(&project, &serving, "own");
    has_only(&serving, "own");
    rename(project.path("own"), project.path("other")).unwrap();
    rename(project.path("kept"), project.path("own")).unwrap();
    serving.says("scripts are readable again", 1);
    runs_again(&serving, "own");
    has_only(&serving, "own");
    serving.stop();
}

#[test]
fn project_that_is_renamed_and_not_replaced_is_told_loudly_and_goes_on_when_it_is_back() {
    let (project, service) = (Project::new(), Service::accepting());
    fill(&project, "own");
    let serving = start(&project, &service, "own");
    serving.prints("text of own", 1);
    rename(project.path("own"), project.path("kept")).unwrap();
    serving.says("that folder is", 1);
    goes_on(&project, &serving, "own");
    rename(project.path("kept"), project.path("own")).unwrap();
    serving.says("scripts are readable again", 1);
    runs_again(&serving, "own");
    has_only(&serving, "own");
    serving.stop();
}

#[test]
fn project_through_a_link_that_moves_keeps_reading_its_own_files() {
    let (project, service) = (Project::new(), Service::accepting());
    fill(&project, "one");
    fill(&project, "two");
    std::os::unix::fs::symlink("one", project.path("current")).unwrap();
    let serving = start(&project, &service, "current");
    serving.prints("text of one", 1);
    std::os::unix::fs::symlink("two", project.path("next")).unwrap();
    rename(project.path("next"), project.path("current")).unwrap();
    serving.says("two, but this daemon still uses", 1);
    runs_again(&serving, "one");
    has_only(&serving, "one");
    // The old release is deleted, file by file.
    std::fs::remove_file(project.path("one/scripts/reads.lua")).unwrap();
    serving.says("this script was removed, but the project's path now leads to another folder", 1);
    runs_again(&serving, "one");
    std::fs::remove_dir_all(project.path("one")).unwrap();
    serving.says("that folder was deleted", 1);
    let gone = logged(&serving, "this script was removed, but the project's path");
    assert!(gone <= 2, "{:#?}", serving.logged());
    has_only(&serving, "one");
    serving.stop();
}

#[test]
fn project_whose_state_folder_is_moved_away_sends_nothing_without_its_ledger() {
    let (project, service) = (Project::new(), Service::accepting());
    fill(&project, "own");
    let serving = start(&project, &service, "own");
    serving.prints("text of own", 1);
    let state = project.path("own/.mooncast");
    if project.schema().address().is_none() {
        rename(&state, project.path("own/state")).unwrap();
        serving.says("ledger.db", 1);
        std::fs::create_dir_all(&state).unwrap();
        serving.says("ledger.db", 2);
        assert!(!state.join("ledger.db").exists());
        std::fs::remove_dir_all(&state).unwrap();
        rename(project.path("own/state"), &state).unwrap();
    } else if state.exists() {
        std::fs::remove_dir_all(&state).unwrap();
    }
    runs_again(&serving, "own");
    has_only(&serving, "own");
    serving.stop();
}
