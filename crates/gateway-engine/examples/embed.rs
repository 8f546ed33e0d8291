//! The engine inside another program: retries, circuit breakers, fallback and accounting without HTTP.
//!
//! `cargo run -p gateway-engine --example embed`
#![expect(clippy::print_stdout, reason = "an example")]

use gateway_engine::{Engine, InboundRequest, ResponseBody};
use gateway_limits::Client;
use gateway_wire::chat::ChatInbound;
use std::{error::Error, sync::Arc};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::builder().provider("fake", &[]).alias("small", "fake/echo").build()?;
    let client = Arc::new(Client::new("search", "acme"));
    let body = r#"{"model": "small", "messages": [{"role": "user", "content": "What is new?"}]}"#;
    let response = engine.generate(&ChatInbound, InboundRequest::new(client, body)).await?;
    if let ResponseBody::Whole(json) = response.body {
        println!("{}", String::from_utf8_lossy(&json));
    }
    Ok(())
}
