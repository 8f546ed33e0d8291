//! TLS to upstreams, with the trusted roots.

use super::error::SettingsError;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use std::{path::Path, sync::Arc};

/// The name of HTTP/2 in the negotiation of a protocol.
const H2: &[u8] = b"h2";

/// Reads certificates of authorities from a file in PEM, for
/// [`ClientSettings::extra_roots`](super::ClientSettings::extra_roots).
///
/// # Errors
///
/// If the file cannot be read, or holds no certificate.
pub fn read_roots(path: &Path) -> Result<Vec<Vec<u8>>, SettingsError> {
    let roots: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(|certificates| certificates.map(|it| it.map(|it| it.to_vec())).collect())
        .map_err(SettingsError::File)?;
    if roots.is_empty() {
        return Err(SettingsError::NoRoots);
    }
    config(&roots).map(|_| roots)
}

/// The configuration of TLS: the public authorities and `extra_roots`, and HTTP/2 before HTTP/1.1.
///
/// # Errors
///
/// If one of the extra roots is not a certificate.
pub(super) fn config(extra_roots: &[Vec<u8>]) -> Result<ClientConfig, SettingsError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for root in extra_roots {
        roots.add(CertificateDer::from(root.as_slice())).map_err(SettingsError::Root)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(SettingsError::Tls)?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![H2.to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Whether HTTP/2 was agreed on.
pub(super) fn is_http2(session: &rustls::ClientConnection) -> bool {
    session.alpn_protocol() == Some(H2)
}
