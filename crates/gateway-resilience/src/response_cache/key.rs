//! Cache keys: equality of requests.
//!
//! Two requests are the same if the same tenant asks the same model the same thing. The order of
//! members makes no difference, and neither do blanks and escapes. Everything else does: how a
//! number is written, whether something is null or absent, how an accent is composed, and unknown
//! members.

use gateway_core::{Inspection, ProviderRequest, RawRequest};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeMap, fmt::Write as _};

/// Returns the cache key of `call`; `None` if the request cannot be read.
///
/// `epoch` identifies the provider's configuration.
pub(super) fn of(
    call: &ProviderRequest,
    original: &RawRequest,
    provider: &str,
    epoch: &str,
) -> Option<String> {
    let mut hash = Hash(Sha256::new());
    let context = &call.context;
    for text in ["1", &*context.tenant, epoch, provider, &*call.target.model] {
        hash.text(text);
    }
    hash.text(original.dialect.as_str());
    let card = call.target.card.as_ref();
    hash.text(card.and_then(|card| card.api).map_or("", |api| api.as_str()));
    let flags = [call.stream, call.strict, call.inspection == Inspection::Full];
    hash.0.update(flags.map(u8::from));
    for (name, value) in context.headers.iter() {
        hash.text(name);
        hash.text(value);
    }
    let mut members: BTreeMap<String, &RawValue> = serde_json::from_slice(&original.body).ok()?;
    // Who is asked is known; by which name, or with what ways round, makes no difference.
    members.remove("model");
    hash.object(&members).ok()?;
    let mut name = String::with_capacity(64);
    for byte in hash.0.finalize() {
        write!(name, "{byte:02x}").ok()?;
    }
    Some(name)
}

struct Hash(Sha256);

impl Hash {
    /// Its length goes first, so that no two lists of texts run into the same bytes.
    fn text(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text);
    }

    fn object(&mut self, members: &BTreeMap<String, &RawValue>) -> serde_json::Result<()> {
        self.0.update(b"{");
        self.0.update((members.len() as u64).to_le_bytes());
        for (key, value) in members {
            self.text(key);
            self.value(value)?;
        }
        Ok(())
    }

    /// The nesting was bounded when the request was read.
    fn value(&mut self, value: &RawValue) -> serde_json::Result<()> {
        let text = value.get();
        match text.as_bytes().first() {
            Some(b'{') => self.object(&read(text)?)?,
            Some(b'[') => {
                let items: Vec<&RawValue> = read(text)?;
                self.0.update(b"[");
                self.0.update((items.len() as u64).to_le_bytes());
                for item in items {
                    self.value(item)?;
                }
            }
            Some(b'"') => {
                // Half a surrogate pair is no text, but it is itself.
                let string = read::<String>(text);
                self.0.update(if string.is_ok() { b"\"" } else { b"'" });
                self.text(string.as_deref().unwrap_or(text));
            }
            Some(_) | None => {
                self.0.update(b"=");
                self.text(text);
            }
        }
        Ok(())
    }
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> serde_json::Result<T> {
    serde_json::from_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{ChatRequest, Dialect, Envelope, Payload};
    use std::sync::Arc;

    fn key(tenant: &str, model: &str, body: &str) -> String {
        let body = bytes::Bytes::copy_from_slice(body.as_bytes());
        let decode = |_: &[u8]| Ok(ChatRequest::default());
        let original = Arc::new(RawRequest::new(Dialect::Chat, body, Envelope::default(), decode));
        let mut call = ProviderRequest::new(ChatRequest::user(model, ""));
        call.context.tenant = tenant.into();
        call.payload = Payload::Raw(Arc::clone(&original));
        of(&call, &original, "p", "e").unwrap()
    }

    #[track_caller]
    fn check(one: &str, other: &str, same: bool) {
        assert_eq!(key("t", "m", one) == key("t", "m", other), same, "{one} {other}");
    }

    #[test]
    fn key_ignores_member_order_whitespace_and_escapes() {
        check(r#"{"a":1,"b":{"c":2,"d":3}}"#, r#"{ "b": {"d":3, "c":2}, "a": 1 }"#, true);
        check(r#"{"a":"A\n"}"#, r#"{"a":"\u0041\u000a"}"#, true);
        check(r#"{"model":"best","a":1}"#, r#"{"a":1,"model":"m"}"#, true);
    }

    #[test]
    fn key_differs_for_different_values() {
        for (one, other) in [
            (r#"{"a":1}"#, r#"{"a":1.0}"#),
            (r#"{"a":1}"#, r#"{"a":"1"}"#),
            (r#"{"a":null}"#, "{}"),
            ("{\"a\":\"é\"}", "{\"a\":\"e\u{301}\"}"),
            (r#"{"a":1}"#, r#"{"a":1,"unknown":1}"#),
            (r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#),
            (r#"{"a":["b","c"]}"#, r#"{"a":["bc"]}"#),
            (r#"{"a":{"b":1}}"#, r#"{"a":{},"b":1}"#),
            (r#"{"a":"\ud800"}"#, r#"{"a":"\ud801"}"#),
            (r#"{"a":[]}"#, r#"{"a":{}}"#),
        ] {
            check(one, other, false);
        }
    }

    #[test]
    fn key_differs_by_tenant_and_model() {
        assert_ne!(key("t", "m", "{}"), key("u", "m", "{}"));
        assert_ne!(key("t", "m", "{}"), key("t", "n", "{}"));
        assert_ne!(key("tm", "", "{}"), key("t", "m", "{}"));
    }
}
