//! One measurement: the flags of the load generator, and its report.

use super::{
    programs::{LoadTarget, Programs, RunningPrograms},
    scenarios::CHUNKS,
};
use crate::{gateway::CLIENT_KEY, process::unlimited};
use anyhow::{Context as _, ensure};
use serde::Deserialize;
use std::{collections::BTreeMap, path::PathBuf};

/// The settings of the load generator.
#[derive(Clone, Debug, Default)]
pub(super) struct Load {
    pub(super) concurrency: u32,
    pub(super) stream: bool,
    /// The body's file; a short chat without.
    pub(super) body: Option<PathBuf>,
    /// The duration of the measurement, in seconds.
    pub(super) seconds: f64,
    /// Requests after which to stop.
    pub(super) requests: Option<u32>,
}

/// The result of one measurement.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Sample {
    /// Requests answered a second.
    pub(super) rps: f64,
    ok: u64,
    errors: u64,
    error_kinds: BTreeMap<String, u64>,
    unfinished: u64,
    /// The response times, in microseconds.
    pub(super) latency_us: Quantiles,
    /// The process that was measured.
    pub(super) watched: ProcessUsage,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Quantiles {
    pub(super) p50: f64,
}

/// The resources that a process used.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct ProcessUsage {
    pub(super) cpu_us_per_request: f64,
    pub(super) cpu_us_per_event: Option<f64>,
    pub(super) rss_mib_peak: f64,
}

impl Load {
    /// Sends it. Every answer is checked by the load generator; a wrong one is an error.
    pub(super) fn run(
        &self,
        programs: &Programs,
        running: &RunningPrograms,
        target: LoadTarget,
    ) -> anyhow::Result<Sample> {
        let (pid, port) = running.at(target);
        let mut loadgen = unlimited(&programs.path("loadgen"));
        let output = loadgen.args(self.flags(target, pid, port)).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        Sample::parse(&text).with_context(|| format!("{target:?}: {}{text}", complaint.trim()))
    }

    fn flags(&self, target: LoadTarget, pid: u32, port: u16) -> Vec<String> {
        let model = if target == LoadTarget::Gateway { "openai/mock-model" } else { "mock-model" };
        let mut flags = vec!["--json".to_owned()];
        let mut add = |name: &str, value: &str| flags.extend([name.to_owned(), value.to_owned()]);
        add("--url", &format!("http://127.0.0.1:{port}/v1/chat/completions"));
        add("--watch-pid", &pid.to_string());
        add("--model", model);
        add("--header", &format!("authorization: Bearer {CLIENT_KEY}"));
        add("--concurrency", &self.concurrency.to_string());
        add("--duration", &self.seconds.to_string());
        add("--expect-chunks", &CHUNKS.to_string());
        if let Some(body) = &self.body {
            add("--body", &body.display().to_string());
        }
        if let Some(requests) = self.requests {
            // All of them count: they may be over before a warm-up would be.
            add("--max-requests", &requests.to_string());
            add("--warmup", "0");
        }
        if self.stream {
            flags.push("--stream".to_owned());
        }
        flags
    }
}

impl Sample {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let sample: Self = serde_json::from_str(text)?;
        ensure!(sample.errors == 0, "{} wrong answers: {:?}", sample.errors, sample.error_kinds);
        ensure!(sample.ok + sample.unfinished > 0, "nothing was answered");
        Ok(sample)
    }
}

#[cfg(test)]
mod tests {
    use super::{Load, LoadTarget, Sample};

    fn report(ok: u64, errors: u64) -> String {
        format!(
            r#"{{"ok":{ok},"errors":{errors},"error_kinds":{{"status 500":{errors}}},"rps":9.5,
            "unfinished":0,"latency_us":{{"p50":31.5,"p90":40}},"url":"x","watched":
            {{"cpu_us_per_request":17.0,"cpu_us_per_event":null,"rss_mib_peak":2.5,"threads":3}}}}"#
        )
    }

    #[test]
    fn load_report_is_parsed() {
        let sample = Sample::parse(&report(7, 0)).unwrap();
        assert!((sample.watched.cpu_us_per_request - 17.0).abs() < 1e-9);
        assert!((sample.latency_us.p50 - 31.5).abs() < 1e-9);
    }

    #[test]
    fn wrong_response_invalidates_measurement() {
        let error = Sample::parse(&report(7, 2)).unwrap_err().to_string();
        assert!(error.contains("status 500"), "{error}");
        assert!(Sample::parse(&report(0, 0)).is_err());
        assert!(Sample::parse("loadgen: no").is_err());
    }

    #[test]
    fn only_gateway_gets_provider_prefix() {
        let load = Load { concurrency: 3, stream: true, ..Load::default() };
        let flags = |target| load.flags(target, 1, 2).join(" ");
        assert!(flags(LoadTarget::Gateway).contains("--model openai/mock-model "));
        assert!(flags(LoadTarget::Bare).contains("--model mock-model "));
        assert!(flags(LoadTarget::Bare).ends_with(" --stream"));
    }
}
