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
    ("0", "All messages were delivered, or no problem was found."),
    ("1", "The script failed, or a check found a problem."),
    ("2", "Error in usage or configuration; nothing was started."),
    ("3", "Finished, and some messages were not delivered."),
    ("130", "Interrupted; the same command continues where it stopped."),
];

/// The environment variables of the settings.
const VARIABLES: [(&str, &str); 15] = [
    ("MOONCAST_ENV", "The environment, if the flag `--env` does not name one."),
    ("MOONCAST_BASE_URL", "The service's address."),
    ("MOONCAST_ORG", "The organisation's name at the service."),
    ("MOONCAST_APP", "The app's name at the service."),
    ("MOONCAST_CLIENT_ID", "The app's client id."),
    ("MOONCAST_CLIENT_SECRET", "The secret of the client id."),
    ("MOONCAST_APP_ID", "The App ID of an app of Agora, instead of a client id."),
    ("MOONCAST_APP_CERTIFICATE", "The App Certificate of the App ID."),
    ("MOONCAST_TOKEN", "An existing token, instead of client id and secret."),
    ("MOONCAST_CALLBACK_SECRET", "The secret of the service's callbacks; several are separated by commas."),
    ("MOONCAST_STORE", "The Postgres server with the ledger, postgres://…, instead of a file in .mooncast/."),
    ("MOONCAST_ALERTS_URL", "The address to which the daemon posts alerts."),
    ("MOONCAST_ALERTS_SECRET", "The secret with which the daemon signs alerts."),
    (
        "MOONCAST_ALERTS_NAME_URL, MOONCAST_ALERTS_NAME_SECRET",
        "The same for the receiver NAME of several: in capitals, and `_` for `-`.",
    ),
    ("MOONCAST_UPGRADE_URL", "The address of the newest release, for `mooncast upgrade --check`."),
];

/// The files of a project.
const FILES: [(&str, &str); 4] = [
    ("mooncast.toml", "The settings. The folder with this file is the project's folder."),
    (
        "mooncast.NAME.toml",
        "The settings of the environment NAME, laid over those of mooncast.toml with `--env NAME`.",
    ),
    ("scripts/", "The scripts, their modules in scripts/lib/ and their tests in scripts/tests/."),
    (
        ".mooncast/",
        "Mooncast's own data: the ledger and tokens. If you delete it, Mooncast no longer knows what was sent.",
    ),
];

/// Prints the manual's main page, or writes the pages of all commands to a folder.
///
/// To show the page: `mooncast man | man -l -`
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// The folder for the pages of all commands, such as /usr/local/share/man/man1; created if it does not exist
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
            fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
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
    fs::write(&path, page(command, above)?).with_context(|| format!("cannot write {}", path.display()))
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
            let also = "For each variable there is one with _FILE at its end: the path of a file that contains the value.";
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
