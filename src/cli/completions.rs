//! `mooncast completions`

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;

/// Prints completions; put them where your shell looks for them.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &Completions) {
    clap_complete::generate(args.shell, &mut Cli::command(), "mooncast", &mut std::io::stdout());
}
