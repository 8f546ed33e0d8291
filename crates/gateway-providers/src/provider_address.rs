//! The addresses of a provider: below its base URL, with the parameters that each of them has.

use gateway_core::{ErrorKind, GatewayError, Result};
use http::Uri;
use std::fmt::Write as _;

/// The place of the model's name in a base URL, as in `https://host/openai/deployments/{model}`.
const MODEL_PLACE: &str = "{model}";

/// The base URL of a provider, and the parameters of each of its addresses.
#[derive(Clone, Debug)]
pub(crate) struct ProviderAddress {
    base: String,
    /// The parameters as they are written, without the question mark.
    query: String,
    /// The names of the parameters, as they are written.
    names: Vec<String>,
}

impl ProviderAddress {
    pub(crate) fn new(base_url: &str, parameters: &[(String, String)]) -> Self {
        let written = |(name, value): &(String, String)| (escaped(name), escaped(value));
        let written: Vec<_> = parameters.iter().map(written).collect();
        let query: Vec<_> = written.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let names = written.into_iter().map(|(name, _)| name).collect();
        Self { base: base_url.trim_end_matches('/').to_owned(), query: query.join("&"), names }
    }

    /// Whether each model has an address of its own.
    pub(crate) fn names_model(&self) -> bool {
        self.base.contains(MODEL_PLACE)
    }

    /// The address of `path`, which may have a query, for `model`. The provider's own parameters win
    /// against those of the same name.
    ///
    /// # Errors
    ///
    /// If it is malformed.
    pub(crate) fn of(&self, path: &str, model: &str) -> Result<Uri> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut text = self.base.replace(MODEL_PLACE, &escaped(model));
        text.push_str(path);
        let others = query.split('&').filter(|parameter| !self.has(parameter));
        for parameter in others.chain([&*self.query]).filter(|it| !it.is_empty()) {
            text.push(if text.contains('?') { '&' } else { '?' });
            text.push_str(parameter);
        }
        text.parse().map_err(|error: http::uri::InvalidUri| {
            GatewayError::new(ErrorKind::InvalidRequest, "the address is malformed")
                .with_source(error)
        })
    }

    /// Whether the provider has a parameter with the name of `parameter`.
    fn has(&self, parameter: &str) -> bool {
        let name = parameter.split('=').next().unwrap_or_default();
        self.names.iter().any(|own| own == name)
    }
}

/// Returns `text` as it is written in a segment or a parameter.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    // Dots alone would lead to another place.
    if escaped.bytes().all(|byte| byte == b'.') { escaped.replace('.', "%2E") } else { escaped }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(base: &str, query: &[(&str, &str)], (path, model): (&str, &str), expected: &str) {
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let query: Vec<_> = query.collect();
        let address = ProviderAddress::new(base, &query).of(path, model).unwrap();
        assert_eq!(address.to_string(), expected);
    }

    #[test]
    fn address_has_the_parameters_and_the_model() {
        check("http://h/v1/", &[], ("/chat", "m"), "http://h/v1/chat");
        let version = [("api-version", "2026-01-01"), ("a b", "&")];
        check("http://h", &version, ("/x", "m"), "http://h/x?api-version=2026-01-01&a%20b=%26");
        check("http://h", &version[..1], ("/x?y=1", "m"), "http://h/x?y=1&api-version=2026-01-01");
        let other = ("/x?api-version=1&y=1", "m");
        check("http://h", &version[..1], other, "http://h/x?y=1&api-version=2026-01-01");
        check("http://h/d/{model}", &[], ("/x", "../a?b"), "http://h/d/..%2Fa%3Fb/x");
        check("http://h/d/{model}", &[], ("/x", ".."), "http://h/d/%2E%2E/x");
    }
}
