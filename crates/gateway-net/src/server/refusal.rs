//! The response to a caller for whose connection there is no room.

use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// The time for the response.
const LIMIT: Duration = Duration::from_secs(1);

const REPLY: &str = concat!(
    "HTTP/1.1 503 Service Unavailable\r\n",
    "content-type: application/json\r\n",
    "content-length: 143\r\n",
    "retry-after: 1\r\n",
    "connection: close\r\n",
    "\r\n",
    r#"{"error":{"message":"the gateway has as many connections as it can serve","type":"service_unavailable_error","#,
    r#""code":"overloaded","param":null}}"#,
);

/// Counts a connection that is refused.
pub(super) fn count() {
    metrics::counter!("llm_gateway_requests_shed_total", "reason" => "connections").increment(1);
}

/// Writes the response, and lets the caller read it before the connection ends.
pub(super) async fn refuse(mut socket: TcpStream) {
    count();
    let refused = async {
        socket.write_all(REPLY.as_bytes()).await?;
        socket.shutdown().await?;
        let mut scratch = [0; 1024];
        while socket.read(&mut scratch).await? > 0 {}
        std::io::Result::Ok(())
    };
    if let Ok(Err(error)) = timeout(LIMIT, refused).await {
        tracing::debug!(%error, "caller disconnected before its rejection was sent");
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn refusal_is_a_complete_response() {
        let (head, body) = super::REPLY.split_once("\r\n\r\n").unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        assert_eq!(length, Some(body.len().to_string().as_str()));
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["error"]["code"], "overloaded");
    }
}
