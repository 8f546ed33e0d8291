//! Discovery of the endpoint of tokens, by the metadata of the MCP server and of its authorization
//! server.

use super::{
    OAuthClient,
    challenge::Challenge,
    endpoint::{AuthMethod, TokenEndpoint},
    refused,
};
use bytes::BytesMut;
use gateway_core::ToolError;
use reqwest::Url;
use serde::{Deserialize, de::DeserializeOwned};

/// The largest document that is read.
pub(super) const MAX_DOCUMENT: usize = 64 << 10;

/// The endpoint and the scopes in the metadata.
#[derive(Debug)]
pub(super) struct FoundEndpoint {
    pub(super) endpoint: TokenEndpoint,
    /// The scopes of the resource.
    pub(super) scopes: Vec<String>,
}

/// The metadata of a resource (RFC 9728).
#[derive(Debug, Default, Deserialize)]
struct ResourceMetadata {
    #[serde(default)]
    resource: Option<String>,
    #[serde(default)]
    authorization_servers: Vec<String>,
    #[serde(default)]
    scopes_supported: Vec<String>,
}

/// The metadata of an authorization server (RFC 8414).
#[derive(Debug, Deserialize)]
struct ServerMetadata {
    issuer: String,
    token_endpoint: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

/// Finds where the client gets a token.
///
/// # Errors
///
/// If the metadata is missing, is that of another resource, or names an authorization server that
/// may not have the credentials.
pub(super) async fn find(
    client: &OAuthClient,
    challenge: &Challenge,
) -> Result<FoundEndpoint, ToolError> {
    let resource =
        Url::parse(&client.resource).map_err(|_| refused("the MCP server has no URL"))?;
    let metadata = resource_metadata(client, challenge, &resource).await.unwrap_or_default();
    if let Some(named) = metadata.resource.as_deref().filter(|named| !covers(named, &resource)) {
        let why = format!("the MCP server says that it is another resource: {named}");
        return Err(refused(why));
    }
    let origin = || resource.origin().ascii_serialization();
    let issuer = issuer(client, &metadata).unwrap_or_else(origin);
    let named = client.settings.issuer.as_deref();
    let is_own = Url::parse(&issuer).is_ok_and(|it| it.origin() == resource.origin());
    if named.map_or(!is_own, |named| !is_same(named, &issuer)) {
        let why = format!(
            "the MCP server names the authorization server {issuer}, which gets no credentials unless `oauth_issuer` names it"
        );
        return Err(refused(why));
    }
    let server = server_metadata(client, &issuer).await?;
    if !is_same(&server.issuer, &issuer) {
        let why = format!("the metadata of the authorization server {issuer} is that of another");
        return Err(refused(why));
    }
    let is_plain = Url::parse(&server.token_endpoint).is_ok_and(|url| url.scheme() != "https");
    if is_plain && resource.scheme() == "https" {
        return Err(refused("the authorization server of the MCP server has no encryption"));
    }
    let method =
        AuthMethod::of(&client.settings.credential, &server.token_endpoint_auth_methods_supported);
    let endpoint = TokenEndpoint { url: server.token_endpoint, audience: server.issuer, method };
    Ok(FoundEndpoint { endpoint, scopes: metadata.scopes_supported })
}

/// Returns the authorization server to ask: the configured one if the metadata has it.
fn issuer(client: &OAuthClient, metadata: &ResourceMetadata) -> Option<String> {
    let servers = &metadata.authorization_servers;
    let named = client.settings.issuer.as_deref();
    let known = servers.iter().find(|it| named.is_some_and(|named| is_same(named, it)));
    let found = known.or_else(|| servers.first()).cloned();
    found.or_else(|| named.map(str::to_owned))
}

async fn resource_metadata(
    client: &OAuthClient,
    challenge: &Challenge,
    resource: &Url,
) -> Option<ResourceMetadata> {
    let named = challenge.resource_metadata.as_deref().and_then(|url| Url::parse(url).ok());
    // What another origin says about this one is worth nothing.
    let named = named.filter(|url| url.origin() == resource.origin());
    let usual = || well_known(resource, "oauth-protected-resource").into_iter();
    let places = named.map_or_else(|| usual().collect(), |named| vec![named]);
    first_document(client, places).await
}

async fn server_metadata(client: &OAuthClient, issuer: &str) -> Result<ServerMetadata, ToolError> {
    let missing = || refused(format!("the authorization server {issuer} has no metadata"));
    let url = Url::parse(issuer).map_err(|_| missing())?;
    let mut places = well_known(&url, "oauth-authorization-server");
    places.truncate(1);
    let mut open_id = well_known(&url, "openid-configuration");
    open_id.truncate(1);
    places.extend(open_id);
    let behind = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    places.extend(Url::parse(&behind));
    first_document(client, places).await.ok_or_else(missing)
}

/// The well-known places of a document about `url`: with its path, and without.
fn well_known(url: &Url, name: &str) -> Vec<Url> {
    let path = url.path().trim_end_matches('/');
    let at = |path: &str| url.join(&format!("/.well-known/{name}{path}")).ok();
    let mut places: Vec<_> = at(path).into_iter().collect();
    if !path.is_empty() {
        places.extend(at(""));
    }
    places
}

async fn first_document<T: DeserializeOwned>(client: &OAuthClient, places: Vec<Url>) -> Option<T> {
    for url in places {
        if let Some(document) = document(client, url).await {
            return Some(document);
        }
    }
    None
}

async fn document<T: DeserializeOwned>(client: &OAuthClient, url: Url) -> Option<T> {
    let request = client.client.inner().get(url);
    let request = request.header(http::header::ACCEPT, "application/json");
    let response = request.send().await.ok()?;
    if !response.status().is_success() {
        return None;
    }
    serde_json::from_slice(&read(response).await?).ok()
}

/// Reads a document; `None` if it breaks off or is too large.
pub(super) async fn read(mut response: reqwest::Response) -> Option<BytesMut> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > MAX_DOCUMENT {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}

/// Whether the resource `named` has `url` in it.
fn covers(named: &str, url: &Url) -> bool {
    let Ok(named) = Url::parse(named) else { return false };
    let path = named.path().trim_end_matches('/');
    let rest = url.path().strip_prefix(path);
    named.origin() == url.origin() && rest.is_some_and(|it| it.is_empty() || it.starts_with('/'))
}

fn is_same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_stands_in_well_known_places() {
        let url = Url::parse("http://h:1/a/mcp/").unwrap();
        let places = well_known(&url, "x").into_iter().map(|url| url.to_string());
        let expected = ["http://h:1/.well-known/x/a/mcp", "http://h:1/.well-known/x"];
        assert_eq!(places.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn resource_covers_its_paths_only() {
        let url = Url::parse("https://h/mcp").unwrap();
        for (named, expected) in [
            ("https://h/mcp", true),
            ("https://h/", true),
            ("https://h", true),
            ("https://h/mc", false),
            ("https://h/mcp/more", false),
            ("http://h/mcp", false),
            ("https://evil/mcp", false),
            ("x", false),
        ] {
            assert_eq!(covers(named, &url), expected, "{named}");
        }
    }
}
