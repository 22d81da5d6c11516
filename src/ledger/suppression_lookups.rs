//! Look-ups in the suppression list. Those that wait at the same time are answered by one question to the store: each
//! single send has one, and they would hold up each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

use super::suppressions::Suppression;
use super::{AppId, Ledger, LedgerError};
use crate::core::SuppressedKind;

/// How many look-ups one question answers.
const MOST: usize = 1_000;

/// The look-ups of a process.
#[derive(Default)]
pub(super) struct SuppressionLookups {
    waiting: Mutex<Vec<Lookup>>,
    /// Its holder asks the store.
    turn: tokio::sync::Mutex<()>,
}

struct Lookup {
    app: AppId,
    kind: SuppressedKind,
    /// As the list spells them.
    ids: Vec<String>,
    answer: oneshot::Sender<Result<Vec<Suppression>, LedgerError>>,
}

impl SuppressionLookups {
    fn add(&self, lookup: Lookup) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(lookup);
    }

    fn count(&self) -> usize {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Takes the look-ups that wait. Tasks that are about to add one run first, until no new one arrives.
    async fn take(&self) -> Vec<Lookup> {
        let mut before = 0;
        while before < self.count().min(MOST) {
            before = self.count();
            tokio::task::yield_now().await;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let many = waiting.len().min(MOST);
        waiting.drain(..many).collect()
    }
}

impl Ledger {
    /// Returns the entries for these ids of an app, as they are now.
    pub async fn suppressed(
        &self,
        app: AppId,
        kind: SuppressedKind,
        ids: &[String],
    ) -> Result<Vec<Suppression>, LedgerError> {
        let lookups = &self.0.suppression_lookups;
        let ids: Vec<String> = ids.iter().map(|id| kind.spelled(id).into_owned()).collect();
        loop {
            let (answer, mut answered) = oneshot::channel();
            lookups.add(Lookup { app, kind, ids: ids.clone(), answer });
            let turn = lookups.turn.lock().await;
            loop {
                match answered.try_recv() {
                    Ok(found) => return found,
                    Err(oneshot::error::TryRecvError::Empty) => self.answer_waiting().await,
                    // The process stopped waiting for the question that this was part of.
                    Err(oneshot::error::TryRecvError::Closed) => break,
                }
            }
            drop(turn);
        }
    }

    /// Answers the look-ups that wait.
    async fn answer_waiting(&self) {
        let mut questions: BTreeMap<_, Vec<Lookup>> = BTreeMap::new();
        for lookup in self.0.suppression_lookups.take().await {
            questions.entry((lookup.app, lookup.kind.name())).or_default().push(lookup);
        }
        for ((app, _), lookups) in questions {
            let Some(kind) = lookups.first().map(|lookup| lookup.kind) else { continue };
            let ids: BTreeSet<&str> =
                lookups.iter().flat_map(|lookup| &lookup.ids).map(String::as_str).collect();
            let found = self.entries(app, kind, &ids).await;
            for Lookup { ids, answer, .. } in lookups {
                let own = |entries: &Vec<Suppression>| -> Vec<Suppression> {
                    entries.iter().filter(|entry| ids.contains(&entry.id)).cloned().collect()
                };
                // The caller may have stopped waiting.
                let _ = answer.send(found.as_ref().map(own).map_err(Clone::clone));
            }
        }
    }
}
