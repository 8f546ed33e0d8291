//! The end of a request whose key is revoked, or expires, while it is served.

use futures_util::{StreamExt as _, stream};
use gateway_core::{ChunkStream, ErrorKind, GatewayError, Result};
use gateway_limits::Client;
use std::future::Future;

/// Waits for `work`, unless the key of `client` is revoked before. `work` is dropped then.
///
/// # Errors
///
/// [`ErrorKind::Unauthenticated`] if the key is revoked.
pub(crate) async fn unless_revoked<T>(
    client: &Client,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    match &client.revocation {
        Some(revocation) => {
            revocation.run_until_cancelled(work).await.unwrap_or_else(|| Err(revoked()))
        }
        None => work.await,
    }
}

/// The chunks, until the key of `client` is revoked: then an error ends them.
pub(crate) fn until_revoked(client: &Client, chunks: ChunkStream) -> ChunkStream {
    let Some(revocation) = client.revocation.clone() else { return chunks };
    Box::pin(stream::unfold(Some(chunks), move |chunks| {
        let revocation = revocation.clone();
        async move {
            let mut chunks = chunks?;
            match revocation.run_until_cancelled(chunks.next()).await {
                Some(chunk) => Some((chunk?, Some(chunks))),
                None => Some((Err(revoked()), None)),
            }
        }
    }))
}

fn revoked() -> GatewayError {
    GatewayError::new(ErrorKind::Unauthenticated, "the API key was revoked")
        .with_code("api_key_revoked")
}
