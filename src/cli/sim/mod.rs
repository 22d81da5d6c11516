//! `mooncast sim`: runs the simulator as a server.

mod after_send;
mod text;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use secrecy::SecretString;
use tokio::net::TcpListener;

use self::after_send::AfterSendArgs;
use self::text::{write_totals, write_welcome};
use super::Exit;
use crate::clock::Clock;
use crate::config::Environment;
use crate::simulator::{
    AgoraApp, FaultPlan, Latency, RateCounting, RecordMode, Simulator, SimulatorLimits, SimulatorSettings,
    SimulatorTime, TargetedBy,
};

/// Run the simulator: a server with the service's REST API that enforces the service's limits and can simulate faults.
#[derive(Debug, clap::Args)]
pub(super) struct SimArgs {
    /// The loopback address to listen on; the simulator accepts every client
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7080")]
    listen: SocketAddr,
    /// The name of the organisation
    #[arg(long, value_name = "NAME", default_value = "simulator")]
    org: String,
    /// The name of the app
    #[arg(long, value_name = "NAME", default_value = "demo")]
    app: String,
    /// The client id that the simulator accepts
    #[arg(long, value_name = "ID", default_value = "simulator-client")]
    client_id: String,
    /// The secret of the client id
    #[arg(long, value_name = "SECRET", default_value = "simulator-secret")]
    client_secret: String,
    /// The App ID of an Agora app whose tokens the simulator accepts, with their signature checked: 32 hex digits
    #[arg(long, value_name = "ID", value_parser = hex_digits, requires = "app_certificate")]
    app_id: Option<String>,
    /// The App Certificate of the App ID: 32 hex digits
    #[arg(long, value_name = "CERTIFICATE", value_parser = hex_digits, requires = "app_id")]
    app_certificate: Option<String>,
    /// The number of the app's groups; their ids start at 184524748161025
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(..=1_000_000_000))]
    groups: u64,
    /// The number of members of each group
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    members: u64,
    /// The limit for group calls, and for group messages, per second; `none` for no limit
    #[arg(long, value_name = "N", default_value = "20")]
    group_per_second: RateArg,
    /// The limit for targeted calls per second; `none` for no limit
    #[arg(long, value_name = "N", default_value = "100")]
    targeted_per_second: RateArg,
    /// The limit for uploads per second; `none` for no limit
    #[arg(long, value_name = "N", default_value = "100")]
    upload_per_second: RateArg,
    /// The limit for edits per second; `none` for no limit
    #[arg(long, value_name = "N", default_value = "100")]
    edit_per_second: RateArg,
    /// The limit for calls to users per second; `none` for no limit
    #[arg(long, value_name = "N", default_value = "100")]
    user_calls_per_second: RateArg,
    /// The limit for messages to users per minute; `none` for no limit
    #[arg(long, value_name = "N", default_value = "6000")]
    user_messages_per_minute: RateArg,
    /// The limit for messages to rooms per second; `none` for no limit
    #[arg(long, value_name = "N", default_value = "100")]
    room_messages_per_second: RateArg,
    /// The limit for calls to rooms per second; `none` for no limit
    #[arg(long, value_name = "N", default_value = "none")]
    room_calls_per_second: RateArg,
    /// The limit per second for calls to each list and for recalls; `none` for no limit
    #[arg(long, value_name = "N", default_value = "100")]
    read_per_second: RateArg,
    /// How much a targeted call counts towards the limit
    #[arg(long, value_enum, default_value_t)]
    targeted_by: TargetedBy,
    /// How the simulator measures rates
    #[arg(long, value_enum, default_value_t)]
    count: RateCounting,
    /// Refuse a call with several messages if one of them is over the limit
    #[arg(long)]
    whole_calls: bool,
    /// The round-trip time: `5ms`, or a range such as `2ms-40ms`
    #[arg(long, value_name = "TIME", default_value = "0")]
    latency: Latency,
    /// Simulate a fault, `CALL[:WHEN]:WHAT`, such as `send:every=10:429` or `any:p=0.01:reset-after`; can be repeated
    ///
    /// CALL is send, targeted, users, rooms, messages (the old call), announce-all, announce-online, token, upload, download,
    /// groups, members, group-details, group-change, recall, rewrite, history, history-file, callback or any. WHEN is
    /// every=K, first=N, at=N,N, p=0.01 or contains=WORD; without WHEN, each call fails. WHAT is one of reset-before, reset-after, hang-before,
    /// hang-after, truncated, garbage and missing (a 200 that lacks a group), or a status from 300 to 599.
    /// `429=resource_limited` also sets the error's name. Options of a status follow after commas: html, json,
    /// retry-after=SECONDS, and after, with which the simulator still accepts the message.
    /// A message with `send:moderated` gets an id and then is in no callback and no history file. For callbacks, WHAT
    /// is lost, doubled, delayed=SECONDS or swapped (posted after the next one).
    #[arg(long = "fault", value_name = "RULE")]
    faults: Vec<String>,
    /// Refuse what the vendor's page on group messages does not allow, such as a request without a media type; by default
    /// the simulator takes what the service takes
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    after_send: AfterSendArgs,
    /// The seed of random choices
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Append each message to this file as a line of JSON
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Store only the number of messages of each group
    #[arg(long)]
    counts_only: bool,
}

/// Reads an App ID or an App Certificate.
fn hex_digits(text: &str) -> Result<String, String> {
    let fits = text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    if fits { Ok(text.to_owned()) } else { Err("expected 32 hex digits".to_owned()) }
}

/// A rate per second, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RateArg(Option<u32>);

impl std::str::FromStr for RateArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self(None)),
            _ => match text.parse() {
                Ok(rate) if rate > 0 => Ok(Self(Some(rate))),
                _ => Err("expected a whole number above 0, or `none`".to_owned()),
            },
        }
    }
}

/// Lets the simulator use the program's clock.
impl SimulatorTime for Clock {
    fn elapsed(&self) -> Duration {
        self.now().since_start()
    }

    fn unix_time(&self) -> Duration {
        Self::unix_time(self)
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Self::sleep(self, duration).boxed()
    }
}

/// Serves until Ctrl-C or SIGTERM, then prints the totals.
pub(super) fn run(args: SimArgs) -> anyhow::Result<Exit> {
    if !args.listen.ip().is_loopback() {
        bail!(
            "the simulator accepts every client, so it listens only on loopback addresses; {} is not one; \
             try --listen 127.0.0.1:{}",
            args.listen,
            args.listen.port()
        );
    }
    let record = args.record.clone();
    let listen = args.listen;
    let clock = Clock::real();
    let simulator = Simulator::new(settings(args, &Environment::of_process())?, clock.clone());
    if let Some(path) = record {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
        simulator.log_to(file.with_context(|| format!("cannot open {} to record messages", path.display()))?);
    }
    clock.block_on(serve(&simulator, listen))??;
    write_totals(&mut std::io::stdout().lock(), &simulator.stats())?;
    Ok(Exit::Delivered)
}

fn settings(args: SimArgs, environment: &Environment) -> anyhow::Result<SimulatorSettings> {
    let after_send = args.after_send;
    let mut faults = FaultPlan::default();
    for rule in &args.faults {
        faults.extend(rule.parse()?);
    }
    Ok(SimulatorSettings {
        client_id: args.client_id,
        client_secret: SecretString::from(args.client_secret),
        agora: args
            .app_id
            .zip(args.app_certificate)
            .map(|(app_id, certificate)| AgoraApp { app_id, certificate: certificate.into() }),
        groups: args.groups,
        members: args.members,
        limits: SimulatorLimits {
            group_per_second: args.group_per_second.0,
            targeted_per_second: args.targeted_per_second.0,
            targeted_by: args.targeted_by,
            upload_per_second: args.upload_per_second.0,
            read_per_second: args.read_per_second.0,
            edit_per_second: args.edit_per_second.0,
            user_calls_per_second: args.user_calls_per_second.0,
            user_messages_per_minute: args.user_messages_per_minute.0,
            room_messages_per_second: args.room_messages_per_second.0,
            room_calls_per_second: args.room_calls_per_second.0,
            count: args.count,
            whole_calls: args.whole_calls,
            ..SimulatorLimits::default()
        },
        latency: args.latency,
        faults,
        seed: args.seed,
        callback: after_send.callback(environment)?,
        history: after_send.history(),
        strict: args.strict,
        recall_open: !after_send.without_recalls,
        rewrite_open: !after_send.without_edits,
        keep: if args.counts_only { RecordMode::Counts } else { RecordMode::Messages },
        ..SimulatorSettings::new(&args.org, &args.app)
    })
}

async fn serve(simulator: &Simulator, listen: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener.local_addr()?;
    write_welcome(&mut std::io::stdout().lock(), simulator.settings(), address)?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let end = async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    };
    let end = end.shared();
    tokio::select! {
        served = simulator.serve(listener, end.clone()) => served?,
        // A client in the middle of a request must not delay the simulator's end.
        () = end => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::simulator::{HistorySettings, HourZone};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        sim: SimArgs,
    }

    fn parse(args: &[&str]) -> SimArgs {
        Line::try_parse_from([&["sim"], args].concat()).unwrap().sim
    }

    fn read(args: SimArgs) -> anyhow::Result<SimulatorSettings> {
        settings(args, &Environment::of(Vec::new()))
    }

    #[test]
    fn flags_become_settings() {
        let settings = read(parse(&[
            "--org",
            "acme",
            "--app",
            "chat",
            "--groups",
            "7",
            "--group-per-second",
            "none",
            "--targeted-per-second",
            "5",
            "--targeted-by",
            "user",
            "--count",
            "bucket",
            "--latency",
            "2ms-40ms",
            "--fault",
            "send:every=10:429",
            "--fault",
            "token:503",
            "--counts-only",
            "--callback",
            "http://127.0.0.1:1/callbacks/default",
            "--callback-secret",
            "s",
            "--callback-delay",
            "1s-30s",
            "--read-share",
            "0.5",
            "--history-zone",
            "Asia/Shanghai",
            "--history-delay",
            "3h",
            "--strict",
            "--without-edits",
        ]))
        .unwrap();
        assert_eq!(settings.prefix, "/acme/chat");
        assert_eq!(settings.groups, 7);
        assert_eq!(settings.limits.group_per_second, None);
        assert_eq!(settings.limits.targeted_per_second, Some(5));
        assert_eq!(settings.limits.targeted_by, TargetedBy::User);
        assert_eq!(settings.limits.count, RateCounting::Bucket);
        assert_eq!(settings.latency, "2ms-40ms".parse().unwrap());
        assert_eq!(settings.faults.to_string(), "send:every=10:429\ntoken:503\n");
        assert_eq!(settings.keep, RecordMode::Counts);
        let history = HistorySettings {
            zone: HourZone::Shanghai,
            delay: Duration::from_hours(3),
            ..HistorySettings::default()
        };
        assert_eq!(settings.history, history);
        assert_eq!((settings.recall_open, settings.rewrite_open, settings.strict), (true, false, true));
        let callback = settings.callback.unwrap();
        assert_eq!(callback.url, "http://127.0.0.1:1/callbacks/default");
        assert_eq!((callback.delay, callback.read_share), ("1s-30s".parse().unwrap(), 0.5));
    }

    #[test]
    fn no_flags_are_the_contracts_limits() {
        let settings = read(parse(&[])).unwrap();
        assert_eq!(settings.limits, SimulatorLimits::default());
        assert_eq!((settings.groups, settings.members, settings.strict), (100, 10, false));
    }

    #[test]
    fn bad_flags_are_refused() {
        for args in
            [["--group-per-second", "0"], ["--latency", "fast"], ["--count", "maybe"], ["--members", "0"]]
        {
            assert!(Line::try_parse_from([&["sim"], &args[..]].concat()).is_err(), "{args:?}");
        }
        let error = read(parse(&["--fault", "sned:429"])).unwrap_err().to_string();
        assert!(error.contains("`sned` is not a call"), "{error}");
    }

    #[test]
    fn an_address_for_the_whole_network_is_refused_with_a_way_out() {
        let error = run(parse(&["--listen", "0.0.0.0:7080"])).unwrap_err().to_string();
        assert!(error.contains("--listen 127.0.0.1:7080"), "{error}");
    }

    #[test]
    fn the_welcome_can_be_pasted() {
        let mut out = Vec::new();
        write_welcome(&mut out, &SimulatorSettings::default(), "127.0.0.1:7080".parse().unwrap()).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.lines().all(|line| line.starts_with("# ") || line.starts_with("export MOONCAST_")),
            "{text}"
        );
        assert!(text.contains("export MOONCAST_BASE_URL=http://127.0.0.1:7080\n"), "{text}");
    }
}
