//! Tools that the gateway runs: registry, executor, and the clients of platform services.
//!
//! ```text
//! ToolLoop --(gateway_core::Tools)--> ToolExecutor --(gateway_core::Tool)--> ProxyTool --> service
//! ```
//!
//! [`build`] makes the [`ToolRegistry`] of all built-in and configured tools; a [`ToolExecutor`]
//! runs them within their schema, timeout, size limit and circuit breaker. A [`ProxyTool`] is
//! described by a [`ToolRow`]: service, path, and the mapping of arguments.

mod argument_mismatch;
mod arguments;
mod builtin;
mod call_ledger;
mod client;
mod context_management;
mod executor;
mod listing;
mod local;
mod local_models;
mod mcp;
mod path;
mod proxy;
mod refused_fields;
mod registry;
mod schema;
mod service_circuit;
mod service_error;
mod settings;
mod tool_config_error;
mod tool_row;
mod webhook;

pub use self::{
    argument_mismatch::ArgumentMismatch,
    client::{ClientSettings, ServiceClient},
    context_management::ContextManagementClient,
    executor::{ExecutorLimits, ToolExecutor, ToolObserver},
    local_models::{ModelListError, ReportedModel, reported_models},
    mcp::{
        ClientCredential, McpServer, McpSettings, OAuthSettings, OAuthSettingsError, SigningKey,
    },
    path::PathTemplate,
    proxy::ProxyTool,
    registry::{ToolPolicy, ToolRegistry},
    schema::ArgumentSchema,
    settings::{
        AI_AGENTS, CODE_ORCHESTRATOR, CONTEXT_MANAGEMENT, INFERENCE, SEMANTIC_SEARCH,
        ServicesSettings, ToolSettings, build,
    },
    tool_config_error::{PathSegmentError, PathTemplateError, ServiceClientError, ToolConfigError},
    tool_row::{ToolEndpoint, ToolRow},
    webhook::{DeliveryError, notify},
};
