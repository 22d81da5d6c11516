//! The jobs that a script declares.

use std::cell::RefCell;
use std::rc::Rc;

use crate::protocol::{Declaration, Failure};
use crate::schedule::Job;

/// The jobs that a run has declared so far.
#[derive(Debug, Default)]
pub struct Jobs(RefCell<Vec<Rc<Job>>>);

impl Jobs {
    pub(super) fn declare(&self, declaration: &Declaration) -> Result<(), Failure> {
        let job =
            Job::new(declaration).map_err(|problem| Failure::invalid(problem.field, problem.message))?;
        if let Some(other) = self.0.borrow().iter().find(|other| other.name == job.name) {
            let message = format!(
                "a job named `{}` is declared at {} already; give each a `name` of its own",
                job.name, other.place
            );
            return Err(Failure::invalid("name", message));
        }
        self.0.borrow_mut().push(Rc::new(job));
        Ok(())
    }

    /// All of them, in the order in which they were declared.
    #[must_use]
    pub fn declared(&self) -> Vec<Rc<Job>> {
        self.0.borrow().clone()
    }
}
