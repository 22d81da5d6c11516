//! A simulator outside the command, for projects whose ledger is on a server. A simulator inside the command has its
//! own ledger.

use std::net::TcpListener;
use std::process::Command;

use mooncast::{Clock, Simulator, SimulatorLimits, SimulatorSettings};
use secrecy::ExposeSecret;

/// A simulator on a thread of this process, strict and without rate limits.
#[derive(Debug)]
pub struct Simulated {
    url: String,
    settings: SimulatorSettings,
    end: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Simulated {
    pub fn start() -> Self {
        let limits = SimulatorLimits::lifted();
        let settings = SimulatorSettings { limits, strict: true, ..SimulatorSettings::default() };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let simulator = Simulator::new(settings.clone(), Clock::real());
        let (end, ended) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let serve = async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                simulator.serve(listener, async { drop(ended.await) }).await
            };
            Clock::real().block_on(serve)
        });
        Self { url, settings, end: Some(end) }
    }

    /// Directs a command to it.
    pub fn lead(&self, command: &mut Command) {
        command
            .env("MOONCAST_BASE_URL", &self.url)
            .env("MOONCAST_ORG", &self.settings.org)
            .env("MOONCAST_APP", &self.settings.app)
            .env("MOONCAST_CLIENT_ID", &self.settings.client_id)
            .env("MOONCAST_CLIENT_SECRET", self.settings.client_secret.expose_secret());
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        drop(self.end.take());
    }
}
