//! A token and a secret are searched for in all output, and in the worker itself.
//!
//! On a server: in the soak

use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use crate::support::service::{Service, accept, json};
use crate::support::{Project, Ran};

const SECRET: &str = "canary-secret-5f0c1b7e";
const TOKEN: &str = "canary-token-91d3aa42";

/// Returns the children of a process, including their children.
fn descendants(of: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{of}/task")).into_iter().flatten().flatten();
    let children: Vec<u32> = tasks
        .flat_map(|task| {
            let list = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<u32>>()
        })
        .collect();
    children.iter().copied().chain(children.iter().flat_map(|child| descendants(*child))).collect()
}

/// Returns all readable memory of a process.
fn memory(pid: u32) -> Vec<u8> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut memory = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut all = Vec::new();
    for line in
        maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|rights| rights.starts_with("rw")))
    {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let (from, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        let mut piece = vec![0; usize::try_from(to - from).unwrap()];
        memory.seek(SeekFrom::Start(from)).unwrap();
        if memory.read_exact(&mut piece).is_ok() {
            all.extend(piece);
        }
    }
    all
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            files(&entry.path(), found);
        } else {
            found.push(entry.path());
        }
    }
}

#[test]
fn the_token_and_the_secret_are_nowhere_but_in_the_token_file() {
    // While the last message is being answered the worker waits, so its memory does not change and can be read.
    let seen: Arc<Mutex<Vec<u8>>> = Arc::default();
    let worker = Arc::clone(&seen);
    // Other tests also have workers.
    let host: Arc<OnceLock<u32>> = Arc::default();
    let of = Arc::clone(&host);
    let service = Service::answering(move |number, request| {
        if request.path.ends_with("/token") {
            assert!(holds(&request.body, SECRET));
            return json(
                200,
                &format!(r#"{{"access_token":"{TOKEN}","expires_in":3600,"application":"x"}}"#),
            );
        }
        assert_eq!(request.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
        if request.path.contains("/chatgroups/bad/users") {
            // A service that echoes a request must not make the program print it.
            let echo =
                format!(r#"{{"error":"illegal_argument","error_description":"Bearer {TOKEN} {SECRET}"}}"#);
            return json(400, &echo);
        }
        if request.method == "POST" && request.json()["body"]["msg"] == "look" {
            let mut all = worker.lock().unwrap();
            for pid in descendants(*of.wait()) {
                let name = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                if name.starts_with(b"mooncast-worker") {
                    all.extend(memory(pid));
                    all.extend(std::fs::read(format!("/proc/{pid}/environ")).unwrap());
                    all.extend(b"looked");
                }
            }
        }
        accept(number, request)
    });
    let project = Project::with_script(
        r#"
        local seen = {}
        local function all(value)
          if type(value) == "table" and not seen[value] then
            seen[value] = true
            for k, v in pairs(value) do all(k) all(v) end
          end
          print(tostring(value))
        end
        im.group_send { to = "1", type = "txt", body = { msg = "first" } }
        all(_G)
        print(pcall(function() for user in im.members("bad") do print(user) end end))
        local fs, env = require("fs"), require("env")
        for _, path in ipairs { "mooncast.toml", ".mooncast", "secret.txt", "../secret.txt", "/proc/self/environ" } do
          print(path, pcall(fs.read, path))
          print(path, pcall(fs.list, path))
        end
        for _, name in ipairs { "MOONCAST_CLIENT_SECRET", "MOONCAST_CLIENT_SECRET_FILE", "MOONCAST_TOKEN" } do
          print(name, pcall(env.get, name))
          print(name, pcall(env.secret, name))
        end
        im.group_send { to = "1", type = "txt", body = { msg = "look" } }
        error(im)
        "#,
    );
    project.write("secret.txt", SECRET);
    project.write(
        "mooncast.toml",
        format!(
            "[app]\nbase_url = \"{}\"\norg = \"org\"\nname = \"app\"\nclient_id = \"id\"\n",
            service.url()
        ),
    );
    let mut command = project.command(&[
        "run",
        "--log",
        "trace",
        "--log-format",
        "json",
        "--allow-env=*",
        "--allow-read=.",
        "scripts/main.lua",
    ]);
    command.env("MOONCAST_CLIENT_SECRET_FILE", project.path("secret.txt"));
    let child = Project::start(command);
    host.set(child.id()).unwrap();
    let ran = Ran::of(&child.wait_with_output().unwrap()).exits(1).never_says(SECRET).never_says(TOKEN);

    let memory = seen.lock().unwrap();
    assert!(holds(&memory, "looked"), "{ran:#?}");
    assert!(!holds(&memory, SECRET), "the worker holds the secret");
    assert!(!holds(&memory, TOKEN), "the worker holds the token");

    let mut found = Vec::new();
    files(&project.path(""), &mut found);
    let with = |text: &str| {
        let holding: Vec<_> =
            found.iter().filter(|path| holds(&std::fs::read(path).unwrap(), text)).collect();
        holding
    };
    assert_eq!(with(SECRET), [&project.path("secret.txt")]);
    let token_files = with(TOKEN);
    if project.schema().address().is_some() {
        // On a shared store the token is in the database, encrypted.
        assert!(token_files.is_empty(), "{token_files:?}");
        return;
    }
    assert_eq!(token_files.len(), 1, "{token_files:?}");
    assert!(token_files[0].starts_with(project.path(".mooncast")));
    assert_eq!(std::fs::metadata(token_files[0]).unwrap().permissions().mode() & 0o777, 0o600);
}
