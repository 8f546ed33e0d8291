//! The lines of the usage journal: what a crash must not take of the ledger's events.
//!
//! ```text
//! O <request> <reserved>                     opened
//! R <request> <reserved>                     revised
//! C <request> <usage> <estimated> <outcome>  closed
//! B <number>                                 the end of a batch
//! ```
//!
//! A request is its number, time and labels; members are separated by tabs. Behind them are the tags
//! and the user of a request that has any. Written by hand: it is
//! done twice for each request, before an upstream is asked.

use super::record::{LedgerEvent, RequestResult, UsageRecord};
use gateway_core::{Attribution, ErrorKind, NanoDollars, ServiceTier, Usage, state::ReservedUsage};
use std::{str, sync::Arc};

/// An entry of the journal.
#[derive(Debug)]
pub(super) enum JournalEntry {
    Event(LedgerEvent),
    /// The end of the batch with this number.
    BatchEnd(u64),
}

/// The outcomes that are no kind of error.
const OUTCOMES: [&str; 3] = ["ok", super::LOST_OUTCOME, super::PANICKED_OUTCOME];

/// Appends the line of `event` to `line`.
pub(super) fn write_event(event: &LedgerEvent, line: &mut Vec<u8>) {
    match event {
        LedgerEvent::Opened(row, reserved) => write_reserved(b"O", row, reserved, line),
        LedgerEvent::Revised(row, reserved) => write_reserved(b"R", row, reserved, line),
        LedgerEvent::Closed(row, result) => {
            line.extend_from_slice(b"C");
            write_row(row, line);
            write_usage(&result.usage, result.cost, line);
            line.extend_from_slice(if result.estimated { b"\t1\t" } else { b"\t0\t" });
            line.extend_from_slice(result.outcome.as_bytes());
        }
    }
    write_attribution(event, line);
    line.push(b'\n');
}

/// Appends the tags and the user of a request that has any.
fn write_attribution(event: &LedgerEvent, line: &mut Vec<u8>) {
    let (LedgerEvent::Opened(row, _) | LedgerEvent::Revised(row, _) | LedgerEvent::Closed(row, _)) =
        event;
    let Some(attribution) = &row.attribution else { return };
    line.push(b'\t');
    write_name(&attribution.tags_text(), line);
    line.push(b'\t');
    write_name(attribution.user().unwrap_or_default(), line);
}

/// Appends the line that ends the batch `number`.
pub(super) fn write_batch_end(number: u64, line: &mut Vec<u8>) {
    line.extend_from_slice(b"B");
    write_number(number, line);
    line.push(b'\n');
}

/// Reads the entries of a journal. A line that is cut or unknown is left out.
pub(super) fn read(lines: &[u8]) -> impl Iterator<Item = JournalEntry> {
    let whole =
        lines.split_inclusive(|byte| *byte == b'\n').filter_map(|it| it.strip_suffix(b"\n"));
    whole.filter_map(|line| read_line(str::from_utf8(line).ok()?))
}

fn write_reserved(word: &[u8], row: &UsageRecord, reserved: &ReservedUsage, line: &mut Vec<u8>) {
    line.extend_from_slice(word);
    write_row(row, line);
    write_usage(&reserved.usage, reserved.cost, line);
}

fn write_row(row: &UsageRecord, line: &mut Vec<u8>) {
    write_number(row.id, line);
    write_number(row.at, line);
    line.extend_from_slice(if row.is_catalogued { b"\t1" } else { b"\t0" });
    for name in [&row.client, &row.model, &row.provider] {
        line.push(b'\t');
        write_name(name, line);
    }
}

/// Appends a name; line feeds and tabs, which the model of a caller may have, are escaped.
fn write_name(name: &str, line: &mut Vec<u8>) {
    // Without a branch for each byte: names are short.
    let is_escaped = |byte: u8| byte < b' ' || byte == b'\\';
    if !name.bytes().fold(false, |any, byte| any | is_escaped(byte)) {
        return line.extend_from_slice(name.as_bytes());
    }
    for byte in name.bytes() {
        match byte {
            b'\t' => line.extend_from_slice(b"\\t"),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\\' => line.extend_from_slice(b"\\\\"),
            other => line.push(other),
        }
    }
}

/// Appends the cost, and the counts that are not zero, each after its letter.
fn write_usage(usage: &Usage, cost: Option<NanoDollars>, line: &mut Vec<u8>) {
    match cost {
        Some(cost) => write_number(cost.0, line),
        None => line.extend_from_slice(b"\t-"),
    }
    line.push(b'\t');
    for (letter, count) in [
        (b'i', usage.input),
        (b'r', usage.cache_read),
        (b'w', usage.cache_write),
        (b'h', usage.cache_write_1h),
        (b'a', usage.audio_input),
        (b'p', usage.image_input),
        (b'o', usage.output),
        (b't', usage.reasoning),
        (b'A', usage.audio_output),
        (b'P', usage.image_output),
        (b's', usage.searches),
        (b'g', usage.units.images),
        (b'm', usage.units.audio_millis),
        (b'c', usage.units.characters),
    ] {
        if count > 0 {
            line.push(letter);
            write_digits(count, line);
        }
    }
    if let Some(total) = usage.stated_total {
        line.push(b'=');
        write_digits(total, line);
    }
    if let Some(tier) = usage.tier {
        line.push(b'@');
        let place = ServiceTier::ALL.iter().position(|it| *it == tier);
        write_digits(place.unwrap_or_default() as u64, line);
    }
}

fn write_number(number: u64, line: &mut Vec<u8>) {
    line.push(b'\t');
    write_digits(number, line);
}

fn write_digits(number: u64, line: &mut Vec<u8>) {
    line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn read_line(line: &str) -> Option<JournalEntry> {
    let mut members = line.split('\t');
    let word = members.next()?;
    if word == "B" {
        return Some(JournalEntry::BatchEnd(members.next()?.parse().ok()?));
    }
    let row = UsageRecord {
        id: members.next()?.parse().ok()?,
        at: members.next()?.parse().ok()?,
        is_catalogued: members.next()? == "1",
        client: read_name(members.next()?),
        model: read_name(members.next()?),
        provider: read_name(members.next()?),
        attribution: None,
    };
    let cost = match members.next()? {
        "-" => None,
        cost => Some(NanoDollars(cost.parse().ok()?)),
    };
    let usage = read_usage(members.next()?)?;
    let result = if word == "C" {
        let estimated = members.next()? == "1";
        let outcome = outcome_named(members.next()?);
        Some(RequestResult { outcome, usage, cost, estimated })
    } else {
        None
    };
    let attribution = read_attribution(members.next(), members.next()).map(Arc::new);
    let row = Arc::new(UsageRecord { attribution, ..row });
    let reserved = ReservedUsage { usage, cost };
    let event = match (word, result) {
        ("O", _) => LedgerEvent::Opened(row, reserved),
        ("R", _) => LedgerEvent::Revised(row, reserved),
        ("C", Some(result)) => LedgerEvent::Closed(row, result),
        _ => return None,
    };
    Some(JournalEntry::Event(event))
}

fn read_attribution(tags: Option<&str>, user: Option<&str>) -> Option<Attribution> {
    let mut attribution = Attribution::default();
    attribution.add_tags(&read_name(tags?)).ok()?;
    attribution.set_user(&read_name(user?)).ok()?;
    Some(attribution)
}

fn read_name(text: &str) -> Arc<str> {
    if !text.contains('\\') {
        return text.into();
    }
    let mut name = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        name.push(match letter {
            '\\' => match letters.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some(other) => other,
                None => break,
            },
            other => other,
        });
    }
    name.into()
}

fn read_usage(text: &str) -> Option<Usage> {
    let mut usage = Usage::default();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let digits = rest.get(letter.len_utf8()..)?;
        let end = digits.find(|it: char| !it.is_ascii_digit()).unwrap_or(digits.len());
        let (count, next) = digits.split_at_checked(end)?;
        let count = count.parse().ok()?;
        match letter {
            'i' => usage.input = count,
            'r' => usage.cache_read = count,
            'w' => usage.cache_write = count,
            'h' => usage.cache_write_1h = count,
            'a' => usage.audio_input = count,
            'p' => usage.image_input = count,
            'o' => usage.output = count,
            't' => usage.reasoning = count,
            'A' => usage.audio_output = count,
            'P' => usage.image_output = count,
            's' => usage.searches = count,
            'g' => usage.units.images = count,
            'm' => usage.units.audio_millis = count,
            'c' => usage.units.characters = count,
            '=' => usage.stated_total = Some(count),
            '@' => usage.tier = ServiceTier::ALL.get(usize::try_from(count).ok()?).copied(),
            _ => return None,
        }
        rest = next;
    }
    Some(usage)
}

/// Returns the outcome called `name`; `unknown` if a newer version has written it.
fn outcome_named(name: &str) -> &'static str {
    let other = OUTCOMES.into_iter().find(|outcome| *outcome == name);
    other.or_else(|| ErrorKind::named(name).map(ErrorKind::as_str)).unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::BilledUnits;
    use proptest::prelude::*;

    fn attribution() -> Arc<Attribution> {
        let mut attribution = Attribution::default();
        attribution.add_tags("team=search,env=prod").unwrap();
        attribution.set_user("a\\b").unwrap();
        Arc::new(attribution)
    }

    fn row(model: &str) -> Arc<UsageRecord> {
        Arc::new(UsageRecord {
            id: 7,
            at: 1_700_000_000_000,
            client: "acme".into(),
            model: model.into(),
            is_catalogued: true,
            provider: "openai".into(),
            attribution: Some(attribution()),
        })
    }

    fn usage(counts: [u64; 14], total: Option<u64>) -> Usage {
        let [input, cache_read, cache_write, cache_write_1h, audio_input, image_input, ..] = counts;
        let [.., output, reasoning, audio_output, image_output, searches, _, _, _] = counts;
        let [.., images, audio_millis, characters] = counts;
        Usage {
            input,
            cache_read,
            cache_write,
            cache_write_1h,
            audio_input,
            output,
            reasoning,
            audio_output,
            image_input,
            image_output,
            searches,
            units: BilledUnits { images, audio_millis, characters },
            tier: total.map(|_| ServiceTier::Flex),
            stated_total: total,
            is_odd: false,
        }
    }

    fn lines(events: &[LedgerEvent]) -> Vec<u8> {
        let mut lines = Vec::new();
        for event in events {
            write_event(event, &mut lines);
        }
        lines
    }

    fn entry_texts(entries: impl Iterator<Item = JournalEntry>) -> Vec<String> {
        entries.map(|entry| format!("{entry:?}")).collect()
    }

    proptest! {
        #[test]
        fn events_survive_the_journal(
            model in any::<String>(),
            counts in any::<[u64; 14]>(),
            total in any::<Option<u64>>(),
            cost in any::<Option<u64>>(),
        ) {
            let (usage, cost) = (usage(counts, total), cost.map(NanoDollars));
            let outcome = "client_cancelled";
            let events = [
                LedgerEvent::Opened(row(&model), ReservedUsage { usage, cost }),
                LedgerEvent::Revised(row(&model), ReservedUsage { usage, cost }),
                LedgerEvent::Closed(row(&model), RequestResult { outcome, usage, cost, estimated: true }),
            ];
            let mut lines = lines(&events);
            write_batch_end(3, &mut lines);
            let expected = events.into_iter().map(JournalEntry::Event);
            let expected = entry_texts(expected.chain([JournalEntry::BatchEnd(3)]));
            prop_assert_eq!(entry_texts(read(&lines)), expected);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in any::<Vec<u8>>()) {
            read(&bytes).for_each(drop);
        }
    }

    #[test]
    fn cut_line_is_left_out() {
        let whole = lines(&[LedgerEvent::Opened(row("m"), ReservedUsage::default())]);
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]).count(), 0, "{end}");
        }
        let spoiled = [&whole[..9], b"\n", &whole].concat();
        assert_eq!(read(&spoiled).count(), 1);
    }

    #[test]
    fn every_outcome_is_known() {
        let kinds = ErrorKind::ALL.map(ErrorKind::as_str);
        for outcome in kinds.into_iter().chain(OUTCOMES) {
            assert_eq!(outcome_named(outcome), outcome);
        }
        assert_eq!(outcome_named("from the future"), "unknown");
    }
}
