//! The credentials of the gateway at an authorization server.

use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
use secrecy::SecretString;
use std::fmt;
use thiserror::Error;

/// The gateway as a client that was registered beforehand.
#[derive(Clone, Debug)]
pub struct OAuthSettings {
    /// The id of the client.
    pub client_id: String,
    /// The proof that the gateway is that client.
    pub credential: ClientCredential,
    /// The scopes to ask for; the server's metadata may name more.
    pub scopes: Vec<String>,
    /// The authorization server that may have the credentials.
    pub issuer: Option<String>,
    /// The endpoint of tokens, if it is not to be found by metadata.
    pub token_url: Option<String>,
}

/// The proof of a client's identity.
#[derive(Clone, Debug)]
pub enum ClientCredential {
    /// A secret.
    Secret(SecretString),
    /// A key, whose signatures prove it.
    Key(std::sync::Arc<SigningKey>),
}

/// A private key.
pub enum SigningKey {
    /// On the curve P-256.
    Ecdsa(EcdsaKeyPair),
    /// Of RSA.
    Rsa(RsaKeyPair),
}

/// A private key that cannot be used.
#[derive(Debug, Error)]
#[error("expected a private key in PEM: PKCS#8, of RSA or on the curve P-256")]
pub struct OAuthSettingsError;

impl SigningKey {
    /// Reads a key.
    ///
    /// # Errors
    ///
    /// If it is none of those that can be used.
    pub fn from_pem(pem: &[u8]) -> Result<Self, OAuthSettingsError> {
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| OAuthSettingsError)?;
        let der = key.secret_der();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(algorithm, der, &SystemRandom::new()) {
            return Ok(Self::Ecdsa(pair));
        }
        let pair = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der));
        pair.map(Self::Rsa).map_err(|_| OAuthSettingsError)
    }

    /// Returns the name of the algorithm.
    pub(super) const fn algorithm(&self) -> &'static str {
        match self {
            Self::Ecdsa(_) => "ES256",
            Self::Rsa(_) => "RS256",
        }
    }

    /// Signs `message`; `None` if the system has no random numbers.
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Ecdsa(pair) => Some(pair.sign(&random, message).ok()?.as_ref().to_vec()),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).ok()?;
                Some(signature)
            }
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.algorithm()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use ring::signature::{ECDSA_P256_SHA256_FIXED, KeyPair as _, UnparsedPublicKey};

    #[test]
    fn key_is_read_and_signs() {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let der = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
        let text = BASE64_STANDARD.encode(der.as_ref());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
        let key = SigningKey::from_pem(pem.as_bytes()).unwrap();
        let SigningKey::Ecdsa(pair) = &key else { panic!("{key:?}") };
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
        public.verify(b"message", &key.sign(b"message").unwrap()).unwrap();
        assert_eq!(format!("{key:?}"), r#"SigningKey("ES256")"#);
        for wrong in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            assert!(SigningKey::from_pem(wrong.as_bytes()).is_err());
        }
    }
}
