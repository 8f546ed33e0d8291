//! Requests: what is the same in each to an address, prepared once, and what differs.

use super::pool::Host;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri,
    header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRANSFER_ENCODING, UPGRADE},
};
use std::{fmt, sync::Arc};

/// Fields that are the connection's business and not the request's.
const OF_THE_CONNECTION: [HeaderName; 5] =
    [CONNECTION, CONTENT_LENGTH, TE, TRANSFER_ENCODING, UPGRADE];

/// The part of requests to one address that is the same in each of them.
///
/// Its head is written once; a request adds its length and the fields that differ. Clones are cheap.
#[derive(Clone)]
pub struct RequestTemplate(Arc<Template>);

struct Template {
    host: Arc<Host>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    /// The request line and the fields, as they are written.
    head: Box<[u8]>,
}

/// The length of a body, as the head of its request says it.
#[derive(Clone, Copy, Debug)]
pub(super) enum BodyLength {
    /// It is known.
    Bytes(usize),
    /// It is sent in chunks.
    Chunked,
}

impl BodyLength {
    /// The length of a body that is at hand.
    pub(super) fn of(body: &[Bytes]) -> Self {
        Self::Bytes(body.iter().map(Bytes::len).sum())
    }
}

impl RequestTemplate {
    pub(super) fn new(host: Arc<Host>, method: Method, uri: Uri, mut headers: HeaderMap) -> Self {
        for name in OF_THE_CONNECTION {
            headers.remove(name);
        }
        let mut head = Vec::with_capacity(512);
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        for part in [method.as_str(), " ", path, " HTTP/1.1\r\n"] {
            head.extend_from_slice(part.as_bytes());
        }
        let host_field = headers.get(HOST).map(HeaderValue::as_bytes);
        let authority = host_field.or_else(|| host_with_port(&uri).map(str::as_bytes));
        write_field(&mut head, HOST.as_str(), authority.unwrap_or_default());
        for (name, value) in headers.iter().filter(|(name, _)| **name != HOST) {
            write_field(&mut head, name.as_str(), value.as_bytes());
        }
        Self(Arc::new(Template { host, method, uri, headers, head: head.into() }))
    }

    /// Returns the HTTP method.
    pub fn method(&self) -> &Method {
        &self.0.method
    }

    /// Returns the absolute URI.
    pub fn uri(&self) -> &Uri {
        &self.0.uri
    }

    /// The fields of every request.
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    pub(super) fn host(&self) -> &Arc<Host> {
        &self.0.host
    }

    /// Writes the head of a request with `extra` fields, which replace those of the same name. A
    /// field that cannot be written is left out.
    pub(super) fn write_head<'a>(
        &self,
        out: &mut Vec<u8>,
        extra: impl Iterator<Item = (&'a str, &'a str)> + Clone,
        body: BodyLength,
    ) {
        let before = out.len();
        out.extend_from_slice(&self.0.head);
        let mut replaces = false;
        for (name, value) in extra.clone().filter(|(name, value)| is_name(name) && is_value(value))
        {
            replaces |= self.has(name);
            write_field(out, name, value.as_bytes());
        }
        if replaces {
            out.truncate(before);
            let extra = extra.filter(|(name, value)| is_name(name) && is_value(value));
            self.write_without(out, extra.clone());
            extra.for_each(|(name, value)| write_field(out, name, value.as_bytes()));
        }
        // A body may follow, or the method says that one is expected.
        match body {
            BodyLength::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
            BodyLength::Bytes(length) if length > 0 || self.expects_body() => {
                out.extend_from_slice(b"content-length: ");
                write_number(out, length);
                out.extend_from_slice(b"\r\n");
            }
            BodyLength::Bytes(_) => {}
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Whether a request of its method has a body as a rule.
    fn expects_body(&self) -> bool {
        matches!(self.0.method, Method::POST | Method::PUT | Method::PATCH)
    }

    /// Whether every request has a field of this name.
    fn has(&self, name: &str) -> bool {
        // A lookup would make a name of the text first; few names have the same length.
        self.0.headers.keys().any(|field| field.as_str().eq_ignore_ascii_case(name))
    }

    /// Writes the head again, without the fields that `extra` replaces.
    fn write_without<'a>(
        &self,
        out: &mut Vec<u8>,
        extra: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    ) {
        let mut headers = self.0.headers.clone();
        for (name, _) in extra {
            headers.remove(name);
        }
        let Template { host, method, uri, .. } = &*self.0;
        let rest = Self::new(Arc::clone(host), method.clone(), uri.clone(), headers);
        out.extend_from_slice(&rest.0.head);
    }
}

impl fmt::Debug for RequestTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers hold credentials.
        let Template { method, uri, .. } = &*self.0;
        f.debug_struct("RequestTemplate")
            .field("method", method)
            .field("uri", uri)
            .finish_non_exhaustive()
    }
}

/// Host and port as they stand in `uri`, without credentials, and without the usual port.
fn host_with_port(uri: &Uri) -> Option<&str> {
    let authority = uri.authority()?.as_str();
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let usual = match uri.scheme_str() {
        Some("https") => ":443",
        _ => ":80",
    };
    Some(host.strip_suffix(usual).unwrap_or(host))
}

fn write_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn write_number(out: &mut Vec<u8>, number: usize) {
    let mut digits = [0; 20];
    let (mut rest, mut at) = (number, digits.len());
    for place in digits.iter_mut().rev() {
        *place = b"0123456789".get(rest % 10).copied().unwrap_or_default();
        rest /= 10;
        at -= 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

/// Whether `name` may stand before a colon.
fn is_name(name: &str) -> bool {
    let is_token = |byte: u8| {
        matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'!')
            || matches!(byte, b'#'..=b'\'' | b'*' | b'+' | b'^' | b'`' | b'|' | b'~')
    };
    !name.is_empty() && name.bytes().all(is_token)
}

/// Whether `value` may stand in a line.
fn is_value(value: &str) -> bool {
    // Without a way out of the loop, it is done with vector instructions.
    let is_text = |byte: u8| byte == b'\t' || (b' '..0x7f).contains(&byte);
    value.bytes().fold(true, |so_far, byte| so_far & is_text(byte))
}
