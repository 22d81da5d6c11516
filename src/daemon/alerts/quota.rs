//! Alerts about quotas that the service refuses for a long time, although the pacer slows down after each refusal.
//! Either another client uses the app too, or the limits in `mooncast.toml` exceed the granted ones.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::config::AlertKind;
use crate::delivery::Delivery;
use crate::message::{counted, counted_as};
use crate::quota::Quota;
use crate::schedule::run_name;

use super::{Alert, AlertSender};

/// The polling interval. A refusal stays visible for a minute.
const LOOK: Duration = Duration::from_secs(30);

impl AlertSender {
    /// Watches the apps' quotas while it is polled. It raises one alert when a quota was refused for the time in
    /// `[alerts] after` without a pause of a minute.
    pub async fn watch_quotas(&self, apps: &[Rc<Delivery>]) {
        // For each refused quota: when the refusals began, and whether the alert was raised.
        let mut refused: BTreeMap<(usize, &'static str), (Duration, bool)> = BTreeMap::new();
        loop {
            for (index, app) in apps.iter().enumerate() {
                for status in app.quotas().all().map(Quota::status) {
                    let now = self.clock.unix_time();
                    let place = (index, status.name);
                    if status.throttled_last_minute == 0 {
                        refused.remove(&place);
                        continue;
                    }
                    let (since, told) = refused.entry(place).or_insert((now, false));
                    if *told || self.to().is_none_or(|to| now.saturating_sub(*since) < to.settings.after) {
                        continue;
                    }
                    *told = true;
                    let (name, minutes) = (app.name(), now.saturating_sub(*since).as_secs() / 60);
                    let since = run_name(Duration::from_secs(since.as_secs()));
                    let text = format!(
                        "app `{name}`: the service has refused {} over its rate limit for {}; {} refused \
                         in the last minute, and Mooncast now sends {:.0} of {} a second",
                        status.name,
                        counted(minutes, "minute"),
                        counted_as(status.throttled_last_minute, "was", "were"),
                        status.pace,
                        status.per_second
                    );
                    let about = format!("{name} {} {since}", status.name);
                    self.raise(Alert {
                        next: Some(
                            "check which other programs use the app, or set `share` under [app.limits]"
                                .to_owned(),
                        ),
                        app: Some(name.to_owned()),
                        figures: [("refused_last_minute", status.throttled_last_minute)].into(),
                        ..Alert::new(AlertKind::Quota, about, text)
                    })
                    .await;
                }
            }
            self.clock.sleep(LOOK).await;
        }
    }
}
