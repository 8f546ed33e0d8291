//! Settings of the OTLP export.

/// The protocol of the export.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OtlpProtocol {
    /// OTLP over gRPC.
    Grpc,
    /// OTLP over HTTP, as protobuf.
    Http,
}

/// The settings of the OTLP export.
#[derive(Clone, Debug)]
pub struct OtlpSettings {
    /// The URL of the collector.
    pub endpoint: String,
    /// The protocol; default: HTTP for port 4318, else gRPC.
    pub protocol: Option<OtlpProtocol>,
    /// The share of traces that is sampled where the caller did not decide, from 0 to 1.
    pub sample: f64,
    /// The value of the resource attribute `service.name`.
    pub service_name: String,
    /// The value of the resource attribute `service.version`.
    pub service_version: &'static str,
    /// Whether message content is recorded.
    pub content: bool,
}

impl OtlpProtocol {
    /// Returns the protocol's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
        }
    }
}
