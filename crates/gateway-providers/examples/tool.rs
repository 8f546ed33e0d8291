//! A tool of one's own, run by the gateway inside the program when the model asks for it.
//!
//! `cargo run -p gateway-providers --example tool`
#![expect(clippy::print_stdout, reason = "an example")]

use async_trait::async_trait;
use gateway_core::{ChatRequest, Json, Result, Tool, ToolContext, ToolError, ToolLoop, ToolSpec};
use gateway_providers::{Settings, build};
use std::sync::Arc;

struct Clock(ToolSpec);

#[async_trait]
impl Tool for Clock {
    fn spec(&self) -> &ToolSpec {
        &self.0
    }

    async fn call(&self, _: &str, _: &ToolContext) -> Result<Json, ToolError> {
        Ok(Json::of(&serde_json::json!({ "time": "noon" })))
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let parameters = Json::of(&serde_json::json!({ "type": "object" }));
    let clock = Clock(ToolSpec::function("clock", "Tells the time.", parameters));
    let provider = build("fake", Settings::new())?;
    let conversation = ToolLoop::new(provider).with_tool(Arc::new(clock));
    let answer = conversation.run(ChatRequest::user("tool-clock", "What time is it?")).await?;
    println!("{}", answer.text());
    Ok(())
}
