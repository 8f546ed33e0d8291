//! The timestamp of a line, as of RFC 3339.

use gateway_core::Date;
use gateway_tasks::unix_time;
use std::{cell::Cell, time::Duration};

/// The bytes of a timestamp up to its second.
const SECOND_BYTES: usize = 19;

thread_local! {
    /// The last second that was written, and its text: many lines are of the same second.
    static LAST_SECOND: Cell<(u64, [u8; SECOND_BYTES])> =
        const { Cell::new((0, *b"1970-01-01T00:00:00")) };
}

/// Appends the current time: `2026-11-26T15:05:50.302905Z`.
pub(super) fn write(out: &mut Vec<u8>) {
    write_time(unix_time(), out);
}

fn write_time(since_1970: Duration, out: &mut Vec<u8>) {
    let (mut second, mut text) = LAST_SECOND.get();
    if second != since_1970.as_secs() {
        second = since_1970.as_secs();
        let mut written = Vec::with_capacity(SECOND_BYTES);
        write_second(second, &mut written);
        if let Ok(written) = written.try_into() {
            text = written;
            LAST_SECOND.set((second, text));
        }
    }
    out.extend_from_slice(&text);
    out.push(b'.');
    write_number(since_1970.subsec_micros().into(), 6, out);
    out.push(b'Z');
}

fn write_second(second: u64, out: &mut Vec<u8>) {
    let (days, second) = (second / 86_400, second % 86_400);
    let Date { year, month, day } = Date::from_days_since_epoch(days);
    for (before, number, digits) in [
        (None, year, 4),
        (Some(b'-'), month, 2),
        (Some(b'-'), day, 2),
        (Some(b'T'), second / 3_600, 2),
        (Some(b':'), second / 60 % 60, 2),
        (Some(b':'), second % 60, 2),
    ] {
        out.extend(before);
        write_number(number, digits, out);
    }
}

/// Appends the last `digits` digits of `number`.
fn write_number(number: u64, digits: u32, out: &mut Vec<u8>) {
    for place in (0..digits).rev() {
        let digit = number / 10_u64.pow(place) % 10;
        out.push(b'0' + (digit & 15) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(micros: u64, expected: &str) {
        let mut out = Vec::new();
        write_time(Duration::from_micros(micros), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn timestamp_has_microseconds() {
        check(0, "1970-01-01T00:00:00.000000Z");
        check(1_795_705_550_302_905, "2026-11-26T15:05:50.302905Z");
        check(951_868_799_999_999, "2000-02-29T23:59:59.999999Z");
    }
}
