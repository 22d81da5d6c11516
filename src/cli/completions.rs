//! `mooncast completions`

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Exit};

/// Prints completions for a shell. Save them in the folder where your shell looks for completions.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs) -> Exit {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "mooncast", &mut text);
    // A closed pipe is not an error.
    let _ = std::io::stdout().write_all(&text);
    Exit::Delivered
}
