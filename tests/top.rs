//! `mooncast top`: a snapshot without a terminal, and the screen on one.
//!
//! On a server: in the soak

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::service::{Service, accept};
use crate::support::{Project, Ran, store, wrapped};

/// A project whose script sends to 400 groups. Three have got the message, and the service no longer answers.
fn sending() -> (Project, Service, Child) {
    let service = Service::answering(|number, request| {
        if number < 3 {
            return accept(number, request);
        }
        loop {
            std::thread::park();
        }
    });
    let project = Project::with_script(
        "local groups = {}
        for i = 1, 400 do groups[i] = i end
        im.broadcast { name = 'news', to = groups, message = { type = 'txt', body = { msg = 'x' } } }",
    );
    let child = Project::start(against(&project, &service, &["run", "scripts/main.lua"]));
    service.wait_for(4);
    (project, service, child)
}

fn against(project: &Project, service: &Service, args: &[&str]) -> Command {
    project.command_against(service, args)
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn without_a_terminal_it_shows_how_everything_stands_once() {
    let (project, service, child) = sending();
    project.write("scripts/other.lua", "");
    for args in [&["top"][..], &["top", "--once"]] {
        let shown = Ran::of(&against(&project, &service, args).output().unwrap()).exits(0);
        let line = shown.stdout.lines().find(|line| line.contains("news/1")).unwrap();
        // After answers that took long, the pace is a little under the quota.
        let most = line.split_once(" of ").and_then(|(_, rest)| rest.split_once("/s")?.0.parse::<f64>().ok());
        assert!(most.is_some_and(|most| (19.5..=20.0).contains(&most)), "{shown:#?}");
        assert!(line.contains("░░ 3/400"), "{shown:#?}");
        assert!(!shown.stdout.contains('\x1b'), "{shown:#?}");
        let quota = shown.stdout.lines().find(|line| line.contains("group messages")).unwrap();
        assert!(quota.contains("of 20/s"), "{shown:#?}");
    }
    end(child);
    project.mooncast(&["runs", "pause", "news"]).exits(0);
    project.mooncast(&["top", "--once"]).exits(0).prints("paused");
    // On a server the tables always exist.
    if store::server().is_none() {
        Project::new().mooncast(&["top", "--once"]).exits(2).says("nothing was sent");
    }
}

/// The program on its own terminal.
struct Screen {
    child: Child,
    keys: File,
    drawn: Receiver<Vec<u8>>,
    text: String,
    terminal: String,
}

impl Screen {
    fn open(project: &Project, service: &Service) -> Self {
        let size = Winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).unwrap();
        let terminal = std::fs::read_link(format!("/proc/self/fd/{}", fd(&pty.slave))).unwrap();
        let plain = against(project, service, &["top"]);
        // In its own session, so that the terminal reports its size and its end.
        let mut command = wrapped(&["setsid", "--ctty"], &plain);
        command.env("TERM", "xterm-256color");
        let end = || Stdio::from(pty.slave.try_clone().unwrap());
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        drop(command);
        drop(pty.slave);
        let mut reader = File::from(pty.master.try_clone().unwrap());
        let (tell, drawn) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                if tell.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        let terminal = terminal.display().to_string();
        Self { child, keys: File::from(pty.master), drawn, text: String::new(), terminal }
    }

    /// Waits until this text is drawn after the text of the last wait.
    #[track_caller]
    fn draws(&mut self, text: &str) {
        let end = Instant::now() + Duration::from_mins(1);
        loop {
            if let Some(at) = self.text.find(text) {
                self.text.drain(..at + text.len());
                return;
            }
            let Ok(more) = self.drawn.recv_timeout(end.saturating_duration_since(Instant::now())) else {
                panic!("never drew {text:?}: {:?}", self.text)
            };
            self.text += &String::from_utf8_lossy(&more);
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until it has restored the terminal.
    #[track_caller]
    fn leaves(mut self) {
        self.draws("\x1b[?1049l");
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        let modes = Command::new("stty").args(["-a", "-F", &self.terminal]).output().unwrap();
        let modes = String::from_utf8(modes.stdout).unwrap();
        assert!(modes.contains(" icanon") && modes.contains(" echo "), "{modes}");
    }
}

fn fd(end: &impl std::os::fd::AsRawFd) -> i32 {
    end.as_raw_fd()
}

#[test]
fn on_a_terminal_it_is_drawn_steered_resized_and_left() {
    let (project, service, child) = sending();
    let mut screen = Screen::open(&project, &service);
    screen.draws("\x1b[?1049h");
    screen.draws("news/1");
    screen.draws("3/400");
    let sized = Command::new("stty").args(["-F", &screen.terminal, "cols", "60", "rows", "16"]).status();
    assert!(sized.unwrap().success());
    screen.draws("broadcasts (1 unfinished)");
    screen.press("p");
    screen.draws("pause");
    screen.press("n");
    // An unconfirmed action is not done.
    screen.draws("Tab");
    assert!(!project.mooncast(&["runs", "list"]).exits(0).stdout.contains("paused"));
    screen.press("p");
    screen.draws("pause");
    screen.press("y");
    screen.draws("is paused until");
    project.mooncast(&["runs", "list"]).exits(0).prints("paused");
    screen.press("q");
    screen.leaves();
    for leave in [None, Some("\x03"), Some("\x1b")] {
        let mut screen = Screen::open(&project, &service);
        screen.draws("news/1");
        match leave {
            Some(key) => screen.press(key),
            None => kill_process(Pid::from_child(&screen.child), Signal::TERM).unwrap(),
        }
        screen.leaves();
    }
    end(child);
}
