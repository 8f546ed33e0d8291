//! TLS: of the listeners, and towards upstreams.

use super::section::section;
use std::path::PathBuf;

section! {
    /// TLS of the listeners for callers and operators, and towards upstreams.
    pub TlsSection {
        /// Certificate of the gateway, in PEM, followed by those of its authorities. Default: no TLS.
        /// The file and that of the key are read again when they change, and at `SIGHUP`.
        cert_file: Option<PathBuf> = None, prefixed ["TLS_CERT_FILE"];
        /// Private key of the certificate, in PEM.
        key_file: Option<PathBuf> = None, prefixed ["TLS_KEY_FILE"];
        /// Certificates of authorities, in PEM, that upstreams may have besides the public ones.
        upstream_ca_file: Option<PathBuf> = None, prefixed ["UPSTREAM_CA_FILE"];
    }
}

impl TlsSection {
    /// Returns the files of the certificate and of its key, if there are both.
    pub fn certificate(&self) -> Option<(&PathBuf, &PathBuf)> {
        self.cert_file.as_ref().zip(self.key_file.as_ref())
    }
}
