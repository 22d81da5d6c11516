//! `mooncast completions`

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Exit};

/// Prints completions; put them where your shell looks for them.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &Completions) -> anyhow::Result<Exit> {
    clap_complete::generate(args.shell, &mut Cli::command(), "mooncast", &mut std::io::stdout());
    Ok(Exit::Delivered)
}
