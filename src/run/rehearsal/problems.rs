//! The problems that a rehearsal finds. All are counted, but only some are listed.

use std::collections::HashSet;

use serde::Serialize;

use crate::protocol::RequestFailure;

/// The most problems that are listed; the others are only counted.
const MOST: usize = 100;

/// One limit that a message breaks.
#[derive(Debug, Clone, Serialize)]
pub struct RehearsalProblem {
    /// The line of the script: `scripts/news.lua:12`.
    #[serde(rename = "where")]
    pub place: String,
    /// The broadcast, if the message belongs to one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broadcast: Option<String>,
    /// The recipient, as the audience names it: `line 7 (group g7)`. Empty for the shared message.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub recipient: String,
    /// The field that breaks the limit.
    pub field: String,
    /// A sentence about the problem.
    pub message: String,
    #[serde(skip)]
    number: u64,
}

#[derive(Debug, Clone, Default)]
pub struct RehearsalProblems {
    listed: Vec<RehearsalProblem>,
    total: u64,
    messages: u64,
    last: u64,
    /// Numbers of problems whose line is not known yet.
    unplaced: HashSet<u64>,
}

impl RehearsalProblems {
    /// Returns the first problems, up to the limit of the list.
    pub fn listed(&self) -> &[RehearsalProblem] {
        &self.listed
    }

    /// Returns the number of all problems, listed or not.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Returns the number of messages and recipients that have a problem.
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
