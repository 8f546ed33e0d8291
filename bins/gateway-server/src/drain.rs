//! How the gateway stops: it says so, waits, takes no more, and lets answers end.
//!
//! ```text
//! signal --- delay ---> closing ------------> last call --- 2 s ---> over
//! not ready             no more connections   streams are told       all is cut
//! ```

use crate::config::Config;
use gateway_net::server::ListenerShutdown;
use std::{future::Future, time::Duration};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The stages of the end. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    /// The gateway is about to stop; readiness says so.
    pub draining: CancellationToken,
    /// No more connections are taken, and those without a request are closed.
    pub closing: CancellationToken,
    /// Streams that still run are to end with `server_shutting_down`.
    pub last_call: CancellationToken,
    /// What still runs is cut.
    pub over: CancellationToken,
}

/// How long the stages take.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// From the signal until no more connections are taken.
    pub delay: Duration,
    /// From the signal until everything is over.
    pub total: Duration,
    /// From the last call until everything is over.
    pub notice: Duration,
}

impl Schedule {
    /// In no hurry.
    pub fn of(config: &Config) -> Self {
        let server = &config.server;
        Self {
            delay: server.drain_delay.min(server.drain_timeout),
            total: server.drain_timeout,
            notice: Duration::from_secs(2),
        }
    }

    /// Somebody waits at a keyboard.
    pub const fn hurried() -> Self {
        let total = Duration::from_secs(1);
        Self { delay: Duration::ZERO, total, notice: Duration::from_millis(500) }
    }
}

impl Drain {
    /// The stages that a listener has to know.
    pub fn listener(&self) -> ListenerShutdown {
        ListenerShutdown { closing: self.closing.clone(), over: self.over.clone() }
    }

    /// Goes through the stages. If `hurry` comes, those that are left are hurried through.
    pub async fn conduct(&self, schedule: Schedule, hurry: impl Future<Output = ()>) {
        tokio::select! {
            () = self.stages(schedule) => return,
            () = hurry => {}
        }
        self.stages(Schedule::hurried()).await;
    }

    async fn stages(&self, schedule: Schedule) {
        let now = Instant::now();
        let over = now + schedule.total;
        let last_call = now + schedule.total.saturating_sub(schedule.notice);
        self.draining.cancel();
        tokio::time::sleep_until(now + schedule.delay).await;
        self.closing.cancel();
        tokio::time::sleep_until(last_call).await;
        self.last_call.cancel();
        tokio::time::sleep_until(over).await;
        self.over.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    const CALM: Schedule = Schedule {
        delay: Duration::from_secs(5),
        total: Duration::from_secs(28),
        notice: Duration::from_secs(2),
    };

    /// Which stages are reached `seconds` after the signal, with a hurry at `hurry`.
    async fn check(seconds: f64, hurry: Option<f64>, expected: &str) {
        let drain = Drain::default();
        let hurried = async {
            match hurry {
                Some(seconds) => tokio::time::sleep(Duration::from_secs_f64(seconds)).await,
                None => pending().await,
            }
        };
        let conducted = drain.conduct(CALM, hurried);
        let _ = tokio::time::timeout(Duration::from_secs_f64(seconds), conducted).await;
        let stages = [
            (&drain.draining, 'd'),
            (&drain.closing, 'c'),
            (&drain.last_call, 'l'),
            (&drain.over, 'o'),
        ];
        let reached = stages.iter().filter(|(stage, _)| stage.is_cancelled());
        assert_eq!(reached.map(|(_, letter)| letter).collect::<String>(), expected, "{seconds}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_has_stages() {
        check(0.1, None, "d").await;
        check(5.1, None, "dc").await;
        check(26.1, None, "dcl").await;
        check(28.1, None, "dclo").await;
    }

    #[test]
    fn until_it_closes_a_draining_gateway_takes_connections() {
        let drain = Drain::default();
        drain.draining.cancel();
        let listener = drain.listener();
        assert!(!listener.closing.is_cancelled() && !listener.over.is_cancelled());
        drain.closing.cancel();
        drain.over.cancel();
        assert!(listener.closing.is_cancelled() && listener.over.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_hurries() {
        check(3.1, Some(3.0), "dc").await;
        check(3.6, Some(3.0), "dcl").await;
        check(4.1, Some(3.0), "dclo").await;
        check(1.1, Some(0.0), "dclo").await;
    }
}
