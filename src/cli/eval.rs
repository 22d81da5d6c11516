//! `mooncast eval`

use std::rc::Rc;

use clap::Args;

use crate::ledger::RunRequest;
use crate::protocol::LoadMode;
use crate::schedule::EVALUATED;

use super::limits::LimitArgs;
use super::repl::{TargetArgs, TerminalConsole, reader};
use super::run_record::{CommandRecord, RunToRecord};
use super::{Exit, GlobalArgs, apps, script};

/// The name of the code in errors and in the ledger.
const NAME: &str = "eval";

/// Runs a piece of Lua, and prints the values of an expression as Lua.
///
/// It sends to the configured app and asks before the first send. If no app is configured, it sends to the built-in
/// simulator. The exit status is that of `mooncast run`.
#[derive(Debug, Args)]
pub(super) struct EvalArgs {
    /// The code, an expression or statements; `-` reads it from standard input
    code: String,
    /// The arguments that the code sees as `...` and in `arg`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    limits: LimitArgs,
}

pub(super) fn run(args: EvalArgs, global: &GlobalArgs) -> anyhow::Result<Exit> {
    let context = args.target.open(global)?;
    let code = if args.code == "-" { script::standard_input()? } else { args.code.into_bytes() };
    let typed = std::io::IsTerminal::is_terminal(&std::io::stdin());
    let asking = args.target.asking(&context);
    let person = Rc::new(TerminalConsole::new(asking, reader(None)?, typed));
    let limits = args.limits.over(context.settings.scripts);
    let mut run = context.run(NAME, code, person);
    (run.load, run.args, run.limits) = (LoadMode::Eval, args.args.clone(), limits);
    let location = apps::location(&context.project, &context.settings, context.simulated);
    let run_record =
        RunToRecord { script: EVALUATED, request: RunRequest::of(&args.args), job: None, plan_guard: None };
    let keep = context.settings.scripts;
    let ledger = context.apps.ledger.as_ref();
    let record =
        ledger.map(|ledger| CommandRecord::begin(ledger, location, &context.clock, keep, run_record));
    if let Some(record) = &record {
        run.output = record.output(run.output);
    }
    context.clock.block_on(async {
        let run = run.build()?;
        let services = Rc::clone(&run.services);
        let began = context.clock.now();
        if let Some(record) = &record {
            record.hide_secrets_of(&services);
        }
        let ended = run.run_until_signal().await;
        if let Some(record) = &record {
            Box::pin(record.end(&ended, &services)).await;
        }
        context.apps.release().await;
        Ok(context.report(global, &ended, &services, began))
    })?
}
