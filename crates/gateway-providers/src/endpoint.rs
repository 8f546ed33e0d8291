//! The address of a provider's API.

use gateway_core::{GatewayError, Result};
use gateway_net::client::{HttpClient, RequestTemplate};
use http::{
    HeaderMap, HeaderValue, Method, Uri,
    header::{ACCEPT_ENCODING, CONTENT_TYPE, USER_AGENT},
};
use std::fmt;

/// Builds the address for a model, and for a streamed response if the flag is set.
pub(crate) type UriBuilder = Box<dyn Fn(&str, bool) -> Result<Uri> + Send + Sync>;

/// An address that requests are posted to, and what is the same in each of them.
pub(crate) struct Endpoint {
    address: Address,
    /// The headers sent with every request, apart from the content type.
    headers: HeaderMap,
    client: Option<HttpClient>,
    template: Option<RequestTemplate>,
}

enum Address {
    Fixed(Uri),
    ByModel(UriBuilder),
}

impl Endpoint {
    /// Creates an endpoint with one address for all requests.
    pub(crate) fn fixed(uri: Uri) -> Self {
        Self::new(Address::Fixed(uri))
    }

    /// An address that names the model.
    pub(crate) fn by_model(builder: UriBuilder) -> Self {
        Self::new(Address::ByModel(builder))
    }

    fn new(address: Address) -> Self {
        Self { address, headers: HeaderMap::new(), client: None, template: None }
    }

    /// Prepares requests over the connections of `client` with `headers` of the configuration.
    ///
    /// # Errors
    ///
    /// If the address is not one of HTTP.
    pub(crate) fn prepare(&mut self, client: &HttpClient, headers: &HeaderMap) -> Result<()> {
        self.headers.clone_from(headers);
        self.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.headers.insert(USER_AGENT, HeaderValue::from_static("llm-gateway"));
        // Each request says what it accepts.
        self.headers.remove(http::header::ACCEPT);
        self.client = Some(client.clone());
        if let Address::Fixed(uri) = &self.address {
            self.template =
                Some(client.prepare(Method::POST, uri.clone(), self.headers.clone())?);
        }
        Ok(())
    }

    /// The template of a request for `model`.
    ///
    /// # Errors
    ///
    /// If the address for the model cannot be written.
    pub(crate) fn template(&self, model: &str, stream: bool) -> Result<RequestTemplate> {
        match (&self.address, &self.template, &self.client) {
            (Address::Fixed(_), Some(template), _) => Ok(template.clone()),
            (Address::ByModel(build), _, Some(client)) => {
                let uri = build(model, stream)?;
                Ok(client.prepare(Method::POST, uri, self.headers.clone())?)
            }
            _ => Err(unprepared()),
        }
    }
}

fn unprepared() -> GatewayError {
    GatewayError::new(gateway_core::ErrorKind::Internal, "an endpoint was not prepared")
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers hold credentials.
        f.debug_struct("Endpoint").finish_non_exhaustive()
    }
}
