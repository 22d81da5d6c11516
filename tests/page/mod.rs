//! The page in a browser: Debian's Chromium with its own driver, and a real `mooncast serve`.
//!
//! On a server: in the soak

mod acts;
mod after;
mod approval;
mod browser;
mod changes;
mod doubts;
mod first;
mod forms;
mod looks;
mod plain;
mod replan;
mod runs;
mod simulator;
mod tasks;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::daemon::Serving;
use crate::support::{Project, Ran};
use browser::Browser;

/// The longest wait. A healthy machine never needs it, however loaded it is.
const GUARD: Duration = Duration::from_mins(1);

/// Jobs that broadcast to many groups and run only on request.
const NEWS: &str = "
local schedule = require('schedule')
local function job(name, count, rate)
  schedule.every('10000h', { name = name }, function(c)
    local groups = {}
    for i = 1, count do groups[i] = 184524748161000 + i end
    im.broadcast { name = name, run = '1', to = groups, rate = rate, message = { type = 'txt', body = { msg = name } } }
  end)
end
job('news', 2000, 200)
job('slow', 500, 2)
job('quick', 3)
";

/// A daemon with a page.
struct Site {
    serving: Option<Serving>,
    address: String,
    operate: String,
    read: String,
}

impl Site {
    /// Starts a daemon on the simulator.
    fn simulated(project: &Project) -> Self {
        project.simulate("[app.limits]\ngroup_per_second = 1000\n");
        Self::start(project, project.command(&["serve", "--listen", "127.0.0.1:0"]))
    }

    fn start(project: &Project, command: Command) -> Self {
        let tokens = project.mooncast(&["tokens", "renew"]).exits(0).stdout;
        let token = |role: &str| {
            let word = tokens.split_whitespace().find(|word| word.starts_with(&format!("mooncast_{role}_")));
            word.unwrap().to_owned()
        };
        let (operate, read) = (token("operate"), token("read"));
        let serving = Serving::start(command);
        let logged = serving.logged();
        let line = logged.iter().find(|line| line.contains("the page is at")).unwrap();
        let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
        Self { serving: Some(serving), address, operate, read }
    }

    /// Ends the daemon. The page stays open.
    fn stop(&mut self) -> Ran {
        self.serving.take().unwrap().stop().exits(0)
    }

    /// Starts the daemon again, at the same address.
    fn again(&mut self, project: &Project) {
        let command = project.command(&["serve", "--listen", &self.address]);
        self.serving = Some(Serving::start(command));
    }

    fn url(&self, place: &str) -> String {
        format!("http://{}{place}", self.address)
    }

    /// Returns a browser that has logged in.
    async fn operator(&self, language: &str) -> Browser {
        let browser = Browser::start(language).await;
        self.log_in(&browser, &self.operate).await;
        browser
    }

    async fn log_in(&self, browser: &Browser, token: &str) {
        browser.open(&self.url("/")).await;
        browser.fill("#token", token).await;
        browser.click("main button").await;
        browser.wait("document.querySelector('#live.on') !== null").await;
    }
}

/// Runs a browser session on this thread.
fn browse(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work);
}

/// Returns the folder for pictures.
fn pictures() -> std::path::PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
