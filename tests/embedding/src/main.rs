//! An axum service of another team with the gateway's engine inside.
//!
//! It serves one endpoint, calls it over TCP, whole and streamed, and prints the responses:
//! `cargo xtask embed` builds it as its own workspace and checks what it prints.

mod service;

use std::{error::Error, net::SocketAddr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let router = service::router()?;
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    for body in [
        r#"{"model": "small", "messages": [{"role": "user", "content": "whole"}]}"#,
        r#"{"model": "small", "stream": true, "messages": [{"role": "user", "content": "streamed"}]}"#,
        r#"{"model": "unknown-model", "messages": [{"role": "user", "content": "refused"}]}"#,
    ] {
        println!("{}", ask(address, body).await?);
    }
    server.abort();
    Ok(())
}

/// Returns the response to a chat request, head and body.
async fn ask(address: SocketAddr, body: &str) -> Result<String, Box<dyn Error>> {
    let mut connection = TcpStream::connect(address).await?;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    connection.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice()).await?;
    let mut response = String::new();
    connection.read_to_string(&mut response).await?;
    Ok(response)
}
