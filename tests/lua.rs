//! The tests written in Lua, found by their path and run with the real binary; and the examples.
//!
//! Store: file

use std::path::{Path, PathBuf};

use crate::support::Ran;
use crate::support::service::{Request, Service, json};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn lua_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "lib" && name != "tests") {
                lua_files(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "lua") {
            found.push(path);
        }
    }
}

/// Runs a script in a copy of the project's scripts and tests. `-- flags: …` in its first lines is for the command, and
/// `-- requests: …` for `[permissions] requests`.
fn run(file: &Path) -> Ran {
    let source = std::fs::read_to_string(file).unwrap();
    let flags = source.lines().take(5).find_map(|line| line.strip_prefix("-- flags:")).unwrap_or_default();
    let folder = tempfile::tempdir().unwrap();
    for part in ["scripts", "tests/lua"] {
        copy(&root().join(part), &folder.path().join(part));
    }
    if let Some(requests) = source.lines().take(5).find_map(|line| line.strip_prefix("-- requests:")) {
        let settings = format!("[permissions]\nrequests = [{requests}]\n");
        std::fs::write(folder.path().join("mooncast.toml"), settings).unwrap();
    }
    let file = file.strip_prefix(root()).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_mooncast"));
    command
        .current_dir(folder.path())
        .args(["run", "--simulator", "--timeout", "60s"])
        .args(flags.split_whitespace());
    let echo = Service::answering(|_, request| echo(request));
    command.env("MOONCAST_TEST_URL", echo.url());
    command.env("MOONCAST_TEST_VARIABLE", "a value").env("MOONCAST_TEST_SECRET", "a secret");
    Ran::of(&command.arg(file).output().unwrap())
}

/// Returns the request as JSON; a 404 under `/missing`, a 302 under `/moved`.
fn echo(request: &Request) -> Vec<u8> {
    let headers: serde_json::Map<String, serde_json::Value> =
        request.headers.iter().map(|(name, value)| (name.to_lowercase(), value.as_str().into())).collect();
    let body = String::from_utf8_lossy(&request.body);
    let seen = serde_json::json!({
        "method": request.method, "path": request.path, "headers": headers, "body": body,
    });
    if request.path.starts_with("/moved") {
        return b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere.invalid/\r\nContent-Length: 0\r\n\r\n"
            .to_vec();
    }
    json(if request.path.starts_with("/missing") { 404 } else { 200 }, &seen.to_string())
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Runs all scripts of a folder, two at a time. Returns their number.
fn all_pass(folder: &str) -> usize {
    let mut found = Vec::new();
    lua_files(&root().join(folder), &mut found);
    found.sort();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let failures = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(file) = found.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    let ran = run(file);
                    if ran.status != Some(0) {
                        failures.lock().unwrap().push(format!("{}: {ran:#?}", file.display()));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    found.len()
}

#[test]
fn the_tests_written_in_lua_pass() {
    assert!(all_pass("tests/lua") > 0, "no tests found");
}

#[test]
fn the_examples_run_on_the_simulator_as_they_stand() {
    assert!(all_pass("scripts") >= 10, "examples are missing");
}
