//! Runs a story: one thread, one clock, and one process after the other until all of them wait for the time.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use mooncast::{Clock, Instant};
use tokio_util::sync::CancellationToken;

use crate::control::{Control, Life};
use crate::operator::{Desk, Operator};
use crate::runtime::{Process, Rest};
use crate::sender::Sender;
use crate::service::{Sent, Service};
use crate::story::{Story, What};

/// 2026-03-02T08:00:00Z.
const START: Duration = Duration::from_hours(492_344);
/// How long it may take until everything has ended after the last fault.
const BOUND: Duration = Duration::from_hours(6);
/// How often it is looked whether everything has ended.
const LOOK: Duration = Duration::from_secs(30);

struct World {
    story: Rc<Story>,
    clock: Clock,
    control: Control,
    service: Arc<Service>,
    folder: PathBuf,
    desk: Rc<Desk>,
    processes: Vec<Option<Process>>,
    stops: Vec<CancellationToken>,
}

/// What a run of a story left behind.
pub struct Outcome {
    pub story: Rc<Story>,
    pub desk: Rc<Desk>,
    pub sent: Vec<Sent>,
    pub problems: Vec<String>,
    pub log: String,
    pub hash: u64,
    pub lasted: Duration,
    pub kills: usize,
}

/// Runs a story to its end.
pub fn run(story: &Story) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    // The operator is one process more.
    let control = Control::new(story.seed, story.processes + 1);
    let clock = Clock::shared(START, Arc::new(control.clone()));
    let service = Service::new(story.seed, &clock, &control, story.faults, &story.refused);
    let mut world = World {
        story: Rc::new(story.clone()),
        clock,
        control,
        service,
        folder: folder.path().join("state"),
        desk: Rc::default(),
        processes: (0..=story.processes).map(|_| None).collect(),
        stops: (0..story.processes).map(|_| CancellationToken::new()).collect(),
    };
    world.begin_operator();
    world.play();
    let kills = world.control.deaths();
    world.finish();
    // Their destructors come before the folder's.
    world.processes.clear();
    let (log, hash) = world.control.told();
    Outcome {
        story: world.story,
        desk: world.desk,
        sent: world.service.sent(),
        problems: world.control.problems(),
        log,
        hash,
        lasted: world.clock.now().since_start(),
        kills,
    }
}

impl World {
    fn begin_operator(&mut self) {
        let index = self.story.processes;
        let life = self.control.begin_life(index);
        let operator = Operator {
            story: Rc::clone(&self.story),
            clock: self.clock.clone(),
            control: self.control.clone(),
            folder: self.folder.clone(),
            desk: Rc::clone(&self.desk),
        };
        self.processes[index] = Some(Process::new(&self.clock, &self.control, life, operator.begin()));
    }

    fn start(&mut self, index: usize) {
        if self.processes[index].is_some() {
            return;
        }
        let life = self.control.begin_life(index);
        let stop = CancellationToken::new();
        let sender = Sender {
            story: Rc::clone(&self.story),
            clock: self.clock.clone(),
            control: self.control.clone(),
            folder: self.folder.clone(),
            life,
            stop: stop.clone(),
        };
        let main = sender.begin(self.service.wire(life));
        self.stops[index] = stop;
        self.processes[index] = Some(Process::new(&self.clock, &self.control, life, main));
    }

    fn happens(&mut self, what: What) {
        self.control.log(&self.clock, format!("{what:?}"));
        match what {
            What::Start(index) => self.start(index),
            What::Kill(index, point) => {
                if let Some(process) = &self.processes[index] {
                    self.control.kill(process.life, point);
                }
            }
            What::Stop(index) => self.stops[index].cancel(),
            What::Command(..) | What::Approve(_) | What::Reject(_) => self.desk.act(what),
            What::SetClock(by) => {
                let seconds = Duration::from_secs(by.unsigned_abs());
                let now = self.clock.unix_time();
                self.clock.set_unix_time(if by < 0 { now.saturating_sub(seconds) } else { now + seconds });
            }
            What::Partition(seconds) => self.service.cut_off(seconds),
            What::Throttle(seconds) => self.service.throttle(seconds),
        }
    }

    /// Runs all processes until each waits for the time, one at a time, in an order of the seed.
    fn run_all(&mut self) {
        let mut ready: Vec<usize> =
            (0..self.processes.len()).filter(|index| self.processes[*index].is_some()).collect();
        while !ready.is_empty() {
            let place = self.control.index(ready.len());
            let index = ready[place];
            let process = self.processes[index].as_mut().unwrap();
            match process.run() {
                Rest::GivesWay => continue,
                Rest::Idle => {}
                Rest::Killed => {
                    let Life { process, start } = process.life;
                    self.control.log(&self.clock, format!("p{}.{} is dead", process + 1, start + 1));
                    self.processes[index] = None;
                }
                Rest::Ended => self.processes[index] = None,
            }
            ready.swap_remove(place);
        }
    }

    /// Moves the time to the next thing that happens, but not beyond `most`.
    fn advance(&mut self, most: Instant) {
        self.service.settle();
        let next = [self.clock.next_deadline(), self.service.next_arrival()];
        let next = next.into_iter().flatten().fold(most, Instant::min);
        self.clock.advance_to(next);
        self.service.deliver();
    }

    /// Runs until an instant.
    fn run_until(&mut self, end: Instant) {
        loop {
            self.run_all();
            if self.clock.now() >= end {
                return;
            }
            self.advance(end);
        }
    }

    fn play(&mut self) {
        let story = Rc::clone(&self.story);
        for event in &story.events {
            self.run_until(Instant::from_start(event.at));
            self.happens(event.what);
        }
        self.run_until(Instant::from_start(story.ends() + Duration::from_secs(1)));
    }

    /// Ends all faults, and runs until everything has ended.
    fn finish(&mut self) {
        self.control.log(&self.clock, "all faults end");
        self.service.heal();
        self.control.spare();
        for index in 0..self.story.processes {
            self.start(index);
        }
        let end = self.clock.now() + BOUND;
        while !*self.desk.is_quiet.borrow() && self.clock.now() < end {
            self.run_until(self.clock.now() + LOOK);
            self.desk.look();
            self.run_until(self.clock.now() + Duration::from_millis(1));
        }
        if !*self.desk.is_quiet.borrow() {
            self.control.problem(&self.clock, "not everything has ended");
        }
        // What is stopped ends; a last process settles what dead ones left.
        self.stops.iter().for_each(CancellationToken::cancel);
        self.run_until(self.clock.now() + Duration::from_mins(2));
        for index in 0..self.story.processes {
            if self.processes[index].is_some() {
                self.control.problem(&self.clock, format!("p{} does not stop", index + 1));
            }
        }
        if self.story.processes > 0 {
            self.start(0);
            self.run_until(self.clock.now() + Duration::from_secs(5));
        }
        self.desk.report();
        self.run_all();
    }
}
