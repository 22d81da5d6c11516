//! Checks `goto` and labels by the rules of Lua 5.4: the label must be visible, and the jump must not enter the
//! scope of a local variable.

use std::collections::HashMap;

use full_moon::tokenizer::TokenReference;

use super::LintFinding;

#[derive(Default)]
struct LabelBlock {
    /// The number of local variables in scope.
    locals: usize,
    labels: HashMap<String, usize>,
    /// Jumps without a label so far, each with the number of locals in scope at the jump.
    pending: Vec<(TokenReference, usize)>,
}

/// The blocks of one function, outermost first.
#[derive(Default)]
pub(super) struct FunctionLabels {
    blocks: Vec<LabelBlock>,
}

impl FunctionLabels {
    pub(super) fn open(&mut self) {
        let locals = self.blocks.last().map_or(0, |block| block.locals);
        self.blocks.push(LabelBlock { locals, ..LabelBlock::default() });
    }

    /// Ends a block. Pending jumps look for their labels in the enclosing block.
    pub(super) fn close(&mut self, errors: &mut Vec<LintFinding>) {
        let Some(closed) = self.blocks.pop() else { return };
        match self.blocks.last_mut() {
            Some(outer) => {
                let alive = outer.locals;
                outer
                    .pending
                    .extend(closed.pending.into_iter().map(|(name, locals)| (name, locals.min(alive))));
            }
            None => errors.extend(closed.pending.iter().map(|(name, _)| {
                let shown = name.token();
                LintFinding::on(name, format!("`goto {shown}`: no label `::{shown}::` is visible here"))
            })),
        }
    }

    pub(super) fn local(&mut self) {
        if let Some(block) = self.blocks.last_mut() {
            block.locals += 1;
        }
    }

    pub(super) fn goto(&mut self, name: &TokenReference) {
        let label = name.token().to_string();
        if self.blocks.iter().any(|block| block.labels.contains_key(&label)) {
            return;
        }
        if let Some(block) = self.blocks.last_mut() {
            block.pending.push((name.clone(), block.locals));
        }
    }

    /// Adds a label. A label at the end of its block is outside the scope of the block's variables.
    pub(super) fn label(&mut self, name: &TokenReference, at_end: bool, errors: &mut Vec<LintFinding>) {
        let label = name.token().to_string();
        if self.blocks.iter().any(|block| block.labels.contains_key(&label)) {
            errors.push(LintFinding::on(name, format!("label `::{label}::` is already defined")));
            return;
        }
        let outer = self.blocks.len().checked_sub(2).map_or(0, |index| self.blocks[index].locals);
        let Some(block) = self.blocks.last_mut() else { return };
        let alive = if at_end { outer } else { block.locals };
        let (here, pending) = std::mem::take(&mut block.pending)
            .into_iter()
            .partition(|(name, _)| name.token().to_string() == label);
        let here: Vec<(TokenReference, usize)> = here;
        block.pending = pending;
        block.labels.insert(label.clone(), alive);
        errors.extend(here.iter().filter(|(_, locals)| *locals < alive).map(|(name, _)| {
            let message =
                format!("`goto {label}` would jump over a `local` that is still in use at `::{label}::`");
            LintFinding::on(name, message)
        }));
    }
}
