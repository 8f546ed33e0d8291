//! The shared state of an idempotent attempt and the code that runs it.

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use gateway_core::{
    Provider, ProviderLayer, ProviderRequest, ProviderResponse, Result,
    state::{Fingerprint, Key},
};
use sha2::{Digest as _, Sha256};
use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Travels with a request that is to be done once.
#[derive(Clone, Debug)]
pub struct IdempotencyToken {
    name: Arc<str>,
    failed: Arc<AtomicBool>,
}

impl IdempotencyToken {
    pub(super) fn new(key: &Key, fingerprint: &Fingerprint) -> Self {
        let mut hash = Sha256::new();
        hash.update(key.tenant().as_str());
        hash.update([0]);
        hash.update(key.id());
        hash.update(fingerprint);
        let mut name = String::from("once-");
        for byte in hash.finalize().iter().take(16) {
            // Writing to a string cannot fail.
            let _ = write!(name, "{byte:02x}");
        }
        Self { name: name.into(), failed: Arc::default() }
    }

    /// Returns the name that is the same for every attempt at the request, by which its effects are
    /// recognized.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

/// Returns `provider`, wrapped so that a response that fails after its head was sent is recorded as
/// failed.
pub fn track_failures(
    mark: Option<&IdempotencyToken>,
    provider: Arc<dyn Provider>,
) -> Arc<dyn Provider> {
    match mark {
        Some(mark) => Arc::new(FailureTrackingLayer { inner: provider, mark: mark.clone() }),
        None => provider,
    }
}

struct FailureTrackingLayer {
    inner: Arc<dyn Provider>,
    mark: IdempotencyToken,
}

#[async_trait]
impl ProviderLayer for FailureTrackingLayer {
    fn inner(&self) -> &dyn Provider {
        self.inner.as_ref()
    }

    async fn generate(&self, call: ProviderRequest) -> Result<ProviderResponse> {
        let ProviderResponse { meta, chunks } = self.inner.generate(call).await?;
        let mark = self.mark.clone();
        let chunks = chunks.inspect_err(move |_| mark.failed.store(true, Ordering::Relaxed));
        Ok(ProviderResponse { meta, chunks: Box::pin(chunks) })
    }
}
