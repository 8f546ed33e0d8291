//! A search for tool names in a request that does not decode the tool definitions.

use memchr::memmem;

const KEY: &[u8] = b"\"name\"";

/// Returns whether a tool in `list`, the value of a request's `tools`, may have a name for which
/// `is_known` holds.
///
/// `false` is certain; after `true`, decode the list to be sure. The search works for every dialect,
/// since all call the member `name`.
///
/// ```
/// use gateway_wire::tool_names::may_contain;
///
/// let tools = br#"[{"type":"function","function":{"name":"web_search"}}]"#;
/// assert!(may_contain(tools, |name| name == "web_search"));
/// assert!(!may_contain(tools, |name| name == "calculator"));
/// ```
pub fn may_contain(list: &[u8], is_known: impl Fn(&str) -> bool) -> bool {
    memmem::find_iter(list, KEY).any(|at| match name_after(list, at + KEY.len()) {
        Some(ToolNameMatch::Plain(name)) => is_known(name),
        Some(ToolNameMatch::Escaped) => true,
        None => false,
    })
}

enum ToolNameMatch<'a> {
    Plain(&'a str),
    /// A name with escapes, which must be decoded to be compared.
    Escaped,
}

/// The string value of the key that ends at `at`; `None` if the value is not a string.
fn name_after(list: &[u8], at: usize) -> Option<ToolNameMatch<'_>> {
    let rest = list.get(at..)?.trim_ascii_start().strip_prefix(b":")?;
    let text = rest.trim_ascii_start().strip_prefix(b"\"")?;
    let end = memchr::memchr2(b'"', b'\\', text)?;
    let (name, rest) = text.split_at_checked(end)?;
    if rest.starts_with(b"\\") {
        return Some(ToolNameMatch::Escaped);
    }
    std::str::from_utf8(name).ok().map(ToolNameMatch::Plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(list: &str, expected: bool) {
        assert_eq!(may_contain(list.as_bytes(), |name| name == "echo"), expected, "{list}");
    }

    #[test]
    fn tool_name_is_found_in_every_dialect() {
        check(r#"[{"type":"function","function":{"name":"echo","parameters":{}}}]"#, true);
        check(r#"[{"type":"function","name" : "echo"}]"#, true);
        check("[{\"name\"\n:\t\"a\"},{\"name\":\"echo\",\"input_schema\":{}}]", true);
    }

    #[test]
    fn other_strings_are_not_names() {
        check("[]", false);
        check("null", false);
        check(r#"[{"name":"echoes"},{"name":1},{"title":"echo"}]"#, false);
        check(r#"[{"name":"x","description":"say \"name\":\"echo\""}]"#, false);
        check(r#"[{"name":"x","parameters":{"properties":{"name":{"type":"string"}}}}]"#, false);
    }

    #[test]
    fn escaped_name_requires_decoding() {
        check(r#"[{"name":"\u0065cho"}]"#, true);
    }
}
