//! `mooncast sim`: runs the simulator as a server.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;

use super::Exit;
use crate::clock::Clock;
use crate::message::counted;
use crate::simulator::{
    FaultPlan, Latency, ParseFaultError, RateCounting, RecordMode, Simulator, SimulatorLimits,
    SimulatorSettings, SimulatorTime, Stats, TargetedBy,
};

/// Run the built-in server that speaks the service's REST API, enforces its limits and fails as told.
#[derive(Debug, clap::Args)]
pub(super) struct SimArgs {
    /// Address to listen on; a loopback one, for the simulator lets everybody in
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7080")]
    listen: SocketAddr,
    /// Name of the organisation
    #[arg(long, value_name = "NAME", default_value = "simulator")]
    org: String,
    /// Name of the app
    #[arg(long, value_name = "NAME", default_value = "demo")]
    app: String,
    /// Client id for which it gives tokens
    #[arg(long, value_name = "ID", default_value = "simulator-client")]
    client_id: String,
    /// Secret that belongs to the client id
    #[arg(long, value_name = "SECRET", default_value = "simulator-secret")]
    client_secret: String,
    /// Groups of the app, with ids from 184524748161025 on
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(..=1_000_000_000))]
    groups: u64,
    /// Members of each group
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    members: u64,
    /// Group calls, and group messages, a second; `none` lifts the limit
    #[arg(long, value_name = "N", default_value = "20")]
    group_per_second: RateArg,
    /// Targeted calls a second; `none` lifts the limit
    #[arg(long, value_name = "N", default_value = "100")]
    targeted_per_second: RateArg,
    /// Uploads a second; `none` lifts the limit
    #[arg(long, value_name = "N", default_value = "100")]
    upload_per_second: RateArg,
    /// Calls a second to each of the lists and the recalls; `none` lifts the limit
    #[arg(long, value_name = "N", default_value = "100")]
    read_per_second: RateArg,
    /// What a targeted call counts
    #[arg(long, value_enum, default_value_t)]
    targeted_by: TargetedBy,
    /// How the rates are counted
    #[arg(long, value_enum, default_value_t)]
    count: RateCounting,
    /// Refuse a call of several messages unless all of them fit into the second
    #[arg(long)]
    whole_calls: bool,
    /// Time there and back: `5ms`, or a range such as `2ms-40ms`
    #[arg(long, value_name = "TIME", default_value = "0")]
    latency: Latency,
    /// Fail by plan, `CALL[:WHEN]:WHAT`, such as `send:every=10:429` or `any:p=0.01:reset-after`; can be repeated
    ///
    /// CALL is send, targeted, token, upload, download, groups, members, recall or any. WHEN is every=K, first=N,
    /// at=N,N or p=0.01; without it always. WHAT is a status from 300 to 599 (`429=resource_limited` names the error;
    /// after commas follow html, json, retry-after=SECONDS, and after, which accepts the message all the same), or
    /// reset-before, reset-after, hang-before, hang-after, truncated, garbage, missing (a 200 that lacks a group).
    #[arg(long = "fault", value_name = "RULE")]
    faults: Vec<String>,
    /// What random choices start from
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Append a line of JSON to this file for each message
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Remember only how many messages each group got
    #[arg(long)]
    counts_only: bool,
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
                _ => Err("neither a whole number over 0 nor `none`".to_owned()),
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
            "the simulator lets everybody in, so it listens on loopback addresses only: {} is not one; \
             try --listen 127.0.0.1:{}",
            args.listen,
            args.listen.port()
        );
    }
    let record = args.record.clone();
    let listen = args.listen;
    let clock = Clock::real();
    let simulator = Simulator::new(settings(args)?, clock.clone());
    if let Some(path) = record {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
        simulator.log_to(file.with_context(|| format!("cannot open the record {}", path.display()))?);
    }
    clock.block_on(serve(&simulator, listen))??;
    write_totals(&mut std::io::stdout().lock(), &simulator.stats())?;
    Ok(Exit::Delivered)
}

fn settings(args: SimArgs) -> Result<SimulatorSettings, ParseFaultError> {
    let mut faults = FaultPlan::default();
    for rule in &args.faults {
        faults.extend(rule.parse()?);
    }
    Ok(SimulatorSettings {
        client_id: args.client_id,
        client_secret: SecretString::from(args.client_secret),
        groups: args.groups,
        members: args.members,
        limits: SimulatorLimits {
            group_per_second: args.group_per_second.0,
            targeted_per_second: args.targeted_per_second.0,
            targeted_by: args.targeted_by,
            upload_per_second: args.upload_per_second.0,
            read_per_second: args.read_per_second.0,
            count: args.count,
            whole_calls: args.whole_calls,
            ..SimulatorLimits::default()
        },
        latency: args.latency,
        faults,
        seed: args.seed,
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

fn write_welcome(
    out: &mut impl Write,
    settings: &SimulatorSettings,
    address: SocketAddr,
) -> std::io::Result<()> {
    writeln!(out, "# The simulator listens on {address}. Paste these lines where Mooncast runs:")?;
    writeln!(out, "export MOONCAST_BASE_URL=http://{address}")?;
    writeln!(out, "export MOONCAST_ORG={}", settings.org)?;
    writeln!(out, "export MOONCAST_APP={}", settings.app)?;
    writeln!(out, "export MOONCAST_CLIENT_ID={}", settings.client_id)?;
    writeln!(out, "export MOONCAST_CLIENT_SECRET={}", settings.client_secret.expose_secret())?;
    writeln!(out, "# What it received: curl http://{address}/_sim/received   Ctrl-C ends it.")?;
    out.flush()
}

fn write_totals(out: &mut impl Write, stats: &Stats) -> std::io::Result<()> {
    writeln!(
        out,
        "{} and {} in {}; {}, {}",
        counted(stats.group_messages, "group message"),
        counted(stats.targeted_messages, "targeted message"),
        counted(stats.groups_reached, "group"),
        counted(stats.uploads, "file"),
        counted(stats.tokens, "token")
    )?;
    for (kind, counts) in [("refused", &stats.refused), ("fault", &stats.faults)] {
        for (name, count) in counts {
            writeln!(out, "{kind} {count} x {name}")?;
        }
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        sim: SimArgs,
    }

    fn parse(args: &[&str]) -> SimArgs {
        Line::try_parse_from([&["sim"], args].concat()).unwrap().sim
    }

    #[test]
    fn flags_become_settings() {
        let settings = settings(parse(&[
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
    }

    #[test]
    fn no_flags_are_the_contracts_limits() {
        let settings = settings(parse(&[])).unwrap();
        assert_eq!(settings.limits, SimulatorLimits::default());
        assert_eq!((settings.groups, settings.members), (100, 10));
    }

    #[test]
    fn bad_flags_are_refused() {
        for args in
            [["--group-per-second", "0"], ["--latency", "fast"], ["--count", "maybe"], ["--members", "0"]]
        {
            assert!(Line::try_parse_from([&["sim"], &args[..]].concat()).is_err(), "{args:?}");
        }
        let error = settings(parse(&["--fault", "sned:429"])).unwrap_err().to_string();
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
