//! Exports spans of runs, broadcasts, messages and requests to an OTLP collector, if the environment names one
//! (`OTEL_EXPORTER_OTLP_ENDPOINT`).
//!
//! Modules create spans with the target `traces`. The log never shows them, and without a collector they are not
//! created. A program that was built without the feature `otlp` refuses to start with a collector.

use std::env;

#[cfg(not(feature = "otlp"))]
mod absent;
#[cfg(feature = "otlp")]
mod otlp;

#[cfg(not(feature = "otlp"))]
pub(super) use absent::TraceExporter;
#[cfg(feature = "otlp")]
pub(super) use otlp::TraceExporter;

/// The variables that name a collector.
const COLLECTORS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];

/// The target of all exported spans.
pub(super) const TARGET: &str = "traces";

/// Whether the environment names a collector and does not switch the export off.
fn collector_is_named() -> bool {
    let off = env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
    !off && COLLECTORS.into_iter().any(is_set)
}

fn is_set(name: &str) -> bool {
    env::var_os(name).is_some_and(|value| !value.is_empty())
}
