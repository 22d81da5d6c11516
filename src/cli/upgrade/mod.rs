//! `mooncast upgrade --check`: tells whether a newer release is out. It installs nothing.

mod installation;
mod release;

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;

use crate::clock::Clock;
use crate::config::Environment;
use crate::run::{DocumentAnswer, PublicDocument};

use super::Exit;
use installation::Installation;
use release::{Release, Version, latest_release};

/// The variable with the address of the newest release.
const VARIABLE: &str = "MOONCAST_UPGRADE_URL";

/// Where this program is developed: the variable of the build, or `repository` in Cargo.toml. Empty if neither is set.
const REPOSITORY: &str = match option_env!("MOONCAST_REPOSITORY") {
    Some(repository) if !repository.is_empty() => repository,
    _ => env!("CARGO_PKG_REPOSITORY"),
};

/// Tells whether a newer release is out, and how to install it here. Installs nothing, and sends nothing but one request for
/// the newest release, with the program's name and version.
///
/// The proxies of the environment are used (`HTTPS_PROXY`). Preview releases are not offered.
///
/// Exit status: 0 no newer release is out; 1 a newer release is out; 2 this cannot be found out.
#[derive(Debug, Args)]
pub(super) struct UpgradeArgs {
    /// Only look. The flag is needed, because this command does nothing else
    #[arg(long, required = true)]
    check: bool,
    /// The address of the newest release, as JSON with a `tag_name`. Default: `MOONCAST_UPGRADE_URL`, else the releases of
    /// the repository that this program was built from
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &UpgradeArgs) -> anyhow::Result<Exit> {
    let url = match &args.url {
        Some(url) => Some(url.clone()),
        None => Environment::of_process().value(VARIABLE)?,
    };
    let Some(url) = url.or_else(|| latest_release(REPOSITORY)) else {
        bail!(
            "this program does not know where its releases are, because no repository was named when it was built; name the newest release: mooncast upgrade --check --url https://api.github.com/repos/OWNER/NAME/releases/latest, or set {VARIABLE}"
        );
    };
    let clock = Clock::real();
    let document = PublicDocument::new(&url, clock.clone()).map_err(|why| {
        let setting = if args.url.is_some() { "--url" } else { VARIABLE };
        anyhow::anyhow!("{setting} is not the address of a release: {why}")
    })?;
    let answer = clock.block_on(document.read())?;
    let release = read(document.host(), answer)?;
    let installed = Version::installed()?;
    let newer = release.is_newer_than(&installed);
    let way = Installation::of_this_program(Path::new("/"));
    let how = way.instructions(&release.version, REPOSITORY);
    let mut out = std::io::stdout().lock();
    if args.json {
        let told = json!({
            "installed": installed.text,
            "latest": release.version.text,
            "preview": release.is_preview(),
            "newer": newer,
            "url": release.page,
            "installed_as": way.name(),
            "how": newer.then_some(how),
        });
        writeln!(out, "{told}")?;
    } else if newer {
        let page = release.page.as_ref().map(|page| format!(": {page}")).unwrap_or_default();
        writeln!(out, "mooncast {} is out (you have {}){page}", release.version.text, installed.text)?;
        writeln!(out, "To upgrade: back up the ledger (`mooncast store backup FILE`), then {how}")?;
    } else {
        writeln!(out, "{}", release.no_newer(&installed))?;
    }
    Ok(if newer { Exit::Failed } else { Exit::Delivered })
}

/// Reads the release from what `host` answered.
fn read(host: &str, answer: Result<DocumentAnswer, String>) -> anyhow::Result<Release> {
    let elsewhere = "look at the project's releases in a browser, set HTTPS_PROXY if this machine needs a proxy, or name a copy that it can reach with --url";
    let cannot = format!("cannot find out whether a newer release is out: {host}");
    match answer {
        Ok(DocumentAnswer::Document(body)) => {
            Release::read(&body).with_context(|| format!("{cannot} does not describe a release"))
        }
        Ok(DocumentAnswer::TooMany(wait)) => {
            bail!(
                "{cannot} has answered too many requests from this network; ask again {}",
                wait.map_or_else(|| "in an hour".to_owned(), shown)
            )
        }
        Ok(DocumentAnswer::Elsewhere(to)) => {
            bail!(
                "{cannot} redirects to {to}, which is not followed; give the address of the release there with --url"
            )
        }
        Ok(DocumentAnswer::Status(404)) => {
            bail!(
                "{cannot} has no release at this address (status 404): none is published yet, or the repository is private or has another name"
            )
        }
        Ok(DocumentAnswer::Status(status)) => {
            bail!("{cannot} answers with the status {status}; {elsewhere}")
        }
        Err(why) => bail!("{cannot} cannot be reached or read: {why}; {elsewhere}"),
    }
}

/// A time to wait, in whole minutes.
fn shown(wait: Duration) -> String {
    format!("in {} min", wait.as_secs().div_ceil(60).max(1))
}
