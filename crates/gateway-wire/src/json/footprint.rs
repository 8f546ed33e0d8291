//! The memory that a request takes once it is decoded.

use memchr::{memchr_iter, memchr2};

/// The memory of a message, part or tool, in bytes: as measured with the smallest ones.
const OBJECT: usize = 768;
/// The memory of a string in a list, in bytes.
const STRING: usize = 64;

/// The size below which nothing is counted, in bytes.
const SMALL: usize = 256 << 10;

/// Returns the memory that the request `body` takes once it is decoded, in bytes beyond its own: an
/// estimate from the number of its objects and strings. It is zero for a body that is small, or
/// consists of texts, as most do.
///
/// ```
/// use gateway_wire::json::decoded_footprint;
///
/// let text = format!(r#"{{"input":"{}"}}"#, "if (a) { b }, ".repeat(100_000));
/// assert_eq!(decoded_footprint(text.as_bytes()), 0);
/// let list = format!(r#"{{"input":[{}{{}}]}}"#, "{},".repeat(1000));
/// assert!(decoded_footprint(list.as_bytes()) > 100 * list.len());
/// ```
pub fn decoded_footprint(body: &[u8]) -> usize {
    // At most too many, since texts are not skipped; but quick.
    let objects = memchr_iter(b'{', body).count();
    let strings = memchr_iter(b',', body).count();
    let footprint = |objects: usize, strings: usize| {
        objects.saturating_mul(OBJECT).saturating_add(strings.saturating_mul(STRING))
    };
    let is_small = |footprint: usize| footprint <= body.len().max(SMALL);
    if is_small(footprint(objects, strings)) {
        return 0;
    }
    let (objects, strings) = count(body);
    let footprint = footprint(objects, strings);
    if is_small(footprint) { 0 } else { footprint }
}

/// The number of objects and of strings in `body`.
fn count(body: &[u8]) -> (usize, usize) {
    let (mut objects, mut strings, mut rest) = (0, 0, body);
    while let Some(at) = memchr2(b'{', b'"', rest) {
        let is_object = rest.get(at) == Some(&b'{');
        rest = rest.get(at + 1..).unwrap_or_default();
        if is_object {
            objects += 1;
        } else {
            strings += 1;
            rest = behind_string(rest);
        }
    }
    (objects, strings)
}

/// Returns the bytes after the string that `rest` begins within.
fn behind_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr2(b'"', b'\\', rest) {
        let is_escape = rest.get(at) == Some(&b'\\');
        rest = rest.get(at + 1 + usize::from(is_escape)..).unwrap_or_default();
        if !is_escape {
            return rest;
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: (usize, usize)) {
        assert_eq!(count(body.as_bytes()), expected, "{body}");
    }

    #[test]
    fn objects_and_strings_are_counted_outside_of_strings() {
        check(r#"{"a": [{ "b" : "{\"c\":{}}" }, {}]}"#, (3, 3));
        check(r#"["\\", "\\\"{", "a"]"#, (0, 3));
        check("\"{", (0, 1));
        check("\"\\", (0, 1));
        check("", (0, 0));
    }

    #[test]
    fn spaces_do_not_hide_objects() {
        let body = format!("[{}0]", "{ \"a\" :1} , ".repeat(1000));
        assert_eq!(decoded_footprint(body.as_bytes()), 1000 * OBJECT + 1000 * STRING);
    }
}
