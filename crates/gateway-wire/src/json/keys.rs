//! Detection of repeated keys in the open objects of a document.

use super::{special_bytes::plain_prefix, text::UnescapedChars};
use std::{cmp::Ordering, ops::Range};

/// The number of keys up to which the keys of an object are compared one by one.
const FEW: usize = 16;

/// Keys of objects within objects, the outermost first.
///
/// A key is its hash in the upper and its place in the lower half of a number. In a small object
/// each new key is compared with those before it; in a large one all are sorted when the object
/// ends, so that many keys, or many with the same hash, cost little more than their reading.
#[derive(Debug)]
pub(super) struct ObjectKeys<'a> {
    bytes: &'a [u8],
    seen: Vec<u64>,
    scratch: String,
}

impl<'a> ObjectKeys<'a> {
    /// Creates an empty list for `bytes`, which is shorter than 4 GiB, in the room of `seen`.
    pub(super) fn new(bytes: &'a [u8], mut seen: Vec<u64>) -> Self {
        seen.clear();
        seen.reserve(32);
        Self { bytes, seen, scratch: String::new() }
    }

    /// Returns the list, for its room.
    pub(super) fn into_list(self) -> Vec<u64> {
        self.seen
    }

    /// The index from which the keys of a new object are stored.
    #[inline]
    pub(super) fn begin(&self) -> usize {
        self.seen.len()
    }

    /// Adds a key, `inner` being where it stands without its quotes, to the object whose keys
    /// begin at `from`.
    ///
    /// False if the object is small and has the key already.
    #[inline]
    pub(super) fn add(&mut self, from: usize, inner: Range<usize>, is_escaped: bool) -> bool {
        let place = u32::try_from(inner.start).unwrap_or(u32::MAX);
        let hash = self.hash(inner, is_escaped);
        let before = self.seen.get(from..).unwrap_or_default();
        let is_same =
            |&key: &u64| hash_of(key) == hash && self.compare(place_of(key), place).is_eq();
        if before.len() < FEW && before.iter().any(is_same) {
            return false;
        }
        self.seen.push((u64::from(hash) << 32) | u64::from(place));
        true
    }

    /// Ends the object whose keys begin at `from`.
    ///
    /// Returns where a key stands that the object had before.
    #[inline]
    pub(super) fn end(&mut self, from: usize) -> Option<usize> {
        let many = self.seen.len() > from + FEW;
        let twice = if many { self.find_twice(from) } else { None };
        self.seen.truncate(from);
        twice
    }

    #[inline(never)]
    fn find_twice(&mut self, from: usize) -> Option<usize> {
        let mut keys = std::mem::take(&mut self.seen);
        let object = keys.get_mut(from..).unwrap_or_default();
        object.sort_unstable();
        let twice = object
            .chunk_by_mut(|&a, &b| hash_of(a) == hash_of(b))
            .filter(|alike| alike.len() > 1)
            .find_map(|alike| self.find_among_alike(alike));
        self.seen = keys;
        twice
    }

    fn find_among_alike(&self, alike: &mut [u64]) -> Option<usize> {
        let compare = |a: u64, b: u64| self.compare(place_of(a), place_of(b));
        alike.sort_unstable_by(|&a, &b| compare(a, b));
        let mut pairs = alike.iter().zip(alike.iter().skip(1));
        let (&a, &b) = pairs.find(|&(&a, &b)| compare(a, b).is_eq())?;
        Some(place_of(a).max(place_of(b)) as usize)
    }

    #[inline]
    fn hash(&mut self, inner: Range<usize>, is_escaped: bool) -> u32 {
        let key = self.bytes.get(inner).unwrap_or_default();
        if !is_escaped {
            return hash(key);
        }
        self.scratch.clear();
        self.scratch.extend(UnescapedChars::new(std::str::from_utf8(key).unwrap_or_default()));
        hash(self.scratch.as_bytes())
    }

    /// Compares the keys that begin at `a` and `b`.
    #[inline(never)]
    fn compare(&self, a: u32, b: u32) -> Ordering {
        if let (Some(a), Some(b)) = (self.plain_key(a), self.plain_key(b)) {
            return a.cmp(b);
        }
        UnescapedChars::new(self.escaped_key(a)).cmp(UnescapedChars::new(self.escaped_key(b)))
    }

    /// The key that begins at `at`, if nothing in it is escaped.
    fn plain_key(&self, at: u32) -> Option<&[u8]> {
        let rest = self.bytes.get(at as usize..)?;
        let (key, end) = rest.split_at_checked(plain_prefix(rest))?;
        end.starts_with(b"\"").then_some(key)
    }

    /// The key that begins at `at`, up to its closing quote.
    fn escaped_key(&self, at: u32) -> &str {
        let rest = self.bytes.get(at as usize..).unwrap_or_default();
        let mut end = 0;
        loop {
            end += plain_prefix(rest.get(end..).unwrap_or_default());
            if rest.get(end) != Some(&b'\\') {
                break;
            }
            end += 2;
        }
        std::str::from_utf8(rest.get(..end).unwrap_or_default()).unwrap_or_default()
    }
}

#[inline]
const fn hash_of(key: u64) -> u32 {
    (key >> 32) as u32
}

#[inline]
const fn place_of(key: u64) -> u32 {
    (key & 0xffff_ffff) as u32
}

#[inline]
fn hash(bytes: &[u8]) -> u32 {
    let mut hash = bytes.len() as u64;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        hash = mix(hash, u64::from_le_bytes(*word));
    }
    hash_of(if rest.is_empty() { hash } else { mix(hash, last_word(bytes)) })
}

/// The last bytes of a key, at most eight; which of them are there twice follows from its length.
#[inline]
fn last_word(bytes: &[u8]) -> u64 {
    if let Some(word) = bytes.last_chunk() {
        return u64::from_le_bytes(*word);
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        return u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last));
    }
    bytes.iter().fold(0, |word, &byte| (word << 8) | u64::from(byte))
}

#[inline]
const fn mix(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Different keys of 16 bytes that all have the same hash.
    fn alike(count: usize) -> Vec<String> {
        let key = |n: u32| {
            let first = format!("{n:08x}");
            let word = u64::from_le_bytes(first.as_bytes().try_into().unwrap());
            let second = mix(16, word).rotate_left(23) ^ 0x1234;
            String::from_utf8([first.as_bytes(), &second.to_le_bytes()].concat()).ok()
        };
        let is_plain = |key: &String| key.bytes().all(|b| b >= b' ' && b != b'"' && b != b'\\');
        (0..).filter_map(key).filter(is_plain).take(count).collect()
    }

    /// Which of `keys` is found to come twice in one object.
    fn find(keys: &[String]) -> Option<usize> {
        let text = keys.iter().fold(String::new(), |text, key| text + "\"" + key) + "\"";
        let mut open = ObjectKeys::new(text.as_bytes(), Vec::new());
        let mut at = 0;
        let mut places = Vec::new();
        for (index, key) in keys.iter().enumerate() {
            places.push(at + 1);
            if !open.add(0, at + 1..at + 1 + key.len(), key.contains('\\')) {
                return Some(index);
            }
            at += 1 + key.len();
        }
        let place = open.end(0)?;
        places.iter().position(|&at| at == place)
    }

    #[test]
    fn colliding_keys_are_distinguished() {
        let keys = alike(60);
        let hashes: std::collections::HashSet<_> =
            keys.iter().map(|k| hash(k.as_bytes())).collect();
        assert_eq!((keys.len(), hashes.len()), (60, 1));
        assert_eq!(find(&keys), None);
        for repeated in [0, 30, 59] {
            let keys = [keys.clone(), vec![keys[repeated].clone()]].concat();
            assert_eq!(find(&keys), Some(60));
        }
    }

    #[test]
    fn keys_are_compared_unescaped() {
        let escaped = String::from("\\u0061");
        for others in [1, FEW - 1, FEW, 5 * FEW] {
            let mut keys: Vec<_> = (0..others).map(|n| format!("k{n}")).collect();
            keys.insert(0, "a".to_owned());
            keys.push(escaped.clone());
            assert_eq!(find(&keys), Some(others + 1), "{others}");
        }
    }
}
