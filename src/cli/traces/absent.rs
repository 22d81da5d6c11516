//! A program that was built without the feature `otlp` has no exporter.

use std::convert::Infallible;

use anyhow::bail;
use tracing_subscriber::layer::Identity;

use super::{COLLECTORS, collector_is_named, is_set};

/// There is none.
pub(in crate::cli) struct TraceExporter(Infallible);

impl TraceExporter {
    /// # Errors
    ///
    /// The environment names a collector, so that somebody expects spans there.
    pub(in crate::cli) fn wanted() -> anyhow::Result<Option<Self>> {
        if !collector_is_named() {
            return Ok(None);
        }
        let named = COLLECTORS.into_iter().find(|name| is_set(name)).unwrap_or_default();
        bail!(
            "{named} names a collector of traces, and this program was built without the export of traces; install a package of a release, or build with `cargo build --release --features otlp`. Without traces: unset {named}"
        )
    }

    pub(in crate::cli) fn layer(&self) -> Identity {
        match self.0 {}
    }

    pub(in crate::cli) fn end(self) {
        match self.0 {}
    }
}
