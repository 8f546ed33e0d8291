//! The addresses of relayed requests: paths below the base URL of a provider.

use crate::provider_address::ProviderAddress;
use gateway_core::{ErrorKind, GatewayError, Result, sync};
use gateway_net::client::{HttpClient, RequestTemplate};
use http::{
    HeaderMap, HeaderValue, Method,
    header::{ACCEPT, ACCEPT_ENCODING, USER_AGENT},
};
use std::{borrow::Cow, collections::HashMap, fmt, sync::RwLock};

/// The addresses below the base URL of a provider, and what is the same in each request to them.
pub(crate) struct RelayAddresses {
    base: ProviderAddress,
    headers: HeaderMap,
    client: HttpClient,
    /// The templates of the endpoints that are known by name.
    known: RwLock<HashMap<(&'static str, &'static str), RequestTemplate>>,
}

impl RelayAddresses {
    /// Creates addresses below `base`, to which requests carry `headers`.
    pub(crate) fn new(base: ProviderAddress, headers: &HeaderMap, client: &HttpClient) -> Self {
        let mut headers = headers.clone();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(USER_AGENT, HeaderValue::from_static("llm-gateway"));
        // Each request says what it accepts.
        headers.remove(ACCEPT);
        Self { base, headers, client: client.clone(), known: RwLock::default() }
    }

    /// The template of a request of `method` to `path`, which begins with a slash, for `model`.
    ///
    /// # Errors
    ///
    /// If the address or the method is malformed.
    pub(crate) fn template(
        &self,
        method: &'static str,
        path: Cow<'static, str>,
        model: &str,
    ) -> Result<RequestTemplate> {
        let path = match path {
            Cow::Borrowed(path) if !self.base.names_model() => path,
            path @ (Cow::Borrowed(_) | Cow::Owned(_)) => return self.prepare(method, &path, model),
        };
        if let Some(template) = sync::read(&self.known).get(&(method, path)) {
            return Ok(template.clone());
        }
        let template = self.prepare(method, path, model)?;
        sync::write(&self.known).insert((method, path), template.clone());
        Ok(template)
    }

    fn prepare(&self, method: &'static str, path: &str, model: &str) -> Result<RequestTemplate> {
        let uri = self.base.of(path, model)?;
        let method = Method::from_bytes(method.as_bytes()).map_err(|error| {
            GatewayError::new(ErrorKind::InvalidRequest, "the method is malformed")
                .with_source(error)
        })?;
        Ok(self.client.prepare(method, uri, self.headers.clone())?)
    }
}

impl fmt::Debug for RelayAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers hold credentials.
        f.debug_struct("RelayAddresses").field("base", &self.base).finish_non_exhaustive()
    }
}
