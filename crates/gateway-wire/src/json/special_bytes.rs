//! The search for the bytes that end a run of plain string bytes, 64 at a time.

use wide::u8x16;

/// The number of bytes that are searched at once: one per bit of a mask.
pub(super) const BLOCK: usize = 64;

/// A block of a document, with a bit set for each quote, backslash and control character.
///
/// A string with escapes asks for the same block several times, and so do short strings that
/// follow each other; the block is searched once.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpecialBlock {
    /// The position of its first byte; `usize::MAX` for the block of no document.
    start: usize,
    mask: u64,
}

impl SpecialBlock {
    /// The block of no document.
    pub(super) const NONE: Self = Self { start: usize::MAX, mask: 0 };

    /// Returns the position of the first special byte of `bytes` from `at` on, or their length.
    #[inline]
    pub(super) fn find(&mut self, bytes: &[u8], mut at: usize) -> usize {
        loop {
            let start = at - at % BLOCK;
            if start != self.start {
                *self = Self { start, mask: mask_at(bytes, start) };
            }
            let ahead = self.mask >> (at % BLOCK);
            if ahead != 0 {
                return at + ahead.trailing_zeros() as usize;
            }
            at = start + BLOCK;
        }
    }
}

/// Returns the number of bytes before the first special byte.
#[inline]
pub(super) fn plain_prefix(bytes: &[u8]) -> usize {
    let mut block = SpecialBlock::NONE;
    block.find(bytes, 0)
}

/// Returns the mask of the block at `start`; the bits behind the end of the document are set.
#[inline]
fn mask_at(bytes: &[u8], start: usize) -> u64 {
    let rest = bytes.get(start..).unwrap_or_default();
    match rest.first_chunk() {
        Some(block) => mask_of(block),
        None => mask_of_rest(rest),
    }
}

#[inline(never)]
fn mask_of_rest(rest: &[u8]) -> u64 {
    // Zeros are control characters: the bits of what is not there are set.
    let mut block = [0; BLOCK];
    if let Some(copy) = block.get_mut(..rest.len()) {
        copy.copy_from_slice(rest);
    }
    mask_of(&block)
}

#[inline]
fn mask_of(block: &[u8; BLOCK]) -> u64 {
    let (quarters, _) = block.as_chunks::<16>();
    quarters.iter().rev().fold(0, |mask, &quarter| mask << 16 | u64::from(mask_of_quarter(quarter)))
}

#[inline]
fn mask_of_quarter(bytes: [u8; 16]) -> u32 {
    let bytes = u8x16::new(bytes);
    let control = bytes.min(u8x16::splat(0x1f)).simd_eq(bytes);
    let quote = bytes.simd_eq(u8x16::splat(b'"'));
    let backslash = bytes.simd_eq(u8x16::splat(b'\\'));
    (control | quote | backslash).to_bitmask()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn is_special(byte: u8) -> bool {
        matches!(byte, 0..0x20 | b'"' | b'\\')
    }

    #[test]
    fn every_byte_is_classified() {
        for byte in 0..=u8::MAX {
            assert_eq!(plain_prefix(&[b'x', byte]) == 1, is_special(byte), "{byte:#x}");
        }
    }

    proptest! {
        #[test]
        fn special_bytes_are_found_from_every_position(
            bytes in prop::collection::vec(prop_oneof![9 => 0x20u8..=0xff, 1 => 0u8..0x60], 0..200),
            plain in 0usize..200,
            starts in prop::collection::vec(any::<prop::sample::Index>(), 1..9),
        ) {
            let bytes = [vec![b'x'; plain], bytes].concat();
            let mut block = SpecialBlock::NONE;
            for start in starts {
                let at = start.index(bytes.len() + 1);
                let found = bytes[at..].iter().position(|&byte| is_special(byte));
                let expected = found.map_or(bytes.len(), |found| at + found);
                prop_assert_eq!(block.find(&bytes, at), expected);
            }
        }
    }
}
