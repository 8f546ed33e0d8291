//! The memory that a request takes once it is decoded.

use memchr::{memchr_iter, memchr2};
use wide::u8x16;

/// The memory of a message, part or tool, in bytes: as measured with the smallest ones.
const OBJECT: usize = 768;
/// The memory of a string in a list, in bytes.
const STRING: usize = 64;

/// The size below which nothing is counted, in bytes.
const SMALL: usize = 256 << 10;

/// The parts of a document that take memory of their own once it is decoded.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct JsonParts {
    /// The number of objects.
    pub objects: usize,
    /// The number of strings, keys among them.
    pub strings: usize,
}

impl JsonParts {
    /// Returns the memory that a document of `bytes` with these parts takes once it is decoded, as
    /// [`decoded_footprint`] does.
    pub fn footprint(self, bytes: usize) -> usize {
        let objects = self.objects.saturating_mul(OBJECT);
        let footprint = objects.saturating_add(self.strings.saturating_mul(STRING));
        if footprint <= bytes.max(SMALL) { 0 } else { footprint }
    }
}

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
    let [objects, strings] = count_bytes(body, *b"{,");
    if (JsonParts { objects, strings }).footprint(body.len()) == 0 {
        return 0;
    }
    count(body).footprint(body.len())
}

/// Returns the number of times that each of `needles` is in `body`.
fn count_bytes(body: &[u8], needles: [u8; 2]) -> [usize; 2] {
    let mut counts = [0; 2];
    let (vectors, rest) = body.as_chunks::<16>();
    // A lane counts up to 255 of them.
    for vectors in vectors.chunks(255) {
        let mut lanes = [u8x16::ZERO; 2];
        for vector in vectors {
            let vector = u8x16::from(*vector);
            for (lanes, needle) in lanes.iter_mut().zip(needles) {
                // A lane of a comparison is 0, or 255: one less than 0.
                *lanes -= vector.simd_eq(u8x16::splat(needle));
            }
        }
        for (count, lanes) in counts.iter_mut().zip(lanes) {
            *count += lanes.to_array().into_iter().map(usize::from).sum::<usize>();
        }
    }
    for (count, needle) in counts.iter_mut().zip(needles) {
        *count += memchr_iter(needle, rest).count();
    }
    counts
}

/// The number of objects and of strings in `body`.
fn count(body: &[u8]) -> JsonParts {
    let (mut parts, mut rest) = (JsonParts::default(), body);
    while let Some(at) = memchr2(b'{', b'"', rest) {
        let is_object = rest.get(at) == Some(&b'{');
        rest = rest.get(at + 1..).unwrap_or_default();
        if is_object {
            parts.objects += 1;
        } else {
            parts.strings += 1;
            rest = behind_string(rest);
        }
    }
    parts
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
        let (objects, strings) = expected;
        assert_eq!(count(body.as_bytes()), JsonParts { objects, strings }, "{body}");
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
    fn bytes_of_any_length_are_counted() {
        let body = "{,{".repeat(5000);
        for length in [0, 1, 15, 16, 17, 4079, 4080, 4081, 4096, 15_000] {
            let expected = [b'{', b','].map(|it| body[..length].matches(it as char).count());
            assert_eq!(count_bytes(&body.as_bytes()[..length], *b"{,"), expected, "{length}");
        }
    }

    #[test]
    fn spaces_do_not_hide_objects() {
        let body = format!("[{}0]", "{ \"a\" :1} , ".repeat(1000));
        assert_eq!(decoded_footprint(body.as_bytes()), 1000 * OBJECT + 1000 * STRING);
    }
}
