//! The keys of stored values in Redis.
//!
//! All keys of one call share a hash tag (the part in braces), so that a cluster has them on one
//! node.

use gateway_core::state::{Key, Tenant};
use std::fmt::Write as _;

/// The names of one thing: a prefix, and a letter for each of its keys.
pub(super) fn of(prefix: &str, kind: &str, key: &Key, letters: &str) -> Vec<String> {
    let beginning = beginning(prefix, kind, key);
    letters.chars().map(|letter| beginning.clone() + letter.encode_utf8(&mut [0; 4])).collect()
}

/// Returns the common prefix of a record's keys.
pub(super) fn beginning(prefix: &str, kind: &str, key: &Key) -> String {
    let (tenant, id) = (key.tenant().as_str(), key.id());
    let mut name = String::with_capacity(prefix.len() + kind.len() + tenant.len() + id.len() + 32);
    name.extend([prefix, kind, ":{"]);
    escape_into(&mut name, tenant);
    name.push('/');
    escape_into(&mut name, id);
    name.push_str("}:");
    name
}

/// The name of what belongs to a whole tenant.
pub(super) fn of_tenant(prefix: &str, kind: &str, tenant: &Tenant) -> String {
    format!("{prefix}{kind}:{{{}}}:", escape(tenant.as_str()))
}

/// Text without what means something in a key: braces, separators, and what is not printable.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    escape_into(&mut escaped, text);
    escaped
}

/// Appends the same to `escaped`.
pub(super) fn escape_into(escaped: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{byte:02x}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_name_cannot_escape_hash_tag() {
        assert_eq!(escape("a}b{c/d é"), "a%7db%7bc%2fd%20%c3%a9");
        let key = Tenant::new("a}").unwrap().key("b/{c");
        assert_eq!(
            of("gw:", "s", &key, "ml"),
            ["gw:s:{a%7d/b%2f%7bc}:m", "gw:s:{a%7d/b%2f%7bc}:l"]
        );
    }
}
