//! What breaks limits in a rehearsal: counted in full, listed up to a limit.

use std::collections::HashSet;

use serde::Serialize;

use crate::protocol::RequestFailure;

/// Problems that are listed; the rest is only counted.
const MOST: usize = 100;

/// One limit that a message breaks.
#[derive(Debug, Clone, Serialize)]
pub struct RehearsalProblem {
    /// The script's line: `scripts/news.lua:12`.
    #[serde(rename = "where")]
    pub place: String,
    /// The broadcast, where it is of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broadcast: Option<String>,
    /// The recipient, as the audience names it: `line 7 (group g7)`; empty where it is the message of all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub recipient: String,
    /// The field.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
    #[serde(skip)]
    number: u64,
}

/// What breaks limits.
#[derive(Debug, Clone, Default)]
pub struct RehearsalProblems {
    listed: Vec<RehearsalProblem>,
    total: u64,
    messages: u64,
    last: u64,
    /// Numbers whose line is not known yet.
    unplaced: HashSet<u64>,
}

impl RehearsalProblems {
    /// The problems, up to a limit.
    #[must_use]
    pub fn listed(&self) -> &[RehearsalProblem] {
        &self.listed
    }

    /// How many there are, listed or not.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// How many messages or recipients have any.
    #[must_use]
    pub const fn messages(&self) -> u64 {
        self.messages
    }

    pub(super) const fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) fn note(
        &mut self,
        of: Option<u64>,
        broadcast: Option<&str>,
        recipient: &str,
        why: &RequestFailure,
    ) -> u64 {
        let number = of.unwrap_or_else(|| self.number());
        let field = why.field.as_deref().unwrap_or_default().to_owned();
        let alone = [(field, why.message.clone())];
        let problems = if why.problems.is_empty() { &alone[..] } else { &why.problems };
        self.messages += 1;
        self.total += problems.len() as u64;
        for (field, message) in problems {
            if self.listed.len() == MOST {
                break;
            }
            self.unplaced.insert(number);
            self.listed.push(RehearsalProblem {
                place: String::new(),
                broadcast: broadcast.map(str::to_owned),
                recipient: recipient.to_owned(),
                field: field.clone(),
                message: message.clone(),
                number,
            });
        }
        number
    }

    pub(super) fn awaits_place(&self, number: u64) -> bool {
        self.unplaced.contains(&number)
    }

    pub(super) fn place(&mut self, number: u64, place: &str) {
        if self.unplaced.remove(&number) {
            for problem in self.listed.iter_mut().filter(|problem| problem.number == number) {
                place.clone_into(&mut problem.place);
            }
        }
    }
}
