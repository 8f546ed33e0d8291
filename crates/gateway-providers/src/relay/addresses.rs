//! The addresses of relayed requests: paths below the base URL of a provider.

use gateway_core::{ErrorKind, GatewayError, Result, sync};
use gateway_net::client::{HttpClient, RequestTemplate};
use http::{
    HeaderMap, HeaderValue, Method, Uri,
    header::{ACCEPT, ACCEPT_ENCODING, USER_AGENT},
};
use std::{borrow::Cow, collections::HashMap, fmt, sync::RwLock};

/// The addresses below the base URL of a provider, and what is the same in each request to them.
pub(crate) struct RelayAddresses {
    base: String,
    headers: HeaderMap,
    client: HttpClient,
    /// The templates of the endpoints that are known by name.
    known: RwLock<HashMap<(&'static str, &'static str), RequestTemplate>>,
}

impl RelayAddresses {
    /// Creates addresses below `base`, to which requests carry `headers`.
    pub(crate) fn new(base: &str, headers: &HeaderMap, client: &HttpClient) -> Self {
        let mut headers = headers.clone();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(USER_AGENT, HeaderValue::from_static("llm-gateway"));
        // Each request says what it accepts.
        headers.remove(ACCEPT);
        let base = base.trim_end_matches('/').to_owned();
        Self { base, headers, client: client.clone(), known: RwLock::default() }
    }

    /// The template of a request of `method` to `path`, which begins with a slash.
    ///
    /// # Errors
    ///
    /// If the address or the method is malformed.
    pub(crate) fn template(
        &self,
        method: &'static str,
        path: Cow<'static, str>,
    ) -> Result<RequestTemplate> {
        let path = match path {
            Cow::Borrowed(path) => path,
            Cow::Owned(path) => return self.prepare(method, &path),
        };
        if let Some(template) = sync::read(&self.known).get(&(method, path)) {
            return Ok(template.clone());
        }
        let template = self.prepare(method, path)?;
        sync::write(&self.known).insert((method, path), template.clone());
        Ok(template)
    }

    fn prepare(&self, method: &'static str, path: &str) -> Result<RequestTemplate> {
        let malformed =
            || GatewayError::new(ErrorKind::InvalidRequest, "the path or the method is malformed");
        let uri: Uri = format!("{}{path}", self.base).parse().map_err(|_| malformed())?;
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| malformed())?;
        Ok(self.client.prepare(method, uri, self.headers.clone())?)
    }
}

impl fmt::Debug for RelayAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers hold credentials.
        f.debug_struct("RelayAddresses").field("base", &self.base).finish_non_exhaustive()
    }
}
