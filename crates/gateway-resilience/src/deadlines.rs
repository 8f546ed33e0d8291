//! Deadlines: every wait for an upstream is bounded.
//!
//! ```text
//!   answer():  ---- first_byte ---->  head
//!   chunks:                           ---- first_output ---->  output
//!                                                              -- idle --> output -- idle --> ...
//!              --------------------------------- total --------------------------------------->
//! ```

use gateway_core::{
    Chunk, ErrorKind, GatewayError, ProviderRequest, RegisteredWaker, ResponseMeta,
};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{self, Instant, Sleep};

/// The deadlines of upstream requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DeadlineLimits {
    /// Time until the response head of a streamed request. Default: 60 s.
    pub first_byte: Duration,
    /// Time until the response head of a request that is not streamed. Default: 590 s.
    pub first_byte_whole: Duration,
    /// Time from the response head to the first output. Default: 120 s.
    pub first_output: Duration,
    /// Time between chunks after the first output. Default: 90 s.
    pub idle: Duration,
    /// Time between outputs while only comments and pings arrive. Default: 300 s.
    pub pings_only: Duration,
    /// Total time of a streamed response. Default: 1800 s.
    pub stream_total: Duration,
    /// Total time of a response that is not streamed. Default: 590 s.
    pub total: Duration,
}

impl Default for DeadlineLimits {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_mins(1),
            first_byte_whole: Duration::from_secs(590),
            first_output: Duration::from_mins(2),
            idle: Duration::from_secs(90),
            pings_only: Duration::from_mins(5),
            stream_total: Duration::from_mins(30),
            // OpenAI's clients give up at 600 s: the answer should be ours.
            total: Duration::from_secs(590),
        }
    }
}

impl DeadlineLimits {
    /// Returns the time until the response head of `call`, and that until the end of its response.
    pub(crate) fn of(&self, call: &ProviderRequest) -> (Duration, Duration) {
        let (head, total) = if call.stream {
            (self.first_byte.min(self.stream_total), self.stream_total)
        } else {
            (self.first_byte_whole.min(self.total), self.total)
        };
        (if call.context.breaker.half_open_probe { head / 2 } else { head }, total)
    }
}

/// The error of a provider whose response head did not arrive in time.
pub(crate) fn missing_head(provider: &str, model: Arc<str>) -> GatewayError {
    let provider = provider.into();
    timed_out().with_meta(ResponseMeta { provider, model, attempts: 1, ..ResponseMeta::default() })
}

/// The deadlines of a response that has begun.
///
/// A chunk only notes when it came: the one timer finds out, when it fires, that it fired too
/// early. So a stream costs a timer, not a timer a chunk. It is touched before that only when
/// patience ends earlier than it was set for, as it may with the first output.
pub(crate) struct StreamDeadlines {
    limits: DeadlineLimits,
    total: Instant,
    /// Whether a chunk came since the clock was read: the time is that of the next wait.
    has_activity: bool,
    /// Whether that chunk counts as progress.
    has_progress: bool,
    /// Time of the last chunk.
    last_activity: Instant,
    /// Time of the last output; before the first, of the response head.
    last_output: Instant,
    has_output: bool,
    timer: Option<Pin<Box<Sleep>>>,
    waker: RegisteredWaker,
}

impl StreamDeadlines {
    /// The deadlines of a response whose head came just now, and which ends at `total`.
    pub(crate) fn new(limits: DeadlineLimits, total: Instant) -> Self {
        let now = Instant::now();
        Self {
            limits,
            total,
            has_activity: false,
            has_progress: false,
            last_activity: now,
            last_output: now,
            has_output: false,
            timer: None,
            waker: RegisteredWaker::default(),
        }
    }

    pub(crate) fn record(&mut self, chunk: &Chunk) {
        self.has_activity = true;
        self.has_output |= chunk.output;
        // Accounts after the last output are progress too.
        self.has_progress |= chunk.output || (self.has_output && !chunk.events.is_empty());
    }

    /// Reads the clock for the chunks that came since the last wait.
    fn update_times(&mut self) {
        if !std::mem::take(&mut self.has_activity) {
            return;
        }
        self.last_activity = Instant::now();
        if std::mem::take(&mut self.has_progress) {
            self.last_output = self.last_activity;
        }
    }

    /// Returns the current deadline.
    fn next_deadline(&self) -> Instant {
        let next = if self.has_output {
            (self.last_activity + self.limits.idle).min(self.last_output + self.limits.pings_only)
        } else {
            self.last_output + self.limits.first_output
        };
        next.min(self.total)
    }

    /// Ready when a deadline has passed, with the error that ends the response:
    /// [`UpstreamTimeout`](ErrorKind::UpstreamTimeout) before the first output, and
    /// [`UpstreamStalled`](ErrorKind::UpstreamStalled) after it.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<GatewayError> {
        self.update_times();
        let mut is_registered = !self.waker.renew(cx) && self.timer.is_some();
        loop {
            let due = self.next_deadline();
            let timer = self.timer.get_or_insert_with(|| Box::pin(time::sleep_until(due)));
            if due < timer.deadline() {
                timer.as_mut().reset(due);
                is_registered = false;
            }
            if is_registered && !timer.is_elapsed() {
                return Poll::Pending;
            }
            is_registered = false;
            ready!(timer.as_mut().poll(cx));
            if Instant::now() >= due {
                return Poll::Ready(if self.has_output { stalled() } else { timed_out() });
            }
            timer.as_mut().reset(due);
        }
    }
}

fn timed_out() -> GatewayError {
    GatewayError::new(ErrorKind::UpstreamTimeout, "the provider timed out")
}

fn stalled() -> GatewayError {
    GatewayError::new(
        ErrorKind::UpstreamStalled,
        "the provider stopped sending in the middle of the response",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ResilientProvider;
    use async_trait::async_trait;
    use futures_util::{StreamExt as _, stream};
    use gateway_core::{
        ChatRequest, Provider, ProviderLayer, ProviderResponse, ResponseMeta, Result, StreamEvent,
    };

    /// Plays a script: a digit waits for so many times 50 seconds, `a` is output, `p` a ping,
    /// `h` the head.
    struct Script(&'static str);

    async fn wait(step: char) {
        if let Some(times) = step.to_digit(10) {
            time::sleep(Duration::from_secs(50) * times).await;
        }
    }

    #[async_trait]
    impl Provider for Script {
        fn id(&self) -> &'static str {
            "script"
        }

        async fn generate(&self, _: ProviderRequest) -> Result<ProviderResponse> {
            let (before, after) = self.0.split_once('h').unwrap();
            for step in before.chars() {
                wait(step).await;
            }
            let chunks = stream::iter(after.chars()).filter_map(|step| async move {
                wait(step).await;
                match step {
                    'a' => Some(Ok(Chunk::from_events(vec![StreamEvent::Text("a".into())]))),
                    'p' => Some(Ok(Chunk::default())),
                    _ => None,
                }
            });
            Ok(ProviderResponse { meta: ResponseMeta::default(), chunks: Box::pin(chunks) })
        }
    }

    /// What a caller sees: `a` and `p`, then `.` at the end or the error.
    async fn check(stream: bool, script: &'static str, expected: &str) {
        let provider = ResilientProvider::new(Arc::new(Script(script)));
        let provider = provider.with_deadlines(DeadlineLimits::default());
        let mut call = ProviderRequest::new(ChatRequest::user("m", "hello"));
        call.stream = stream;
        let mut seen = String::new();
        match ProviderLayer::generate(&provider, call).await {
            Err(error) => seen.push_str(error.code()),
            Ok(mut answer) => loop {
                match answer.chunks.next().await {
                    Some(Ok(chunk)) => seen.push(if chunk.output { 'a' } else { 'p' }),
                    Some(Err(error)) => seen.push_str(error.code()),
                    None => break seen.push('.'),
                }
            },
        }
        assert_eq!(seen, expected, "{script}");
    }

    #[tokio::test(start_paused = true)]
    async fn response_within_deadlines_is_unchanged() {
        check(true, "1h2a1a1a", "aaa.").await;
        check(false, "9h", ".").await;
    }

    #[tokio::test(start_paused = true)]
    async fn missing_head_times_out() {
        check(true, "2h", "upstream_timeout").await;
        check(false, "99h", "upstream_timeout").await;
    }

    #[tokio::test(start_paused = true)]
    async fn missing_first_output_times_out() {
        check(true, "h3a", "upstream_timeout.").await;
        check(true, "h1p1p1p", "ppupstream_timeout.").await;
    }

    #[tokio::test(start_paused = true)]
    async fn idle_stream_stalls() {
        check(true, "ha2a", "aupstream_stalled.").await;
    }

    #[tokio::test(start_paused = true)]
    async fn idle_deadline_starts_with_first_output() {
        let began = Instant::now();
        check(true, "h1a3a", "aupstream_stalled.").await;
        assert_eq!(began.elapsed(), Duration::from_secs(50 + 90));
    }

    #[tokio::test(start_paused = true)]
    async fn pings_extend_idle_deadline_up_to_limit() {
        check(true, "ha1p1p1p1a", "apppa.").await;
        check(true, "ha1p1p1p1p1p1p1p", "appppppupstream_stalled.").await;
    }

    #[tokio::test(start_paused = true)]
    async fn total_deadline_ends_stream() {
        let talk = "h1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a";
        check(true, talk, &format!("{}upstream_stalled.", "a".repeat(36))).await;
    }
}
