//! The jobs that a script declares.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::protocol::{Declaration, Failure};
use crate::schedule::Job;

/// The jobs that a run has declared so far.
#[derive(Debug, Default)]
pub struct Jobs {
    declared: RefCell<Vec<Rc<Job>>>,
    complete: Cell<bool>,
}

impl Jobs {
    pub(super) fn declare(&self, declaration: &Declaration) -> Result<(), Failure> {
        let job =
            Job::new(declaration).map_err(|problem| Failure::invalid(problem.field, problem.message))?;
        if let Some(other) = self.find(&job.name) {
            let message = format!(
                "a job named `{}` is declared at {} already; give each a `name` of its own",
                job.name, other.place
            );
            return Err(Failure::invalid("name", message));
        }
        self.declared.borrow_mut().push(Rc::new(job));
        Ok(())
    }

    /// The top level of a script that only declares has come to its end.
    pub(super) fn end(&self) {
        self.complete.set(true);
    }

    /// Whether there will be no more, for a top level that only declares has come to its end.
    #[must_use]
    pub fn are_complete(&self) -> bool {
        self.complete.get()
    }

    /// The one of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Rc<Job>> {
        self.declared.borrow().iter().find(|job| job.name == name).cloned()
    }

    /// All of them, in the order in which they were declared.
    #[must_use]
    pub fn declared(&self) -> Vec<Rc<Job>> {
        self.declared.borrow().clone()
    }
}
