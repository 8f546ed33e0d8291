//! Settings of the process itself: where it listens, how long it waits, what it logs.

use super::{
    network::{CorsOrigin, IpNetwork},
    section::section,
    value::{SettingType, choice},
};
use std::{net::IpAddr, path::PathBuf, time::Duration};

/// The longest timeout that can be set.
const DAY: Duration = seconds(24 * 60 * 60);
const INSTANT: Duration = Duration::ZERO;
const MOMENT: Duration = Duration::from_millis(1);

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

choice! {
    /// The environment of the deployment.
    DeploymentEnvironment {
        /// A developer's own machine.
        Development = "development";
        /// Automated tests of applications.
        Test = "test";
        /// A rehearsal of production.
        Staging = "staging";
        /// Production, with closed defaults.
        Production = "production";
    }
}

choice! {
    /// The authentication of clients.
    AuthMode {
        /// Callers need a key.
        On = "on" | "true";
        /// Callers need no key.
        Off = "off" | "false";
    }
}

choice! {
    /// The readiness of a gateway whose store is unavailable.
    ReadinessRule {
        /// Not ready: 503, as long as the store is unavailable.
        Strict = "strict";
        /// Ready for what needs no store: 200 `degraded`.
        Serving = "serving";
    }
}

choice! {
    /// The header in which trusted proxies report the addresses of callers.
    ProxyHeader {
        /// `Forwarded`.
        Forwarded = "forwarded";
        /// `X-Forwarded-For`.
        XForwardedFor = "x-forwarded-for";
    }
}

choice! {
    /// The verbosity of the log.
    LogVerbosity {
        /// Errors that need attention.
        Error = "error" | "critical" | "fatal";
        /// Errors and warnings only.
        Warn = "warn" | "warning";
        /// Normal operation as well.
        Info = "info";
        /// Debugging information as well.
        Debug = "debug";
        /// The most detailed level: every step.
        Trace = "trace";
    }
}

choice! {
    /// The format of log lines.
    LogOutput {
        /// A JSON object per line.
        Json = "json";
        /// Readable text for terminals.
        Pretty = "pretty" | "text";
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ByteSize(pub usize);

/// The units of sizes, longer names first.
const SIZES: [(&str, usize); 7] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("kb", 1000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("b", 1),
];

impl SettingType for ByteSize {
    fn expects() -> String {
        "a size such as `10MiB`".to_owned()
    }

    fn read(node: &super::raw_value::ConfigValue) -> Option<Self> {
        let Some(text) = node.text() else { return usize::read(node).map(Self) };
        let text = text.to_lowercase();
        let unit = SIZES.iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, size)));
        let (number, size) = unit.unwrap_or((&text, &1));
        number.trim_end().parse::<usize>().ok()?.checked_mul(*size).map(Self)
    }

    fn show(&self) -> Option<String> {
        let unit =
            SIZES.iter().take(3).rev().find(|(_, size)| self.0 > 0 && self.0.is_multiple_of(*size));
        Some(match unit {
            Some((unit, size)) => {
                format!("\"{}{}\"", self.0 / size, unit.to_uppercase().replace('I', "i"))
            }
            None => self.0.to_string(),
        })
    }
}

section! {
    /// The listener and its limits.
    pub ServerSection {
        /// Address to listen on.
        /// On an address other than loopback, client keys or `auth = "off"` are required.
        host: IpAddr = IpAddr::from([127, 0, 0, 1]), prefixed ["HOST"];
        /// Port to listen on.
        port: u16 = 8080, within 1..=65535, prefixed ["PORT"];
        /// Additional port for `/health`, `/live`, `/ready` and `/metrics`, served by a thread of its own under any load. Default: none.
        health_port: Option<u16> = None, prefixed ["HEALTH_PORT"];
        /// Deployment environment of the gateway.
        environment: DeploymentEnvironment = DeploymentEnvironment::Development, prefixed ["ENV", "ENVIRONMENT"];
        /// Directory of the embedded store and the last known good configuration.
        data_dir: PathBuf = "./data".into(), prefixed ["DATA_DIR"];
        /// Whether callers need a key.
        /// Default: on if there are clients, else off.
        auth: Option<AuthMode> = None, prefixed ["AUTH"];
        /// Origins of web pages that may call, besides the gateway's own; `*` for any.
        /// Default: none.
        cors_origins: Vec<CorsOrigin> = Vec::new(), bare ["CORS_ORIGINS"];
        /// Whether Responses are served over WebSocket, at `GET /v1/responses` with an upgrade.
        /// If `false`, upgrades are answered 426, and clients use HTTP.
        websockets: bool = true, prefixed ["WEBSOCKETS"];
        /// Host names that requests may name, besides loopback names and IP addresses; `*` for any.
        /// Checked on a loopback address and where callers need no key, against DNS rebinding; elsewhere only if set.
        allowed_hosts: Vec<String> = Vec::new(), prefixed ["ALLOWED_HOSTS"];
        /// Networks of trusted proxies. `Forwarded` and `X-Forwarded-For` are ignored from any other address.
        trusted_proxies: Vec<IpNetwork> = Vec::new(), prefixed ["TRUSTED_PROXIES"];
        /// The header that trusted proxies write; the other is ignored.
        /// Default: whichever is present; if both are present and disagree, both are ignored.
        proxy_header: Option<ProxyHeader> = None, prefixed ["PROXY_HEADER"];
        /// Whether `/health/ready` answers 503 while the store is unavailable, or 200 `degraded`, since requests that need no store are served.
        readiness: ReadinessRule = ReadinessRule::Strict, prefixed ["READINESS"];
        /// Maximum size of a request body.
        max_body_bytes: ByteSize = ByteSize(10 << 20), within ByteSize(1 << 10)..=ByteSize(1 << 30), prefixed ["MAX_BODY_BYTES"];
        /// Maximum size of a multipart form, such as an audio file, which passes on while it arrives.
        max_upload_bytes: ByteSize = ByteSize(512 << 20), within ByteSize(1 << 10)..=ByteSize(1 << 40), prefixed ["MAX_UPLOAD_BYTES"];
        /// Maximum nesting depth of JSON in a request.
        max_json_depth: usize = 64, within 8..=128;
        /// Maximum number of connections; above, callers receive 503.
        /// Default: 45 % of the process's limit of open files.
        max_connections: Option<usize> = None, prefixed ["MAX_CONNECTIONS"];
        /// Receive buffer of each upstream connection; bounds what is held of a response whose caller does not read.
        /// Linux reserves twice as much, and at most `net.core.rmem_max`.
        upstream_receive_buffer: ByteSize = ByteSize(128 << 10), within ByteSize(8 << 10)..=ByteSize(16 << 20);
        /// Whether the interactive API reference is served at `/docs`.
        /// Default: on except in production.
        docs: Option<bool> = None, prefixed ["DOCS_ENABLED"];
        /// Time after `SIGTERM` during which connections are still accepted while `/health/ready` answers 503.
        drain_delay: Duration = seconds(5), within INSTANT..=DAY, prefixed ["DRAIN_DELAY"];
        /// Time limit of the graceful shutdown, including `drain_delay`.
        /// Two seconds before its end, running streams end with an error.
        drain_timeout: Duration = seconds(28), within INSTANT..=DAY, prefixed ["DRAIN_TIMEOUT"];
    }
}

section! {
    /// Timeouts of connections, requests and responses.
    pub TimeoutsSection {
        /// Connecting to an upstream, including TLS; also the rest of a response head after its first byte.
        connect: Duration = seconds(3), within MOMENT..=DAY;
        /// The upstream's response head.
        first_byte: Duration = seconds(60), within MOMENT..=DAY;
        /// The upstream's response head, if the response is not streamed: most upstreams send it when the response is complete.
        /// Default: `total`.
        first_byte_whole: Option<Duration> = None;
        /// The first content of a streamed response, after its head.
        first_token: Duration = seconds(120), within MOMENT..=DAY;
        /// The next content of a streamed response.
        idle: Duration = seconds(90), within MOMENT..=DAY;
        /// A whole streamed response.
        stream_total: Duration = seconds(30 * 60), within MOMENT..=DAY;
        /// A whole response that is not streamed.
        total: Duration = seconds(590), within MOMENT..=DAY;
        /// Interval of keep-alive comments to streaming callers while the upstream is silent.
        keep_alive_comment: Duration = seconds(15), within MOMENT..=DAY;
        /// Maximum time for which the head of a streamed response is held back, so that an early failure has its own status.
        head_hold: Duration = seconds(10), within INSTANT..=DAY;
        /// A caller accepting more of a response.
        client_write: Duration = seconds(30), within MOMENT..=DAY;
        /// A whole request body.
        body: Duration = seconds(60), within MOMENT..=DAY;
        /// The first byte of a connection, and a request head from its first byte.
        header: Duration = seconds(10), within MOMENT..=DAY;
        /// An idle connection between two requests.
        idle_connection: Duration = seconds(75), within MOMENT..=DAY;
    }
}

section! {
    /// The log, on standard output.
    pub LogSection {
        /// Verbosity of the log.
        level: LogVerbosity = LogVerbosity::Info, bare ["LOG_LEVEL"];
        /// Log format.
        /// Default: `pretty` on a terminal, else `json`.
        format: Option<LogOutput> = None, prefixed ["LOG_FORMAT"];
        /// Whether the start prints addresses, store and providers to standard error.
        /// Default: only on a terminal.
        banner: Option<bool> = None, prefixed ["BANNER"];
    }
}

section! {
    /// Prometheus metrics at `/metrics`.
    pub MetricsSection {
        /// Whether `/metrics` is served.
        enabled: bool = true, bare ["METRICS_ENABLED"];
    }
}

section! {
    /// The web console, at `/console`.
    pub ConsoleSection {
        /// Whether the console is served.
        /// If callers need keys, it asks for a client key and shows the data of that client's tenant.
        /// Default: only on a loopback address.
        enabled: Option<bool> = None, prefixed ["CONSOLE_ENABLED"];
    }
}

section! {
    /// Defaults of request routing.
    pub RoutingSection {
        /// Provider of unknown models. Default: unknown models are not found.
        default_provider: Option<String> = None, bare ["DEFAULT_PROVIDER"];
        /// Model of requests without a model.
        default_model: Option<String> = None, bare ["DEFAULT_MODEL"];
        /// Whether requests with parameters that a translation would drop are refused, instead of naming them in `x-gateway-dropped`.
        strict: bool = false, prefixed ["STRICT"];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw_value::{ConfigValue, ValueKind, ValueSource};

    #[track_caller]
    fn check(text: &str, expected: Option<(usize, &str)>) {
        let content = ValueKind::Text(text.to_owned());
        let size =
            ByteSize::read(&ConfigValue { content, source: ValueSource::Variable("X".into()) });
        let shown = size.and_then(|size| Some((size.0, size.show()?)));
        let expected = expected.map(|(bytes, shown)| (bytes, shown.to_owned()));
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn sizes_have_units() {
        check("10MiB", Some((10 << 20, "\"10MiB\"")));
        check("1000000", Some((1_000_000, "1000000")));
        check("2 kb", Some((2000, "2000")));
        check("512 KiB", Some((512 << 10, "\"512KiB\"")));
        check("0", Some((0, "0")));
        for wrong in ["", "b", "-1", "1.5MB", "99999999999gib"] {
            check(wrong, None);
        }
    }
}
