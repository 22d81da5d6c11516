//! Executes a page from top to bottom, in a project made for it.
//!
//! A block's marks say what to do with it. mdBook shows only the language.
//!
//! - `lua` is checked and run on the simulator. `file=PATH` names its file, `save` only writes the file, `job=NAME`
//!   runs this job of it, `test` says that it contains tests, `finds` that the check reports something, and
//!   `fails=KIND` that it ends with this error.
//! - `sh` is run. `exit=N` gives its exit status, `serves` says that it does not end by itself, and `needs=REASON` that
//!   it cannot be run here.
//! - `toml` is checked as settings. With `file=mooncast.toml` it becomes the project's settings.
//! - `csv` is written to `file=PATH`, as a workbook of texts if that ends in `.xlsx`.
//! - `text` with `out`: each of its lines must be in the output of the block before, ignoring figures and space.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::page::{Block, Page};
use crate::support::{Project, Ran};

/// Why a block cannot be run here.
const REASONS: [&str; 5] = ["app", "build", "daemon", "docker", "systemd"];

/// Secrets that the examples grant.
const SECRETS: [&str; 2] = ["ORDERS_SECRET", "API_KEY"];

/// The execution of a page.
pub struct Play<'a> {
    page: &'a Page,
    project: Project,
    /// The folder where commands run.
    folder: PathBuf,
    /// The output of the last block.
    said: String,
    /// The plan that the last rehearsal printed.
    plan: Option<String>,
    failures: Vec<String>,
}

impl<'a> Play<'a> {
    /// `folder` is the reader's folder at the top of the page, below `project`.
    pub fn new(page: &'a Page, project: Project, folder: &str) -> Self {
        let folder = project.path(folder).canonicalize().unwrap();
        Self { page, project, folder, said: String::new(), plan: None, failures: Vec::new() }
    }

    /// Executes the whole page and returns the failures.
    pub fn play(mut self) -> Vec<String> {
        for (number, block) in self.page.blocks.iter().enumerate() {
            let before = self.failures.len();
            match block.language.as_str() {
                "lua" => self.lua(block, number),
                "sh" => self.shell(block),
                "toml" => self.toml(block),
                "csv" => {
                    let path = block.value("file").expect("a table is a file");
                    if std::path::Path::new(path).extension().is_some_and(|end| end == "xlsx") {
                        self.write(path, workbook(&block.text));
                    } else {
                        self.write(path, &block.text);
                    }
                }
                "text" => self.compare(block),
                other => self.failures.push(format!("`{other}` is no language of a block here")),
            }
            for failure in &mut self.failures[before..] {
                *failure = format!("{}:{}: {failure}", self.page.shown(), block.line);
            }
        }
        self.failures
    }

    fn lua(&mut self, block: &Block, number: usize) {
        let path = block.value("file").map_or_else(|| format!("scripts/example_{number}.lua"), str::to_owned);
        self.write(&path, &block.text);
        let fails = block.value("fails");
        if fails.is_none() {
            self.mooncast(&["check", &path], i32::from(block.has("finds")));
        }
        if block.has("test") {
            self.mooncast(&["test", &path], 0);
        } else if block.value("job").is_some() {
            for job in block.all("job") {
                self.mooncast(&["run", &path, "--job", job], 0);
            }
        } else if !block.has("save") {
            self.mooncast(&["run", &path], i32::from(fails.is_some()));
        }
        if let Some(kind) = fails.filter(|kind| !self.said.contains(&format!("{kind}: "))) {
            self.failures.push(format!("it does not fail with {kind}: {}", self.said));
        }
    }

    fn shell(&mut self, block: &Block) {
        if let Some(reason) = block.value("needs") {
            assert!(REASONS.contains(&reason), "{reason}");
            return self.look_at(&block.text);
        }
        if block.has("serves") {
            return self.serve(block.text.trim());
        }
        let text = self.with_plan(&block.text);
        let folder = self.project.path("folder-of-the-shell");
        let script = format!("trap 'pwd >{}' EXIT\n{text}", folder.display());
        let exit = block.value("exit").map_or(0, |exit| exit.parse().unwrap());
        let mut command = self.bash();
        command.args(["-c", &script]);
        self.ran(&Ran::of(&command.output().unwrap()), exit, &text);
        self.folder = std::fs::read_to_string(&folder).unwrap().trim_end().into();
    }

    /// Checks commands that are not run: the shell must parse them, and `mooncast` must parse its own.
    fn look_at(&mut self, text: &str) {
        let mut command = self.bash();
        command.args(["-n", "-c", text]);
        self.ran(&Ran::of(&command.output().unwrap()), 0, text);
        for command in text.lines().flat_map(|line| line.split(" && ")) {
            if let Some(arguments) = command.strip_prefix("cargo run --release -- ") {
                // The same program, only built in another way.
                self.mooncast(&arguments.split(' ').collect::<Vec<_>>(), 0);
            } else if let Some(arguments) = command.strip_prefix("mooncast ") {
                assert!(!arguments.starts_with("run "), "it can be run, so it is to be run: {command}");
                let mut arguments: Vec<&str> = arguments.split(' ').collect();
                arguments.push("--help");
                self.mooncast(&arguments, 0);
            } else if let Some(script) = command.strip_prefix("tests/") {
                let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(script);
                assert!(script.is_file(), "{}", script.display());
            }
        }
    }

    /// Starts a command that does not end by itself, waits until it is ready, and ends it.
    fn serve(&mut self, line: &str) {
        let any_port = if line.contains("mooncast sim") { " --listen 127.0.0.1:0" } else { "" };
        let mut command = self.bash();
        command.args(["-c", &format!("exec {line}{any_port} 2>&1")]).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        self.said = lines
            .by_ref()
            .take_while(|line| !line.contains("serving scripts=") && !line.starts_with("# Open http://"))
            .map(|line| line + "\n")
            .collect();
        self.be_answered();
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        let rest: Vec<String> = lines.collect();
        let status = child.wait().unwrap();
        if !status.success() {
            self.failures.push(format!("{line}: {status}: {}\n{}", self.said, rest.join("\n")));
        }
    }

    /// Sends a request to the simulator, which handles signals only after it has answered one.
    fn be_answered(&self) {
        let Some((_, address)) = self.said.split_once("MOONCAST_BASE_URL=http://") else { return };
        let mut stream = TcpStream::connect(address.lines().next().unwrap_or_default()).unwrap();
        stream.write_all(b"GET /_sim/received HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
    }

    fn toml(&mut self, block: &Block) {
        if let Some(path) = block.value("file") {
            self.write(path, &block.text);
            return;
        }
        let scratch = Project::with_script("").file("mooncast.toml", &block.text);
        let ran = scratch.mooncast(&["check", "scripts/main.lua"]);
        self.ran(&ran, 0, "these settings");
    }

    /// Compares the output of the block before with these lines, ignoring figures and space.
    fn compare(&mut self, block: &Block) {
        if !block.has("out") {
            return;
        }
        let said = figureless(&self.said);
        for line in block.text.lines().filter(|line| !said.contains(&figureless(line))) {
            self.failures.push(format!("nothing has said {line:?}; there is: {}", self.said));
        }
    }

    /// Returns the text with the name of the rehearsed plan in place of the shown one.
    fn with_plan(&self, text: &str) -> String {
        let (Some(plan), Some((before, after))) = (&self.plan, text.split_once("--plan ")) else {
            return text.to_owned();
        };
        let rest = after.find(' ').map_or("", |end| &after[end..]);
        format!("{before}--plan {plan}{rest}")
    }

    fn mooncast(&mut self, args: &[&str], exit: i32) {
        let mut command = self.project.command(args);
        self.dress(&mut command);
        self.ran(&Ran::of(&command.output().unwrap()), exit, &args.join(" "));
    }

    fn bash(&self) -> Command {
        let mut command = self.project.command(&[]);
        // The same environment, with another program.
        let variables: Vec<_> =
            command.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned))).collect();
        command = Command::new("bash");
        for (name, value) in variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.args(["-eu", "-o", "pipefail"]).stdin(Stdio::null());
        self.dress(&mut command);
        command
    }

    fn dress(&self, command: &mut Command) {
        let binary = Path::new(env!("CARGO_BIN_EXE_mooncast")).parent().unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        command.current_dir(&self.folder).env("PATH", format!("{}:{path}", binary.display()));
        command.env("TZ", "UTC").env_remove("COLUMNS");
        command.envs(SECRETS.map(|name| (name, "a-secret-of-the-examples")));
    }

    fn ran(&mut self, ran: &Ran, exit: i32, what: &str) {
        self.said = format!("{}{}", ran.stdout, ran.stderr);
        if let Some((_, after)) = self.said.split_once("--plan ") {
            self.plan = after.split_whitespace().next().map(str::to_owned);
        }
        if ran.status != Some(exit) {
            self.failures.push(format!("{what}: ended with {:?}, not {exit}: {}", ran.status, self.said));
        }
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// Returns a table as a workbook. Its values have no quotes.
pub(crate) fn workbook(table: &str) -> Vec<u8> {
    let mut book = rust_xlsxwriter::Workbook::new();
    let sheet = book.add_worksheet();
    for (row, line) in (0_u32..).zip(table.lines()) {
        for (column, value) in (0_u16..).zip(line.split(',')) {
            sheet.write_string(row, column, value).unwrap();
        }
    }
    book.save_to_buffer().unwrap()
}

/// Returns a text in which all figures and all space are equal.
fn figureless(text: &str) -> String {
    let mut same = String::new();
    for letter in text.chars() {
        let letter = match letter {
            '0'..='9' => '0',
            _ if letter.is_whitespace() => ' ',
            _ => letter,
        };
        if !(matches!(letter, '0' | ' ') && same.ends_with(letter)) {
            same.push(letter);
        }
    }
    same.trim().replace("0,0", "0").replace("0.0", "0")
}
