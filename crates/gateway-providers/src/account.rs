//! The account of a request at its provider: the gateway's, or that of a caller's own key.

use crate::{HttpProvider, api::Api, upstream_reply::check};
use gateway_core::{Context, ErrorKind, GatewayError, ProviderKey, Result, SealOwner, Target};
use gateway_net::client::UpstreamResponse;
use sha2::{Digest as _, Sha256};

/// Returns a digest of the account that a provider seals reasoning for: the provider `id` and the
/// credential.
pub(crate) fn issuer(id: &str, key: &str) -> [u8; 6] {
    let hash = Sha256::new().chain_update(id).chain_update([0]).chain_update(key);
    let mut issuer = [0; 6];
    issuer.iter_mut().zip(hash.finalize()).for_each(|(place, byte)| *place = byte);
    issuer
}

impl HttpProvider {
    /// Returns the owner of what this provider seals for `target`, in the account of the request.
    pub(crate) fn owner(&self, target: &Target, context: &Context) -> SealOwner {
        let own = context.provider_key.as_ref().map(|key| issuer(&self.id, key.expose()));
        SealOwner::new(own.unwrap_or(self.issuer), &target.model)
    }

    /// Checks that `response` is no refusal.
    ///
    /// # Errors
    ///
    /// If it is, in the words of `api`, and without the caller's own key.
    pub(crate) async fn check(
        &self,
        api: &Api,
        response: UpstreamResponse,
        context: &Context,
    ) -> Result<UpstreamResponse> {
        let checked = check(api, response).await;
        match &context.provider_key {
            Some(key) => checked.map_err(|error| without_key(error, key)),
            None => checked,
        }
    }
}

/// The failure of a request with a caller's own key: a refusal of the key is the caller's, and no
/// message repeats the key.
fn without_key(error: GatewayError, key: &ProviderKey) -> GatewayError {
    if error.kind() == ErrorKind::UpstreamAuth {
        let message = "the provider does not accept the key in x-gateway-provider-key";
        return GatewayError::new(ErrorKind::Unauthenticated, message)
            .with_code("provider_key_refused");
    }
    if error.message().contains(key.expose()) {
        return GatewayError::new(error.kind(), "the provider refuses the request");
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: ErrorKind, message: &str, expected: (ErrorKind, &str)) {
        let key = ProviderKey::parse(b"sk-own").unwrap();
        let error = without_key(GatewayError::new(kind, message.to_owned()), &key);
        assert_eq!((error.kind(), error.message()), expected);
    }

    #[test]
    fn failure_never_repeats_callers_key() {
        let (auth, invalid) = (ErrorKind::UpstreamAuth, ErrorKind::InvalidRequest);
        let refused = "the provider does not accept the key in x-gateway-provider-key";
        check(auth, "no", (ErrorKind::Unauthenticated, refused));
        check(invalid, "bad key sk-own", (invalid, "the provider refuses the request"));
        check(invalid, "too long", (invalid, "too long"));
    }
}
