//! Tools that the gateway runs: registry, executor, and the clients of platform services.
//!
//! ```text
//!   Conversation --(gateway_core::Tools)--> Executor --(gateway_core::Tool)--> ProxyTool --> service
//! ```
//!
//! [`build`] makes the [`ToolRegistry`] of all tools that are built in or configured; an [`ToolExecutor`]
//! runs them within their schema, their time, their size and the health of their service. A
//! [`ProxyTool`] is a [`ToolRow`] of data: who is asked, where, and how it is told the arguments.

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
mod registry;
mod schema;
mod service_circuit;
mod service_error;
mod settings;
mod tool_row;

pub use self::{
    client::{ClientSettings, ServiceClient},
    context_management::ContextManagementClient,
    executor::{ExecutorLimits, ToolExecutor, ToolObserver},
    local_models::{ContextWindows, windows},
    mcp::{McpServer, McpSettings},
    path::PathTemplate,
    proxy::ProxyTool,
    registry::{ToolPolicy, ToolRegistry},
    schema::ArgumentSchema,
    settings::{
        AI_AGENTS, CODE_ORCHESTRATOR, CONTEXT_MANAGEMENT, INFERENCE, SEMANTIC_SEARCH,
        ServicesSettings, ToolSettings, build,
    },
    tool_row::{ToolEndpoint, ToolRow},
};
