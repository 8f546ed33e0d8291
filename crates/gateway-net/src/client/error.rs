//! The errors between a request and its response.

use super::h1::InvalidResponse;
use gateway_core::{ErrorKind, GatewayError};
use std::io;
use thiserror::Error;

/// Settings with which no client can be made.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// An extra root is not a certificate.
    #[error("a root certificate is unreadable")]
    Root(#[source] rustls::Error),
    /// A file of roots cannot be read.
    #[error("the file of root certificates is unreadable")]
    File(#[source] rustls::pki_types::pem::Error),
    /// A file of roots holds none.
    #[error("the file holds no certificate")]
    NoRoots,
    /// There is no version of TLS.
    #[error("TLS cannot be configured")]
    Tls(#[source] rustls::Error),
}

/// A connection that did not come about. Nothing of the request was sent.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The name has no address.
    #[error("the host name could not be resolved")]
    Dns(#[source] io::Error),
    /// No address accepts connections.
    #[error("the connection to the host failed")]
    Tcp(#[source] io::Error),
    /// No TLS session: a certificate that is not trusted, no common version, or no answer in time.
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    /// HTTP/2 was agreed on, and not spoken.
    #[error("the HTTP/2 handshake failed")]
    Http2(#[source] hyper::Error),
}

/// A request without a response.
#[derive(Debug, Error)]
pub enum ExchangeError {
    /// The address is not one of HTTP.
    #[error("the URL is not an absolute HTTP URL")]
    Address,
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection was closed before the head of the response was whole.
    #[error("the connection was closed without a response")]
    Closed(#[source] Option<io::Error>),
    /// The response is not HTTP, or exceeds a bound.
    #[error("the response is invalid")]
    Invalid(#[from] InvalidResponse),
    /// The stream of HTTP/2 broke.
    #[error("the HTTP/2 stream failed")]
    Http2(#[source] hyper::Error),
    /// The body could not be read.
    #[error(transparent)]
    Body(#[from] BodyError),
}

/// A body that does not come whole.
#[derive(Debug, Error)]
pub enum BodyError {
    /// A read or write failed.
    #[error("the connection failed during the body")]
    Io(#[from] io::Error),
    /// The framing is malformed, or the end is missing.
    #[error(transparent)]
    Invalid(#[from] InvalidResponse),
    /// The stream of HTTP/2 broke.
    #[error("the HTTP/2 stream failed during the body")]
    Http2(#[from] hyper::Error),
    /// It is longer than was to be read.
    #[error("the body exceeds {0} bytes")]
    TooLong(usize),
}

impl ExchangeError {
    /// The code of the error that callers see.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Connect(ConnectError::Dns(_)) => "upstream_dns",
            Self::Connect(ConnectError::Tls(_)) => "upstream_tls",
            Self::Connect(ConnectError::Tcp(_) | ConnectError::Http2(_)) => {
                ErrorKind::UpstreamUnreachable.as_str()
            }
            Self::Invalid(_) => "upstream_protocol",
            Self::Closed(_) | Self::Http2(_) => "upstream_reset",
            Self::Body(_) => ErrorKind::UpstreamCut.as_str(),
            Self::Address => ErrorKind::Internal.as_str(),
        }
    }
}

impl From<SettingsError> for GatewayError {
    fn from(error: SettingsError) -> Self {
        Self::new(ErrorKind::Internal, error.to_string()).with_source(error)
    }
}

impl From<ExchangeError> for GatewayError {
    fn from(error: ExchangeError) -> Self {
        let (kind, message) = match &error {
            ExchangeError::Connect(_) => {
                (ErrorKind::UpstreamUnreachable, "the provider is unreachable")
            }
            ExchangeError::Invalid(_) => {
                (ErrorKind::UpstreamInvalid, "the provider sent an invalid HTTP response")
            }
            ExchangeError::Closed(_) | ExchangeError::Http2(_) => {
                (ErrorKind::UpstreamCut, "the provider closed the connection without a response")
            }
            ExchangeError::Body(_) => {
                (ErrorKind::UpstreamCut, "the provider's response was cut off")
            }
            ExchangeError::Address => (ErrorKind::Internal, "invalid URL"),
        };
        Self::new(kind, message).with_code(error.code()).with_source(error)
    }
}
