//! What the thread of the simulation shares with the simulated processes: whose turn it is, who is dead, and the log.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;

use mooncast::{Clock, TurnOrder};

use crate::random::Random;
use crate::story::KillPoint;

/// The number of a process and of its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    pub process: usize,
    pub start: usize,
}

#[derive(Debug, Default)]
struct LifeState {
    is_dead: bool,
    kill: Option<KillPoint>,
}

#[derive(Debug)]
struct State {
    random: Random,
    current: Life,
    lives: Vec<Vec<LifeState>>,
    /// Whether another process is to go first.
    gives_way: bool,
    waker: Option<Waker>,
    log: Vec<(u128, String)>,
    problems: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Control(Arc<Mutex<State>>);

impl Control {
    pub fn new(seed: u64, processes: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            random: Random::new(seed, 2),
            current: Life { process: 0, start: 0 },
            lives: (0..processes).map(|_| Vec::new()).collect(),
            gives_way: false,
            waker: None,
            log: Vec::new(),
            problems: Vec::new(),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub fn begin_life(&self, process: usize) -> Life {
        let lives = &mut self.state().lives[process];
        lives.push(LifeState::default());
        Life { process, start: lives.len() - 1 }
    }

    /// Arms a kill.
    pub fn kill(&self, life: Life, point: KillPoint) {
        self.state().of(life).kill = Some(point);
        if matches!(point, KillPoint::Now) {
            self.state().of(life).is_dead = true;
        }
    }

    /// Disarms all kills.
    pub fn spare(&self) {
        self.state().lives.iter_mut().flatten().for_each(|life| life.kill = None);
    }

    /// How many processes were killed.
    pub fn deaths(&self) -> usize {
        self.state().lives.iter().flatten().filter(|life| life.is_dead).count()
    }

    pub fn is_dead(&self, life: Life) -> bool {
        self.state().of(life).is_dead
    }

    /// The process that is being run.
    pub fn runs(&self, life: Life, waker: Waker) {
        let mut state = self.state();
        state.current = life;
        state.waker = Some(waker);
    }

    /// Wakes the task that runs the current process.
    pub fn wake(&self) {
        let waker = self.state().waker.clone();
        waker.inspect(Waker::wake_by_ref);
    }

    /// Whether the current process is to give way to another one; asked once.
    pub fn takes_gives_way(&self) -> bool {
        std::mem::take(&mut self.state().gives_way)
    }

    /// Counts a poll of the process; returns whether it lives.
    pub fn polled(&self, life: Life) -> bool {
        let mut state = self.state();
        let life = state.of(life);
        if let Some(KillPoint::Poll(left)) = &mut life.kill {
            *left = left.saturating_sub(1);
            life.is_dead |= *left == 0;
        }
        !life.is_dead
    }

    /// Counts a request of a process, when it begins or when it has arrived; returns whether the process lives.
    pub fn requests(&self, life: Life, arrived: bool) -> bool {
        let mut state = self.state();
        let life = state.of(life);
        let left = match &mut life.kill {
            Some(KillPoint::BeforeRequest(left)) if !arrived => left,
            Some(KillPoint::AfterRequest(left)) if arrived => left,
            _ => return !life.is_dead,
        };
        *left = left.saturating_sub(1);
        life.is_dead |= *left == 0;
        !life.is_dead
    }

    pub fn index(&self, length: usize) -> usize {
        self.state().random.index(length)
    }

    pub fn log(&self, clock: &Clock, line: impl Into<String>) {
        self.state().log.push((clock.now().since_start().as_micros(), line.into()));
    }

    /// Records that something happened that must never happen.
    pub fn problem(&self, clock: &Clock, line: impl Into<String>) {
        let line = line.into();
        self.log(clock, format!("PROBLEM: {line}"));
        self.state().problems.push(line);
    }

    pub fn problems(&self) -> Vec<String> {
        self.state().problems.clone()
    }

    /// The log, and its hash.
    pub fn told(&self) -> (String, u64) {
        let mut text = String::new();
        for (micros, line) in &self.state().log {
            let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
            writeln!(text, "{seconds:>6}.{rest:06} {line}").unwrap();
        }
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        (text, hasher.finish())
    }
}

impl TurnOrder for Control {
    fn process(&self) -> u64 {
        self.state().current.process as u64
    }

    /// Also decides whether the process dies.
    fn gives_way(&self) -> bool {
        let mut state = self.state();
        let life = state.current;
        let life = state.of(life);
        if let Some(KillPoint::Access(left)) = &mut life.kill {
            *left = left.saturating_sub(1);
            life.is_dead |= *left == 0;
        }
        let is_dead = life.is_dead;
        let gives_way = is_dead || state.random.once_in(6);
        state.gives_way |= gives_way;
        drop(state);
        if gives_way {
            self.wake();
        }
        gives_way
    }
}

impl State {
    fn of(&mut self, life: Life) -> &mut LifeState {
        &mut self.lives[life.process][life.start]
    }
}
