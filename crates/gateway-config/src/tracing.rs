//! The export of traces.

use super::{network::ServiceUrl, section::section, value::choice};

choice! {
    /// The protocol of the export.
    TracingProtocol {
        /// OTLP over gRPC, port 4317.
        Grpc = "grpc";
        /// OTLP over HTTP, as protobuf.
        Http = "http" | "http/protobuf";
    }
}

section! {
    /// Export of traces and model metrics over OTLP.
    /// Other `OTEL_*` variables for headers, batches and resources apply too.
    pub TracingSection {
        /// URL of the collector. Default: no tracing.
        endpoint: Option<ServiceUrl> = None, bare ["OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
        /// Protocol.
        /// Default: `http` for port 4318, else `grpc`.
        protocol: Option<TracingProtocol> = None, bare ["OTEL_EXPORTER_OTLP_PROTOCOL"];
        /// Whether tracing is enabled.
        enabled: bool = true, bare ["TRACING_ENABLED"];
        /// Sampling rate of traces that the caller did not start, from 0 to 1.
        sample: f64 = 1.0, within 0.0..=1.0, prefixed ["TRACING_SAMPLE"];
        /// Service name of the exported spans.
        service_name: String = "llm-gateway".to_owned(), bare ["OTEL_SERVICE_NAME"];
        /// Whether message content is recorded as span events.
        /// Keys and e-mail addresses are redacted; other personal data is not.
        content: bool = false, prefixed ["TRACING_CONTENT"];
    }
}
