//! The typed arguments of a script on the command line.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use clap::Args;

use crate::config::Settings;
use crate::control::{ControlError, MAX_RUN_FILE, find_script, form_of_row, keep_run_file};
use crate::forms::{ArgumentProblem, ArgumentType, ScriptForm, UPLOAD, ValueProblem};
use crate::ledger::Ledger;
use crate::protocol::LuaSource;
use crate::run::{MountedFile, form_of};

use super::Exit;
use super::next::quoted;

/// The arguments of a script by name.
#[derive(Debug, Clone, Args)]
pub(super) struct NamedArgs {
    /// An argument of the script by its name, as `NAME=VALUE`; can be repeated. After FILE, `NAME=VALUE` alone does the same
    #[arg(long = "arg", value_name = "NAME=VALUE")]
    named: Vec<String>,
}

impl NamedArgs {
    /// Checks the arguments against the form of the script, before anything runs. Lets the script read the files that
    /// they name, other than the mounted ones. Returns the arguments for the run.
    ///
    /// # Errors
    ///
    /// Every argument that is missing, unknown or wrong.
    pub(super) fn with(
        &self,
        args: &[String],
        script: &LuaSource,
        job: Option<&str>,
        mounts: &[MountedFile],
        settings: &mut Settings,
    ) -> anyhow::Result<Vec<String>> {
        let form = form_of(script)?;
        let name = &script.name;
        if form.is_empty() || job.is_some() {
            if let Some(first) = self.named.first() {
                let why = if job.is_some() { "a job takes no arguments" } else { "declares no arguments" };
                bail!(
                    "{name}: --arg {first}: {why}; `--- @arg NAME TYPE HELP` at a script's head or the table `args` declares one"
                );
            }
            return Ok(args.to_vec());
        }
        let mut all = self.named.clone();
        all.extend_from_slice(args);
        let hint = format!("{name}: `mooncast run --help-script {}` shows the arguments", quoted(name));
        let values = form.read(&all).with_context(|| hint.clone())?;
        let files = form.fields.iter().filter(|field| field.kind == ArgumentType::File);
        let mut read = values.args.clone();
        for field in files {
            let prefix = format!("{}=", field.name);
            for arg in read.iter_mut().filter(|arg| arg.starts_with(&prefix)) {
                let given = arg.get(prefix.len()..).unwrap_or_default();
                if mounts.iter().any(|mount| mount.name == given) {
                    continue;
                }
                let path = Path::new(given);
                let metadata = std::fs::metadata(path).with_context(|| format!("{name}: {prefix}{given}"))?;
                if !metadata.is_file() {
                    bail!("{name}: {prefix}{given}: not a file");
                }
                if metadata.len() == 0 {
                    bail!("{}", ArgumentProblem::of(&field.name, given, ValueProblem::EmptyFile).message);
                }
                let path = std::path::absolute(path).context("the current folder")?;
                let Some(text) = path.to_str() else {
                    bail!("{name}: {}: the path is not UTF-8", path.display())
                };
                *arg = format!("{prefix}{text}");
                settings.permissions.read.push(path);
            }
        }
        Ok(read)
    }
}

/// Prints the form of a script, and a command line for it.
pub(super) fn help(script: &LuaSource, file: &Path) -> anyhow::Result<Exit> {
    let form = form_of(script)?;
    // A closed pipe is not an error.
    let _ = write_help(&mut std::io::stdout().lock(), &form, &script.name, &file.display().to_string());
    Ok(Exit::Delivered)
}

fn write_help(out: &mut impl Write, form: &ScriptForm, name: &str, file: &str) -> std::io::Result<()> {
    if form.is_empty() {
        return writeln!(
            out,
            "{name} declares no arguments. `--- @arg NAME TYPE HELP` in the comment at its head, or `args = {{ {{ name = \"NAME\", type = \"TYPE\" }} }}`, declares one; what stands after its name goes to main(args) as it is."
        );
    }
    writeln!(out, "Arguments of {name}:\n")?;
    let width = form.fields.iter().map(|field| field.name.len()).max().unwrap_or_default();
    let types: Vec<String> = form.fields.iter().map(crate::forms::FormField::type_words).collect();
    let wide = types.iter().map(|words| words.chars().count()).max().unwrap_or_default();
    for (field, words) in form.fields.iter().zip(&types) {
        let needed = match &field.default {
            Some(default) => format!("(default {default:?}) "),
            None if field.required => String::new(),
            None => "(may be left out) ".to_owned(),
        };
        let line = format!("  {:<width$}  {words:<wide$}  {needed}{}", field.name, field.help);
        writeln!(out, "{}", line.trim_end())?;
    }
    let needed = form.fields.iter().filter(|field| field.required);
    let example: Vec<String> =
        needed.map(|field| quoted(&format!("{}={}", field.name, field.example()))).collect();
    writeln!(out, "\nFor example:\n  mooncast run {} {}", quoted(file), example.join(" "))
}

/// Keeps the files that the arguments of a script name in the ledger, for a run by the daemon. Returns the arguments that name
/// the kept files.
pub(super) async fn kept(ledger: &Ledger, script: &str, args: Vec<String>) -> anyhow::Result<Vec<String>> {
    let form = form_of_row(&find_script(ledger, script).await?);
    if form.is_empty() {
        return Ok(args);
    }
    let mut read = form.read(&args).map_err(ControlError::Arguments)?.args;
    for field in form.fields.iter().filter(|field| field.kind == ArgumentType::File) {
        let prefix = format!("{}=", field.name);
        for arg in read.iter_mut().filter(|arg| arg.starts_with(&prefix)) {
            let given = arg.get(prefix.len()..).unwrap_or_default();
            if given.starts_with(UPLOAD) {
                continue;
            }
            let path = Path::new(given);
            let bytes = std::fs::metadata(path).with_context(|| arg.clone())?.len();
            if bytes > MAX_RUN_FILE as u64 {
                bail!("{arg}: {bytes} bytes; at most {MAX_RUN_FILE} are allowed");
            }
            let content = std::fs::read(path).with_context(|| arg.clone())?;
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            *arg = format!("{prefix}{}", keep_run_file(ledger, Some(field), name, &content).await?);
        }
    }
    Ok(read)
}
