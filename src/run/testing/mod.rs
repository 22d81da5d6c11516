//! Tests written in Lua: the requests of a test, and the testbed on which each test runs.
//!
//! A test runs in a worker like any script, and the scripts that it runs have workers of their own. All share one
//! simulated clock. Messages take their usual path to a service in this process, which the test can inspect.
//!
//! - `play`: runs of scripts and of their jobs; `advance`: the clock, and the jobs that become due;
//! - `callback`: events of the chat service, and the jobs that take them;
//! - `outside`: requests to other services, which are never sent.

mod advance;
mod callback;
mod outside;
mod play;
mod steps;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::clock::Clock;
use crate::config::{Project, Settings};
use crate::delivery::Delivery;
use crate::protocol::{HostResponse, RequestFailure};

use super::files::ProjectFiles;

use advance::TestJob;
pub(super) use outside::TestHttp;
use outside::{TestHttpReply, TestHttpRequest};
pub use play::CapturedOutput;
pub(super) use steps::answer;

/// The service that receives a test's messages.
pub trait TestService: std::fmt::Debug {
    /// Returns the messages of a group as a list, or those of all groups by group if `group` is `None`.
    fn sent(&self, group: Option<&str>) -> Value;

    /// Returns the number of messages of a group, or of all groups if `group` is `None`.
    fn count(&self, group: Option<&str>) -> u64;

    /// Uses these faults from now on.
    fn plan(&self, faults: &str) -> Result<(), String>;
}

/// The parts that a testbed is made of.
#[derive(Debug)]
pub struct TestbedParts {
    /// The project whose scripts are tested.
    pub project: Project,
    /// The settings of the project.
    pub settings: Rc<Settings>,
    /// The apps, which deliver to the service.
    pub apps: Vec<Rc<Delivery>>,
    /// The clock of everything on the testbed.
    pub clock: Clock,
    /// The project's files, with an overlay for changes.
    pub files: ProjectFiles,
    /// The service that receives the messages.
    pub service: Rc<dyn TestService>,
}

/// The environment of one test. Tests share nothing.
#[derive(Debug)]
pub struct Testbed {
    parts: TestbedParts,
    declared: RefCell<Vec<DeclaredTest>>,
    loaded: RefCell<Vec<TestJob>>,
    replies: RefCell<Vec<TestHttpReply>>,
    requests: RefCell<Vec<TestHttpRequest>>,
    runs: Cell<u64>,
    /// The ids of the callbacks so far.
    callbacks: RefCell<BTreeSet<String>>,
    /// The output and log lines of the test and its scripts.
    said: Arc<CapturedOutput>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredTest {
    /// The name, unique in its file.
    pub name: String,
    /// The place of the declaration: `scripts/tests/hello.lua:3`.
    pub place: String,
}

impl Testbed {
    /// Creates an unused testbed.
    pub fn new(parts: TestbedParts) -> Self {
        Self {
            parts,
            declared: RefCell::default(),
            loaded: RefCell::default(),
            replies: RefCell::default(),
            requests: RefCell::default(),
            runs: Cell::new(0),
            callbacks: RefCell::default(),
            said: Arc::default(),
        }
    }

    /// Returns the declared tests, in order.
    pub fn declared(&self) -> Vec<DeclaredTest> {
        self.declared.borrow().clone()
    }

    /// Returns the output and the log lines.
    pub const fn said(&self) -> &Arc<CapturedOutput> {
        &self.said
    }

    /// Returns the project's files, whose changes stay in memory.
    pub(super) fn files(&self) -> ProjectFiles {
        self.parts.files.clone()
    }

    fn declare(&self, name: String, place: String) -> Result<HostResponse, RequestFailure> {
        let mut declared = self.declared.borrow_mut();
        if name.trim().is_empty() {
            return Err(RequestFailure::invalid("name", "name: a test needs a name that says what holds"));
        }
        if let Some(other) = declared.iter().find(|other| other.name == name) {
            let message =
                format!("a test named `{name}` is at {} already; give each its own name", other.place);
            return Err(RequestFailure::invalid("name", message));
        }
        declared.push(DeclaredTest { name, place });
        Ok(HostResponse::Nothing)
    }

    fn set_clock(&self, time: &str) -> Result<HostResponse, RequestFailure> {
        let wrong = |why: &dyn std::fmt::Display| {
            RequestFailure::invalid(
                "time",
                format!("time: `{time}`: {why}; write \"2026-11-23T09:00Z\" or seconds since 1970"),
            )
        };
        let at = if let Ok(seconds) = time.parse::<f64>() {
            Duration::try_from_secs_f64(seconds).map_err(|error| wrong(&error))?
        } else {
            let at: jiff::Timestamp = time.parse().map_err(|error: jiff::Error| wrong(&error))?;
            Duration::try_from(at.as_duration()).map_err(|_| wrong(&"it is before 1970"))?
        };
        self.parts.clock.set_unix_time(at);
        // Scheduled times before the new time are dropped.
        self.loaded.borrow_mut().iter_mut().for_each(|loaded| loaded.after = at);
        Ok(HostResponse::Nothing)
    }
}
