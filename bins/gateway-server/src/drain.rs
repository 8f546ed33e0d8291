//! Graceful shutdown.
//!
//! ```text
//! signal --- delay ---> closing -----------> final notice --- 2 s ---> terminated
//! not ready             no new connections   streams are ended         connections are cut
//! ```

use crate::config::Config;
use gateway_net::server::ListenerShutdown;
use std::{future::Future, time::Duration};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The stages of the shutdown. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drain {
    /// Readiness fails; requests are still served.
    pub draining: CancellationToken,
    /// No connection is accepted, and idle ones are closed.
    pub closing: CancellationToken,
    /// Streams that still run end with `server_shutting_down`.
    pub final_notice: CancellationToken,
    /// Connections that are still open are cut.
    pub terminated: CancellationToken,
}

/// The durations of the stages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    /// The time from the signal to `closing`.
    pub delay: Duration,
    /// The time from the signal to `terminated`.
    pub total: Duration,
    /// The time from `final_notice` to `terminated`.
    pub notice: Duration,
}

impl Schedule {
    /// Returns the schedule of a graceful shutdown.
    pub(crate) fn of(config: &Config) -> Self {
        let server = &config.server;
        Self {
            delay: server.drain_delay.min(server.drain_timeout),
            total: server.drain_timeout,
            notice: Duration::from_secs(2),
        }
    }

    /// Returns the schedule of an immediate shutdown.
    pub(crate) const fn immediate() -> Self {
        let total = Duration::from_secs(1);
        Self { delay: Duration::ZERO, total, notice: Duration::from_millis(500) }
    }
}

impl Drain {
    /// Returns the stages that concern a listener.
    pub(crate) fn listener(&self) -> ListenerShutdown {
        ListenerShutdown { closing: self.closing.clone(), over: self.terminated.clone() }
    }

    /// Runs the stages. Once `hurry` completes, the rest follows the immediate schedule.
    pub(crate) async fn run(&self, schedule: Schedule, hurry: impl Future<Output = ()>) {
        tokio::select! {
            () = self.stages(schedule) => return,
            () = hurry => {}
        }
        self.stages(Schedule::immediate()).await;
    }

    async fn stages(&self, schedule: Schedule) {
        let now = Instant::now();
        let terminated = now + schedule.total;
        let final_notice = now + schedule.total.saturating_sub(schedule.notice);
        self.draining.cancel();
        tokio::time::sleep_until(now + schedule.delay).await;
        self.closing.cancel();
        tokio::time::sleep_until(final_notice).await;
        self.final_notice.cancel();
        tokio::time::sleep_until(terminated).await;
        self.terminated.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    const GRACEFUL: Schedule = Schedule {
        delay: Duration::from_secs(5),
        total: Duration::from_secs(28),
        notice: Duration::from_secs(2),
    };

    /// Checks the stages reached `seconds` after the signal, with a second signal at `hurry`: `d`raining,
    /// `c`losing, `l`ast notice, `o`ver.
    async fn check(seconds: f64, hurry: Option<f64>, expected: &str) {
        let drain = Drain::default();
        let hurried = async {
            match hurry {
                Some(seconds) => tokio::time::sleep(Duration::from_secs_f64(seconds)).await,
                None => pending().await,
            }
        };
        let conducted = drain.run(GRACEFUL, hurried);
        let _ = tokio::time::timeout(Duration::from_secs_f64(seconds), conducted).await;
        let stages = [
            (&drain.draining, 'd'),
            (&drain.closing, 'c'),
            (&drain.final_notice, 'l'),
            (&drain.terminated, 'o'),
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
        let drain = Drain::default();
        drain.draining.cancel();
        let listener = drain.listener();
        assert!(!listener.closing.is_cancelled() && !listener.over.is_cancelled());
        drain.closing.cancel();
        drain.terminated.cancel();
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
