//! Scheduled times, reloads, hooks and alerts.
//!
//! On a server: in the soak

mod hooks;
mod jobs;
mod place;
mod reload;
mod times;

use crate::daemon::Serving;
use crate::support::Project;
use crate::support::service::Service;

/// Moves the ledger back by two hours, in milliseconds.
const TWO_HOURS: &str = "UPDATE jobs SET decided_until = decided_until - 7200000";

/// A script with an hourly job that prints which version of it ran.
pub fn hourly(job: &str, word: &str) -> String {
    format!(
        "require('schedule').every('1h', {{ name = '{job}', grace = '100h' }}, function() print('ran {word}') end)\n"
    )
}

/// Starts a daemon without a page that sends to a service.
fn serve(project: &Project, service: &Service) -> Serving {
    Serving::start(project.command_against(service, &["serve", "--listen", "nowhere"]))
}

fn logged(serving: &Serving, text: &str) -> usize {
    serving.logged().iter().filter(|line| line.contains(text)).count()
}
