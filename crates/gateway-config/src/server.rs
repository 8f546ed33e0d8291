//! Settings of the process itself: where it listens, how long it waits, what it logs.

use super::{
    network::{Network, Origin},
    section::section,
    value::{Value, choice},
};
use std::{net::IpAddr, path::PathBuf, time::Duration};

/// A day, above every wait that makes sense.
const DAY: Duration = seconds(24 * 60 * 60);
const INSTANT: Duration = Duration::ZERO;
const MOMENT: Duration = Duration::from_millis(1);

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

choice! {
    /// Where the gateway runs.
    Environment {
        /// On a developer's machine.
        Development = "development";
        /// In an automated test.
        Test = "test";
        /// Where releases are tried.
        Staging = "staging";
        /// Where it counts.
        Production = "production";
    }
}

choice! {
    /// Whether callers need a key.
    Auth {
        /// They do.
        On = "on" | "true";
        /// Whoever reaches the port may use it.
        Off = "off" | "false";
    }
}

choice! {
    /// How much is logged.
    Level {
        /// Only what needs somebody's attention.
        Error = "error" | "critical" | "fatal";
        /// Also what may need it soon.
        Warn = "warn" | "warning";
        /// Also what an operator likes to know.
        Info = "info";
        /// Also what a developer likes to know.
        Debug = "debug";
        /// Everything.
        Trace = "trace";
    }
}

choice! {
    /// How it is logged.
    Format {
        /// One JSON object a line.
        Json = "json";
        /// For eyes.
        Pretty = "pretty" | "text";
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Size(pub usize);

/// The units of sizes, the longer first.
const SIZES: [(&str, usize); 7] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("kb", 1000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("b", 1),
];

impl Value for Size {
    fn expects() -> String {
        "a size such as `10MiB`".to_owned()
    }

    fn read(node: &super::node::Node) -> Option<Self> {
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
    /// Where the gateway listens and what it takes.
    pub Server {
        /// The address to listen on.
        /// On any other than a loopback address, the gateway starts only with client keys, or with `auth = "off"` said.
        host: IpAddr = IpAddr::from([127, 0, 0, 1]), prefixed ["HOST"];
        /// The port to listen on.
        port: u16 = 8080, within 1..=65535, prefixed ["PORT"];
        /// A port on the same address for `/health`, `/live`, `/ready` and `/metrics` alone, which a thread of its own answers however busy the gateway is.
        health_port: Option<u16> = None, prefixed ["HEALTH_PORT"];
        /// Where the gateway runs.
        environment: Environment = Environment::Development, prefixed ["ENV", "ENVIRONMENT"];
        /// The directory of everything that the gateway keeps.
        data_dir: PathBuf = "./data".into(), prefixed ["DATA_DIR"];
        /// Whether callers need a key.
        /// If it is not said: on if there are clients, off if not.
        auth: Option<Auth> = None, prefixed ["AUTH"];
        /// Origins from which browsers may call; `*` for any.
        /// If there are none: in development any, but `/mcp` only from this machine; elsewhere none.
        cors_origins: Vec<Origin> = Vec::new(), bare ["CORS_ORIGINS"];
        /// Networks of proxies whose `Forwarded` and `X-Forwarded-For` headers are believed.
        trusted_proxies: Vec<Network> = Vec::new(), prefixed ["TRUSTED_PROXIES"];
        /// The largest body of a request.
        max_body_bytes: Size = Size(10 << 20), within Size(1 << 10)..=Size(1 << 30), prefixed ["MAX_BODY_BYTES"];
        /// How deep the JSON of a request may be nested.
        max_json_depth: usize = 64, within 8..=128;
        /// How many connections are served at once; above, callers are answered 503.
        /// If it is not said: 45 % of the number of files that the process may open.
        max_connections: Option<usize> = None, prefixed ["MAX_CONNECTIONS"];
        /// The receive buffer that the system has for each connection to an upstream; it bounds what is held of an answer whose caller does not read.
        /// Linux reserves twice as much, and no more than `net.core.rmem_max`.
        upstream_receive_buffer: Size = Size(128 << 10), within Size(8 << 10)..=Size(16 << 20);
        /// Whether `/docs` answers, a reader of the API's description.
        /// If it is not said: everywhere but in production.
        docs: Option<bool> = None, prefixed ["DOCS_ENABLED"];
        /// After a signal to stop, how long new connections are still taken while `/health/ready` already says 503.
        drain_delay: Duration = seconds(5), within INSTANT..=DAY, prefixed ["DRAIN_DELAY"];
        /// After a signal to stop, how long answers have to end, the delay included.
        /// Two seconds before, streams are told that the server is shutting down.
        drain_timeout: Duration = seconds(28), within INSTANT..=DAY, prefixed ["DRAIN_TIMEOUT"];
    }
}

section! {
    /// How long the gateway waits.
    pub Timeouts {
        /// For a connection to an upstream, TLS included; and for the head of an answer, once it has begun.
        connect: Duration = seconds(3), within MOMENT..=DAY;
        /// For the head of an upstream's answer.
        first_byte: Duration = seconds(60), within MOMENT..=DAY;
        /// For the first content of a streamed answer, after its head.
        first_token: Duration = seconds(120), within MOMENT..=DAY;
        /// For more content of a streamed answer.
        idle: Duration = seconds(90), within MOMENT..=DAY;
        /// For the end of a streamed answer.
        stream_total: Duration = seconds(30 * 60), within MOMENT..=DAY;
        /// For the end of an answer that is not streamed.
        total: Duration = seconds(590), within MOMENT..=DAY;
        /// After so much silence of the upstream, a streaming caller is sent a comment.
        keep_alive_comment: Duration = seconds(15), within MOMENT..=DAY;
        /// How long the head of a streamed answer is held back, so that a failure can still have its own status.
        head_hold: Duration = seconds(10), within INSTANT..=DAY;
        /// For a caller to take more of an answer.
        client_write: Duration = seconds(30), within MOMENT..=DAY;
        /// For the whole body of a request.
        body: Duration = seconds(60), within MOMENT..=DAY;
        /// For the first byte of a connection, and for the head of a request from its first byte.
        header: Duration = seconds(10), within MOMENT..=DAY;
        /// For the next request of a connection.
        idle_connection: Duration = seconds(75), within MOMENT..=DAY;
    }
}

section! {
    /// What is logged, to the standard output.
    pub Log {
        /// How much.
        level: Level = Level::Info, bare ["LOG_LEVEL"];
        /// How.
        /// If it is not said: `pretty` on a terminal, `json` elsewhere.
        format: Option<Format> = None, prefixed ["LOG_FORMAT"];
    }
}

section! {
    /// What is measured.
    pub Metrics {
        /// Whether `/metrics` answers.
        enabled: bool = true, bare ["METRICS_ENABLED"];
    }
}

section! {
    /// The page for operators, at `/console`.
    pub Console {
        /// Whether it answers.
        /// What it shows takes a client's key, if callers need one, and is what that client's tenant may see.
        /// If it is not said: only on a loopback address.
        enabled: Option<bool> = None, prefixed ["CONSOLE_ENABLED"];
    }
}

section! {
    /// Who gets a request.
    pub Routing {
        /// The provider of models that nobody claims; without one they are not found.
        default_provider: Option<String> = None, bare ["DEFAULT_PROVIDER"];
        /// The model of requests that name none.
        default_model: Option<String> = None, bare ["DEFAULT_MODEL"];
        /// Whether a request is refused if its translation would lose something, instead of naming it in `x-gateway-dropped`.
        strict: bool = false, prefixed ["STRICT"];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::{Content, Node, Source};

    #[track_caller]
    fn check(text: &str, expected: Option<(usize, &str)>) {
        let content = Content::Text(text.to_owned());
        let size = Size::read(&Node { content, source: Source::Variable("X".into()) });
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
