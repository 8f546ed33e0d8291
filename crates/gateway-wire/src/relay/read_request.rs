//! Reads the members of a relayed request that the gateway needs: the model, whether the reply is
//! streamed, and the units that it asks for.

use super::{MAX_IMAGES, RelayEndpoint, RequestUnit, missing_model, wrong_model};
use crate::json::{self, JsonKind, JsonLimits, JsonMember};
use gateway_core::{BilledUnits, ModelPlace, Result};

/// Characters that are spoken in a second, roughly.
const SPOKEN_PER_SECOND: u64 = 15;

/// The properties of a relayed request that routing and accounting need.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RelayEnvelope {
    /// The model, as the caller named it.
    pub model: String,
    /// The place of its name in the body.
    pub place: ModelPlace,
    /// Whether the reply is streamed.
    pub stream: bool,
    /// The units that the request asks for.
    pub units: BilledUnits,
}

/// Validates a JSON `body` and reads what is needed of it. A model that a header `named` replaces
/// that of the body.
///
/// # Errors
///
/// If `body` is not a JSON object, its model is not a name, or there is none.
pub fn read_json(
    endpoint: &RelayEndpoint,
    body: &[u8],
    named: Option<&str>,
    limits: &JsonLimits,
) -> Result<RelayEnvelope> {
    let mut envelope = RelayEnvelope::default();
    let mut model = Ok(None);
    json::members(body, limits, |member| match &*member.key {
        "model" => model = read_model(&member, &mut envelope),
        "stream" => envelope.stream |= member.kind == JsonKind::Bool(true),
        "stream_format" => envelope.stream |= member.string().as_deref() == Some("sse"),
        name => count(endpoint.request_unit, name, &member, &mut envelope.units),
    })?;
    if endpoint.request_unit == RequestUnit::Images {
        envelope.units.images = envelope.units.images.clamp(1, MAX_IMAGES);
    }
    let model = model?;
    if model.is_none() {
        envelope.place = ModelPlace::JsonMember;
    }
    let named = named.map(str::to_owned);
    let default = || endpoint.default_model.map(str::to_owned);
    envelope.model = named.or(model).or_else(default).ok_or_else(missing_model)?;
    Ok(envelope)
}

/// Validates a JSON `body` of any form, and reads the model that it may name, and whether its reply is
/// streamed.
///
/// # Errors
///
/// If `body` is not a JSON object.
pub fn read_any_json(body: &[u8], limits: &JsonLimits) -> Result<RelayEnvelope> {
    let mut envelope = RelayEnvelope::default();
    json::members(body, limits, |member| match &*member.key {
        "model" => envelope.model = member.string().unwrap_or_default().into_owned(),
        "stream" => envelope.stream = member.kind == JsonKind::Bool(true),
        _ => {}
    })?;
    Ok(envelope)
}

fn read_model(member: &JsonMember<'_>, envelope: &mut RelayEnvelope) -> Result<Option<String>> {
    envelope.place = ModelPlace::Json(member.value_span.clone());
    match member.string() {
        Some(model) if model.is_empty() => Err(wrong_model("model must not be empty")),
        Some(model) => Ok(Some(model.into_owned())),
        None => Err(wrong_model("model must be a string")),
    }
}

/// Counts the units of one member.
fn count(unit: RequestUnit, name: &str, member: &JsonMember<'_>, units: &mut BilledUnits) {
    match (unit, name) {
        (RequestUnit::Images, "n") => units.images = member.value().parse().unwrap_or(1),
        (RequestUnit::Characters, "input") => {
            let characters = member.string().map_or(0, |text| text.chars().count() as u64);
            units.characters = characters;
            units.audio_millis = characters.saturating_mul(1000) / SPOKEN_PER_SECOND;
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::with_model;
    use bytes::Bytes;
    use gateway_core::RelayBody;

    /// The model, the body that is sent for the model `target`, and the units; or the error.
    #[track_caller]
    fn check(path: &str, body: &'static str, named: Option<&str>, expected: &str) {
        let endpoint = RelayEndpoint::at(path).unwrap();
        let read = read_json(endpoint, body.as_bytes(), named, &JsonLimits::default());
        let shown = match read {
            Err(error) => error.message().to_owned(),
            Ok(RelayEnvelope { model, place, stream, units }) => {
                let bytes = Bytes::from_static(body.as_bytes());
                let sent = RelayBody { bytes, model: place, rest: None };
                let sent = String::from_utf8(with_model(&sent, "t").unwrap().concat()).unwrap();
                let BilledUnits { images, audio_millis, characters } = units;
                let stream = if stream { " stream" } else { "" };
                format!("{model}{stream} {images}/{audio_millis}/{characters} {sent}")
            }
        };
        assert_eq!(shown, expected);
    }

    #[test]
    fn model_and_units_are_read() {
        let images = "/v1/images/generations";
        check(images, r#"{"model":"m","n":3}"#, None, r#"m 3/0/0 {"model":"t","n":3}"#);
        check(
            images,
            r#"{"model":"m","stream":true}"#,
            None,
            r#"m stream 1/0/0 {"model":"t","stream":true}"#,
        );
        let most = r#"{"model":"m","n":1e9}"#;
        check(images, most, None, r#"m 1/0/0 {"model":"t","n":1e9}"#);
        check(
            "/v1/audio/speech",
            r#"{"input":"\u00e4 fifteen chars","model":"m"}"#,
            None,
            r#"m 0/1000/15 {"input":"\u00e4 fifteen chars","model":"t"}"#,
        );
        check("/v1/rerank", r#"{"model":"m","n":3}"#, None, r#"m 0/0/0 {"model":"t","n":3}"#);
    }

    #[test]
    fn header_and_default_name_the_model_where_the_body_does_not() {
        check("/v1/rerank", "{}", Some("h"), r#"h 0/0/0 {"model":"t"}"#);
        check("/v1/rerank", r#"{"model":"m"}"#, Some("h"), r#"h 0/0/0 {"model":"t"}"#);
        check(
            "/v1/moderations",
            r#"{"input":"x"}"#,
            None,
            r#"omni-moderation-latest 0/0/0 {"model":"t","input":"x"}"#,
        );
        check("/v1/rerank", "{}", None, "model is required");
        check("/v1/rerank", r#"{"model":5}"#, Some("h"), "model must be a string");
        check("/v1/rerank", r#"{"model":""}"#, None, "model must not be empty");
    }
}
