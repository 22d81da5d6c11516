//! The content of a release: the manual, the completions, the package with its unit, the image, the documents. Also,
//! a new project has a working CI file.
//!
//! Store: file

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use saphyr_parser::{Event, Parser};

use crate::support::{Project, Ran};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn help(words: &[String]) -> String {
    let mut args: Vec<&str> = words.iter().map(String::as_str).collect();
    args.push("--help");
    Project::new().mooncast(&args).exits(0).stdout
}

/// Returns the words of every command, such as `runs list`, as `--help` lists them. The first one is empty: the
/// program itself.
fn commands() -> Vec<Vec<String>> {
    let mut all = vec![Vec::new()];
    let mut next = 0;
    while next < all.len() {
        let words = all[next].clone();
        let text = help(&words);
        let list = text.lines().skip_while(|line| *line != "Commands:").skip(1);
        for line in list.take_while(|line| !line.is_empty()) {
            let name = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' '));
            let name = name.and_then(|rest| rest.split_whitespace().next()).filter(|name| *name != "help");
            all.extend(name.map(|name| [&words[..], &[name.to_owned()]].concat()));
        }
        next += 1;
    }
    assert!(all.len() > 20, "{all:?}");
    all
}

/// The macros of man(7) in the pages, and the roff requests before them.
const MACROS: [&str; 12] = ["TH", "SH", "SS", "PP", "TP", "IP", "RS", "RE", "br", "ie", "el", "ds"];

fn is_well_formed(page: &str) -> bool {
    page.lines().filter(|line| line.starts_with(['.', '\''])).all(|line| {
        let name: String = line[1..].chars().take_while(char::is_ascii_alphabetic).collect();
        MACROS.contains(&name.as_str())
    })
}

#[test]
fn every_command_has_its_page_of_the_manual() {
    let project = Project::new();
    project.mooncast(&["man", "deep/man1"]).exits(0);
    let mut expected = BTreeSet::new();
    for words in commands() {
        let name = [&["mooncast".to_owned()], &words[..]].concat().join("-");
        let page = std::fs::read_to_string(project.path(format!("deep/man1/{name}.1"))).unwrap();
        assert!(is_well_formed(&page), "{page}");
        let plain = page.replace("\\-", "-");
        assert!(plain.contains(&format!("\n.TH {name} 1 ")), "{plain}");
        for part in [".SH NAME\n", ".SH SYNOPSIS\n", ".SH DESCRIPTION\n", &format!("\n{name} - ")] {
            assert!(plain.contains(part), "no {part:?} in {plain}");
        }
        for option in help(&words).split_whitespace().filter(|word| word.starts_with("--")) {
            let option = option.trim_end_matches(|letter: char| !letter.is_alphanumeric());
            assert!(plain.contains(option), "no {option} in {plain}");
        }
        expected.insert(format!("{name}.1"));
    }
    let made = std::fs::read_dir(project.path("deep/man1")).unwrap();
    let made: BTreeSet<String> =
        made.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(made, expected);
    let main = std::fs::read_to_string(project.path("deep/man1/mooncast.1")).unwrap();
    assert_eq!(project.mooncast(&["man"]).exits(0).stdout, main);
    for part in [".SH \"EXIT STATUS\"", ".SH ENVIRONMENT", ".SH FILES"] {
        assert!(main.contains(part), "no {part} in {main}");
    }
    project.mooncast(&["man", "deep/man1/mooncast.1"]).exits(2).says("cannot create ");
}

#[test]
fn completions_know_every_command() {
    let project = Project::new();
    let commands = commands();
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let text = project.mooncast(&["completions", shell]).exits(0).stdout;
        let known: BTreeSet<&str> = text.split(|letter: char| !letter.is_alphanumeric()).collect();
        for word in commands.iter().flatten() {
            assert!(word.split('-').all(|part| known.contains(part)), "{shell} does not know {word}");
        }
    }
    // Bash itself is used.
    project.write("completions", project.mooncast(&["completions", "bash"]).exits(0).stdout);
    let ask = "source completions; COMP_WORDS=(mooncast \"$@\" ''); COMP_CWORD=$(($# + 1)); \
               _mooncast mooncast '' \"${!#}\"; printf '%s\\n' \"${COMPREPLY[@]}\"";
    for words in &commands {
        let Some((last, above)) = words.split_last() else { continue };
        let mut bash = Command::new("bash");
        bash.args(["-c", ask, "mooncast"]).args(above).current_dir(project.path(""));
        let offered = Ran::of(&bash.output().unwrap()).exits(0);
        assert!(offered.stdout.lines().any(|line| line == last), "no {last} in {offered:#?}");
    }
}

/// Returns the sections and their settings. Anything else is not allowed in a unit.
fn unit() -> Vec<(String, String, String)> {
    let mut section = String::new();
    let mut settings = Vec::new();
    for line in read("etc/mooncast.service").lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("no setting: {line}"));
        assert!(key.chars().all(|letter| letter.is_ascii_alphabetic()), "{line}");
        settings.push((section.clone(), key.to_owned(), value.to_owned()));
    }
    settings
}

#[test]
fn the_unit_the_user_and_the_folders_fit_together() {
    let unit = unit();
    let sections: Vec<&str> = unit.iter().map(|(section, ..)| section.as_str()).collect();
    assert_eq!(sections.iter().copied().collect::<BTreeSet<_>>(), ["Install", "Service", "Unit"].into());
    let setting = |name: &str| {
        unit.iter().find(|(_, key, _)| key == name).map_or_else(|| panic!("no {name}"), |found| &found.2)
    };
    let folder = format!("/var/lib/{}", setting("StateDirectory"));
    assert_eq!(setting("WorkingDirectory"), &folder);
    assert_eq!(setting("ConditionPathExists"), &format!("{folder}/mooncast.toml"));
    assert!(setting("ExecStart").contains(&format!("--project {folder} ")));
    assert_eq!(setting("User"), setting("Group"));
    let user = setting("User");
    assert!(read("etc/mooncast.sysusers").contains(&format!("\nu {user} - ")));
    let folders = read("etc/mooncast.tmpfile");
    assert!(folders.contains(&format!("\nd {folder} 0750 {user} {user} -")), "{folders}");
    let environment = setting("EnvironmentFile").trim_start_matches('-');
    assert!(folders.contains(&format!("\nz {environment} 0640 root {user} -")), "{folders}");
    let manual = Project::new().mooncast(&["man"]).exits(0).stdout;
    for line in read("etc/mooncast.environment").lines().filter(|line| line.contains('=')) {
        let name = line.trim_start_matches("# ").split('=').next().unwrap();
        assert!(manual.contains(name), "the manual does not know {name}");
    }
}

fn manifest() -> toml::Table {
    read("Cargo.toml").parse().unwrap()
}

#[test]
fn what_the_package_holds_is_there_or_made_by_the_release() {
    let manifest = manifest();
    let package = &manifest["package"]["metadata"]["deb"];
    let release = read("release/build");
    let mut targets = Vec::new();
    for asset in package["assets"].as_array().unwrap() {
        let source = asset[0].as_str().unwrap();
        let made = match source {
            // The path that `cargo deb` puts the profile's in place of.
            "target/release/mooncast" => release.contains("cargo build --profile dist "),
            "dist/man/*.1" => release.contains("mooncast man dist/man\n"),
            _ if source.starts_with("dist/") => release.contains(&format!(" >{source}\n")),
            _ => root().join(source).is_file(),
        };
        assert!(made, "{source} is neither there nor made by release/build");
        targets.push(format!("/{}", asset[1].as_str().unwrap()));
    }
    for file in package["conf-files"].as_array().unwrap() {
        assert!(targets.iter().any(|target| target == file.as_str().unwrap()), "{file}");
    }
    // The package starts nothing by itself.
    let units = &package["systemd-units"];
    assert_eq!((units["enable"].as_bool(), units["start"].as_bool()), (Some(false), Some(false)));
    let folder = root().join(units["unit-scripts"].as_str().unwrap());
    for file in ["mooncast.service", "mooncast.sysusers", "mooncast.tmpfile"] {
        assert!(folder.join(file).is_file(), "{file}");
    }
    let syntax = Command::new("bash").arg("-n").arg(root().join("release/build")).output().unwrap();
    Ran::of(&syntax).exits(0);
}

#[test]
fn the_image_runs_commands_that_there_are_as_nobody() {
    let file = read("Dockerfile");
    let list = |start: &str, before: &str| -> Vec<String> {
        let line = file.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no {start}"));
        serde_json::from_str(line.split_once(before).unwrap().1).unwrap()
    };
    assert_eq!(list("ENTRYPOINT", "ENTRYPOINT "), ["/usr/bin/mooncast"]);
    let health = list("HEALTHCHECK", "CMD ");
    assert_eq!(health[0], "/usr/bin/mooncast");
    help(&list("CMD", "CMD "));
    help(&health[1..]);
    assert!(file.contains("\nUSER 65534:65534\n"));
    let (toolchain, version) = (read("rust-toolchain.toml"), file.split("FROM rust:").nth(1).unwrap());
    assert!(toolchain.contains(&format!("\"{}\"", version.split('-').next().unwrap())));
}

/// Returns the values of all `run` keys in a YAML text.
fn steps(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut after_run = false;
    for event in Parser::new_from_str(text) {
        let (event, _) = event.unwrap_or_else(|error| panic!("not YAML: {error}"));
        if let Event::Scalar(value, ..) = event {
            if after_run {
                found.push(value.clone().into_owned());
            }
            after_run = value == "run" && !after_run;
        } else {
            after_run = false;
        }
    }
    found
}

#[test]
fn a_release_is_built_with_every_feature() {
    let features: Vec<String> = manifest()["features"].as_table().unwrap().keys().cloned().collect();
    let all = features.join(",");
    let release = read("release/build");
    assert!(release.contains(&format!("\nfeatures={all}\n")), "{release}");
    assert_eq!(release.matches("--features \"$features\"").count(), 2, "the program, and what it is made of");
    assert!(read("Dockerfile").contains(&format!("cargo build --profile dist --locked --features {all} ")));
}

#[test]
fn binstall_downloads_what_the_release_makes() {
    let manifest = manifest();
    let binstall = &manifest["package"]["metadata"]["binstall"];
    let setting = |name: &str| binstall[name].as_str().unwrap();
    let release = read("release/build");
    assert!(release.contains("\nname=mooncast-$version-$target\n"));
    assert!(release.contains("-c \"$name\" | gzip -9n >\"dist/$name.tar.gz\"\n"));
    let name = "mooncast-{ version }-{ target }";
    assert_eq!(setting("pkg-url"), format!("{{ repo }}/releases/download/v{{ version }}/{name}.tar.gz"));
    assert_eq!(setting("bin-dir"), format!("{name}/{{ bin }}{{ binary-ext }}"));
    assert_eq!(setting("pkg-fmt"), "tgz");
}

#[test]
fn the_steps_of_the_workflows_can_be_run() {
    for file in ["ci.yml", "release.yml"] {
        let steps = steps(&read(format!(".github/workflows/{file}")));
        assert!(!steps.is_empty(), "{file}");
        for step in &steps {
            Ran::of(&Command::new("bash").args(["-n", "-c", step]).output().unwrap()).exits(0);
            // A step of one word is a file of this project.
            let words: Vec<&str> = step.split_whitespace().collect();
            assert!(words.len() > 1 || root().join(words[0]).is_file(), "{file}: {step}");
        }
    }
    let release = steps(&read(".github/workflows/release.yml"));
    for script in ["release/build", "release/check-tag"] {
        assert!(release.iter().any(|step| step.starts_with(script)), "{script}");
    }
    // The image that builds has the toolchain of the project.
    let image = read("Dockerfile")
        .lines()
        .find_map(|line| line.strip_prefix("FROM rust:")?.split(' ').next().map(str::to_owned));
    let container = format!("container: rust:{}\n", image.unwrap());
    assert!(read(".github/workflows/release.yml").contains(&container), "{container}");
}

#[test]
fn a_tag_is_released_if_it_is_the_version_and_the_changelog_dates_it() {
    let project = Project::new();
    let check = |tag: &str, changes: &str| {
        project.write("CHANGELOG.md", format!("# Changelog\n\n## [Unreleased]\n\n- later\n\n{changes}"));
        let address = "https://github.com/o/r";
        let mut script = Command::new("bash");
        Ran::of(&script.arg(project.path("release/check-tag")).args([tag, address]).output().unwrap())
    };
    project.write("release/check-tag", read("release/check-tag"));
    let named = |line: &str| {
        project
            .write("Cargo.toml", format!("[package]\nversion = \"1.2.3\"\n{line}\n[x]\nversion = \"9\"\n"));
    };
    let dated = "## [1.2.3] - 2026-01-31\n\n- new\n\n## [1.2.2] - 2026-01-01\n\n- old\n";
    named("");
    let notes = check("v1.2.3", dated).exits(0).says("set `repository = \"https://github.com/o/r\"`").stdout;
    assert_eq!(notes.trim(), "- new");
    check("v1.2.2", dated).exits(1).says("the tag v1.2.2 is not the version of Cargo.toml, 1.2.3");
    check("1.2.3", dated).exits(1).says("tag v1.2.3");
    check("v1.2.3", "## [1.2.3] - unreleased\n\n- new\n").exits(1).says("does not date 1.2.3");
    check("v1.2.3", "## [1.2.3] - 2026-01-31\n\n## [1.2.2] - 2026-01-01\n- old\n")
        .exits(1)
        .says("says nothing of 1.2.3");
    named("repository = \"https://github.com/o/r\"");
    assert_eq!(check("v1.2.3", dated).exits(0).stderr, "");
}

#[test]
fn a_new_project_passes_its_own_ci() {
    let project = Project::new();
    project.mooncast(&["new", "spring"]).exits(0);
    let file = std::fs::read_to_string(project.path("spring/.github/workflows/mooncast.yml")).unwrap();
    let steps = steps(&file);
    let lines: Vec<&str> = steps
        .iter()
        .flat_map(|step| step.lines())
        .filter_map(|line| line.strip_prefix("mooncast "))
        .collect();
    let names: Vec<&str> = lines.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, ["check", "test", "rehearse"]);
    for line in lines {
        let args: Vec<&str> = line.split(' ').collect();
        Ran::of(&project.command(&args).current_dir(project.path("spring")).output().unwrap()).exits(0);
    }
    assert!(project.path("spring/mooncast-tests.xml").is_file());
    assert!(file.contains("path: mooncast-tests.xml"));
}

#[test]
fn a_new_project_sends_only_when_its_script_is_run() {
    let project = Project::new();
    project.mooncast(&["new", "spring"]).exits(0);
    let within =
        |args: &[&str]| Ran::of(&project.command(args).current_dir(project.path("spring")).output().unwrap());
    within(&["run", "scripts/hello.lua"])
        .exits(0)
        .prints("group 184524748161025 got")
        .says("sent to 3 groups");
    // Its job, without the dashes, is accepted by the daemon. Loading it sends nothing.
    let script = std::fs::read_to_string(project.path("spring/scripts/hello.lua")).unwrap();
    let (before, job) = script.split_once("-- schedule.cron").unwrap();
    project.write("spring/scripts/hello.lua", format!("{before}schedule.cron{}", job.replace("\n-- ", "\n")));
    within(&["check"]).exits(0).prints("good-morning").prints("no problems");
    within(&["run", "scripts/hello.lua", "--job", "good-morning"]).exits(0).says("sent to 3 groups");
}

#[test]
fn the_changelog_tells_of_this_version() {
    let version = manifest()["package"]["version"].as_str().unwrap().to_owned();
    assert!(read("CHANGELOG.md").contains(&format!("\n## [{version}] - ")), "no {version} in CHANGELOG.md");
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_test_that_a_promise_names_is_there() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    sources(&root().join("tests"), &mut files);
    let mut all = String::new();
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap();
        // A test may be in a module, and expect lints.
        for line in text.lines().map(str::trim_start).filter(|line| !line.starts_with("#[expect(")) {
            all.extend([line, "\n"]);
        }
    }
    let promises = read("SECURITY.md");
    let named: Vec<&str> = promises.split('`').filter(|word| word.contains("::")).collect();
    assert!(named.len() >= 15, "{named:?}");
    for name in named {
        let test = name.rsplit("::").next().unwrap();
        let there = ["#[test]\nfn", "#[tokio::test]\nasync fn"];
        let there = there.iter().any(|begin| all.contains(&format!("{begin} {test}()")));
        assert!(there, "SECURITY.md names {name}");
    }
}
