//! A snapshot in plain text, for use without a terminal.

use std::io::Write;

use super::poller::TopSnapshot;
use super::{ScreenTitle, words};
use crate::core::one_line;

pub(super) fn print(out: &mut impl Write, title: &ScreenTitle, seen: &TopSnapshot) -> std::io::Result<()> {
    writeln!(out, "{}", title.text(seen.at))?;
    if !seen.needs.is_empty() {
        writeln!(out, "\nneeds you")?;
    }
    for need in &seen.needs {
        writeln!(out, "  {}", one_line(&need.text))?;
    }
    writeln!(out, "\nbroadcasts")?;
    for one in &seen.broadcasts {
        let (name, bar, counts) = (words::name(one), words::bar(one, 10), words::counts(one));
        let parts = [words::rate(one), words::rest(one)];
        let rest = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
        writeln!(out, "  {name:<28} {bar} {counts:<18} {rest}")?;
    }
    writeln!(out, "\nquotas")?;
    for quota in &seen.quotas {
        writeln!(out, "  {:<28} {}", words::quota(quota), words::usage(quota))?;
    }
    writeln!(out, "\njobs")?;
    for job in &seen.jobs {
        writeln!(out, "  {:<28} {:<22} {}", job.name, words::next(job, seen.at), words::last(job, seen.at))?;
    }
    writeln!(out, "\nscripts")?;
    for script in &seen.scripts {
        writeln!(out, "  {:<28} {}", script.name, words::script(script, seen.at))?;
    }
    Ok(())
}
