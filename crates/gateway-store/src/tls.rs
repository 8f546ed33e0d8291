//! TLS to servers of state: encryption and certificate verification.

use gateway_core::state::StoreError;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use std::{fmt::Display, path::Path, sync::Arc};

/// Trusts those whose certificates are in the file `ca`, or else those who vouch for servers of the
/// web.
pub(crate) fn client_config(ca: Option<&Path>) -> Result<ClientConfig, StoreError> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => add(&mut roots, path)?,
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::Unavailable(error.into()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), StoreError> {
    let refuse = |why: &dyn Display| {
        let text = format!("the certificates in {} cannot be read: {why}", path.display());
        StoreError::Unavailable(text.into())
    };
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| refuse(&error))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| refuse(&error))?;
        roots.add(certificate).map_err(|error| refuse(&error))?;
    }
    if roots.is_empty() {
        return Err(refuse(&"there are none"));
    }
    Ok(())
}
