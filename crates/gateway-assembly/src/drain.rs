//! Graceful shutdown.
//!
//! ```text
//! signal --- delay ---> closing -----------> final notice --- 2 s ---> terminated
//! not ready             no new connections   streams are ended         connections are cut
//! ```

use crate::ShutdownStages;
use gateway_config::Config;
use gateway_net::server::ListenerShutdown;
use std::time::Duration;
use tokio::time::Instant;

/// The durations of the stages.
#[derive(Clone, Copy, Debug)]
pub struct DrainSchedule {
    /// The time from the signal to `closing`.
    pub delay: Duration,
    /// The time from the signal to `terminated`.
    pub total: Duration,
    /// The time from `final_notice` to `terminated`.
    pub notice: Duration,
}

impl DrainSchedule {
    /// Returns the schedule of a graceful shutdown.
    pub fn of(config: &Config) -> Self {
        let server = &config.server;
        Self {
            delay: server.drain_delay.min(server.drain_timeout),
            total: server.drain_timeout,
            notice: Duration::from_secs(2),
        }
    }

    /// Returns the schedule of an immediate shutdown.
    pub const fn immediate() -> Self {
        let total = Duration::from_secs(1);
        Self { delay: Duration::ZERO, total, notice: Duration::from_millis(500) }
    }
}

/// Returns the stages that concern a listener.
pub fn listener_shutdown(stages: &ShutdownStages) -> ListenerShutdown {
    ListenerShutdown { closing: stages.closing.clone(), over: stages.terminated.clone() }
}

/// Runs the stages. Once `hurry` completes, the rest follows the immediate schedule.
pub async fn drain(
    stages: &ShutdownStages,
    schedule: DrainSchedule,
    hurry: impl Future<Output = ()>,
) {
    tokio::select! {
        () = run(stages, schedule) => return,
        () = hurry => {}
    }
    run(stages, DrainSchedule::immediate()).await;
}

async fn run(stages: &ShutdownStages, schedule: DrainSchedule) {
    let now = Instant::now();
    let terminated = now + schedule.total;
    let final_notice = now + schedule.total.saturating_sub(schedule.notice);
    stages.draining.cancel();
    tokio::time::sleep_until(now + schedule.delay).await;
    stages.closing.cancel();
    tokio::time::sleep_until(final_notice).await;
    stages.final_notice.cancel();
    tokio::time::sleep_until(terminated).await;
    stages.terminated.cancel();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    const GRACEFUL: DrainSchedule = DrainSchedule {
        delay: Duration::from_secs(5),
        total: Duration::from_secs(28),
        notice: Duration::from_secs(2),
    };

    /// Checks the stages reached `seconds` after the signal, with a second signal at `hurry`: `d`raining,
    /// `c`losing, `l`ast notice, `o`ver.
    async fn check(seconds: f64, hurry: Option<f64>, expected: &str) {
        let shutdown = ShutdownStages::default();
        let hurried = async {
            match hurry {
                Some(seconds) => tokio::time::sleep(Duration::from_secs_f64(seconds)).await,
                None => pending().await,
            }
        };
        let conducted = drain(&shutdown, GRACEFUL, hurried);
        let _ = tokio::time::timeout(Duration::from_secs_f64(seconds), conducted).await;
        let stages = [
            (&shutdown.draining, 'd'),
            (&shutdown.closing, 'c'),
            (&shutdown.final_notice, 'l'),
            (&shutdown.terminated, 'o'),
        ];
        let reached = stages.iter().filter(|(stage, _)| stage.is_cancelled());
        assert_eq!(reached.map(|(_, letter)| letter).collect::<String>(), expected, "{seconds}");
    }

    #[tokio::test(start_paused = true)]
    async fn stages_follow_the_schedule() {
        check(0.1, None, "d").await;
        check(5.1, None, "dc").await;
        check(26.1, None, "dcl").await;
        check(28.1, None, "dclo").await;
    }

    #[test]
    fn draining_gateway_accepts_connections_until_closing() {
        let shutdown = ShutdownStages::default();
        shutdown.draining.cancel();
        let listener = listener_shutdown(&shutdown);
        assert!(!listener.closing.is_cancelled() && !listener.over.is_cancelled());
        shutdown.closing.cancel();
        shutdown.terminated.cancel();
        assert!(listener.closing.is_cancelled() && listener.over.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn second_signal_shortens_the_schedule() {
        check(3.1, Some(3.0), "dc").await;
        check(3.6, Some(3.0), "dcl").await;
        check(4.1, Some(3.0), "dclo").await;
        check(1.1, Some(0.0), "dclo").await;
    }
}
