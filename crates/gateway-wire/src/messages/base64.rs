//! Base64: documents of plain text travel as text in this dialect, and encoded elsewhere.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// `bytes` in base64, padded.
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let number = group.iter().fold(0_u32, |sum, &byte| (sum << 8) | u32::from(byte));
        let number = number << (8 * (3 - group.len()));
        for digit in 0..4 {
            let index = (number >> (18 - 6 * digit)) & 63;
            let letter = ALPHABET.get(index as usize).copied().unwrap_or(b'=');
            out.push(if digit > group.len() { '=' } else { char::from(letter) });
        }
    }
    out
}

/// The text that `base64` stands for, of either alphabet; `None` if it is no base64 or no UTF-8.
pub(super) fn decode_text(base64: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(base64.len() / 4 * 3);
    let (mut number, mut bits) = (0_u32, 0_u32);
    for letter in base64.trim_end_matches('=').bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        number = (number << 6) | u32::from(digit(letter)?);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((number >> bits) & 0xff).ok()?);
        }
        number &= 0xff;
    }
    String::from_utf8(bytes).ok()
}

const fn digit(letter: u8) -> Option<u8> {
    Some(match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_pairs() {
        for (text, base64) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(encode(text.as_bytes()), base64);
            assert_eq!(decode_text(base64).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_is_no_text_is_told() {
        assert_eq!(decode_text("!!!!"), None);
        assert_eq!(decode_text(&encode(&[0xff, 0xfe])), None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_comes_back(text in "\\PC*") {
            proptest::prop_assert_eq!(decode_text(&encode(text.as_bytes())), Some(text));
        }
    }
}
