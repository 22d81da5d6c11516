//! The process that runs the cases of a target, and its judgement of each.

use std::collections::HashSet;
use std::fmt;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::FileExt as _;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::clock::Clock;

use super::FuzzTarget;
use super::mutate::Mutator;
use super::usage::{self, Growth};

/// The file with the input of the case.
pub(super) const INPUT: &str = "input";

/// The file with the end: what was found.
pub(super) const END: &str = "end";

const TASK: &str = "task";

/// The most processor time that a case may take.
const MOST_TIME: Duration = Duration::from_secs(1);

/// The most bytes by which a case may make the process grow.
const MOST_GROWTH: u64 = 64 << 20;

/// Cases whose growth is measured together.
const BATCH: usize = 64;

/// The most inputs that are kept.
const MOST_KEPT: usize = 4096;

/// What a process is to do.
pub(super) enum Task {
    Cases {
        seed: u64,
        cases: u64,
    },
    Minutes {
        seed: u64,
        minutes: u64,
    },
    /// To judge the input in the file alone.
    Alone,
}

impl Task {
    pub(super) fn write(&self, folder: &Path) {
        let text = match self {
            Self::Cases { seed, cases } => format!("cases {seed} {cases}"),
            Self::Minutes { seed, minutes } => format!("minutes {seed} {minutes}"),
            Self::Alone => "alone 0 0".to_owned(),
        };
        fs::write(folder.join(TASK), text).unwrap();
    }

    fn read(folder: &Path) -> Self {
        let text = fs::read_to_string(folder.join(TASK)).unwrap();
        let words: Vec<&str> = text.split(' ').collect();
        let number = |index: usize| words[index].parse().unwrap();
        match words[0] {
            "cases" => Self::Cases { seed: number(1), cases: number(2) },
            "minutes" => Self::Minutes { seed: number(1), minutes: number(2) },
            _ => Self::Alone,
        }
    }
}

/// What an input must not do.
#[derive(Debug)]
pub(super) struct CaseFault {
    /// `panic at FILE:LINE:COLUMN`, `time`, `growth` or `death`.
    kind: String,
    detail: String,
}

impl CaseFault {
    pub(super) fn new(kind: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { kind: kind.into(), detail: detail.into() }
    }

    /// Whether arithmetic of another crate exceeded its type. The released program is built without this check and goes
    /// on, and `tests/soak` runs the cases in such a build.
    fn is_overflow_of_a_dependency(&self) -> bool {
        self.kind.starts_with("panic at /") && self.detail.ends_with("with overflow")
    }

    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl fmt::Display for CaseFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.kind, self.detail)
    }
}

/// Reads the file with the end.
pub(super) fn read_end(text: &str) -> Result<String, CaseFault> {
    let mut lines = text.splitn(3, '\n');
    let mut next = || lines.next().unwrap_or_default();
    match next() {
        "report" => Ok(next().to_owned()),
        _ => Err(CaseFault::new(next(), next())),
    }
}

/// Does the task of the folder.
pub(super) fn work(target: &FuzzTarget, folder: &Path) {
    usage::limit_memory();
    let judge = Judge::new(target);
    let found = match Task::read(folder) {
        Task::Alone => {
            let input = fs::read(folder.join(INPUT)).unwrap();
            judge.alone(&input).map(|outcome| outcome.replace('\n', " "))
        }
        Task::Cases { seed, cases } => FuzzRun::new(target, &judge, folder, seed).all(|done| done < cases),
        Task::Minutes { seed, minutes } => {
            let clock = Clock::real();
            let begun = clock.now();
            let length = Duration::from_secs(minutes * 60);
            FuzzRun::new(target, &judge, folder, seed).all(|_| clock.now().saturating_since(begun) < length)
        }
    };
    let end = match found {
        Ok(report) => format!("report\n{report}"),
        Err(fault) => format!("fault\n{}\n{}", fault.kind, fault.detail),
    };
    fs::write(folder.join(END), end).unwrap();
}

/// Judges single cases.
struct Judge<'target> {
    target: &'target FuzzTarget,
    /// The panics of all threads since they were last taken.
    panics: Arc<Mutex<Option<CaseFault>>>,
}

impl<'target> Judge<'target> {
    fn new(target: &'target FuzzTarget) -> Self {
        let panics = Arc::new(Mutex::new(None));
        let noted = Arc::clone(&panics);
        panic::set_hook(Box::new(move |panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let what = panic.payload_as_str().unwrap_or_default().replace('\n', " ");
            noted.lock().unwrap().get_or_insert(CaseFault::new(format!("panic at {place}"), what));
        }));
        Self { target, panics }
    }

    /// Reads an input and judges everything but the growth.
    fn case(&self, input: &[u8]) -> Result<String, CaseFault> {
        let before = usage::processor_time();
        usage::limit_time(before);
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| (self.target.read)(input)));
        let spent = usage::processor_time().saturating_sub(before);
        let panicked = self.panics.lock().unwrap().take();
        match (panicked, outcome) {
            (Some(fault), _) if fault.is_overflow_of_a_dependency() => Ok(fault.to_string()),
            (Some(fault), _) => Err(fault),
            (None, Err(_)) => Err(CaseFault::new("panic at an unknown place", "")),
            (None, Ok(_)) if spent > MOST_TIME => {
                Err(CaseFault::new("time", format!("{} ms of processor time", spent.as_millis())))
            }
            (None, Ok(outcome)) => Ok(outcome),
        }
    }

    /// Judges an input, its growth too.
    fn alone(&self, input: &[u8]) -> Result<String, CaseFault> {
        let growth = Growth::begin();
        let outcome = self.case(input)?;
        let highest = growth.highest();
        if highest > MOST_GROWTH {
            return Err(CaseFault::new("growth", format!("{} MB", highest >> 20)));
        }
        Ok(outcome)
    }
}

/// A run of many cases.
struct FuzzRun<'target> {
    target: &'target FuzzTarget,
    judge: &'target Judge<'target>,
    file: File,
    random: StdRng,
    /// The inputs that are changed.
    kept: Vec<Vec<u8>>,
    /// Hashes of the outcomes so far.
    outcomes: HashSet<u64>,
    understood: u64,
}

impl<'target> FuzzRun<'target> {
    fn new(target: &'target FuzzTarget, judge: &'target Judge<'target>, folder: &Path, seed: u64) -> Self {
        Self {
            target,
            judge,
            file: File::create(folder.join(INPUT)).unwrap(),
            random: StdRng::seed_from_u64(seed),
            kept: Vec::new(),
            outcomes: HashSet::new(),
            understood: 0,
        }
    }

    /// Runs cases as long as `goes_on` says so of their number. Returns a report.
    fn all(&mut self, goes_on: impl Fn(u64) -> bool) -> Result<String, CaseFault> {
        for seed in (self.target.seeds)() {
            self.begin(&seed);
            let outcome = self.judge.alone(&seed)?;
            if !outcome.starts_with("ok") {
                return Err(CaseFault::new("seed", outcome));
            }
            self.outcomes.insert(shape(&outcome));
            self.kept.push(seed);
        }
        let seeds = self.kept.len();
        let mut mutator = Mutator::new(StdRng::seed_from_u64(self.random.random()), self.target.words);
        let mut done = 0;
        while goes_on(done) {
            let growth = Growth::begin();
            let mut batch = Vec::with_capacity(BATCH);
            while batch.len() < BATCH && goes_on(done) {
                let input = mutator.changed(&self.kept);
                self.begin(&input);
                let outcome = self.judge.case(&input)?;
                self.understood += u64::from(outcome.starts_with("ok"));
                if self.outcomes.insert(shape(&outcome)) {
                    self.keep(input.clone(), seeds);
                }
                batch.push(input);
                done += 1;
            }
            if growth.highest() > MOST_GROWTH {
                for input in &batch {
                    self.begin(input);
                    self.judge.alone(input)?;
                }
            }
        }
        Ok(format!(
            "{done} cases, {} understood, {} ways to be read, {} ms of processor time",
            self.understood,
            self.outcomes.len(),
            usage::processor_time().as_millis()
        ))
    }

    /// Writes the input of the next case, in case that it ends the process.
    fn begin(&self, input: &[u8]) {
        self.file.set_len(0).unwrap();
        self.file.write_all_at(input, 0).unwrap();
    }

    fn keep(&mut self, input: Vec<u8>, seeds: usize) {
        if self.kept.len() < MOST_KEPT {
            self.kept.push(input);
        } else {
            let index = self.random.random_range(seeds..MOST_KEPT);
            self.kept[index] = input;
        }
    }
}

/// Hashes what is common to outcomes of one kind: an outcome without its numbers, and without quoted parts that are no
/// names.
fn shape(outcome: &str) -> u64 {
    let is_name = |text: &str| {
        text.len() <= 24 && text.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b' '))
    };
    let parts = outcome.split(['`', '"', '«', '»']).take(20).enumerate();
    let common = parts.filter(|(index, part)| index % 2 == 0 || is_name(part)).map(|(_, part)| part);
    let mut hasher = DefaultHasher::new();
    for letter in common.flat_map(str::chars).filter(|letter| !letter.is_numeric()).take(300) {
        letter.hash(&mut hasher);
    }
    hasher.finish()
}
