//! Executes the book's chapter on systemd: its commands in a separate root folder, then the unit's command as systemd
//! would run it.
//!
//! Store: file

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::service::{Service, accept, json};
use crate::support::{GUARD, Project, Ran};

const UNIT: &str = "etc/systemd/system/mooncast.service";

/// Returns the chapter's first block for systemd.
fn chapter() -> String {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/en/src/production.md");
    let text = fs::read_to_string(page).unwrap();
    let block = text.split_once("```sh,needs=systemd\n").unwrap().1;
    block.split_once("\n```").unwrap().0.to_owned()
}

fn executable(path: &Path, text: &str) {
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A root folder in which the chapter's commands were run, with the settings of an app at `service`.
struct Root {
    project: Project,
}

impl Root {
    fn installed(service: &Service) -> Self {
        let root = Self { project: Project::new() };
        let (at, binary) = (root.path(""), env!("CARGO_BIN_EXE_mooncast"));
        for folder in ["usr/local/bin", "etc", "var/lib", "shims"] {
            fs::create_dir_all(root.path(folder)).unwrap();
        }
        root.project.write(
            "settings.toml",
            format!(
                "[app]\nbase_url = \"{}\"\norg = \"org\"\nname = \"app\"\nclient_id = \"the-id\"\n\
                 [serve]\nlisten = \"nowhere\"\n",
                service.url()
            ),
        );
        root.project.write("secret", "the-secret-of-the-app\n");
        // Programs that would change this machine get arguments for the root folder, or a replacement with the same
        // effect there.
        let shim = |name: &str, text: &str| executable(&root.path(format!("shims/{name}")), text);
        let at = at.to_str().unwrap().trim_end_matches('/');
        shim("systemctl", &format!("echo \"$@\" >>{at}/systemctl"));
        if rustix::process::getuid().is_root() {
            shim("systemd-sysusers", &format!("exec /usr/bin/systemd-sysusers --root={at} \"$@\""));
            shim("systemd-tmpfiles", &format!("exec /usr/bin/systemd-tmpfiles --root={at} \"$@\""));
        } else {
            // Only root can create users and change the owner of files.
            shim("systemd-sysusers", &format!("echo mooncast:x:999:999 >>{at}/etc/passwd"));
            shim("systemd-tmpfiles", &format!("install -d -m 750 {at}/var/lib/mooncast {at}/etc/mooncast"));
        }
        shim("runuser", &format!("shift 3; shift; exec {binary} \"$@\""));
        shim("vi", &format!("cat {at}/settings.toml >\"$1\""));
        let script = chapter()
            .replace("target/release/mooncast", binary)
            .replace(" SECRET_FILE ", &format!(" {at}/secret "))
            .replace(" /etc/", &format!(" {at}/etc/"))
            .replace(" /var/", &format!(" {at}/var/"))
            .replace(" /usr/", &format!(" {at}/usr/"));
        let mut shell = Command::new("bash");
        shell.args(["-euc", &script]).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
        shell.env_remove("EDITOR").env("PATH", format!("{at}/shims:/usr/sbin:/usr/bin:/sbin:/bin"));
        Ran::of(&shell.output().unwrap()).exits(0);
        root
    }

    fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.project.path(path)
    }

    /// Returns the settings of the unit's section `[Service]`, including those of its drop-ins.
    fn settings(&self) -> Vec<(String, String)> {
        let mut files = vec![self.path(UNIT)];
        let drop_ins = fs::read_dir(self.path(format!("{UNIT}.d"))).unwrap();
        files.extend(drop_ins.map(|entry| entry.unwrap().path()));
        let texts: Vec<String> = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
        let lines = texts.iter().flat_map(|text| text.lines()).filter(|line| !line.starts_with('#'));
        lines.filter_map(|line| line.split_once('=')).map(|(key, value)| (key.into(), value.into())).collect()
    }

    /// Returns the unit's command, with the environment and the credentials of its settings.
    fn command(&self) -> Command {
        let settings = self.settings();
        let all = |name: &'static str| {
            settings.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
        };
        let credentials = self.path("run/credentials/mooncast.service");
        fs::create_dir_all(&credentials).unwrap();
        for (name, source) in all("LoadCredential").map(|value| value.split_once(':').unwrap()) {
            fs::copy(self.path(source.trim_start_matches('/')), credentials.join(name)).unwrap();
        }
        let mut environment = BTreeMap::new();
        for file in all("EnvironmentFile") {
            let path = self.path(file.trim_start_matches("-/"));
            assert!(file.starts_with('-') || path.is_file(), "{file} is missing");
        }
        for (name, value) in all("Environment").map(|line| line.split_once('=').unwrap()) {
            environment.insert(name, value.replace("%d", credentials.to_str().unwrap()));
        }
        let line = all("ExecStart").next().unwrap();
        let mut words = line.split(' ').map(|word| match word.strip_prefix("/var/") {
            Some(rest) => self.path(format!("var/{rest}")).to_str().unwrap().to_owned(),
            None => word.to_owned(),
        });
        let program = self.path(format!("usr/local/bin/{}", words.next().unwrap()));
        let mut command = Command::new(program);
        let folder = all("WorkingDirectory").next().unwrap();
        command.args(words).current_dir(self.path(folder.trim_start_matches('/')));
        command.env_clear().envs(environment).stdin(Stdio::null());
        command
    }
}

#[test]
fn the_chapter_installs_a_service_that_starts_and_sends_with_its_secret() {
    let service = Service::answering(|number, request| {
        if request.path.ends_with("/token") {
            json(200, r#"{"access_token":"t","expires_in":3600,"application":"a"}"#)
        } else {
            accept(number, request)
        }
    });
    let root = Root::installed(&service);
    let enabled = fs::read_to_string(root.path("systemctl")).unwrap();
    assert!(enabled.contains("enable --now mooncast"), "{enabled}");
    let mode = |path: &str| fs::metadata(root.path(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("etc/mooncast/client_secret"), 0o600);
    assert_eq!(mode("var/lib/mooncast"), 0o750);
    let users = fs::read_to_string(root.path("etc/passwd")).unwrap();
    assert!(users.contains("mooncast:"), "{users}");

    let socket = root.path("notify");
    let notifications = UnixDatagram::bind(&socket).unwrap();
    notifications.set_read_timeout(Some(GUARD)).unwrap();
    let mut command = root.command();
    let daemon = Project::start({
        command.env("NOTIFY_SOCKET", &socket);
        command
    });
    let mut ready = String::new();
    while !ready.contains("READY=1") {
        let mut buffer = [0; 4096];
        let count = notifications.recv(&mut buffer).unwrap();
        ready.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }

    let mut asks = root.command();
    let project = root.path("var/lib/mooncast");
    asks = {
        let mut again = Command::new(asks.get_program());
        again.arg("--project").arg(&project).args(["jobs", "run-script", "scripts/hello.lua"]).env_clear();
        again.envs(asks.get_envs().filter_map(|(name, value)| Some((name, value?))));
        again
    };
    Ran::of(&asks.output().unwrap()).exits(0);
    service.wait_for(2);
    let token = &service.requests()[0];
    assert!(token.path.ends_with("/token"), "{token:?}");
    assert_eq!(token.json()["client_secret"], "the-secret-of-the-app");

    kill_process(Pid::from_child(&daemon), Signal::TERM).unwrap();
    let ended = Ran::of(&daemon.wait_with_output().unwrap()).exits(0);
    assert!(!ended.stderr.contains("the-secret-of-the-app"), "{}", ended.stderr);
}

#[test]
fn systemd_finds_nothing_wrong_with_the_installed_unit() {
    let root = Root::installed(&Service::accepting());
    // The program is searched in this machine's folders, where it is not installed.
    let program = root.path("usr/local/bin/mooncast");
    let unit = fs::read_to_string(root.path(UNIT)).unwrap();
    assert!(unit.contains("\nExecStart=mooncast "));
    let located = unit.replace("\nExecStart=mooncast ", &format!("\nExecStart={} ", program.display()));
    fs::write(root.path(UNIT), located).unwrap();
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no", "--recursive-errors=no"]).arg(root.path(UNIT));
    let found = Ran::of(&verify.output().unwrap()).exits(0);
    assert!(!found.stderr.contains("mooncast.service"), "{}", found.stderr);
}
