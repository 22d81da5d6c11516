//! Reads the script that a command is given.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context, bail};

use crate::config::Project;
use crate::protocol::LuaSource;
use crate::run::MAX_SOURCE;

use super::GlobalArgs;

/// The name of a script from standard input.
pub(super) const STANDARD_INPUT: &str = "stdin";

/// The project that a script belongs to, and the script's source.
pub(super) fn open(file: &Path, global: &GlobalArgs) -> anyhow::Result<(Project, LuaSource)> {
    if file.as_os_str() == "-" {
        return Ok((global.project()?, LuaSource::new(STANDARD_INPUT.to_owned(), standard_input()?)));
    }
    let shown = file.display();
    let metadata = std::fs::metadata(file).with_context(|| format!("{shown}"))?;
    if !metadata.is_file() {
        bail!("{shown}: not a file; `mooncast run` takes one script");
    }
    if metadata.len() > MAX_SOURCE {
        bail!("{shown}: {} bytes; a script can have at most {MAX_SOURCE}", metadata.len());
    }
    let project = match &global.project {
        Some(folder) => Project::at(folder).with_context(|| format!("--project {}", folder.display()))?,
        None => Project::of(Some(file)).with_context(|| format!("{shown}"))?,
    };
    let project = global.in_env(project)?;
    let text = std::fs::read(file).with_context(|| format!("{shown}"))?;
    let name = project.shown(&file.canonicalize().with_context(|| format!("{shown}"))?);
    Ok((project, LuaSource::new(name, text)))
}

/// Reads all of standard input as the text of a script.
pub(super) fn standard_input() -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    std::io::stdin().lock().take(MAX_SOURCE + 1).read_to_end(&mut text).context("standard input")?;
    if text.len() as u64 > MAX_SOURCE {
        bail!("standard input: more than {MAX_SOURCE} bytes, the limit for a script");
    }
    Ok(text)
}
