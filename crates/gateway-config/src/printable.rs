//! Names of the configuration in messages.

/// Returns an untrusted name, truncated and escaped for messages.
pub fn printable(name: &str) -> String {
    name.chars().take(64).flat_map(char::escape_debug).collect()
}
