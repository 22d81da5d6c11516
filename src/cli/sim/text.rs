//! What the simulator prints: how to reach it, and at its end what it received.

use std::io::Write;
use std::net::SocketAddr;

use secrecy::ExposeSecret;

use crate::message::counted;
use crate::simulator::{SimulatorSettings, Stats};

pub(super) fn write_welcome(
    out: &mut impl Write,
    settings: &SimulatorSettings,
    address: SocketAddr,
) -> std::io::Result<()> {
    writeln!(out, "# The simulator listens on {address}. Paste these lines where Mooncast runs:")?;
    writeln!(out, "export MOONCAST_BASE_URL=http://{address}")?;
    if let Some(app) = &settings.agora {
        writeln!(out, "export MOONCAST_APP_ID={}", app.app_id)?;
        writeln!(out, "export MOONCAST_APP_CERTIFICATE={}", app.certificate.expose_secret())?;
    } else {
        writeln!(out, "export MOONCAST_ORG={}", settings.org)?;
        writeln!(out, "export MOONCAST_APP={}", settings.app)?;
        writeln!(out, "export MOONCAST_CLIENT_ID={}", settings.client_id)?;
        writeln!(out, "export MOONCAST_CLIENT_SECRET={}", settings.client_secret.expose_secret())?;
    }
    writeln!(out, "# Open http://{address}/ to see what it received. Ctrl-C ends it.")?;
    out.flush()
}

pub(super) fn write_totals(out: &mut impl Write, stats: &Stats) -> std::io::Result<()> {
    let others = [
        (stats.user_messages, "user message"),
        (stats.room_messages, "room message"),
        (stats.announcements, "announcement"),
    ]
    .map(|(count, what)| if count > 0 { format!(", {}", counted(count, what)) } else { String::new() })
    .concat();
    writeln!(
        out,
        "{} and {} in {}{others}; {}, {}",
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
