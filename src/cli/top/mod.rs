//! `mooncast top`: shows the current state on a terminal.
//!
//! - `poller`: reads the state from the ledger; `words`: formats it;
//! - `screen`: the selection and the keys; `draw`: draws the screen; `plain`: the output without a terminal.

mod draw;
mod plain;
mod poller;
mod screen;
mod words;

use std::io::{IsTerminal, Write as _, stdout};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::clock::Clock;
use crate::config::{Environment, Project, Settings};
use crate::control::{self, ControlError};
use crate::ledger::{BroadcastId, Ledger};
use crate::run::undecided_changes;

use super::next::FollowUpCommands;
use super::runs::{format_time, inputs_of, ledger_location};
use super::{Exit, GlobalArgs, apps};
use poller::{ConfiguredApp, StatusPoller, TopSnapshot};
use screen::{KeyOutcome, TopAction, TopScreen};

/// The polling interval.
const OFTEN: Duration = Duration::from_secs(1);

/// Shows the state of broadcasts, quotas, jobs and scripts of all processes on the ledger, and updates it each second.
/// If standard output is not a terminal, prints the state once.
///
/// q, Esc and Ctrl-C quit. Tab changes the pane. The arrow keys select a line. p, r and c pause, resume and cancel the
/// selected broadcast after a confirmation.
#[derive(Debug, Args)]
pub(super) struct TopArgs {
    /// Use the simulator's ledger
    #[arg(long)]
    simulator: bool,
    /// Print the state once as plain text
    #[arg(long)]
    once: bool,
}

impl TopArgs {
    /// Whether it draws on the terminal. Nothing else may write to the terminal then.
    pub(super) fn draws(&self) -> bool {
        !self.once && stdout().is_terminal() && std::io::stdin().is_terminal()
    }
}

pub(super) struct ScreenTitle {
    project: String,
    simulator: bool,
}

impl ScreenTitle {
    fn text(&self, at: Duration) -> String {
        let simulator = if self.simulator { " (simulator)" } else { "" };
        format!("mooncast {}{simulator}  {}", self.project, format_time(at))
    }
}

pub(super) fn run(args: &TopArgs, global: &GlobalArgs) -> anyhow::Result<Exit> {
    let project = global.project()?;
    let settings = Settings::load_offline(&project, &Environment::of_process())?;
    let simulator = args.simulator || settings.simulator;
    let location = ledger_location(&project, &settings, simulator)?;
    let title = ScreenTitle { project: project.title(), simulator };
    let next = FollowUpCommands::new(global, &project, simulator);
    let apps = apps_here(&settings, simulator);
    let clock = Clock::real();
    clock.block_on(async {
        let ledger = Ledger::open_at(&location, clock.clone()).await?;
        let mut poller = StatusPoller::new(ledger, clock.clone(), apps);
        if args.draws() {
            watch(&mut poller, TopScreen::new(title), &clock, &project, &next).await?;
        } else {
            // A rate needs two readings.
            poller.poll().await?;
            clock.sleep(OFTEN).await;
            let mut text = Vec::new();
            plain::print(&mut text, &title, &poller.poll().await?)?;
            stdout().write_all(&text)?;
        }
        Ok(Exit::Delivered)
    })?
}

/// The apps in the settings. All apps of the simulator have the limits of the first one.
fn apps_here(settings: &Settings, simulator: bool) -> Vec<ConfiguredApp> {
    if simulator {
        let service = apps::service(&apps::limits(settings));
        let simulated = apps::simulated_apps(settings, &service);
        let here = |app: crate::config::App| ConfiguredApp {
            key: format!("{}/{}", apps::SIMULATOR, app.name),
            name: app.name,
            limits: app.limits,
        };
        return simulated.into_iter().map(here).collect();
    }
    let here = |app: &crate::config::App| ConfiguredApp {
        name: app.name.clone(),
        key: app.key().to_owned(),
        limits: app.limits.clone(),
    };
    settings.apps.iter().map(here).collect()
}

/// Restores the terminal on drop. After a panic, the library does that.
struct TerminalGuard(DefaultTerminal);

impl Drop for TerminalGuard {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Shows the screen until the user quits.
async fn watch(
    poller: &mut StatusPoller,
    mut screen: TopScreen,
    clock: &Clock,
    project: &Project,
    next: &FollowUpCommands,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let mut hang_up = signal(SignalKind::hangup()).context("cannot listen for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
    let mut seen = poller.poll().await?;
    let mut terminal = TerminalGuard(ratatui::try_init().context("the terminal")?);
    let mut events = listen()?;
    let mut next_look = clock.now() + OFTEN;
    loop {
        screen.follow(&seen);
        terminal.0.draw(|frame| draw::draw(frame, &mut screen, &seen)).context("the terminal")?;
        tokio::select! {
            event = events.recv() => match event {
                Some(Event::Key(key)) => match screen.press(key, &seen) {
                    KeyOutcome::Stay => {}
                    KeyOutcome::Quit => return Ok(()),
                    KeyOutcome::Do(act, id) => {
                        screen.said = done(&poller.ledger, act, id, project, next).await;
                        poll(poller, &mut seen, &mut screen).await;
                    }
                },
                // A new size takes effect when the screen is drawn above.
                Some(_) => {}
                // The terminal is gone.
                None => return Ok(()),
            },
            () = clock.sleep_until(next_look) => {
                next_look = clock.now() + OFTEN;
                poll(poller, &mut seen, &mut screen).await;
            }
            _ = terminate.recv() => return Ok(()),
            _ = hang_up.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        }
    }
}

/// Reads the state again. If that fails, the screen shows the error and keeps the previous state.
async fn poll(poller: &mut StatusPoller, seen: &mut TopSnapshot, screen: &mut TopScreen) {
    match poller.poll().await {
        Ok(now) => *seen = now,
        Err(error) => screen.said = format!("not current: cannot read the ledger: {error}"),
    }
}

/// Reads the terminal's events. Reading blocks, so it has its own thread, which nothing waits for.
fn listen() -> anyhow::Result<UnboundedReceiver<Event>> {
    let (tell, heard) = unbounded_channel();
    let read = move || while event::read().is_ok_and(|event| tell.send(event).is_ok()) {};
    std::thread::Builder::new().name("keys".to_owned()).spawn(read).context("a thread for the keys")?;
    Ok(heard)
}

/// Applies an action to a broadcast, and returns a message about the result.
async fn done(
    ledger: &Ledger,
    act: TopAction,
    id: BroadcastId,
    project: &Project,
    next: &FollowUpCommands,
) -> String {
    let acted = async {
        let found = ledger.show(id).await?;
        let done = match act {
            TopAction::Pause => control::pause(ledger, &found).await?,
            TopAction::Resume => {
                let changed = undecided_changes(&found, inputs_of(project, &found).as_ref()).await;
                control::resume(ledger, &found, &changed).await?
            }
            TopAction::Cancel => control::cancel(ledger, &found).await?,
        };
        Ok::<_, ControlError>(next.after(&done, &found))
    };
    acted.await.unwrap_or_else(|error| error.to_string())
}
