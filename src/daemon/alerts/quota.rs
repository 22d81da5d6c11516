//! Alerts about quotas that the service refuses for a long time, although the pacer slows down after each refusal.
//! Either another client uses the app too, or the limits in `mooncast.toml` exceed the granted ones.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::config::AlertKind;
use crate::delivery::Delivery;
use crate::quota::Quota;
use crate::schedule::run_name;

use super::{Alert, AlertSender, AlertSubject, AlertText};

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
                for status in app.quotas().all().into_iter().map(Quota::status) {
                    let now = self.clock.unix_time();
                    let key = (index, status.name);
                    if status.throttled_last_minute == 0 {
                        refused.remove(&key);
                        continue;
                    }
                    let (since, reported) = refused.entry(key).or_insert((now, false));
                    let patience = self.quota_patience();
                    if *reported || patience.is_none_or(|patience| now.saturating_sub(*since) < patience) {
                        continue;
                    }
                    *reported = true;
                    let (name, minutes) = (app.name(), now.saturating_sub(*since).as_secs() / 60);
                    let since = run_name(Duration::from_secs(since.as_secs()));
                    let refused = status.throttled_last_minute;
                    let count = |name, n: u64| AlertText::named(name, [("n", n.to_string())]);
                    let text = AlertText::Named(
                        "quota_refused",
                        vec![
                            ("app", name.to_owned().into()),
                            ("quota", status.name.to_owned().into()),
                            ("minutes", count("minutes", minutes)),
                            ("refused", count("count_was", refused)),
                            ("pace", format!("{:.0}", status.pace).into()),
                            ("limit", format!("{:.0}", status.per_second()).into()),
                        ],
                    );
                    let about = format!("{name} {} {since}", status.name);
                    self.raise(Alert {
                        next: Some(AlertText::named("quota_next", [])),
                        subject: AlertSubject { app: Some(name.to_owned()), ..AlertSubject::default() },
                        figures: [("refused_last_minute", refused)].into(),
                        ..Alert::new(AlertKind::Quota, about, text)
                    })
                    .await;
                }
            }
            self.clock.sleep(LOOK).await;
        }
    }
}
