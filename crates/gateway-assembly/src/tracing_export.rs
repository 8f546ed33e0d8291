//! The export of traces that the configuration names.

use gateway_config::{Config, TracingProtocol};
use gateway_telemetry::otel::{OtlpProtocol, OtlpSettings};

/// Returns the settings of the OTLP exporter, if tracing has an endpoint and is enabled.
pub fn otlp_settings(config: &Config, service_version: &'static str) -> Option<OtlpSettings> {
    let it = &config.tracing;
    let endpoint = it.endpoint.as_ref().filter(|_| it.enabled)?;
    Some(OtlpSettings {
        endpoint: endpoint.as_str().to_owned(),
        protocol: it.protocol.map(|protocol| match protocol {
            TracingProtocol::Grpc => OtlpProtocol::Grpc,
            TracingProtocol::Http => OtlpProtocol::Http,
        }),
        sample: it.sample,
        service_name: it.service_name.clone(),
        service_version,
        content: it.content,
    })
}
