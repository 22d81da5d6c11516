//! The jobs of checked scripts: their next runs, and conflicts between their names.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::schedule::Job;

/// The number of scheduled times that are shown per job.
const SHOWN: usize = 5;

/// The job names seen so far, with their locations.
#[derive(Debug, Default)]
pub(super) struct TakenJobNames(HashMap<String, String>);

impl TakenJobNames {
    /// Adds the names of a script's jobs. Returns the conflicts with other scripts as `LINE: reason`.
    pub(super) fn take(&mut self, jobs: &[Rc<Job>]) -> Vec<String> {
        let mut refused = Vec::new();
        for job in jobs {
            let line = job.place.rsplit(':').next().unwrap_or("1");
            match self.0.get(&job.name) {
                Some(other) => refused.push(format!(
                    "{line}: {other} already declares a job named `{}`; give this job another `name`",
                    job.name
                )),
                None => {
                    self.0.insert(job.name.clone(), job.place.clone());
                }
            }
        }
        refused
    }
}

/// A job and its next scheduled times in its zone and in UTC, one per line.
pub(super) fn describe(job: &Job, now: Duration) -> Vec<String> {
    let mut lines = vec![format!("{}: job `{}`: {}", job.place, job.name, job.times())];
    let instants = std::iter::successors(job.next_after(now), |last| job.next_after(*last));
    lines.extend(instants.take(SHOWN).filter_map(|time| shown(job.zone(), time)));
    if lines.len() == 1 && !job.has_inputs() {
        lines.push("    never: its time has passed".to_owned());
    }
    lines
}

/// `Mon 2026-11-23 17:00:00 +08:00  2026-11-23T09:00:00Z`
fn shown(zone: &TimeZone, time: Duration) -> Option<String> {
    let time = Timestamp::from_duration(time.try_into().ok()?).ok()?;
    let there = time.to_zoned(zone.clone()).strftime("    %a %F %T %:z").to_string();
    Some(if *zone == TimeZone::UTC { there } else { format!("{there}  {time}") })
}
