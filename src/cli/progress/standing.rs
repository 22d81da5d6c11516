//! The state of a run's broadcasts: counts, rate, remaining time, and the reason for waiting.

use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use crate::clock::Clock;
use crate::control::{WaitView, rate_text, span};
use crate::delivery::{ActiveBroadcast, BroadcastWait, ProgressSnapshot, RateMeter, WaitKind};

use super::super::logging::LogFormat;
use super::super::runs::local_text;

/// The state of the active broadcasts, added up.
#[derive(Debug)]
pub(super) struct ProgressSummary {
    /// `NAME/RUN`, or the number of broadcasts.
    pub(super) name: String,
    pub(super) total: u64,
    sent: u64,
    rejected: u64,
    in_doubt: u64,
    pending: u64,
    /// The recent rate in recipients per second. `None` until it is known.
    rate: Option<f64>,
    /// The maximum rate.
    most: f64,
    /// The remaining time. `None` if it is unknown.
    left: Option<Duration>,
    waits_for: Option<ProgressWait>,
}

#[derive(Debug)]
struct ProgressWait {
    text: String,
    /// Whether it is the usual reason, the quota.
    usual: bool,
}

/// Measures the rate of a run's broadcasts together.
#[derive(Debug, Default)]
pub(super) struct ProgressMeter {
    meter: RateMeter,
    /// The number of measured broadcasts. If it changes, the measurement starts again.
    many: usize,
}

impl ProgressSummary {
    /// The state of the active broadcasts. `None` if there is none.
    pub(super) fn of(
        broadcasts: &[Rc<ActiveBroadcast>],
        meter: &mut ProgressMeter,
        clock: &Clock,
    ) -> Option<Self> {
        let looks: Vec<(&ActiveBroadcast, ProgressSnapshot)> = broadcasts
            .iter()
            .filter(|one| one.end().is_none())
            .map(|one| (&**one, one.progress.snapshot()))
            .collect();
        let (first, _) = looks.first()?;
        let sum =
            |count: fn(&ProgressSnapshot) -> u64| looks.iter().map(|(_, look)| count(look)).sum::<u64>();
        if meter.many != looks.len() {
            *meter = ProgressMeter { many: looks.len(), ..ProgressMeter::default() };
        }
        let rate = meter.meter.rate(clock.now(), sum(|look| look.sent_now));
        let quota = first.quota().status();
        let most = match (looks.len(), first.cap) {
            (1, Some(cap)) => cap.min(quota.pace),
            _ => quota.pace,
        };
        let pending = sum(|look| ActiveBroadcast::left(&look.counts));
        let waits = looks.iter().filter_map(|(one, _)| Some((*one, one.wait()?)));
        let rarest = waits.min_by_key(|(_, wait)| wait.kind);
        let wait = rarest.as_ref().map(|(_, wait)| wait);
        let left = rarest.as_ref().map_or(*first, |(one, _)| one).time_left(pending, rate, most, wait);
        Some(Self {
            name: match looks.len() {
                1 => format!("{}/{}", first.name, first.run),
                many => format!("{many} broadcasts"),
            },
            total: sum(|look| look.counts.total()),
            sent: sum(|look| look.counts.sent),
            rejected: sum(|look| look.counts.rejected),
            in_doubt: sum(|look| look.counts.in_doubt),
            pending,
            rate,
            most,
            left,
            waits_for: waits_for(wait, clock),
        })
    }

    /// The number of recipients that are no longer pending.
    pub(super) const fn done(&self) -> u64 {
        self.total.saturating_sub(self.pending)
    }

    /// A text for a terminal's width, with the most important part first.
    pub(super) fn short(&self) -> String {
        let mut parts = Vec::new();
        let unusual = self.waits_for.as_ref().filter(|wait| !wait.usual);
        parts.extend(unusual.map(|wait| wait.text.clone()));
        parts.push(self.counts("/"));
        if unusual.is_none() {
            let rate = self.rate.map_or_else(String::new, |rate| format!("{} of ", rate_text(rate)));
            parts.push(format!("{rate}{}/s", rate_text(self.most)));
        }
        parts.extend(self.left.map(|left| format!("{} left", span(left.as_secs_f64()))));
        parts.extend(self.waits_for.as_ref().filter(|wait| wait.usual).map(|wait| wait.text.clone()));
        parts.join(", ")
    }

    /// The full text.
    fn long(&self) -> String {
        let mut text = format!("{}: {}", self.name, self.counts(" of "));
        if let Some(rate) = self.rate {
            let _ = write!(text, "; {} a second of {}", rate_text(rate), rate_text(self.most));
        }
        if let Some(left) = self.left {
            let _ = write!(text, "; {} left", span(left.as_secs_f64()));
        }
        if let Some(wait) = &self.waits_for {
            let _ = write!(text, "; {}", wait.text);
        }
        text
    }

    fn counts(&self, of: &str) -> String {
        let mut text = format!("{}{of}{} sent", self.sent, self.total);
        for (count, what) in [(self.rejected, "rejected"), (self.in_doubt, "in doubt")] {
            if count > 0 {
                let _ = write!(text, ", {count} {what}");
            }
        }
        text
    }

    /// Writes the state to the log: a sentence for people, fields for programs.
    pub(super) fn log(&self, format: LogFormat) {
        if format == LogFormat::Text {
            tracing::info!("{}", self.long());
            return;
        }
        tracing::info!(
            broadcast = self.name,
            total = self.total,
            sent = self.sent,
            rejected = self.rejected,
            in_doubt = self.in_doubt,
            pending = self.pending,
            per_second = self.rate,
            most_per_second = self.most,
            seconds_left = self.left.map(|left| left.as_secs_f64()),
            waits_for = self.waits_for.as_ref().map(|wait| wait.text.as_str()),
            "{}",
            self.long()
        );
    }
}

/// The reason for waiting, in the words of the page.
fn waits_for(wait: Option<&BroadcastWait>, clock: &Clock) -> Option<ProgressWait> {
    let wait = wait?;
    let mut text = WaitView::new(wait, clock.unix_time()).sentence(&local_text);
    if wait.kind == WaitKind::Resume {
        text += "; to continue it: `mooncast runs resume`";
    }
    Some(ProgressWait { text, usual: wait.kind.is_usual() })
}
