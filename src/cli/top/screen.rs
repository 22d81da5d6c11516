//! The selection on the screen, and the effects of the keys.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::core::BroadcastStatus;
use crate::ledger::BroadcastId;

use super::poller::{ListedBroadcast, TopSnapshot};
use super::{ScreenTitle, words};

/// The bottom line while no question is open.
const KEYS: &str = "q quit  Tab pane  ↑↓ select  p pause  r resume  c cancel";

/// A part of the screen in which lines can be selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pane {
    Broadcasts,
    Jobs,
    Scripts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TopAction {
    Pause,
    Resume,
    Cancel,
}

/// The effect of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum KeyOutcome {
    /// Keep showing the screen.
    Stay,
    Quit,
    /// Apply this action.
    Do(TopAction, BroadcastId),
}

/// The selection and the open question.
pub(super) struct TopScreen {
    pub(super) title: ScreenTitle,
    pub(super) pane: Pane,
    lines: [usize; 3],
    /// The selected broadcast. It is kept by id, because others may appear above it.
    chosen: Option<BroadcastId>,
    question: Option<(TopAction, BroadcastId, String)>,
    /// The result of the last action, or why it failed.
    pub(super) said: String,
}

impl TopScreen {
    pub(super) fn new(title: ScreenTitle) -> Self {
        Self {
            title,
            pane: Pane::Broadcasts,
            lines: [0; 3],
            chosen: None,
            question: None,
            said: String::new(),
        }
    }

    /// The selected line of a pane with `count` lines.
    pub(super) fn line(&mut self, pane: Pane, count: usize) -> usize {
        let line = &mut self.lines[pane as usize];
        *line = (*line).min(count.saturating_sub(1));
        *line
    }

    /// Whether a question is open.
    pub(super) const fn asks(&self) -> bool {
        self.question.is_some()
    }

    /// The bottom line of the screen.
    pub(super) fn foot(&self) -> String {
        match &self.question {
            Some((act, _, name)) => {
                let what = match act {
                    TopAction::Pause => "pause",
                    TopAction::Resume => "resume",
                    TopAction::Cancel => "cancel",
                };
                format!("(y/n) {what} {name}?")
            }
            None if self.said.is_empty() => KEYS.to_owned(),
            None => self.said.clone(),
        }
    }

    /// Moves the selection to the selected broadcast's current line.
    pub(super) fn follow(&mut self, seen: &TopSnapshot) {
        let position = |id| seen.broadcasts.iter().position(|one| one.view.id == id);
        if let Some(line) = self.chosen.and_then(|BroadcastId(id)| position(id)) {
            self.lines[Pane::Broadcasts as usize] = line;
        }
    }

    /// Handles a key.
    pub(super) fn press(&mut self, key: KeyEvent, seen: &TopSnapshot) -> KeyOutcome {
        if key.kind == KeyEventKind::Release {
            return KeyOutcome::Stay;
        }
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return KeyOutcome::Quit;
        }
        if let Some((act, id, _)) = self.question.take() {
            self.said.clear();
            return match key.code {
                KeyCode::Char('y' | 'Y') => KeyOutcome::Do(act, id),
                _ => KeyOutcome::Stay,
            };
        }
        self.said.clear();
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return KeyOutcome::Quit,
            KeyCode::Tab => self.turn(1),
            KeyCode::BackTab => self.turn(2),
            KeyCode::Down | KeyCode::Char('j') => self.choose(seen, |line| line + 1),
            KeyCode::Up | KeyCode::Char('k') => self.choose(seen, |line| line.saturating_sub(1)),
            KeyCode::Char('p') => self.ask(TopAction::Pause, seen),
            KeyCode::Char('r') => self.ask(TopAction::Resume, seen),
            KeyCode::Char('c') => self.ask(TopAction::Cancel, seen),
            _ => {}
        }
        KeyOutcome::Stay
    }

    fn turn(&mut self, by: usize) {
        const PANES: [Pane; 3] = [Pane::Broadcasts, Pane::Jobs, Pane::Scripts];
        self.pane = PANES[(self.pane as usize + by) % PANES.len()];
    }

    fn choose(&mut self, seen: &TopSnapshot, to: impl Fn(usize) -> usize) {
        let count = match self.pane {
            Pane::Broadcasts => seen.broadcasts.len(),
            Pane::Jobs => seen.jobs.len(),
            Pane::Scripts => seen.scripts.len(),
        };
        self.lines[self.pane as usize] = to(self.lines[self.pane as usize]);
        let line = self.line(self.pane, count);
        if self.pane == Pane::Broadcasts {
            self.chosen = seen.broadcasts.get(line).map(|one| BroadcastId(one.view.id));
        }
    }

    fn ask(&mut self, act: TopAction, seen: &TopSnapshot) {
        let line = self.line(Pane::Broadcasts, seen.broadcasts.len());
        let Some(one) = seen.broadcasts.get(line) else {
            "there is no broadcast".clone_into(&mut self.said);
            return;
        };
        let name = words::name(one);
        if let Some(why) = refused(act, one) {
            self.said = format!("{name} {why}");
            return;
        }
        // The question is about this broadcast, whatever appears above it in the meantime.
        self.pane = Pane::Broadcasts;
        self.chosen = Some(BroadcastId(one.view.id));
        self.question = Some((act, BroadcastId(one.view.id), name));
    }
}

/// Why an action makes no sense for a broadcast. `None` if it does.
fn refused(act: TopAction, one: &ListedBroadcast) -> Option<&'static str> {
    match act {
        _ if one.view.over => Some("is finished"),
        _ if one.view.state == BroadcastStatus::Cancelling => Some("is already being cancelled"),
        TopAction::Pause if one.paused => Some("is already paused"),
        TopAction::Resume if !one.paused && one.driven => Some("is not paused"),
        _ => None,
    }
}
