//! `mooncast man`: the manual, one page per command.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_mangen::Man as Page;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::{Cli, Exit};

/// The exit statuses. Each command's own page lists those it uses.
const STATUSES: [(&str, &str); 5] = [
    ("0", "All was delivered, or all is well."),
    ("1", "The script failed, or something was found."),
    ("2", "Usage or configuration; nothing was begun."),
    ("3", "Finished, and some messages were not delivered."),
    ("130", "Interrupted; the same command goes on where it stopped."),
];

/// The environment variables of the settings.
const VARIABLES: [(&str, &str); 9] = [
    ("MOONCAST_BASE_URL", "The service's address."),
    ("MOONCAST_ORG", "The organisation's name at the service."),
    ("MOONCAST_APP", "The app's name at the service."),
    ("MOONCAST_CLIENT_ID", "The app's client id."),
    ("MOONCAST_CLIENT_SECRET", "The secret that belongs to it."),
    ("MOONCAST_TOKEN", "A token made elsewhere, in place of client id and secret."),
    (
        "MOONCAST_STORE",
        "The Postgres server that has the ledger, postgres://…, in place of a file in .mooncast/.",
    ),
    ("MOONCAST_ALERTS_URL", "Where the daemon posts what went wrong."),
    ("MOONCAST_ALERTS_SECRET", "What these posts are signed with."),
];

/// The files of a project.
const FILES: [(&str, &str); 3] = [
    ("mooncast.toml", "The settings; its folder is the project's."),
    ("scripts/", "The scripts, their modules in scripts/lib/ and their tests in scripts/tests/."),
    (
        ".mooncast/",
        "What Mooncast keeps for itself: the ledger, tokens. Without it nobody knows what was sent.",
    ),
];

/// Prints the manual's main page, or writes the pages of all commands into a folder.
///
/// `mooncast man | man -l -` shows it.
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// The folder for the pages of all commands, such as /usr/local/share/man/man1; made if it is not there
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

pub(super) fn run(args: &ManArgs) -> anyhow::Result<Exit> {
    // The parser's own `help` command gets no page.
    let mut main = Cli::command().disable_help_subcommand(true);
    main.build();
    match &args.folder {
        // A closed pipe is not an error.
        None => drop(io::stdout().write_all(&page(&main, None)?)),
        Some(folder) => {
            fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
            write(folder, &main, None)?;
        }
    }
    Ok(Exit::Delivered)
}

/// Writes the pages of a command and of its subcommands.
fn write(folder: &Path, command: &clap::Command, above: Option<&clap::Command>) -> anyhow::Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        write(folder, below, Some(command))?;
    }
    let path = folder.join(format!("{}.1", name(command)));
    fs::write(&path, page(command, above)?).with_context(|| format!("{} cannot be written", path.display()))
}

/// The page's name, such as `mooncast-runs-list`.
fn name(command: &clap::Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

/// The page of a command, in roff.
fn page(command: &clap::Command, above: Option<&clap::Command>) -> io::Result<Vec<u8>> {
    let source = format!("mooncast {}", env!("CARGO_PKG_VERSION"));
    let page = Page::new(command.clone()).source(source).manual("Mooncast");
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    if command.get_subcommands().any(|below| !below.is_hide_set()) {
        page.render_subcommands_section(&mut text)?;
    }
    let mut rest = Roff::new();
    match above {
        None => {
            section(&mut rest, "EXIT STATUS", &STATUSES, bold);
            section(&mut rest, "ENVIRONMENT", &VARIABLES, bold);
            let also = "Each also with _FILE at its end: the path of a file that holds the value.";
            rest.control("PP", []).text([roman(also)]);
            section(&mut rest, "FILES", &FILES, italic);
        }
        Some(above) => {
            rest.control("SH", ["SEE ALSO"]).text([bold(name(above)), roman("(1)")]);
        }
    }
    rest.to_writer(&mut text)?;
    Ok(text)
}

/// A section that lists terms with explanations.
fn section(page: &mut Roff, title: &str, words: &[(&str, &str)], style: fn(String) -> Inline) {
    page.control("SH", [title]);
    for (word, meaning) in words {
        page.control("TP", []).text([style((*word).to_owned())]).text([roman(*meaning)]);
    }
}
