//! TLS of a listener: a certificate from files, which can be replaced while it is in use.

use gateway_core::sync::{read, write};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
};
use std::{
    path::PathBuf,
    sync::{Arc, RwLock},
    time::Duration,
};
use thiserror::Error;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// The protocols that are offered to callers, the preferred one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The files of a certificate, in PEM.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    /// The certificate, followed by those of the authorities between it and the root.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The TLS of a listener. Clones share it.
#[derive(Clone, Debug)]
pub struct ServerTls(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    files: CertificateFiles,
    config: RwLock<Arc<ServerConfig>>,
}

/// A certificate that cannot be used.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// A file that is not PEM, or holds nothing of the kind.
    #[error("cannot read `{path}`")]
    File {
        /// The path of the file.
        path: String,
        /// The failure.
        #[source]
        source: pem::Error,
    },
    /// The key does not belong to the certificate, or one of them is of an unknown kind.
    #[error("the certificate and the key cannot be used")]
    Pair(#[source] rustls::Error),
}

impl ServerTls {
    /// Loads the certificate.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, or the key is another certificate's.
    pub fn load(files: CertificateFiles) -> Result<Self, CertificateError> {
        let config = RwLock::new(Arc::new(config(&files)?));
        Ok(Self(Arc::new(Inner { files, config })))
    }

    /// Loads the certificate again, for connections from now on.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load); the certificate in use stays.
    pub fn reload(&self) -> Result<(), CertificateError> {
        let config = Arc::new(config(&self.0.files)?);
        *write(&self.0.config) = config;
        Ok(())
    }

    /// Returns the files of the certificate.
    pub fn files(&self) -> &CertificateFiles {
        &self.0.files
    }

    /// Agrees on a session with a caller; nothing if that fails or takes longer than `limit`.
    pub(super) async fn accept(
        &self,
        socket: TcpStream,
        limit: Duration,
    ) -> Option<Box<TlsStream<TcpStream>>> {
        let acceptor = TlsAcceptor::from(Arc::clone(&read(&self.0.config)));
        match timeout(limit, acceptor.accept(socket)).await {
            Ok(Ok(stream)) => Some(Box::new(stream)),
            Ok(Err(error)) => {
                tracing::debug!(%error, "TLS handshake with a caller failed");
                None
            }
            Err(_) => None,
        }
    }
}

fn config(files: &CertificateFiles) -> Result<ServerConfig, CertificateError> {
    let unreadable = |path: &PathBuf, source| CertificateError::File {
        path: path.display().to_string(),
        source,
    };
    let certificates = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(&files.certificate, error))?;
    let key = PrivateKeyDer::from_pem_file(&files.key);
    let key = key.map_err(|error| unreadable(&files.key, error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(CertificateError::Pair)?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(CertificateError::Pair)?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}
