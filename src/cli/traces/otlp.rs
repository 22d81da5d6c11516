//! The exporter, by the crates of `OpenTelemetry`. They read the standard variables.

use std::env;
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Context;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

use super::{TARGET, collector_is_named, is_set};
use crate::clock::{Clock, Instant};

/// The default service name.
const NAME: &str = "mooncast";

/// How long the program waits at its end for the last spans to be exported.
const LAST: Duration = Duration::from_secs(3);

/// The minimum time between two warnings about lost spans.
const LOG_EVERY: Duration = Duration::from_mins(5);

/// Exports spans.
pub(in crate::cli) struct TraceExporter(SdkTracerProvider);

impl TraceExporter {
    /// The exporter that the environment configures. `None` if it names no collector.
    pub(in crate::cli) fn wanted() -> anyhow::Result<Option<Self>> {
        if !collector_is_named() {
            return Ok(None);
        }
        // The exporter's HTTP client uses the process-wide TLS provider. An error means that this provider is
        // already installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .build()
            .context("OTEL_EXPORTER_OTLP_ENDPOINT")?;
        let exporter = WarningExporter { exporter, clock: Clock::real(), lost: Mutex::default() };
        let mut resource =
            Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        let attributes = env::var("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        if !is_set("OTEL_SERVICE_NAME") && !attributes.contains("service.name=") {
            resource = resource.with_service_name(NAME);
        }
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter);
        Ok(Some(Self(provider.with_resource(resource.build()).build())))
    }

    /// The layer that collects the spans.
    pub(in crate::cli) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let layer = tracing_opentelemetry::layer().with_tracer(self.0.tracer(NAME));
        let plain = layer.with_location(false).with_threads(false).with_tracked_inactivity(false);
        plain
            .with_level(false)
            .with_target(false)
            .with_filter(Targets::new().with_target(TARGET, tracing::Level::INFO))
    }

    /// Exports the remaining spans. Must not be called on a runtime.
    pub(in crate::cli) fn end(self) {
        // Lost spans were already reported.
        let _ = self.0.shutdown_with_timeout(LAST);
    }
}

/// An exporter that warns at a limited rate when the collector accepts nothing.
struct WarningExporter {
    exporter: opentelemetry_otlp::SpanExporter,
    clock: Clock,
    lost: Mutex<LostSpans>,
}

/// The number of lost spans, and when the last warning was logged.
#[derive(Default)]
struct LostSpans {
    spans: usize,
    last_logged: Option<Instant>,
}

impl fmt::Debug for WarningExporter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The exporter's own text contains the headers, which may include a token.
        formatter.debug_struct("Telling").finish_non_exhaustive()
    }
}

impl SpanExporter for WarningExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let result = self.exporter.export(batch).await;
        if let Err(error) = &result {
            self.log_lost(count, error);
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl WarningExporter {
    fn log_lost(&self, count: usize, error: &OTelSdkError) {
        let Ok(mut lost) = self.lost.lock() else { return };
        lost.spans += count;
        let now = self.clock.now();
        if lost.last_logged.is_some_and(|last_logged| now.saturating_since(last_logged) < LOG_EVERY) {
            return;
        }
        lost.last_logged = Some(now);
        let spans = std::mem::take(&mut lost.spans);
        let why = without_address(&error.to_string());
        tracing::warn!(spans, "spans are lost, because the collector did not accept them: {why}");
    }
}

/// An error text of the HTTP library without its address, which may contain a key.
fn without_address(text: &str) -> String {
    match text.split_once("url (") {
        Some((before, rest)) => {
            let after = rest.split_once(')').map_or("", |(_, after)| after);
            format!("{before}the collector{after}")
        }
        None if text.contains("://") => "it cannot be reached, or answers with an error".to_owned(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::without_address;

    #[test]
    fn no_address_is_shown() {
        let shown = without_address("error sending request for url (http://u:p@h:1/v1?key=1): refused");
        assert_eq!(shown, "error sending request for the collector: refused");
        assert!(!without_address("GET https://h/v1?key=1 failed").contains("key"));
    }
}
