//! Which module may import which, read from the `use crate::` lines; and which modules may use certain crates.
//!
//! Store: file

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Each module, and the modules that it may import.
const ROOMS: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "core",
            "client",
            "clock",
            "config",
            "control",
            "delivery",
            "run",
            "ledger",
            "lint",
            "message",
            "protocol",
            "schedule",
            "daemon",
            "forms",
            "simulator",
            "web",
            "worker",
        ],
    ),
    (
        "daemon",
        &[
            "core",
            "clock",
            "config",
            "control",
            "delivery",
            "run",
            "language",
            "ledger",
            "protocol",
            "quota",
            "reconcile",
            "schedule",
        ],
    ),
    (
        "web",
        &[
            "core", "clock", "config", "control", "delivery", "forms", "input", "run", "language", "ledger",
            "protocol", "records", "schedule",
        ],
    ),
    (
        "control",
        &[
            "core",
            "clock",
            "delivery",
            "forms",
            "run",
            "language",
            "ledger",
            "message",
            "quota",
            "reconcile",
            "schedule",
        ],
    ),
    ("forms", &["core", "lint", "protocol"]),
    ("lint", &["core", "message"]),
    ("schedule", &["protocol", "zones"]),
    (
        "run",
        &[
            "core", "schedule", "client", "clock", "config", "delivery", "forms", "input", "ledger",
            "message", "protocol", "zones",
        ],
    ),
    ("delivery", &["core", "client", "clock", "config", "ledger", "message", "quota", "reconcile", "zones"]),
    ("reconcile", &["core", "client", "clock", "config", "ledger", "message", "records"]),
    ("quota", &["core", "clock", "config"]),
    ("client", &["core", "clock", "config"]),
    ("ledger", &["core", "clock", "config", "message"]),
    ("worker", &["core", "input", "message", "protocol", "zones"]),
    ("input", &["core", "message"]),
    ("records", &["core", "message"]),
    ("zones", &["core"]),
    ("message", &["core"]),
    ("config", &["core", "language"]),
    ("protocol", &["core"]),
    ("clock", &[]),
    ("core", &[]),
    ("language", &[]),
    ("simulator", &["language"]),
    // Test code alone: it gives changed inputs to the readers of these.
    (
        "fuzz",
        &[
            "core", "client", "clock", "config", "delivery", "input", "message", "protocol", "records",
            "run", "schedule", "worker", "zones",
        ],
    ),
];

/// Crates that only some modules may name.
const KEPT: &[(&str, &[&str])] = &[
    ("mlua", &["worker"]),
    ("reqwest", &["client", "run/outbound", "simulator/callback/post"]),
    ("governor", &["quota"]),
    ("sqlx", &["ledger"]),
    ("sqlx_postgres", &["ledger"]),
    ("sqlx_sqlite", &["ledger"]),
    ("axum", &["simulator", "web"]),
    ("hyper", &["web/listener"]),
    ("tokio_rustls", &["web/listener"]),
    ("clap", &["cli", "simulator"]),
    ("anyhow", &["cli"]),
    ("full_moon", &["lint"]),
    ("encoding_rs", &["client/decode", "config/environment", "input"]),
    ("chardetng", &["input"]),
    ("calamine", &["input", "control/view/export/xlsx"]),
    ("zip", &["input", "fuzz/sheets"]),
    ("notify_debouncer_full", &["daemon/file_watcher"]),
    ("sd_notify", &["daemon/systemd"]),
    ("metrics", &["daemon/figures", "delivery/figures", "run/figures", "ledger/figures", "web"]),
    ("metrics_exporter_prometheus", &["web/metrics"]),
    ("opentelemetry", &["cli/traces"]),
    ("tracing_opentelemetry", &["cli/traces"]),
    ("ratatui", &["cli/top"]),
    ("crossterm", &["cli/top"]),
];

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

/// Returns each path below `src` without `.rs`, and its lines of code.
fn house() -> Vec<(String, Vec<String>)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    assert!(files.len() > 50, "only {} files found", files.len());
    let name = |path: &Path| path.strip_prefix(&src).unwrap().with_extension("").display().to_string();
    let code = |path: &Path| {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(str::trim).filter(|line| !line.starts_with("//")).map(str::to_owned).collect()
    };
    files.iter().map(|path| (name(path), code(path))).collect()
}

/// Returns the modules that `crate::ROOM` names in a line, including nested lists.
fn imports(line: &str) -> BTreeSet<&str> {
    let mut rooms = BTreeSet::new();
    for rest in line.split("crate::").skip(1) {
        let list = rest.strip_prefix('{').map_or_else(|| vec![rest], |list| list.split(',').collect());
        for item in list {
            let word = item.trim().split(|letter: char| !letter.is_alphanumeric() && letter != '_').next();
            rooms.extend(word.filter(|word| !word.is_empty()));
        }
    }
    rooms
}

#[test]
fn modules_import_downward_only() {
    let mut wrong = Vec::new();
    for (file, lines) in house() {
        let room = file.split('/').next().unwrap();
        if matches!(room, "lib" | "main") {
            continue;
        }
        let (_, allowed) =
            ROOMS.iter().find(|(name, _)| *name == room).unwrap_or_else(|| panic!("no room for {file}"));
        for line in &lines {
            for imported in imports(line) {
                if imported != room && !allowed.contains(&imported) {
                    wrong.push(format!("{file}: {line}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn no_room_may_import_what_it_does_not_use() {
    let house = house();
    let mut unused = Vec::new();
    for (room, allowed) in ROOMS {
        let own = house.iter().filter(|(file, _)| file.split('/').next() == Some(*room));
        let used: BTreeSet<&str> =
            own.flat_map(|(_, lines)| lines.iter().flat_map(|line| imports(line))).collect();
        let missing = allowed.iter().filter(|name| !used.contains(*name));
        unused.extend(missing.map(|name| format!("{room} does not use {name}")));
    }
    assert!(unused.is_empty(), "\n{}", unused.join("\n"));
}

#[test]
fn crates_stay_in_their_rooms() {
    let mut wrong = Vec::new();
    for (file, lines) in house() {
        for (name, rooms) in KEPT {
            let named =
                |line: &String| line.contains(&format!("{name}::")) || line.contains(&format!("use {name}"));
            if !rooms.iter().any(|room| file.starts_with(room)) && lines.iter().any(named) {
                wrong.push(format!("{file} names {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Names that only the builder of runs may use: the mode of a run, and questions about it.
const MODES: &[&str] = &["RunMode", "is_rehearsal", "is_dry_run", "is_live", "as_rehearsal", "as_planned"];

/// The types of what a mode records, and the files that may name them besides the builder: those that implement a mode,
/// and the commands that start it and report it.
const RECORDS: &[(&str, &[&str])] = &[
    ("Rehearsal", &["run/rehearsal", "cli/rehearse"]),
    ("PlanGuard", &["run/rehearsal", "cli/rehearse"]),
    ("Testbed", &["run/testing", "run/services", "cli/test"]),
];

#[test]
fn only_the_builder_of_runs_knows_the_mode() {
    let mut wrong = Vec::new();
    for (file, lines) in house().into_iter().filter(|(file, _)| file != "run/builder") {
        let words = |line: &str| -> BTreeSet<String> {
            line.split(|letter: char| !letter.is_alphanumeric() && letter != '_').map(str::to_owned).collect()
        };
        let words: BTreeSet<String> = lines.iter().flat_map(|line| words(line)).collect();
        wrong
            .extend(MODES.iter().filter(|name| words.contains(**name)).map(|name| format!("{file}: {name}")));
        for (name, files) in RECORDS {
            if words.contains(*name) && !files.iter().any(|place| file.starts_with(place)) {
                wrong.push(format!("{file}: {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Words that name a kind of store, or a part of one.
const KINDS_OF_STORE: &[&str] = &[
    "ledger.is_shared",
    "is_scratch",
    "is_temporary",
    "PostgresServer",
    "SqliteFile",
    "StoreDriver",
    "StoreBackend",
    "SqlTexts",
];

#[test]
fn only_the_ledger_knows_the_kinds_of_store() {
    let mut wrong = Vec::new();
    for (file, lines) in house() {
        let may = file.starts_with("ledger/") || file == "run/builder";
        for line in lines.iter().filter(|_| !may) {
            wrong.extend(
                KINDS_OF_STORE
                    .iter()
                    .filter(|kind| line.contains(**kind))
                    .map(|kind| format!("{file}: {kind}")),
            );
        }
        // Inside of the ledger, only the drivers and what opens them name a driver.
        let opens = ["ledger/mod", "ledger/inspection", "ledger/backup/", "ledger/copy"];
        let is_driver = ["ledger/sqlite/", "ledger/postgres/", "ledger/tests/"];
        if file.starts_with("ledger/") && !opens.iter().chain(&is_driver).any(|place| file.starts_with(place))
        {
            let names = |line: &&String| line.contains("sqlite::") || line.contains("postgres::");
            let own = lines.iter().filter(|line| !line.contains("sqlx")).filter(names);
            wrong.extend(own.map(|line| format!("{file}: {line}")));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn sql_names_states_by_their_constants() {
    let is_number = |rest: &str| {
        let value = rest.trim_start_matches([' ', '=', '<', '>']).trim_start_matches("IN (");
        value.starts_with(|first: char| first.is_ascii_digit())
    };
    let compares =
        |line: &&String| ["state ", "command "].iter().any(|name| line.split(name).skip(1).any(is_number));
    let mut wrong = Vec::new();
    for (file, lines) in house() {
        if file.starts_with("ledger/") && !file.starts_with("ledger/tests/") {
            wrong.extend(lines.iter().filter(compares).map(|line| format!("{file}: {line}")));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_module_says_what_it_is_for() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let silent: Vec<_> =
        files.iter().filter(|path| !std::fs::read_to_string(path).unwrap().starts_with("//! ")).collect();
    assert!(silent.is_empty(), "{silent:?}");
}

/// The documents that name files of the source.
const DOCUMENTS: &[&str] = &["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "README.md", "docs/adr"];

#[test]
fn files_that_the_documents_name_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = Vec::new();
    for document in DOCUMENTS {
        let path = root.join(document);
        if path.is_dir() {
            pages.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            pages.push(path);
        }
    }
    let (mut named, mut missing) = (0, Vec::new());
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        for name in text.split('`').skip(1).step_by(2) {
            let is_file = [".rs", ".lua", ".sql"].iter().any(|end| name.ends_with(end));
            if is_file && name.contains('/') && !name.contains([' ', '*', '<', '{']) {
                named += 1;
                // A row about a room leaves the room out.
                let rooms = std::fs::read_dir(root.join("src")).unwrap().map(|room| room.unwrap().path());
                let mut places = rooms.chain([root.join("src"), root.to_owned()]);
                if !places.any(|place| place.join(name).is_file()) {
                    missing.push(format!("{}: {name}", page.display()));
                }
            }
        }
    }
    assert!(named > 50, "only {named} names found");
    assert!(missing.is_empty(), "{missing:#?}");
}

/// What a file of tests can say of its store. `tests/run` reads these lines.
const STORES: &[&str] = &["Store: file", "Store: server", "On a server: in the soak", "On a server: apart"];

#[test]
fn tests_say_their_store_in_known_words() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"), &mut files);
    let (mut known, mut unknown) = (0, Vec::new());
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines().filter_map(|line| line.strip_prefix("//! ")) {
            if STORES.contains(&line) {
                known += 1;
            } else if line.starts_with("Store:") || line.starts_with("On a server:") {
                unknown.push(format!("{}: {line}", path.display()));
            }
        }
    }
    assert!(known > 20, "only {known} files say their store");
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn what_is_larger_in_the_soak_is_run_by_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = std::fs::read_to_string(root.join("tests/soak")).unwrap();
    let named: Vec<&str> = script
        .split(|letter: char| letter.is_whitespace() || letter == ';')
        .filter(|word| word.contains("::") && !word.starts_with('-'))
        .map(|word| word.rsplit_once("::").map_or(word, |(module, _)| module))
        .collect();
    let mut files = Vec::new();
    sources(&root.join("tests"), &mut files);
    let (mut known, mut missing) = (0, Vec::new());
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        // What reads the variable by itself, or asks the function that does.
        if path.ends_with("house.rs") || !(text.contains("soak()") || text.contains("MOONCAST_SOAK")) {
            continue;
        }
        known += 1;
        let module = path.strip_prefix(root.join("tests")).unwrap().with_extension("");
        let module = module.display().to_string().replace('/', "::");
        let module = module.trim_end_matches("::mod");
        // A binary of its own, which is named as a whole.
        if let Some(binary) = module.strip_suffix("::main")
            && script.lines().any(|line| {
                line.starts_with("MOONCAST_SOAK=1 ") && line.contains(&format!("--test {binary} "))
            })
        {
            continue;
        }
        if !named.iter().any(|name| module == *name || module.starts_with(&format!("{name}::"))) {
            missing.push(module.to_owned());
        }
    }
    assert!(known > 15, "only {known} files found");
    assert!(missing.is_empty(), "tests/soak does not run {missing:?}");
}

/// The recipes of `CONTRIBUTING.md`, and the most files that each may take.
const RECIPES: &[(&str, usize)] =
    &[("A Lua module with a host call", 8), ("A command", 5), ("A setting", 5), ("A migration", 3)];

#[test]
fn the_recipes_take_few_files() {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("CONTRIBUTING.md")).unwrap();
    for (title, most) in RECIPES {
        let (_, recipe) = text.split_once(&format!("## {title}\n")).unwrap_or_else(|| panic!("no {title}"));
        let recipe = recipe.split("\n## ").next().unwrap();
        let steps =
            recipe.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_digit())).count();
        assert!((3..=*most).contains(&steps), "{title}: {steps} files");
    }
}

#[test]
fn commands_and_lua_modules_are_listed_in_one_file() {
    // A recipe is complete as long as no second list exists.
    for (word, place, least) in [("CliCommand::", "cli/mod", 15), ("::build)", "worker/modules/mod", 10)] {
        let mut found = Vec::new();
        for (file, lines) in house() {
            found.extend(lines.iter().filter(|line| line.contains(word)).map(|_| file.clone()));
        }
        assert!(found.len() >= least && found.iter().all(|file| file == place), "{word}: {found:?}");
    }
}

/// What `tests/judge-again` makes of these failed tests, if the n-th time that it runs them ends with the n-th status.
fn judged_again(failed: &[&str], statuses: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let cargo = folder.path().join("cargo");
    std::fs::write(
        &cargo,
        format!(
            "#!/bin/sh\nset -- {statuses}\ntimes=$(cat {0}/times 2>/dev/null || echo 0)\necho $((times + 1)) > {0}/times\nshift $times\nexit $1\n",
            folder.path().display()
        ),
    )
    .unwrap();
    std::fs::set_permissions(&cargo, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let names: String = failed.iter().flat_map(|name| ["    ", name, "\n"]).collect();
    let told = folder.path().join("told");
    let text = format!(
        "failures:\n\n---- a stdout ----\n    not::a::name\n\nfailures:\n{names}\ntest result: FAILED.\n"
    );
    std::fs::write(&told, text).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let mut command = std::process::Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judge-again"));
    let ran = command.arg(&told).args(["--test", "it"]).env("PATH", path).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    for name in failed.iter().filter(|_| said.contains("alone")) {
        assert!(said.contains(name) && !said.contains("not::a::name"), "{said}");
    }
    ran.status.success()
}

#[test]
fn a_test_that_failed_beside_others_has_to_pass_three_times_alone() {
    assert!(judged_again(&["a::b", "c"], "0 0 0"));
    assert!(!judged_again(&["a::b", "c"], "0 0 101"));
    assert!(!judged_again(&["a::b"], "101"));
    assert!(!judged_again(&[], "0 0 0"), "it ended without a list");
    assert!(!judged_again(&["a", "b", "c", "d", "e", "f"], "0 0 0"), "so many are no accident");
}
