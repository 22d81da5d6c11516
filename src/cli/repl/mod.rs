//! `mooncast repl`: runs lines of Lua in one worker.

mod complete;
mod history;
mod reader;
mod terminal_console;

use std::io::IsTerminal as _;
use std::rc::Rc;
use std::time::Duration;

use clap::Args;

use crate::clock::{Clock, Instant};
use crate::config::{AppFlags, Environment, Project, Settings};
use crate::protocol::{LoadMode, LuaSource};
use crate::run::{Interrupt, RunBuilder, RunEnd, RunServices};

use super::apps::{self, CliApps};
use super::grants::GrantArgs;
use super::logging::LogFormat;
use super::next::FollowUpCommands;
use super::progress::TerminalOutput;
use super::summary::RunSummary;
use super::{AppArgs, Exit, GlobalArgs};
use crate::lint::module_names;
use reader::PromptReader;
pub(super) use reader::TypedInput;
pub(super) use terminal_console::{SendConfirmation, TerminalConsole};

/// Starts a reader of standard input, for questions to the user.
pub(super) fn reader(history: Option<std::path::PathBuf>) -> anyhow::Result<PromptReader> {
    PromptReader::start(history)
}

/// The time that an interrupted line has to end before its process is killed.
const LINE_GRACE: Duration = Duration::from_secs(5);

/// The name of the lines in errors and in the ledger.
const NAME: &str = "repl";

/// Runs lines of Lua as they are typed, or as they come on standard input.
///
/// Values are printed as Lua. An unfinished line continues on the next one. Tab completes `im`, the modules and their
/// fields. Modules need no `require` here. `.help` shows the commands. `.exit` or Ctrl-D exits. Ctrl-C stops the
/// running line.
///
/// It sends to the configured app and asks before the first send. If no app is configured, it sends to the built-in
/// simulator.
#[derive(Debug, Args)]
pub(super) struct ReplArgs {
    #[command(flatten)]
    target: TargetArgs,
}

/// Where typed code sends.
#[derive(Debug, Args)]
pub(super) struct TargetArgs {
    /// Send to the built-in simulator, even if an app is configured
    #[arg(long)]
    simulator: bool,
    /// Send without asking before the first send
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    app: AppArgs,
    #[command(flatten)]
    grants: GrantArgs,
}

/// The context that typed code runs in.
pub(super) struct ReplContext {
    pub(super) project: Project,
    pub(super) settings: Settings,
    pub(super) apps: CliApps,
    pub(super) clock: Clock,
    pub(super) simulated: bool,
    pub(super) terminal: TerminalOutput,
}

impl TargetArgs {
    /// Opens the project's settings and its apps, or the simulator if no app is configured.
    pub(super) fn open(&self, global: &GlobalArgs) -> anyhow::Result<ReplContext> {
        let project = global.project()?;
        let environment = Environment::of_process();
        let flags = AppFlags { offline: self.simulator, ..self.app.clone().into() };
        let mut settings = Settings::load(&project, &environment, &flags)?;
        settings.permissions.extend(self.grants.permissions()?);
        let simulated = self.simulator || settings.simulator || settings.apps.is_empty();
        let clock = Clock::real();
        let apps = apps::choose(&project, &settings, simulated, &clock, &apps::fail_point(&environment)?)?;
        Ok(ReplContext { project, settings, apps, clock, simulated, terminal: TerminalOutput::default() })
    }

    /// How the user is asked before the first send.
    pub(super) fn asking(&self, context: &ReplContext) -> SendConfirmation {
        match (context.simulated, self.simulator || self.yes) {
            (true, false) => SendConfirmation::Simulated,
            (false, false) => SendConfirmation::First,
            (_, true) => SendConfirmation::Never,
        }
    }
}

impl ReplContext {
    /// Begins to build a run of typed code. `name` is the name of the code in errors and in the ledger.
    pub(super) fn run(
        &self,
        name: &'static str,
        code: Vec<u8>,
        person: Rc<TerminalConsole>,
    ) -> RunBuilder<'_> {
        let Self { project, settings, apps, clock, .. } = self;
        if let Some(ledger) = &apps.ledger {
            ledger.begins(super::actor::run(name, &[], serde_json::Value::Null));
        }
        let script = LuaSource::new(name.to_owned(), code);
        let mut run =
            RunBuilder::new(project, settings, &apps.deliveries, clock, &project.root.join(name), script);
        (run.output, run.console) = (Rc::new(self.terminal.clone()), Some(person as _));
        run
    }

    /// Reports what was sent, if anything was.
    pub(super) fn report(
        &self,
        global: &GlobalArgs,
        ended: &RunEnd,
        services: &RunServices,
        began: Instant,
    ) -> Exit {
        let summary = RunSummary {
            edits: false,
            ended,
            counts: services.tally.counts(),
            elapsed: self.clock.now() - began,
            broadcasts: &services.broadcasts.watched(),
            refused: services.broadcasts.refused(),
            next: FollowUpCommands::new(global, &self.project, self.simulated),
        };
        let exit = summary.report(global.log_format);
        // The script got the error too, but the configuration has to be fixed.
        let unopened = self.apps.ledger.as_ref().is_some_and(|ledger| ledger.failure().is_some());
        if unopened { Exit::Usage } else { exit }
    }
}

pub(super) fn run(args: &ReplArgs, global: &GlobalArgs) -> anyhow::Result<Exit> {
    let context = args.target.open(global)?;
    let typed = std::io::stdin().is_terminal();
    let history = typed.then(|| context.project.state_folder().join("history"));
    let reader = PromptReader::start(history)?;
    let person = Rc::new(TerminalConsole::new(args.target.asking(&context), reader, typed));
    if typed && global.log_format == LogFormat::Text {
        greet(&context);
    }
    let exit = context.clock.block_on(async {
        let exit = Box::pin(all(&context, &person, global)).await;
        context.apps.release().await;
        exit
    })??;
    Ok(if person.failed() && !typed && exit == Exit::Delivered { Exit::Failed } else { exit })
}

/// Runs lines until the input ends. A new worker replaces one that was killed.
async fn all(
    context: &ReplContext,
    person: &Rc<TerminalConsole>,
    global: &GlobalArgs,
) -> anyhow::Result<Exit> {
    let began = context.clock.now();
    let mut worst = Exit::Delivered;
    loop {
        let mut run = context.run(NAME, Vec::new(), Rc::clone(person));
        (run.load, run.args, run.limits.timeout) = (LoadMode::Console, module_names(), None);
        let run = run.build()?;
        let services = Rc::clone(&run.services);
        let stop = Interrupt::default();
        let listening =
            tokio::task::spawn_local(listen(stop.clone(), Rc::clone(person), context.clock.clone()));
        let ended = run.run_until(stop).await;
        listening.abort();
        let abandoned = person.was_abandoned() && matches!(ended, RunEnd::Interrupted);
        let goes_on = (abandoned || matches!(ended, RunEnd::Failed(_))) && !person.is_over();
        let exit = context.report(global, &ended, &services, began);
        if exit != Exit::Delivered && !goes_on {
            worst = exit;
        }
        if !goes_on {
            return Ok(worst);
        }
        person.lost();
    }
}

/// Ctrl-C ends the running line. If the line does not end, or Ctrl-C is pressed again, its process is killed.
/// Without a running line, or on SIGTERM, the program ends.
async fn listen(stop: Interrupt, person: Rc<TerminalConsole>, clock: Clock) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        tracing::warn!("cannot listen for Ctrl-C; it ends the program at once");
        return;
    };
    let mut ending: Option<(u64, Instant)> = None;
    loop {
        let still_runs = || ending.is_some_and(|(line, _)| person.runs(line));
        let overdue = async {
            match ending {
                Some((_, at)) => clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => match person.interrupt() {
                Some(_) if still_runs() => {
                    person.abandon();
                    stop.cancel();
                }
                Some(interrupted) => ending = Some((interrupted, clock.now() + LINE_GRACE)),
                None => stop.cancel(),
            },
            _ = terminate.recv() => stop.cancel(),
            () = overdue => {
                if still_runs() {
                    person.abandon();
                    stop.cancel();
                }
                ending = None;
            }
        }
    }
}

#[expect(clippy::print_stdout, reason = "the greeting of a terminal")]
fn greet(context: &ReplContext) {
    let to = if context.simulated {
        "Sends go to the built-in simulator.".to_owned()
    } else {
        let names: Vec<&str> = context.apps.deliveries.iter().map(|app| app.name()).collect();
        format!("Sends go to the configured app ({}); it asks before the first one.", names.join(", "))
    };
    println!("Mooncast {}, Lua 5.4. {to} `.help` shows the commands.", env!("CARGO_PKG_VERSION"));
}
