//! Where traces are sent, and how.

/// How traces are sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Protocol {
    /// OTLP over gRPC.
    Grpc,
    /// OTLP over HTTP, as protobuf.
    Http,
}

/// Where traces are sent, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address.
    pub endpoint: String,
    /// How; if it is not said, HTTP to port 4318, else gRPC.
    pub protocol: Option<Protocol>,
    /// The share of traces that is kept, of those that callers did not begin.
    pub sample: f64,
    /// By which name the process goes there.
    pub service_name: String,
    /// Its version.
    pub service_version: &'static str,
    /// Whether what is asked and answered is told too.
    pub content: bool,
}

impl Protocol {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
        }
    }
}
