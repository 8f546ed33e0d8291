//! Where traces are sent.

use super::{network::Url, section::section, value::choice};

choice! {
    /// How traces are sent.
    Protocol {
        /// OTLP over gRPC.
        Grpc = "grpc";
        /// OTLP over HTTP, as protobuf.
        Http = "http" | "http/protobuf";
    }
}

section! {
    /// Traces, and metrics of models, over OTLP.
    /// What else `OTEL_*` variables say of headers, batches and resources counts too.
    pub Tracing {
        /// Where they are sent; nowhere if it is not said, and then nothing is traced.
        endpoint: Option<Url> = None, bare ["OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
        /// How.
        /// If it is not said: `http` to port 4318, else `grpc`.
        protocol: Option<Protocol> = None, bare ["OTEL_EXPORTER_OTLP_PROTOCOL"];
        /// Whether anything is traced.
        enabled: bool = true, bare ["TRACING_ENABLED"];
        /// The share of traces that is kept, of those that callers did not begin.
        sample: f64 = 1.0, within 0.0..=1.0, prefixed ["TRACING_SAMPLE"];
        /// By which name the gateway goes there.
        service_name: String = "llm-gateway".to_owned(), bare ["OTEL_SERVICE_NAME"];
        /// Whether what is asked and answered is told too, as events of their own.
        /// What looks like a key or an address of a person is left out; it is still content, so think twice.
        content: bool = false, prefixed ["TRACING_CONTENT"];
    }
}
