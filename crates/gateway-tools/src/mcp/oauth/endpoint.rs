//! The endpoint of tokens, and the way in which a client authenticates itself there.

use super::settings::{ClientCredential, OAuthSettings};

/// The endpoint of an authorization server that issues tokens.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TokenEndpoint {
    pub(super) url: String,
    /// The authorization server, for which assertions are signed.
    pub(super) audience: String,
    pub(super) method: AuthMethod,
}

/// The ways in which a client authenticates itself at the endpoint of tokens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum AuthMethod {
    /// Id and secret in the header `Authorization`.
    SecretBasic,
    /// Id and secret in the body.
    SecretPost,
    /// An assertion that is signed with the client's key.
    PrivateKeyJwt,
}

impl TokenEndpoint {
    /// Returns the configured endpoint, if there is one.
    pub(super) fn configured(settings: &OAuthSettings) -> Option<Self> {
        let url = settings.token_url.clone()?;
        let audience = settings.issuer.clone().unwrap_or_else(|| url.clone());
        Some(Self { url, audience, method: AuthMethod::of(&settings.credential, &[]) })
    }
}

impl AuthMethod {
    /// Returns the method for `credential` among those that are supported; none named is the first.
    pub(super) fn of(credential: &ClientCredential, supported: &[String]) -> Self {
        let has = |name: &str| supported.iter().any(|it| it == name);
        match credential {
            ClientCredential::Key(_) => Self::PrivateKeyJwt,
            ClientCredential::Secret(_)
                if has("client_secret_post") && !has("client_secret_basic") =>
            {
                Self::SecretPost
            }
            ClientCredential::Secret(_) => Self::SecretBasic,
        }
    }
}
