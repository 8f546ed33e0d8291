//! The stream of a response that no caller waits for.

use crate::{
    accounting::RequestAccounting,
    revocation::{unless_revoked, until_revoked},
};
use gateway_core::{ChunkStream, Provider, ProviderRequest, ProviderResponse, Result, observe};
use gateway_limits::Client;
use std::sync::Arc;

/// Starts a response that accounts for itself, and returns its chunks.
///
/// # Errors
///
/// If the provider refuses or fails, or the key of `client` is revoked meanwhile.
pub(super) async fn start_accounted_stream(
    client: Arc<Client>,
    provider: Arc<dyn Provider>,
    request: ProviderRequest,
    mut accounting: Box<RequestAccounting>,
) -> Result<ChunkStream> {
    let ProviderResponse { meta, chunks } =
        match unless_revoked(&client, provider.generate(request)).await {
            Ok(response) => response,
            Err(error) => {
                accounting.failed(&error);
                return Err(error);
            }
        };
    accounting.response_started(&meta);
    Ok(observe(until_revoked(&client, chunks), accounting))
}
