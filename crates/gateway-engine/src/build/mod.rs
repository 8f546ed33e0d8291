//! From settings to an engine: the provider stack, the routes and the fallback groups.

mod absent_stores;
mod directory;
mod engine_builder;
mod fallback;
mod provider_stack;
mod route_plan;
mod settings;

pub(crate) use self::route_plan::{OTHER, ledger_name};
pub use self::{
    directory::{DirectoryBuilder, ProviderDirectory, catalogued_card},
    engine_builder::EngineBuilder,
    fallback::FallbackRoute,
    provider_stack::{Backend, random_unit},
    route_plan::RoutePlan,
    settings::{EngineResources, Instrument, ProviderSettings, ResilienceSettings},
};

use gateway_core::GatewayError;
use thiserror::Error;

/// A part of an engine that cannot be built.
#[derive(Debug, Error)]
pub enum BuildError {
    /// No connection to upstreams can be made.
    #[error("failed to build the HTTP client: {0}")]
    Connections(#[source] GatewayError),
    /// A provider's settings are malformed.
    #[error("providers.{id}: {source}")]
    Provider {
        /// The id of the provider with invalid settings.
        id: String,
        /// The cause: the invalid setting.
        source: GatewayError,
    },
    /// No provider serves a target of a fallback group.
    #[error("routes: a target of '{name}': {source}")]
    FallbackTarget {
        /// The name of the group.
        name: String,
        /// Why the target has no provider.
        source: Box<GatewayError>,
    },
    /// A fallback group has no targets.
    #[error("routes: '{name}' has no target")]
    EmptyFallback {
        /// The name of the group.
        name: String,
    },
    /// The gateway knows no provider of this name.
    #[error("no provider is called '{id}'")]
    UnknownProvider {
        /// The name.
        id: String,
    },
    /// The default provider does not exist.
    #[error("routing.default_provider: '{id}' is not configured")]
    DefaultProvider {
        /// The id of the missing default provider.
        id: String,
    },
}
