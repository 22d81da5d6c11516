//! `mooncast repl`, `mooncast eval` and scripts from standard input.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use crate::support::service::Service;
use crate::support::{Project, Ran, until, wrapped};

/// Runs a command with this standard input.
#[track_caller]
fn fed(mut command: Command, input: &str) -> Ran {
    command.stdin(Stdio::piped());
    let mut child = Project::start(command);
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Ran::of(&child.wait_with_output().unwrap())
}

#[test]
fn lines_of_a_pipe_run_in_one_state() {
    let project = Project::new();
    let input = "x = 20\nx * 2 + 2\nfunction f(a)\n  return { a, n = 'b' }\nend\nf(1)\nprint('said')\njson.encode({ 1 })\n.exit\nprint('never')\n";
    let ran = fed(project.command(&["repl"]), input).exits(0);
    assert_eq!(ran.stdout, "42\n{ 1, n = \"b\" }\nsaid\n\"[1]\"\n");
}

#[test]
fn an_expression_may_take_several_lines() {
    let project = Project::new();
    let input = "{\n  1,\n  { a =\n2 },\n}\n(1\n+ 2)\nx = {\n5 }\nx[1]\n{ 1 }}\n";
    let ran = fed(project.command(&["repl"]), input).exits(1);
    assert_eq!(ran.stdout, "{ 1, { a = 2 } }\n3\n5\n");
    ran.says("unexpected symbol");
}

#[test]
fn a_line_that_fails_ends_neither_the_state_nor_the_repl() {
    let project = Project::new();
    let ran = fed(project.command(&["repl"]), "x = 1\nerror('boom')\nx = = 2\nx\n").exits(1);
    assert_eq!(ran.stdout, "1\n");
    ran.says("boom").says("unexpected symbol").never_says("stack traceback");
}

#[test]
fn sends_of_the_repl_go_to_the_simulator_where_no_app_is_configured() {
    let project = Project::new();
    let send = "r = im.group_send { to = '184524748161025', type = 'txt', body = { msg = 'm' } }\ntype(r['184524748161025'])\n";
    let ran = fed(project.command(&["repl"]), send).exits(0);
    assert_eq!(ran.stdout, "\"string\"\n");
    ran.says("sending to the built-in simulator");
}

#[test]
fn sends_to_an_app_are_refused_where_nobody_can_be_asked() {
    let service = Service::accepting();
    let project = Project::new();
    let send = "im.group_send { to = '1', type = 'txt', body = { msg = 'm' } }";
    let ran = fed(project.command_against(&service, &["repl"]), &format!("{send}\n")).exits(1);
    ran.says("--yes");
    Ran::of(&project.command_against(&service, &["eval", send]).output().unwrap()).exits(1).says("--yes");
    assert!(service.messages().is_empty());
    Ran::of(&project.command_against(&service, &["eval", "--yes", send]).output().unwrap()).exits(0);
    assert_eq!(service.messages().len(), 1);
}

#[test]
fn eval_prints_values_as_lua() {
    let project = Project::new();
    assert_eq!(project.mooncast(&["eval", "1 + 1, 'a', { b = nil }"]).exits(0).stdout, "2\t\"a\"\t{}\n");
    assert_eq!(project.mooncast(&["eval", "local x = 3; return x, ...", "q"]).exits(0).stdout, "3\t\"q\"\n");
    assert_eq!(project.mooncast(&["eval", "x = 1"]).exits(0).stdout, "");
    project.mooncast(&["eval", "error('boom')"]).exits(1).says("boom");
    project.mooncast(&["eval", "x = = 1"]).exits(1).says("eval:1");
}

#[test]
fn a_script_comes_from_standard_input() {
    let project = Project::new();
    let ran = fed(
        project.command(&["run", "--simulator", "-", "a", "b"]),
        "function main(args) print(#args, args[2]) end\n",
    );
    assert_eq!(ran.exits(0).stdout, "2\tb\n");
    fed(project.command(&["run", "--simulator", "-"]), "error('boom')").exits(1).says("stdin:1");
    assert_eq!(fed(project.command(&["eval", "-"]), "return 7").exits(0).stdout, "7\n");
}

/// A REPL at a terminal. Text written to it comes from the keyboard, and its output is collected. Each typed text
/// ends a line.
struct Terminal {
    master: std::fs::File,
    child: std::process::Child,
    shown: Arc<Mutex<Vec<u8>>>,
    /// The number of typed lines.
    lines: usize,
}

impl Terminal {
    fn start(mut command: Command) -> Self {
        let pty = nix::pty::openpty(None, None).unwrap();
        let terminal = |fd: &std::os::fd::OwnedFd| Stdio::from(fd.try_clone().unwrap());
        command.stdin(terminal(&pty.slave)).stdout(terminal(&pty.slave)).stderr(terminal(&pty.slave));
        command.env("TERM", "xterm");
        let child = command.spawn().unwrap();
        drop(pty.slave);
        let master = std::fs::File::from(pty.master);
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (mut reader, kept) = (master.try_clone().unwrap(), Arc::clone(&shown));
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut piece) {
                kept.lock().unwrap().extend_from_slice(&piece[..count]);
            }
        });
        Self { master, child, shown, lines: 0 }
    }

    /// Sends the signal of Ctrl-C.
    fn interrupt(&self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    #[track_caller]
    fn waits_for(&self, text: &str) {
        until(&format!("{text:?} is shown"), || self.text().contains(text));
    }

    /// Waits until the REPL reads the next line, and types it. Text that is typed earlier is lost.
    #[track_caller]
    fn types(&mut self, text: &str) {
        let (read, prompt) = ("\x1b[?2004h", "\x1b[?2026l");
        let is_read = || {
            let shown = self.text();
            let begun = shown.match_indices(read).nth(self.lines);
            begun.is_some_and(|(at, _)| shown[at..].contains(prompt))
        };
        until(&format!("line {} is read", self.lines + 1), is_read);
        self.master.write_all(text.as_bytes()).unwrap();
        self.lines += 1;
    }
}

#[test]
fn a_terminal_has_a_prompt_completion_and_a_history_of_its_owner() {
    let project = Project::new();
    let mut terminal = Terminal::start(project.command(&["repl"]));
    terminal.waits_for("> ");
    terminal.types("20 + 22\r");
    terminal.waits_for("42");
    terminal.types("print(type(im.group_s\t))\r");
    terminal.waits_for("function");
    terminal.types("secret = 'hidden'\r");
    // Ctrl-C drops an unfinished statement, and also a line that is being typed.
    terminal.types("function f(\r");
    terminal.waits_for(">> ");
    terminal.types("\x03");
    terminal.types("40 + 6\r");
    terminal.waits_for("46");
    terminal.types("\x04");
    assert!(terminal.child.wait().unwrap().success(), "{}", terminal.text());
    let history = project.path(".mooncast/history");
    assert_eq!(std::fs::metadata(&history).unwrap().permissions().mode() & 0o777, 0o600);
    let kept = std::fs::read_to_string(history).unwrap();
    assert!(kept.contains("20 + 22") && !kept.contains("hidden"), "{kept}");
}

#[test]
fn a_person_is_asked_before_the_first_send() {
    let service = Service::accepting();
    let project = Project::new();
    let mut terminal = Terminal::start(project.command_against(&service, &["repl"]));
    terminal.waits_for("> ");
    terminal.types("m = { to = '1', type = 'txt', body = { msg = 'm' } }\r");
    terminal.types("im.group_send(m)\r");
    terminal.waits_for("[y/N]");
    terminal.types("n\r");
    terminal.waits_for("nothing was sent");
    assert!(service.messages().is_empty());
    terminal.types("im.group_send(m) and 'gone'\r");
    until("it asks again", || terminal.text().matches("[y/N]").count() >= 2);
    terminal.types("y\r");
    terminal.waits_for("\"gone\"");
    terminal.types("im.group_send(m) and 'twice'\r");
    terminal.waits_for("\"twice\"");
    terminal.types(".exit\r");
    assert!(terminal.child.wait().unwrap().success(), "{}", terminal.text());
    assert_eq!(service.messages().len(), 2);
    assert_eq!(terminal.text().matches("[y/N]").count(), 2);
}

#[test]
fn ctrl_c_ends_the_line_that_runs() {
    let project = Project::new();
    let mut terminal = Terminal::start(project.command(&["repl"]));
    terminal.waits_for("> ");
    terminal.types("x = 7\r");
    terminal.types("print('be' .. 'gun'); task.sleep('1h')\r");
    terminal.waits_for("begun");
    terminal.interrupt();
    terminal.waits_for("cancelled");
    terminal.types("x * 11\r");
    terminal.waits_for("77");
    terminal.types(".exit\r");
    assert!(terminal.child.wait().unwrap().success(), "{}", terminal.text());
}

#[test]
fn ctrl_c_ends_a_line_that_only_computes_and_keeps_the_variables() {
    let project = Project::new();
    let mut terminal = Terminal::start(project.command(&["repl"]));
    terminal.waits_for("> ");
    terminal.types("x = 7\r");
    for (number, line) in
        ["while true do end", "while true do pcall(function() while true do end end) end"].iter().enumerate()
    {
        terminal.types(&format!("print('be' .. 'gun {number}'); {line}\r"));
        terminal.waits_for(&format!("begun {number}"));
        terminal.interrupt();
        until("the line ends", || terminal.text().matches("Ctrl-C ended the line").count() > number);
        terminal.types(&format!("x * 11 + {number}\r"));
        terminal.waits_for(&(77 + number).to_string());
    }
    terminal.types(".exit\r");
    assert!(terminal.child.wait().unwrap().success(), "{}", terminal.text());
    assert!(!terminal.text().contains("so their variables are lost"), "{}", terminal.text());
}

#[test]
fn ctrl_c_ends_the_process_of_a_line_that_does_not_come_back() {
    let project = Project::new().file("mooncast.toml", "[scripts]\ncpu = \"10m\"\n");
    let mut terminal = Terminal::start(project.command(&["repl"]));
    terminal.waits_for("> ");
    // This much is printed at once, before the call that does not return.
    terminal.types("print('be' .. 'gun' .. ('x'):rep(70000)); (('a'):rep(60)):find(('.-'):rep(30) .. 'b')\r");
    terminal.waits_for("begun");
    terminal.interrupt();
    terminal.waits_for("the process that ran the lines ended, so their variables are lost");
    terminal.types("40 + 6\r");
    terminal.waits_for("46");
    terminal.types(".exit\r");
    assert!(terminal.child.wait().unwrap().success(), "{}", terminal.text());
}

#[test]
fn ctrl_c_while_a_send_waits_for_its_quota_sends_it_never() {
    let service = Service::accepting();
    // One message every four seconds.
    let limits = "[app.limits]\ngroup_per_second = 1\nshare = 0.25\n";
    let project = Project::new().file("mooncast.toml", limits);
    let mut terminal = Terminal::start(project.command_against(&service, &["repl", "--yes"]));
    terminal.waits_for("> ");
    terminal.types("function m(to) return { to = to, type = 'txt', body = { msg = 'm' } } end\r");
    terminal.types("for i = 1, 100 do im.group_send(m(i)); print('gone ' .. i .. '.') end\r");
    terminal.waits_for("gone 1.");
    terminal.interrupt();
    terminal.waits_for("cancelled");
    terminal.types("im.group_send(m(9999)) and 'after' .. 'wards'\r");
    terminal.waits_for("afterwards");
    terminal.types(".exit\r");
    // One message was not sent.
    assert_eq!(terminal.child.wait().unwrap().code(), Some(3), "{}", terminal.text());
    let printed = (1..=100).take_while(|number| terminal.text().contains(&format!("gone {number}."))).count();
    let sent: Vec<String> =
        service.messages().iter().map(|message| message["to"][0].as_str().unwrap().to_owned()).collect();
    let mut expected: Vec<String> = (1..=printed).map(|number| number.to_string()).collect();
    expected.push("9999".to_owned());
    assert_eq!(sent, expected, "{}", terminal.text());
}

#[test]
fn ctrl_c_at_a_terminal_lets_the_script_see_that_it_is_cancelled() {
    let project = Project::with_script(
        r#"print("begun")
        local ok, err = pcall(require("task").sleep, "1h")
        print("caught " .. err.kind)"#,
    );
    let plain = project.command(&["run", "--simulator", "scripts/main.lua"]);
    let mut terminal = Terminal::start(wrapped(&["setsid", "--ctty"], &plain));
    terminal.waits_for("begun");
    terminal.master.write_all(b"\x03").unwrap();
    assert_eq!(terminal.child.wait().unwrap().code(), Some(130), "{}", terminal.text());
    terminal.waits_for("caught cancelled");
}

#[test]
fn long_lines_errors_of_coroutines_and_commands_leave_the_repl_as_it_is() {
    let project = Project::new();
    let long = "a".repeat(1 << 20);
    let input = format!(
        "x = '{long}'\n#x\ncoroutine.wrap(function() error('inside') end)()\n.help\n.nosuch\n#x + 1\n"
    );
    let ran = fed(project.command(&["repl"]), &input).exits(1);
    assert_eq!(ran.stdout, "1048576\n1048577\n");
    ran.says("inside").says("Tab        completes").says("there is no command `.nosuch`");
}
