//! Resolves each name to a variable, and records how the script uses each variable.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use full_moon::ast::Expression;
use full_moon::tokenizer::TokenReference;

/// A local variable or parameter.
#[derive(Default)]
pub(super) struct VariableBinding<'a> {
    /// The expression that the variable is initialized with, if its declaration has one.
    pub(super) initial: Option<&'a Expression>,
    /// Whether it is declared `<const>` or `<close>`.
    pub(super) constant: bool,
    pub(super) reassigned: bool,
    /// Whether its value is passed to code that could change it.
    pub(super) escapes: bool,
    /// Calls that get its value as an argument: the chain and the suffix.
    pub(super) given_to: Vec<(usize, usize)>,
    /// Fields that are written (`written`) or read (`touched`) by name after the declaration.
    pub(super) written: BTreeSet<String>,
    pub(super) touched: BTreeSet<String>,
}

/// Where a global is set and read.
#[derive(Default)]
pub(super) struct GlobalUse<'a> {
    /// Where the global is set, and whether to a function.
    pub(super) set: Vec<(&'a TokenReference, bool)>,
    /// The first place where it is read, without places that only test whether it exists.
    pub(super) needed: Option<&'a TokenReference>,
    /// The first place where it is read at all.
    pub(super) first: Option<&'a TokenReference>,
}

impl<'a> GlobalUse<'a> {
    pub(super) fn note_read(&mut self, name: &'a TokenReference, needed: bool) {
        self.first.get_or_insert(name);
        if needed {
            self.needed.get_or_insert(name);
        }
    }
}

/// The variables of a script.
#[derive(Default)]
pub(super) struct Scopes<'a> {
    pub(super) bindings: Vec<VariableBinding<'a>>,
    pub(super) globals: BTreeMap<String, GlobalUse<'a>>,
    /// The variable of the name at each text position. Globals have none.
    resolved: HashMap<usize, usize>,
    visible: HashMap<String, Vec<usize>>,
    open: Vec<Vec<String>>,
}

impl<'a> Scopes<'a> {
    pub(super) fn open(&mut self) {
        self.open.push(Vec::new());
    }

    pub(super) fn close(&mut self) {
        for name in self.open.pop().unwrap_or_default() {
            self.visible.get_mut(&name).and_then(Vec::pop);
        }
    }

    pub(super) fn declare(&mut self, name: String, initial: Option<&'a Expression>, constant: bool) {
        let id = self.bindings.len();
        self.bindings.push(VariableBinding { initial, constant, ..VariableBinding::default() });
        self.visible.entry(name.clone()).or_default().push(id);
        if let Some(scope) = self.open.last_mut() {
            scope.push(name);
        }
    }

    /// The variable that `name` refers to. `None` for a global.
    pub(super) fn resolve(&mut self, name: &TokenReference) -> Option<usize> {
        let id = *self.visible.get(&name.token().to_string())?.last()?;
        self.resolved.insert(name.token().start_position().bytes(), id);
        Some(id)
    }

    /// The variable that the name at this position was resolved to.
    pub(super) fn binding_of(&self, name: &TokenReference) -> Option<usize> {
        self.resolved.get(&name.token().start_position().bytes()).copied()
    }

    pub(super) fn sets_global(&self, name: &str) -> bool {
        self.globals.get(name).is_some_and(|global| !global.set.is_empty())
    }

    pub(super) fn global(&mut self, name: &TokenReference) -> &mut GlobalUse<'a> {
        self.globals.entry(name.token().to_string()).or_default()
    }
}
