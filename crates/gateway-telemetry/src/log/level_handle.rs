//! How much is logged, which may change at any time and costs nothing where nothing is logged.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering::Relaxed},
};
use tracing::{Level, Metadata, Subscriber, level_filters::LevelFilter, subscriber::Interest};
use tracing_subscriber::layer::{Context, Filter};

/// A level. Clones are turned together.
#[derive(Clone, Debug)]
pub struct Dial(Arc<AtomicU8>);

/// The levels, the least first.
const LEVELS: [LevelFilter; 5] = [
    LevelFilter::ERROR,
    LevelFilter::WARN,
    LevelFilter::INFO,
    LevelFilter::DEBUG,
    LevelFilter::TRACE,
];

impl Dial {
    /// A dial at `level`.
    pub fn at(level: Level) -> Self {
        Self(Arc::new(AtomicU8::new(position(level))))
    }

    /// Logs at `level` from now on.
    pub fn turn_to(&self, level: Level) {
        if self.0.swap(position(level), Relaxed) != position(level) {
            // Every place that logs remembers whether it is wanted.
            tracing::callsite::rebuild_interest_cache();
        }
    }

    fn level(&self) -> LevelFilter {
        let position = usize::from(self.0.load(Relaxed));
        LEVELS.get(position).copied().unwrap_or(LevelFilter::INFO)
    }

    /// What others log is rarely for us, and HTTP libraries log headers, which hold keys.
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

impl<S: Subscriber> Filter<S> for Dial {
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
