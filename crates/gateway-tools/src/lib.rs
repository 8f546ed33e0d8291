//! The tools that the gateway runs: which there are, how they are run, and the services behind them.
//!
//! ```text
//!   Conversation --(gateway_core::Tools)--> Executor --(gateway_core::Tool)--> ProxyTool --> service
//! ```
//!
//! [`build`] makes the [`Registry`] of all tools that are built in or configured; an [`Executor`]
//! runs them within their schema, their time, their size and the health of their service. A
//! [`ProxyTool`] is a [`Row`] of data: who is asked, where, and how it is told the arguments.

mod arguments;
mod builtin;
mod client;
mod context_management;
mod executor;
mod guard;
mod ledger;
mod listing;
mod local;
mod local_models;
mod mcp;
mod path;
mod proxy;
mod refusal;
mod registry;
mod row;
mod schema;
mod settings;

pub use self::{
    client::{Client, ClientSettings},
    context_management::ContextManagement,
    executor::{Executor, Limits, Observer},
    local_models::{Windows, windows},
    mcp::{McpServer, McpSettings},
    path::PathTemplate,
    proxy::ProxyTool,
    registry::{Policy, Registry},
    row::{Endpoint, Row},
    schema::Schema,
    settings::{
        AI_AGENTS, CODE_ORCHESTRATOR, CONTEXT_MANAGEMENT, INFERENCE, SEMANTIC_SEARCH,
        ServicesSettings, ToolSettings, build,
    },
};
