//! The layout of keys in the map.
//!
//! ```text
//! o <kind> <tenant> <id>            the thing itself
//! o <kind> <tenant> <id> b          its body
//! o <kind> <tenant> <id> m <n>      its n-th part
//! o <kind> <tenant> <id> c          the claim on it, where processes share the map
//! o <kind> <tenant> <id> d <turn>   a turn that it holds
//! l <tenant> <created> <id>         a session, to be listed newest first
//! x <expires> <kind> <tenant> <id>  when a thing ends
//! q <tenant>                        the state that a tenant keeps
//! g i <segment>                     the index of a segment of the request log, newest first
//! g l <segment>                     its lines
//! g o <at> <writer>                 the segments, oldest first
//! g n                               the number of requests in the log
//! ```
//!
//! Numbers are big-endian, so that they sort; names come with their length, so that no two keys
//! share bytes by accident.

use crate::request_log::SegmentName;
use gateway_core::state::{Key, Tenant};
use std::ops::Range;

/// The kind of a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RecordKind {
    Session = b's' as isize,
    Response = b'r' as isize,
    Replay = b'i' as isize,
    Aside = b'a' as isize,
    /// The order in which the asides of a tenant came.
    AsideOrder = b'o' as isize,
    OpenRow = b'u' as isize,
    /// A batch of rows that an older version wrote.
    Batch = b'c' as isize,
    /// The progress of a process run in the ledger.
    LedgerRun = b'w' as isize,
    Totals = b't' as isize,
    Spent = b'm' as isize,
    ClientKey = b'k' as isize,
    /// Version counter of client keys.
    KeysVersion = b'v' as isize,
}

/// The place of a thing.
pub(crate) fn object(kind: RecordKind, key: &Key) -> Vec<u8> {
    let mut name = vec![b'o', kind.letter()];
    push(&mut name, key.tenant().as_str());
    push(&mut name, key.id());
    name
}

/// The place of the `n`-th part of a thing.
pub(crate) fn part(object: &[u8], n: u64) -> Vec<u8> {
    [object, b"m", &n.to_be_bytes()].concat()
}

/// The parts of a thing from the `n`-th on.
pub(crate) fn parts_from(object: &[u8], n: u64) -> Range<Vec<u8>> {
    part(object, n)..[object, b"n"].concat()
}

/// The place of the body of a thing.
pub(crate) fn body(object: &[u8]) -> Vec<u8> {
    [object, b"b"].concat()
}

/// The place of the claim of a thing.
pub(crate) fn claim(object: &[u8]) -> Vec<u8> {
    [object, b"c"].concat()
}

/// The place of the note that a thing holds `turn`.
pub(crate) fn turn(object: &[u8], turn: &str) -> Vec<u8> {
    let mut name = [object, b"d"].concat();
    push(&mut name, turn);
    name
}

/// A thing and all that belongs to it.
pub(crate) fn whole(object: &[u8]) -> Range<Vec<u8>> {
    // Names begin with a length, letters are ASCII: nothing that belongs to it sorts higher.
    object.to_vec()..[object, &[0xff]].concat()
}

/// All things of `kind`, of one tenant or of all.
pub(crate) fn all(kind: RecordKind, tenant: Option<&Tenant>) -> Range<Vec<u8>> {
    let mut start = vec![b'o', kind.letter()];
    if let Some(tenant) = tenant {
        push(&mut start, tenant.as_str());
        return start.clone()..successor(start);
    }
    start..vec![b'o', kind.letter() + 1]
}

/// The place of a session in the list of its tenant: the newest sorts first.
pub(crate) fn listed(tenant: &Tenant, created: u64, id: &str) -> Vec<u8> {
    let mut name = list_of(tenant);
    name.extend((u64::MAX - created).to_be_bytes());
    name.extend(id.as_bytes());
    name
}

/// The list of `tenant`, behind `after`.
pub(crate) fn list_after(tenant: &Tenant, after: Option<&[u8]>) -> Range<Vec<u8>> {
    let start = list_of(tenant);
    let end = successor(start.clone());
    match after {
        Some(after) => [start, after.to_vec(), vec![0]].concat()..end,
        None => start..end,
    }
}

/// Returns the cursor of a list position.
pub(crate) fn cursor<'a>(tenant: &Tenant, listed: &'a [u8]) -> Option<&'a [u8]> {
    listed.get(list_of(tenant).len()..)
}

/// The place of what a tenant keeps; `tenant` is its name as keys hold it.
pub(crate) fn usage(tenant: &[u8]) -> Vec<u8> {
    [b"q", tenant].concat()
}

/// All things of `kind` of a tenant, whose name is as keys hold it.
pub(crate) fn all_of(kind: RecordKind, tenant: &[u8]) -> Range<Vec<u8>> {
    let start = [&[b'o', kind.letter()], tenant].concat();
    start.clone()..successor(start)
}

/// The name of a tenant as keys hold it.
#[cfg(test)]
pub(crate) fn tenant_name(tenant: &str) -> Vec<u8> {
    let mut name = Vec::new();
    push(&mut name, tenant);
    name
}

/// A key that counts against the quota of a tenant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CountedKey<'a> {
    pub(crate) kind: RecordKind,
    /// The name of the tenant, as keys hold it.
    pub(crate) tenant: &'a [u8],
    /// Whether it is the place of the thing itself.
    pub(crate) is_whole: bool,
}

/// Parses a key that counts against a quota.
pub(crate) fn counted(key: &[u8]) -> Option<CountedKey<'_>> {
    let rest = key.strip_prefix(b"o")?;
    let kind = RecordKind::of(key)?;
    if !matches!(kind, RecordKind::Session | RecordKind::Response | RecordKind::Replay) {
        return None;
    }
    let rest = rest.get(1..)?;
    let (tenant, rest) = rest.split_at_checked(name_length(rest)?)?;
    let (_, below) = rest.split_at_checked(name_length(rest)?)?;
    Some(CountedKey { kind, tenant, is_whole: below.is_empty() })
}

/// The length of the name at the beginning of `text`, its own length included.
fn name_length(text: &[u8]) -> Option<usize> {
    let (length, _) = text.split_first_chunk()?;
    usize::try_from(u32::from_be_bytes(*length)).ok()?.checked_add(4)
}

/// The place of the note when `object` ends.
pub(crate) fn expiry(at: u64, object: &[u8]) -> Vec<u8> {
    [b"x", &at.to_be_bytes()[..], object].concat()
}

/// The notes of what ended at `now` or before.
pub(crate) fn expired(now: u64) -> Range<Vec<u8>> {
    vec![b'x']..expiry(now.saturating_add(1), &[])
}

/// Parses an expiry note into time and record key.
pub(crate) fn read_expiry(name: &[u8]) -> Option<(u64, &[u8])> {
    let (at, object) = name.get(1..)?.split_first_chunk()?;
    Some((u64::from_be_bytes(*at), object))
}

/// The place of the index of a segment of the request log: the newest sorts first.
pub(crate) fn log_index(name: SegmentName) -> Vec<u8> {
    log_segment(b"gi", name)
}

/// The place of the lines of a segment.
pub(crate) fn log_lines(name: SegmentName) -> Vec<u8> {
    log_segment(b"gl", name)
}

fn log_segment(kind: &[u8], SegmentName { at, writer }: SegmentName) -> Vec<u8> {
    [kind, &(u64::MAX - at).to_be_bytes(), &(u32::MAX - writer).to_be_bytes()].concat()
}

/// The indexes of the segment `name` and of older ones.
pub(crate) fn log_indexes_from(name: SegmentName) -> Range<Vec<u8>> {
    log_index(name)..b"gj".to_vec()
}

/// Returns the name of the segment whose index is at `key`.
pub(crate) fn read_log_index(key: &[u8]) -> Option<SegmentName> {
    let (at, writer) = read_segment(key, b"gi")?;
    Some(SegmentName { at: u64::MAX - at, writer: u32::MAX - writer })
}

/// The place of a segment in the order of segments: the oldest sorts first.
pub(crate) fn log_order(SegmentName { at, writer }: SegmentName) -> Vec<u8> {
    [b"go", &at.to_be_bytes()[..], &writer.to_be_bytes()].concat()
}

/// The order of segments.
pub(crate) fn log_orders() -> Range<Vec<u8>> {
    b"go".to_vec()..b"gp".to_vec()
}

/// Returns the name of the segment at `key` in their order.
pub(crate) fn read_log_order(key: &[u8]) -> Option<SegmentName> {
    let (at, writer) = read_segment(key, b"go")?;
    Some(SegmentName { at, writer })
}

fn read_segment(key: &[u8], kind: &[u8]) -> Option<(u64, u32)> {
    let (at, rest) = key.strip_prefix(kind)?.split_first_chunk()?;
    let writer = rest.try_into().ok()?;
    Some((u64::from_be_bytes(*at), u32::from_be_bytes(writer)))
}

/// The place of the number of requests in the log.
pub(crate) fn log_count() -> Vec<u8> {
    b"gn".to_vec()
}

fn list_of(tenant: &Tenant) -> Vec<u8> {
    let mut name = vec![b'l'];
    push(&mut name, tenant.as_str());
    name
}

fn push(name: &mut Vec<u8>, text: &str) {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    name.extend(length.to_be_bytes());
    name.extend(text.as_bytes());
}

/// The first name that does not begin with `name`.
fn successor(mut name: Vec<u8>) -> Vec<u8> {
    while let Some(last) = name.pop() {
        if last < u8::MAX {
            name.push(last + 1);
            break;
        }
    }
    name
}

impl RecordKind {
    const ALL: [Self; 12] = [
        Self::Session,
        Self::Response,
        Self::Replay,
        Self::Aside,
        Self::AsideOrder,
        Self::OpenRow,
        Self::Batch,
        Self::LedgerRun,
        Self::Totals,
        Self::Spent,
        Self::ClientKey,
        Self::KeysVersion,
    ];

    const fn letter(self) -> u8 {
        self as u8
    }

    /// The kind of the thing at `object`.
    pub(crate) fn of(object: &[u8]) -> Option<Self> {
        let letter = *object.get(1)?;
        Self::ALL.into_iter().find(|kind| kind.letter() == letter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(tenant: &str, id: &str) -> Key {
        Tenant::new(tenant).unwrap().key(id)
    }

    #[test]
    fn distinct_keys_have_distinct_names() {
        let place = |tenant, id| object(RecordKind::Session, &key(tenant, id));
        assert_ne!(place("a", "bc"), place("ab", "c"));
        assert!(!whole(&place("a", "b")).contains(&place("a", "bm")));
        assert!(!whole(&place("a", "b")).contains(&place("a", "ba")));
        assert!(!all(RecordKind::Session, Tenant::new("a").as_ref()).contains(&place("b", "x")));
    }

    #[test]
    fn parts_share_prefix_of_owner() {
        let object = object(RecordKind::Session, &key("a", "b"));
        let range = whole(&object);
        assert!(range.contains(&object));
        assert!(range.contains(&part(&object, u64::MAX)));
        assert!(range.contains(&turn(&object, "t")));
        assert!(!parts_from(&object, 0).contains(&turn(&object, "t")));
        assert!(!parts_from(&object, 2).contains(&part(&object, 1)));
    }

    #[test]
    fn counted_key_names_tenant_and_kind() {
        let object = object(RecordKind::Response, &key("a", "b"));
        let found = counted(&object).unwrap();
        assert!(found.is_whole && found.kind == RecordKind::Response);
        assert_eq!(found.tenant, tenant_name("a"));
        assert!(!counted(&part(&object, 1)).unwrap().is_whole);
        assert!(all_of(RecordKind::Response, found.tenant).contains(&object));
        for other in [expiry(1, &object), usage(b"a"), b"o".to_vec(), b"os\0\0\0\x09a".to_vec()] {
            assert!(counted(&other).is_none(), "{other:?}");
        }
    }

    #[test]
    fn segments_of_the_request_log_are_ordered_by_time() {
        let [older, newer] = [(5, 9), (6, 1)].map(|(at, writer)| SegmentName { at, writer });
        assert!(log_index(newer) < log_index(older) && log_order(older) < log_order(newer));
        assert!(log_indexes_from(newer).contains(&log_index(older)));
        assert!(!log_indexes_from(older).contains(&log_index(newer)));
        assert_eq!(read_log_index(&log_index(older)), Some(older));
        assert_eq!(read_log_order(&log_order(older)), Some(older));
        assert!(log_orders().contains(&log_order(newer)));
    }

    #[test]
    fn expiry_names_are_ordered_by_time() {
        let note = expiry(7, b"osx");
        assert_eq!(read_expiry(&note), Some((7, &b"osx"[..])));
        assert!(expired(7).contains(&note) && !expired(6).contains(&note));
    }
}
