//! The story of a seed: who sends what, and what happens meanwhile. A story can be run without some of its events.

use std::fmt;
use std::time::Duration;

use mooncast::{BroadcastCommand, Call, InDoubtPolicy};

use crate::random::Random;

/// How the network and the service behave: each fault happens once in this many requests; 0 is never.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    pub lost_before: u64,
    pub lost_after: u64,
    pub truncated: u64,
    pub hangs: u64,
    pub throttled: u64,
    pub broken: u64,
    pub partial: u64,
    /// Arrives up to twenty seconds late.
    pub slow: u64,
}

#[derive(Debug, Clone)]
pub struct Planned {
    pub name: String,
    pub begins: Duration,
    pub call: Call,
    pub policy: InDoubtPolicy,
    pub groups: Vec<u64>,
    pub pack: u16,
    pub rate: Option<u64>,
    /// Messages to a group within an hour.
    pub cap: Option<u32>,
    /// Minutes after the start between which it may be sent.
    pub window: Option<(u64, u64)>,
    pub needs_approval: bool,
}

#[derive(Debug, Clone)]
pub struct Single {
    pub at: Duration,
    pub process: usize,
    pub text: String,
    pub group: u64,
    pub once: bool,
}

/// Where a process is killed.
#[derive(Debug, Clone, Copy)]
pub enum KillPoint {
    Now,
    /// After this many polls of its tasks.
    Poll(u64),
    /// Before this access to the ledger.
    Access(u64),
    /// At this request, which never arrives.
    BeforeRequest(u64),
    /// When this request has arrived.
    AfterRequest(u64),
}

#[derive(Debug, Clone, Copy)]
pub enum What {
    Start(usize),
    Kill(usize, KillPoint),
    /// Asks the process to end.
    Stop(usize),
    Command(usize, BroadcastCommand),
    Approve(usize),
    Reject(usize),
    /// Sets the clock of the machine forward or back, by seconds.
    SetClock(i64),
    /// Nothing reaches the service for this many seconds.
    Partition(u64),
    /// The service refuses everything for this many seconds.
    Throttle(u64),
}

#[derive(Debug, Clone, Copy)]
pub struct Event {
    pub at: Duration,
    pub what: What,
}

#[derive(Debug, Clone)]
pub struct Story {
    pub seed: u64,
    pub processes: usize,
    /// Messages a second.
    pub quota: u32,
    pub faults: Faults,
    /// The service refuses every message to these groups.
    pub refused: Vec<u64>,
    pub broadcasts: Vec<Planned>,
    pub singles: Vec<Single>,
    pub events: Vec<Event>,
}

impl Story {
    pub fn new(seed: u64) -> Self {
        let random = &mut Random::new(seed, 1);
        let processes = usize::try_from(random.within(1, 3)).unwrap();
        let quota = u32::try_from(random.within(3, 40)).unwrap();
        let refused = if random.once_in(3) { vec![1_003, 1_017] } else { Vec::new() };
        let count = random.within(1, 4);
        let capped = random.once_in(3);
        let broadcasts: Vec<_> =
            (1..=count).map(|number| Planned::new(number, capped, refused.is_empty(), random)).collect();
        let singles = (1..=random.below(9)).map(|number| Single::new(number, processes, random)).collect();
        let mut story = Self {
            seed,
            processes,
            quota,
            faults: faults(random),
            refused,
            broadcasts,
            singles,
            events: Vec::new(),
        };
        story.add_events(random);
        story.events.sort_by_key(|event| event.at);
        story
    }

    fn add_events(&mut self, random: &mut Random) {
        let mut event = |at: Duration, what| self.events.push(Event { at, what });
        for process in 0..self.processes {
            event(Duration::from_millis(random.below(3_000)), What::Start(process));
            let mut at = Duration::from_millis(random.within(50, 30_000));
            for _ in 0..random.below(5) {
                let point = match random.below(8) {
                    0 => KillPoint::Now,
                    1 | 2 => KillPoint::Poll(random.within(1, 400)),
                    3 | 4 => KillPoint::Access(random.within(1, 120)),
                    5 => KillPoint::BeforeRequest(random.within(1, 25)),
                    _ => KillPoint::AfterRequest(random.within(1, 25)),
                };
                let what = if random.once_in(6) { What::Stop(process) } else { What::Kill(process, point) };
                event(at, what);
                at += Duration::from_millis(random.within(1_000, 25_000));
                event(at, What::Start(process));
                at += Duration::from_millis(random.within(100, 40_000));
            }
        }
        for (index, broadcast) in self.broadcasts.iter().enumerate() {
            let mut at = broadcast.begins + Duration::from_millis(random.within(500, 20_000));
            if broadcast.needs_approval {
                match random.below(5) {
                    0 => event(at, What::Reject(index)),
                    1 => {}
                    _ => event(at, What::Approve(index)),
                }
            }
            while random.once_in(3) {
                at += Duration::from_millis(random.within(100, 15_000));
                event(at, What::Command(index, BroadcastCommand::Pause));
                at += Duration::from_millis(random.within(2_000, 60_000));
                if !random.once_in(6) {
                    event(at, What::Command(index, BroadcastCommand::Run));
                }
            }
            if random.once_in(7) {
                at += Duration::from_millis(random.within(100, 20_000));
                event(at, What::Command(index, BroadcastCommand::Cancel));
            }
        }
        for _ in 0..random.below(3) {
            let at = Duration::from_millis(random.within(500, 90_000));
            let seconds = random.within(2, 240);
            let signed = i64::try_from(seconds * 7).unwrap();
            event(
                at,
                match random.below(4) {
                    0 => What::SetClock(signed),
                    1 => What::SetClock(-signed),
                    2 => What::Partition(seconds),
                    _ => What::Throttle(seconds / 2),
                },
            );
        }
    }

    /// Whether every request arrives at once, as the quota assumes.
    pub fn is_prompt(&self) -> bool {
        self.faults.slow == 0
    }

    pub fn sets_clock(&self) -> bool {
        self.events.iter().any(|event| matches!(event.what, What::SetClock(_)))
    }

    /// When the last event happens.
    pub fn ends(&self) -> Duration {
        let events = self.events.iter().map(|event| event.at);
        let singles = self.singles.iter().map(|single| single.at);
        let begins = self.broadcasts.iter().map(|planned| planned.begins);
        events.chain(singles).chain(begins).max().unwrap_or_default()
    }
}

fn faults(random: &mut Random) -> Faults {
    if random.once_in(3) {
        return Faults::default();
    }
    let mut rarely = |often: u64| if random.once_in(2) { random.within(often, often * 10) } else { 0 };
    Faults {
        lost_before: rarely(8),
        lost_after: rarely(8),
        truncated: rarely(12),
        hangs: rarely(25),
        throttled: rarely(6),
        broken: rarely(12),
        partial: rarely(12),
        slow: rarely(20),
    }
}

impl Planned {
    fn new(number: u64, capped: bool, may_pack: bool, random: &mut Random) -> Self {
        let call = if random.once_in(4) { Call::Targeted } else { Call::Group };
        let first = 1_000 + random.below(30);
        let may_pack = may_pack && call == Call::Group;
        let is_capped = capped && call == Call::Group && random.once_in(2);
        Self {
            name: format!("b{number}"),
            begins: Duration::from_millis(random.below(20_000)),
            call,
            policy: if random.once_in(2) { InDoubtPolicy::Hold } else { InDoubtPolicy::Resend },
            groups: (first..first + random.within(5, 60)).collect(),
            pack: if may_pack { u16::try_from(random.within(1, 3)).unwrap() } else { 1 },
            rate: random.once_in(3).then(|| random.within(1, 20)),
            cap: is_capped.then(|| u32::try_from(random.within(1, 2)).unwrap()),
            window: random.once_in(6).then(|| (random.below(5), 150)),
            needs_approval: random.once_in(4),
        }
    }
}

impl Single {
    fn new(number: u64, processes: usize, random: &mut Random) -> Self {
        let once = random.once_in(2);
        Self {
            at: Duration::from_millis(random.below(60_000)),
            process: random.index(processes),
            text: if once { format!("once{}", number % 3) } else { format!("s{number}") },
            group: if once { 2_000 + number % 3 } else { 2_100 + number },
            once,
        }
    }
}

impl fmt::Display for Story {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, processes, quota, faults, refused, .. } = self;
        writeln!(
            formatter,
            "seed {seed}: {processes} processes, {quota} messages a second, {faults:?}, refused {refused:?}"
        )?;
        for planned in &self.broadcasts {
            writeln!(formatter, "  {planned:?}")?;
        }
        for single in &self.singles {
            writeln!(formatter, "  {single:?}")?;
        }
        for Event { at, what } in &self.events {
            writeln!(formatter, "  {at:?}: {what:?}")?;
        }
        Ok(())
    }
}
