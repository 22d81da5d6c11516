//! The command line: one file per command.

mod actor;
mod alerts;
mod apps;
mod arguments;
mod audit;
mod backup;
mod check;
mod completions;
mod doctor;
mod eval;
mod exit;
mod findings;
mod grants;
mod held_run;
mod hosts;
mod instants;
mod job;
mod job_runs;
mod jobs;
mod limits;
mod logging;
mod man;
mod memory;
mod new;
mod next;
mod progress;
mod rehearse;
mod repl;
mod run;
mod run_record;
mod runs;
mod script;
mod secret_words;
mod serve;
mod sim;
mod store;
mod stubs;
mod summary;
mod suppress;
mod test;
mod tokens;
mod top;
mod traces;
mod upgrade;

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

use crate::clock::Clock;
use crate::config::{AppFlags, ENV_VARIABLE, Environment, Project};
use crate::protocol::WORKER_COMMAND;
use crate::web::LogTail;

pub use exit::Exit;
use traces::TraceExporter;

/// Sends group messages from Lua scripts, checks them against the service's limits, and keeps to the app's quota.
#[derive(Debug, Parser)]
#[command(name = "mooncast", version, arg_required_else_help = true, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: CliCommand,
}

/// Flags that every command takes.
#[derive(Debug, Args)]
struct GlobalArgs {
    /// The project's folder. Default: the nearest folder above the script with a mooncast.toml, else the current folder
    #[arg(long, global = true, value_name = "DIR")]
    project: Option<PathBuf>,
    /// The environment: mooncast.NAME.toml is laid over mooncast.toml, with a ledger of its own. Default: `MOONCAST_ENV`
    #[arg(long, global = true, value_name = "NAME")]
    env: Option<String>,
    /// The format of log lines on standard error
    #[arg(long, global = true, value_enum, default_value_t)]
    log_format: logging::LogFormat,
    /// The lowest level to log: error, warn, info, debug or trace; or filters such as `mooncast=debug`
    #[arg(long, global = true, value_name = "LEVEL", default_value = "info")]
    log: String,
}

impl GlobalArgs {
    /// The project of a command that takes no script.
    fn project(&self) -> anyhow::Result<Project> {
        self.in_env(self.in_no_env()?)
    }

    /// The project of a command to which all environments are alike.
    fn in_no_env(&self) -> anyhow::Result<Project> {
        Ok(match &self.project {
            Some(folder) => Project::at(folder).with_context(|| format!("--project {}", folder.display()))?,
            None => Project::of(None).context("the current folder")?,
        })
    }

    /// Returns the project in the chosen environment.
    fn in_env(&self, project: Project) -> anyhow::Result<Project> {
        match self.env_name() {
            Some(name) => Ok(project.in_env(&name)?),
            None => Ok(project),
        }
    }

    /// The name of the chosen environment.
    fn env_name(&self) -> Option<String> {
        self.env.clone().or_else(|| Environment::of_process().get(ENV_VARIABLE))
    }
}

/// Which app to send through.
#[derive(Debug, Clone, Args)]
struct AppArgs {
    /// The service's address; overrides `MOONCAST_BASE_URL` and mooncast.toml
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// The organisation's name at the service; overrides `MOONCAST_ORG`
    #[arg(long, value_name = "NAME")]
    org: Option<String>,
    /// The app's name at the service; overrides `MOONCAST_APP`
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
}

impl AppArgs {
    /// The same flags, for another command.
    fn flags(&self) -> Vec<String> {
        let given = [("--base-url", &self.base_url), ("--org", &self.org), ("--app", &self.app)];
        let given = given.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        given.flat_map(|(name, value)| [name.to_owned(), value.clone()]).collect()
    }
}

impl From<AppArgs> for AppFlags {
    fn from(args: AppArgs) -> Self {
        Self { base_url: args.base_url, org: args.org, app: args.app, offline: false }
    }
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Run a script: its top level, then its `main(args)`
    Run(run::RunArgs),
    /// Run a piece of Lua and print its values
    Eval(eval::EvalArgs),
    /// Run lines of Lua as they are typed
    Repl(repl::ReplArgs),
    /// Run a script without sending: show what it would send, to which groups and when, and what breaks a limit
    Rehearse(rehearse::RehearseArgs),
    /// Check scripts for mistakes without sending anything
    Check(check::CheckArgs),
    /// Run the tests of scripts, each with its own simulated service, ledger and clock
    Test(test::TestArgs),
    /// Create a project: a folder with settings, a first script, and the files with which an editor completes `im.`
    New(new::NewArgs),
    #[command(about = "Update the editor files of a project to this version of Mooncast")]
    Stubs(stubs::StubsArgs),
    /// List and control broadcasts: list, show, pause, resume, cancel, retry, settle, recall, export, prune
    Runs(runs::RunsArgs),
    #[command(
        about = "Run the daemon: it runs the jobs that the project's scripts declare until you stop it"
    )]
    Serve(serve::ServeArgs),
    #[command(about = "List and control jobs: list, show, trigger, retry, pause, resume, cancel")]
    Jobs(jobs::JobsArgs),
    #[command(about = "List the daemons that use the ledger: roles, scripts, whether they are alive")]
    Hosts(hosts::HostsArgs),
    #[command(about = "Show the state of broadcasts, quotas, jobs and scripts on the terminal")]
    Top(top::TopArgs),
    #[command(
        about = "Show and change the suppression list: groups, users and rooms to which nothing is sent"
    )]
    Suppress(suppress::SuppressArgs),
    /// Try the receivers of alerts
    Alerts(alerts::AlertsArgs),
    /// Add, list and revoke the tokens of people and machines for the page and its API
    Tokens(tokens::TokensArgs),
    /// Show who did what, and verify that nothing of it was changed
    Audit(audit::AuditArgs),
    /// Look at the ledger's store, bring it to the newest version, or copy it into another one
    Store(store::StoreArgs),
    /// Run the simulator, a server that speaks the service's REST API
    Sim(sim::SimArgs),
    /// Look at the settings, the store, the address, the token and the clock
    Doctor(doctor::DoctorArgs),
    #[command(about = "Tell whether a newer release is out, and how to install it here")]
    Upgrade(upgrade::UpgradeArgs),
    /// Print completions for a shell
    Completions(completions::CompletionsArgs),
    /// Print the manual, or write a page for each command into a folder
    Man(man::ManArgs),
}

impl CliCommand {
    /// Whether it says on standard error for which environment it is. Others say it in what they print.
    const fn says_env(&self) -> bool {
        matches!(
            self,
            Self::Runs(_)
                | Self::Jobs(_)
                | Self::Hosts(_)
                | Self::Suppress(_)
                | Self::Alerts(_)
                | Self::Tokens(_)
                | Self::Audit(_)
                | Self::Store(_)
        )
    }
}

impl CliCommand {
    /// The name of a command to which all environments are alike.
    const fn without_env(&self) -> Option<&'static str> {
        match self {
            Self::Stubs(_) => Some("stubs"),
            Self::Sim(_) => Some("sim"),
            Self::Upgrade(_) => Some("upgrade"),
            Self::Completions(_) => Some("completions"),
            Self::Man(_) => Some("man"),
            _ => None,
        }
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    // A worker skips the command line parser, because it must start within two milliseconds.
    if std::env::args_os().nth(1).as_deref() == Some(OsStr::new(WORKER_COMMAND)) {
        return crate::worker::main();
    }
    memory::disable_core_dumps();
    memory::open_many();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help that cannot be printed is not an error.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Delivered.into() };
        }
    };
    let log = Arc::new(LogTail::new(Clock::real()));
    let tail = matches!(cli.command, CliCommand::Serve(_)).then(|| Arc::clone(&log));
    // A log line would disturb the screen.
    let silent = matches!(&cli.command, CliCommand::Top(top) if top.draws());
    let level = if silent { "off" } else { cli.global.log.as_str() };
    let traces = matches!(cli.command, CliCommand::Run(_) | CliCommand::Serve(_))
        .then(TraceExporter::wanted)
        .transpose();
    let traces = match traces {
        Ok(traces) => traces.flatten(),
        Err(error) => return exit::report(&error, cli.global.log_format),
    };
    if let Err(error) = logging::start(cli.global.log_format, level, tail, traces.as_ref()) {
        // The log is not started yet.
        return exit::report(&error, logging::LogFormat::Text);
    }
    let format = cli.global.log_format;
    if let Some(name) = cli.global.env_name().filter(|_| cli.command.says_env()) {
        // Without standard error, nothing can be shown.
        let _ = writeln!(std::io::stderr(), "environment: {}", name.escape_debug());
    }
    if let (Some(env), Some(what)) = (&cli.global.env, cli.command.without_env()) {
        let error = anyhow::anyhow!(
            "`mooncast {what}` is the same in each environment, so `--env {}` does nothing; leave it out",
            env.escape_debug()
        );
        return exit::report(&error, format);
    }
    let result = match cli.command {
        CliCommand::Run(args) => run::run(args, &cli.global),
        CliCommand::Eval(args) => eval::run(args, &cli.global),
        CliCommand::Repl(args) => repl::run(&args, &cli.global),
        CliCommand::Rehearse(args) => rehearse::run(&args, &cli.global),
        CliCommand::Check(args) => check::run(&args, &cli.global),
        CliCommand::Test(args) => test::run(&args, &cli.global),
        CliCommand::New(args) => new::run(&args, cli.global.env.as_deref()),
        CliCommand::Stubs(args) => stubs::run(&args, &cli.global),
        CliCommand::Runs(args) => runs::run(args, &cli.global),
        CliCommand::Serve(args) => serve::run(&args, &cli.global, &log),
        CliCommand::Suppress(args) => suppress::run(args, &cli.global),
        CliCommand::Alerts(args) => alerts::run(&args, &cli.global),
        CliCommand::Tokens(args) => tokens::run(&args, &cli.global),
        CliCommand::Audit(args) => audit::run(args, &cli.global),
        CliCommand::Jobs(args) => jobs::run(args, &cli.global),
        CliCommand::Hosts(args) => hosts::run(&args, &cli.global),
        CliCommand::Top(args) => top::run(&args, &cli.global),
        CliCommand::Store(args) => store::run(args, &cli.global),
        CliCommand::Sim(args) => sim::run(args),
        CliCommand::Doctor(args) => doctor::run(args, &cli.global),
        CliCommand::Upgrade(args) => upgrade::run(&args),
        CliCommand::Completions(args) => Ok(completions::run(&args)),
        CliCommand::Man(args) => man::run(&args),
    };
    if let Some(traces) = traces {
        traces.end();
    }
    match result {
        Ok(exit) => exit.into(),
        Err(error) => exit::report(&error, format),
    }
}
