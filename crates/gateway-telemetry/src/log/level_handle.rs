//! The log level, adjustable at run time; a disabled call site costs nothing.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering::Relaxed},
};
use tracing::{Level, Metadata, Subscriber, level_filters::LevelFilter, subscriber::Interest};
use tracing_subscriber::layer::{Context, Filter};

/// A handle to the level. Clones share it.
#[derive(Clone, Debug)]
pub struct LevelHandle(Arc<AtomicU8>);

/// The levels, from the least to the most verbose.
const LEVELS: [LevelFilter; 5] = [
    LevelFilter::ERROR,
    LevelFilter::WARN,
    LevelFilter::INFO,
    LevelFilter::DEBUG,
    LevelFilter::TRACE,
];

impl LevelHandle {
    /// Creates a handle at `level`.
    pub fn new(level: Level) -> Self {
        Self(Arc::new(AtomicU8::new(position(level))))
    }

    /// Sets the level.
    pub fn set(&self, level: Level) {
        if self.0.swap(position(level), Relaxed) != position(level) {
            // Every call site caches whether it is enabled.
            tracing::callsite::rebuild_interest_cache();
        }
    }

    fn level(&self) -> LevelFilter {
        let position = usize::from(self.0.load(Relaxed));
        LEVELS.get(position).copied().unwrap_or(LevelFilter::INFO)
    }

    /// Returns whether an event is logged. Libraries are limited to warnings: HTTP libraries log
    /// headers, which hold keys.
    fn wants(&self, it: &Metadata<'_>) -> bool {
        let target = it.target();
        let ours = target.starts_with("gateway") || target == "panic";
        let most = if ours { self.level() } else { self.level().min(LevelFilter::WARN) };
        it.is_event() && *it.level() <= most
    }
}

const fn position(level: Level) -> u8 {
    match level {
        Level::ERROR => 0,
        Level::WARN => 1,
        Level::INFO => 2,
        Level::DEBUG => 3,
        Level::TRACE => 4,
    }
}

impl<S: Subscriber> Filter<S> for LevelHandle {
    fn enabled(&self, it: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.wants(it)
    }

    fn callsite_enabled(&self, it: &'static Metadata<'static>) -> Interest {
        if self.wants(it) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level())
    }
}
