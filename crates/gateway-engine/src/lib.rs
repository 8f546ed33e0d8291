//! The request path of the gateway, from bytes to bytes, without HTTP.
//!
//! The engine owns the order of everything that happens to a request between its endpoint and its
//! upstream: routing, limits, sessions, tools, cache, retries, breakers, deadlines, accounting.

mod build;

pub use self::build::{
    Backend, BuildError, DirectoryBuilder, EngineResources, FallbackRoute, Instrument,
    ProviderDirectory, ProviderSettings, ResilienceSettings, random_unit,
};
