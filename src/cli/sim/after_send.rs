//! The flags of `mooncast sim` for what comes after a send: callbacks, history files, recalls and edits.

use std::time::Duration;

use anyhow::bail;
use secrecy::SecretString;

use crate::config::Environment;
use crate::core::parse_duration;
use crate::simulator::{CallbackSettings, HistorySettings, HourZone, Latency};

#[derive(Debug, clap::Args)]
pub(super) struct AfterSendArgs {
    /// Post callbacks to this address, which begins with http://
    #[arg(long, value_name = "URL")]
    callback: Option<String>,
    /// The secret that signs callbacks; by default `MOONCAST_CALLBACK_SECRET` or the file that
    /// `MOONCAST_CALLBACK_SECRET_FILE` names
    #[arg(long, value_name = "SECRET", requires = "callback")]
    callback_secret: Option<String>,
    /// The time from an event to its callback: `5s`, or a range such as `1s-30s`
    #[arg(long, value_name = "TIME", default_value = "0", requires = "callback")]
    callback_delay: Latency,
    /// The share of members that read a message sent with `need_group_ack`, from 0 to 1; none in groups of over 200
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, requires = "callback", value_parser = read_share)]
    read_share: f64,
    /// The zone of the hours of history files
    #[arg(long, value_enum, default_value_t)]
    history_zone: HourZone,
    /// How long after its hour a history file is complete
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "1h")]
    history_delay: Duration,
    /// Serve a history file before it is complete, without every second message
    #[arg(long)]
    history_partial: bool,
    /// Refuse recalls, as the service does before they are switched on
    #[arg(long)]
    pub(super) without_recalls: bool,
    /// Refuse edits, as the service does before they are switched on
    #[arg(long)]
    pub(super) without_edits: bool,
}

impl AfterSendArgs {
    /// Returns where callbacks are posted, if an address is given.
    pub(super) fn callback(&self, environment: &Environment) -> anyhow::Result<Option<CallbackSettings>> {
        let Some(url) = &self.callback else { return Ok(None) };
        if !url.starts_with("http://") {
            bail!("--callback {url}: the simulator posts only to addresses that begin with http://");
        }
        let secret = match &self.callback_secret {
            Some(secret) => Some(secret.clone()),
            None => environment.value("MOONCAST_CALLBACK_SECRET")?,
        };
        let Some(secret) = secret.filter(|secret| !secret.is_empty()) else {
            bail!("callbacks need a secret to sign them; set --callback-secret or MOONCAST_CALLBACK_SECRET");
        };
        let settings = CallbackSettings::new(url, SecretString::from(secret));
        Ok(Some(CallbackSettings { delay: self.callback_delay, read_share: self.read_share, ..settings }))
    }

    /// Returns when history files are there.
    pub(super) fn history(&self) -> HistorySettings {
        HistorySettings { zone: self.history_zone, delay: self.history_delay, partial: self.history_partial }
    }
}

fn read_share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| format!("`{text}` is not a share from 0 to 1"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use secrecy::ExposeSecret;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: AfterSendArgs,
    }

    fn read(args: &[&str], environment: Vec<(String, String)>) -> anyhow::Result<Option<CallbackSettings>> {
        let line = Line::try_parse_from([&["sim"], args].concat()).unwrap();
        line.args.callback(&Environment::of(environment))
    }

    #[test]
    fn the_secret_of_callbacks_comes_from_the_flag_or_the_environment() {
        let url = ["--callback", "http://127.0.0.1:1/"];
        let error = read(&url, Vec::new()).unwrap_err().to_string();
        assert!(error.contains("--callback-secret or MOONCAST_CALLBACK_SECRET"), "{error}");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "from the file\n").unwrap();
        let path = file.path().display().to_string();
        for (name, value, secret) in [
            ("MOONCAST_CALLBACK_SECRET", "direct", "direct"),
            ("MOONCAST_CALLBACK_SECRET_FILE", &path, "from the file"),
        ] {
            let callback = read(&url, vec![(name.to_owned(), value.to_owned())]).unwrap().unwrap();
            assert_eq!(callback.secret.expose_secret(), secret);
        }
        let error = read(&["--callback", "https://x/", "--callback-secret", "s"], Vec::new())
            .unwrap_err()
            .to_string();
        assert!(error.contains("begin with http://"), "{error}");
    }
}
