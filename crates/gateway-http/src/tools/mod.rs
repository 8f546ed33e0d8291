//! The endpoints of the gateway's tools: list, describe, execute, and MCP.

mod admission;
mod endpoints;
mod mcp;
#[cfg(test)]
mod scripted_tool;

pub(crate) use self::{admission::ToolCaller, endpoints::serve, mcp::serve as serve_mcp};
