//! Memory: at rest, under many slow streams, after a burst of large requests, and whether it is
//! given back.

use super::{
    load::Load,
    programs::{LoadTarget, Programs},
    scenarios::messages,
};
use crate::{clock::pause, terminal::say};
use anyhow::Context as _;
use std::{fs, path::Path, time::Duration};

const STREAMS: u32 = 1_000;
const BURST: u32 = 1_500;
const BURST_BODY: usize = 150_000;

/// Measures the bare proxy and the gateway, freshly started.
pub(super) fn measure(
    programs: &Programs,
    gateway: &Path,
    folder: &Path,
    quick: bool,
) -> anyhow::Result<Vec<Vec<String>>> {
    let rest = Duration::from_secs(if quick { 3 } else { 30 });
    let head =
        ["MiB", "idle", "1,000 slow streams", "KiB a stream", "later", "150 kB x 1,500", "later"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for target in [LoadTarget::Bare, LoadTarget::Gateway] {
        say(format!("memory: {target:?}, {rest:?} of rest after each load"));
        let figures = figures(programs, gateway, folder, (target, rest))?;
        let cells = figures.into_iter().map(|figure| format!("{figure:.1}"));
        rows.push([format!("{target:?}").to_lowercase()].into_iter().chain(cells).collect());
    }
    Ok(rows)
}

fn figures(
    programs: &Programs,
    gateway: &Path,
    folder: &Path,
    (target, rest): (LoadTarget, Duration),
) -> anyhow::Result<[f64; 6]> {
    let running = programs.start(gateway, folder)?;
    let pid = running.at(target).0;
    pause(Duration::from_secs(1));
    let idle = resident(pid)?;
    running.set_mock("chunks=100&delay_ms=100&flush=each")?;
    let streams = Load { concurrency: STREAMS, stream: true, seconds: 8.0, ..Load::default() };
    let busy = streams.run(programs, &running, target)?.watched.rss_mib_peak;
    pause(rest);
    let rested = resident(pid)?;
    running.set_mock("chunks=100&delay_ms=0&flush=each")?;
    let body = folder.join("burst.json");
    fs::write(&body, messages(1, BURST_BODY).to_string())?;
    let burst = Load { concurrency: 64, seconds: 8.0, requests: Some(BURST), ..Load::default() };
    let after = Load { body: Some(body), ..burst }.run(programs, &running, target)?;
    pause(rest);
    let per_stream = (busy - idle) * 1024.0 / f64::from(STREAMS);
    Ok([idle, busy, per_stream, rested, after.watched.rss_mib_peak, resident(pid)?])
}

/// Resident memory of a process, in MiB.
fn resident(pid: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    parse(&status).context("no resident memory in /proc")
}

fn parse(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::{parse, resident};

    #[test]
    fn memory_is_read_from_proc() {
        assert_eq!(parse("Name:\tx\nVmRSS:\t    2048 kB\nThreads: 1\n"), Some(2.0));
        assert_eq!(parse("Name:\tx\n"), None);
        assert!(resident(std::process::id()).unwrap() > 0.1);
    }
}
