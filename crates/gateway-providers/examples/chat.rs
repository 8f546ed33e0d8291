//! The gateway inside another program: no server, no configuration, no key.
//!
//! `cargo run -p gateway-providers --example chat`
#![expect(clippy::print_stdout, reason = "an example")]

use gateway_core::{ChatRequest, ToolLoop};
use gateway_providers::{Settings, build};

#[tokio::main]
async fn main() -> gateway_core::Result<()> {
    let provider = build("fake", Settings::new())?;
    let request = ChatRequest::user("echo", "What is a gateway?");
    let answer = ToolLoop::new(provider).run(request).await?;
    println!("{} ({} tokens)", answer.text(), answer.usage.unwrap_or_default().total());
    Ok(())
}
