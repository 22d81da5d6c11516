//! Suggests the next commands after a broadcast that left something to do.

use std::path::{Path, PathBuf};

use crate::config::{EnvName, Project};
use crate::control::ActionResult;
use crate::ledger::{Broadcast, RecipientCounts};

use super::GlobalArgs;

/// The arguments with which `mooncast runs` finds the broadcasts of this command.
#[derive(Debug, Clone, Default)]
pub(super) struct FollowUpCommands {
    project: Option<PathBuf>,
    env: Option<EnvName>,
    simulator: bool,
}

impl FollowUpCommands {
    /// Takes the arguments from the current command. The project is named if the current folder does not belong to
    /// it.
    pub(super) fn new(global: &GlobalArgs, project: &Project, simulator: bool) -> Self {
        let env = project.env.clone();
        let here = Project::of(None).is_ok_and(|here| here.root == project.root);
        let project = (global.project.is_some() || !here).then(|| project.root.clone());
        Self { project, env, simulator }
    }

    /// The environment of the command.
    pub(super) fn env(&self) -> Option<&EnvName> {
        self.env.as_ref()
    }

    /// The commands for what a broadcast left to do. Empty if it left nothing.
    pub(super) fn commands(
        &self,
        name: &str,
        run: &str,
        counts: &RecipientCounts,
        over: bool,
    ) -> Vec<String> {
        let mut commands = Vec::new();
        if counts.in_doubt > 0 {
            let settle = self.command("settle", name, run);
            commands.push(format!("{settle} --as-sent, or --again to send to them again"));
        }
        if counts.rejected > 0 {
            commands.push(self.command("retry", name, run));
        }
        if !over {
            commands.push(self.command("resume", name, run));
        }
        commands
    }

    /// `mooncast runs VERB NAME --run RUN`, quoted for a shell.
    pub(super) fn command(&self, verb: &str, name: &str, run: &str) -> String {
        format!("{} {} --run {}", self.verb(verb), quoted(name), quoted(run))
    }

    /// What a command for a broadcast did, with the next command if no process drives the broadcast.
    pub(super) fn after(&self, done: &ActionResult, found: &Broadcast) -> String {
        if !done.needs_driver {
            return done.message.clone();
        }
        format!("{}; `{}` sends it", done.message, self.command("resume", &found.name, &found.run))
    }

    /// `mooncast runs settle --send NUMBER`.
    pub(super) fn settle_send(&self, number: i64) -> String {
        format!("{} --send {number}", self.verb("settle"))
    }

    /// `mooncast store accept`.
    pub(super) fn accept(&self) -> String {
        self.with("store accept")
    }

    fn verb(&self, verb: &str) -> String {
        self.with(&format!("runs {verb}"))
    }

    fn with(&self, words: &str) -> String {
        let mut command = "mooncast".to_owned();
        if let Some(project) = &self.project {
            command += " --project ";
            command += &quoted(&Path::display(project).to_string());
        }
        if let Some(env) = &self.env {
            command += " --env ";
            command += env.as_str();
        }
        command += " ";
        command += words;
        if self.simulator {
            command += " --simulator";
        }
        command
    }
}

/// A word quoted for a shell.
pub(super) fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "-_./=:,@%+".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted() {
        let next = FollowUpCommands { project: Some("/a b".into()), env: "eu".parse().ok(), simulator: true };
        assert_eq!(
            next.command("retry", "it's", "2026-06-01T08:00:00Z"),
            r"mooncast --project '/a b' --env eu runs retry --simulator 'it'\''s' --run 2026-06-01T08:00:00Z"
        );
    }

    #[test]
    fn what_is_left_says_what_to_do() {
        let counts = RecipientCounts { sent: 5, rejected: 1, in_doubt: 2, ..RecipientCounts::default() };
        let commands = FollowUpCommands::default().commands("news", "1", &counts, true);
        assert_eq!(
            commands,
            [
                "mooncast runs settle news --run 1 --as-sent, or --again to send to them again",
                "mooncast runs retry news --run 1"
            ]
        );
        assert!(
            FollowUpCommands::default().commands("news", "1", &RecipientCounts::default(), true).is_empty()
        );
    }
}
