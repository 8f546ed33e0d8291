//! The endpoints of the gateway's tools: list, describe, execute, and MCP.

mod admission;
mod endpoints;
mod mcp;

pub(crate) use self::{admission::ToolCaller, endpoints::serve, mcp::serve as serve_mcp};
