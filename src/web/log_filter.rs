//! Which lines of the log are wanted.

use super::log_line::LogLineView;

/// The levels, the most severe first.
pub(super) const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// Which lines of the log are wanted. An empty filter wants all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LogFilter {
    /// The least severe level.
    pub(super) level: Option<usize>,
    /// The job.
    pub(super) job: Option<String>,
    /// The script.
    pub(super) script: Option<String>,
    /// The job or the script.
    pub(super) about: Option<String>,
    /// The names of the broadcast: its number, NAME/RUN or NAME. Empty for any.
    pub(super) broadcast: Vec<String>,
    /// A part of the text, in lower case.
    pub(super) text: Option<String>,
    /// The first and the last time, as UTC texts of the same form as the lines have.
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
}

impl LogFilter {
    /// Whether a line is wanted.
    pub(super) fn wants(&self, line: &LogLineView) -> bool {
        let is = |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        let severe = self.level.is_none_or(|least| level(&line.level).is_some_and(|level| level <= least));
        let about = self.about.is_none() || self.about == line.job || self.about == line.script;
        let broadcast =
            self.broadcast.is_empty() || line.broadcast.as_ref().is_some_and(|of| self.is_broadcast(of));
        let within = self.from.as_ref().is_none_or(|from| *from <= line.at)
            && self.to.as_ref().is_none_or(|to| line.at <= *to);
        let text = self.text.as_ref().is_none_or(|text| line.text.to_lowercase().contains(text));
        severe
            && is(&self.job, &line.job)
            && is(&self.script, &line.script)
            && about
            && broadcast
            && within
            && text
    }

    fn is_broadcast(&self, found: &str) -> bool {
        let name = found.rsplit_once('/').map_or(found, |(name, _)| name);
        self.broadcast.iter().any(|wanted| wanted == found || wanted == name)
    }
}

/// The place of a level in [`LEVELS`].
pub(super) fn level(name: &str) -> Option<usize> {
    LEVELS.iter().position(|known| *known == name)
}
