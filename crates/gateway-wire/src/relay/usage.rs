//! The usage that a relayed reply reports, in any vendor's words.

use crate::{
    json::lenient::LenientValue,
    token_count::{CountReader, LenientCount},
};
use gateway_core::{BilledUnits, ReplyUnit, Usage};
use serde::{Deserialize, de::IgnoredAny};

/// More seconds than any sound lasts: a count beyond it is a mistake.
const MAX_SECONDS: f64 = 1e6;

/// The members of a reply, or of one of its events, that say what it has used.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ReplyWire {
    #[serde(rename = "type")]
    kind: LenientValue<String>,
    usage: LenientValue<UsageWire>,
    meta: LenientValue<MetaWire>,
    data: LenientValue<Vec<IgnoredAny>>,
    duration: LenientValue<SecondsWire>,
    /// The whole response, or message, in an event about it.
    response: LenientValue<NestedWire>,
    message: LenientValue<NestedWire>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NestedWire {
    usage: LenientValue<UsageWire>,
}

/// Seconds as a number, or as the text of one.
#[derive(Deserialize)]
#[serde(from = "serde_json::Value")]
struct SecondsWire(Option<f64>);

impl From<serde_json::Value> for SecondsWire {
    fn from(value: serde_json::Value) -> Self {
        let number = value.as_f64().or_else(|| value.as_str()?.parse().ok());
        Self(number.filter(|seconds| (0.0..=MAX_SECONDS).contains(seconds)))
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct UsageWire {
    #[serde(alias = "prompt_tokens")]
    input_tokens: Option<LenientCount>,
    #[serde(alias = "completion_tokens")]
    output_tokens: Option<LenientCount>,
    total_tokens: Option<LenientCount>,
    #[serde(alias = "input_token_details", alias = "prompt_tokens_details")]
    input_tokens_details: LenientValue<DetailsWire>,
    #[serde(alias = "output_token_details", alias = "completion_tokens_details")]
    output_tokens_details: LenientValue<DetailsWire>,
    cache_read_input_tokens: Option<LenientCount>,
    cache_creation_input_tokens: Option<LenientCount>,
    seconds: LenientValue<SecondsWire>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "the names on the wire")]
struct DetailsWire {
    cached_tokens: Option<LenientCount>,
    image_tokens: Option<LenientCount>,
    audio_tokens: Option<LenientCount>,
    reasoning_tokens: Option<LenientCount>,
}

/// The member `meta` of a reply of Cohere's.
#[derive(Default, Deserialize)]
#[serde(default)]
struct MetaWire {
    tokens: LenientValue<UsageWire>,
    billed_units: LenientValue<UsageWire>,
}

impl ReplyWire {
    /// The usage of the reply, or of this event of it; nothing if it reports none.
    pub(super) fn read(self, unit: ReplyUnit) -> Option<Usage> {
        let nested = |it: LenientValue<NestedWire>| it.0.and_then(|it| it.usage.0);
        let of_meta = self
            .meta
            .0
            .and_then(|meta| reported(meta.billed_units.0).or_else(|| reported(meta.tokens.0)));
        let usage = reported(self.usage.0).or(of_meta);
        let usage = usage.or_else(|| reported(nested(self.response)));
        let usage = usage.or_else(|| reported(nested(self.message)));
        usage.or_else(|| {
            let is_end = self.kind.0.is_some_and(|kind| kind.ends_with(".completed"));
            let units = match unit {
                ReplyUnit::Request => return None,
                ReplyUnit::Image => BilledUnits {
                    images: self.data.0.map_or(u64::from(is_end), |data| data.len() as u64),
                    ..BilledUnits::NONE
                },
                ReplyUnit::Second => seconds(self.duration),
            };
            (!units.is_empty()).then(|| Usage { units, ..Usage::default() })
        })
    }
}

impl UsageWire {
    /// The counts, in classes that do not overlap. What reports tokens is billed by them alone.
    fn usage(self) -> Usage {
        let mut reading = CountReader::default();
        let of_input = self.input_tokens_details.0.unwrap_or_default();
        let of_output = self.output_tokens_details.0.unwrap_or_default();
        // Who reports only a total writes nothing.
        let whole = self
            .input_tokens
            .or_else(|| self.total_tokens.filter(|_| self.output_tokens.is_none()));
        let mut input = reading.count(whole);
        let mut output = reading.count(self.output_tokens);
        let usage = Usage {
            cache_read: reading.take(&mut input, of_input.cached_tokens)
                + reading.count(self.cache_read_input_tokens),
            cache_write: reading.count(self.cache_creation_input_tokens),
            image_input: reading.take(&mut input, of_input.image_tokens),
            audio_input: reading.take(&mut input, of_input.audio_tokens),
            reasoning: reading.take(&mut output, of_output.reasoning_tokens),
            image_output: reading.take(&mut output, of_output.image_tokens),
            audio_output: reading.take(&mut output, of_output.audio_tokens),
            input,
            output,
            ..Usage::default()
        };
        let has_tokens = usage.is_reported();
        let units = if has_tokens { BilledUnits::NONE } else { seconds(self.seconds) };
        Usage { units, is_odd: reading.is_odd, ..usage }
    }
}

/// The usage, if it reports any.
fn reported(wire: Option<UsageWire>) -> Option<Usage> {
    wire.map(UsageWire::usage).filter(Usage::is_reported)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within bounds")]
fn seconds(wire: LenientValue<SecondsWire>) -> BilledUnits {
    let seconds = wire.0.and_then(|it| it.0).unwrap_or_default();
    BilledUnits { audio_millis: (seconds * 1000.0).ceil() as u64, ..BilledUnits::NONE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(unit: ReplyUnit, reply: &str, expected: Option<Usage>) {
        let wire: ReplyWire = serde_json::from_str(reply).unwrap();
        assert_eq!(wire.read(unit), expected, "{reply}");
    }

    fn units(units: BilledUnits) -> Usage {
        Usage { units, ..Usage::default() }
    }

    #[test]
    fn tokens_are_read_in_each_vendors_words() {
        let usage = |input, output| Some(Usage { input, output, ..Usage::default() });
        for reply in [
            r#"{"usage":{"input_tokens":7,"output_tokens":2,"total_tokens":9}}"#,
            r#"{"usage":{"prompt_tokens":7,"completion_tokens":2}}"#,
            r#"{"usage":{"type":"tokens","input_tokens":7,"output_tokens":2}}"#,
            r#"{"meta":{"tokens":{"input_tokens":7,"output_tokens":2}}}"#,
            r#"{"type":"response.completed","response":{"usage":{"input_tokens":7,"output_tokens":2}}}"#,
        ] {
            check(ReplyUnit::Request, reply, usage(7, 2));
        }
        check(ReplyUnit::Request, r#"{"usage":{"total_tokens":7}}"#, usage(7, 0));
        check(
            ReplyUnit::Request,
            r#"{"results":[],"meta":{"billed_units":{"search_units":1}}}"#,
            None,
        );
        check(ReplyUnit::Request, r#"{"usage":"none","data":[1]}"#, None);
    }

    #[test]
    fn classes_of_tokens_are_told_apart() {
        let reply = r#"{"data":[{}],"usage":{"input_tokens":50,"output_tokens":90,
            "input_tokens_details":{"text_tokens":10,"image_tokens":40},
            "output_tokens_details":{"image_tokens":80,"text_tokens":10}}}"#;
        let expected =
            Usage { input: 10, image_input: 40, output: 10, image_output: 80, ..Usage::default() };
        check(ReplyUnit::Image, reply, Some(expected));
        let reply = r#"{"usage":{"type":"tokens","input_tokens":14,"output_tokens":3,
            "input_token_details":{"text_tokens":4,"audio_tokens":10}}}"#;
        let expected = Usage { input: 4, audio_input: 10, output: 3, ..Usage::default() };
        check(ReplyUnit::Second, reply, Some(expected));
    }

    #[test]
    fn reply_without_tokens_is_billed_by_its_unit() {
        let images = BilledUnits { images: 2, ..BilledUnits::NONE };
        check(ReplyUnit::Image, r#"{"created":1,"data":[{},{}]}"#, Some(units(images)));
        let images = BilledUnits { images: 1, ..BilledUnits::NONE };
        check(ReplyUnit::Image, r#"{"type":"image_generation.completed"}"#, Some(units(images)));
        check(ReplyUnit::Image, r#"{"type":"image_generation.partial_image"}"#, None);
        let millis = BilledUnits { audio_millis: 2500, ..BilledUnits::NONE };
        for reply in [
            r#"{"text":"a","duration":2.5}"#,
            r#"{"text":"a","duration":"2.5"}"#,
            r#"{"text":"a","usage":{"type":"duration","seconds":2.5}}"#,
        ] {
            check(ReplyUnit::Second, reply, Some(units(millis)));
        }
        check(ReplyUnit::Second, r#"{"duration":-1}"#, None);
        check(ReplyUnit::Request, r#"{"duration":2.5}"#, None);
    }
}
