//! The key in a query, as Google's clients send it: moved into a header, so that nothing that
//! handles addresses sees it.

use crate::names;
use http::{HeaderValue, Request, Uri, uri::PathAndQuery};

/// Moves `key` from the query of `request` to a header.
pub(crate) fn take_from_query<B>(request: &mut Request<B>) {
    let Some(query) = request.uri().query() else { return };
    let (keys, rest): (Vec<_>, Vec<_>) =
        query.split('&').partition(|pair| *pair == "key" || pair.starts_with("key="));
    if keys.is_empty() {
        return;
    }
    let keys = keys.join("&");
    let values = form_urlencoded::parse(keys.as_bytes()).into_owned();
    let values: Vec<_> = values.map(|(_, value)| value).filter(|it| !it.is_empty()).collect();
    let uri = without_keys(request.uri(), &rest.join("&"));
    if let Some(uri) = uri {
        *request.uri_mut() = uri;
    }
    for value in values {
        if let Ok(mut value) = HeaderValue::from_str(&value) {
            value.set_sensitive(true);
            request.headers_mut().append(names::GOOGLE_API_KEY, value);
        }
    }
}

/// The same address with the query `rest`.
fn without_keys(uri: &Uri, rest: &str) -> Option<Uri> {
    let target =
        if rest.is_empty() { uri.path().to_owned() } else { [uri.path(), "?", rest].concat() };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The address that is left, and the keys.
    #[track_caller]
    fn check(uri: &str, expected: &str, keys: &[&str]) {
        let mut request = Request::builder().uri(uri).body(()).unwrap();
        take_from_query(&mut request);
        assert_eq!(request.uri(), expected);
        let found = request.headers().get_all(names::GOOGLE_API_KEY);
        let found: Vec<_> = found.iter().map(|it| it.to_str().unwrap()).collect();
        assert_eq!(found, keys);
    }

    #[test]
    fn key_is_taken_out_of_the_query() {
        check("/v1beta/models", "/v1beta/models", &[]);
        check("/a?alt=sse", "/a?alt=sse", &[]);
        check("/a?key=s%2Bk", "/a", &["s+k"]);
        check("/a?alt=sse&key=sk&x=key=1", "/a?alt=sse&x=key=1", &["sk"]);
        check("http://h/a?key=1&key=2&key=&key", "http://h/a", &["1", "2"]);
    }
}
