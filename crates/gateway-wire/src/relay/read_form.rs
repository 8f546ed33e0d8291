//! Reads the fields of a form that the gateway needs: the model, and whether the reply is streamed.

use super::{
    MAX_IMAGES, RelayEndpoint, RelayEnvelope, RequestUnit, missing_model,
    multipart::{FormScanner, FormStep, malformed},
};
use gateway_core::{BilledUnits, ModelPlace, Result};
use std::sync::Arc;

/// The longest value of a field that is read, in bytes: a longer one is none of those that matter.
const MAX_VALUE: usize = 1 << 10;
/// The bytes of sound in a second, for a request whose length is all that is known of it: 128 kbit/s.
const SOUND_PER_SECOND: u64 = 16_000;

/// Reads a form until its model is known.
#[derive(Debug)]
pub struct FormReader {
    boundary: Arc<str>,
    scanner: FormScanner,
    /// The field that is being read, and its value.
    field: Option<(FormField, Vec<u8>)>,
    model: Option<Vec<u8>>,
    stream: bool,
    images: u64,
}

/// A field that matters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum FormField {
    Model,
    Stream,
    Images,
}

impl FormReader {
    /// Creates a reader of a form with this boundary.
    pub fn new(boundary: &str) -> Self {
        Self {
            boundary: boundary.into(),
            scanner: FormScanner::new(boundary),
            field: None,
            model: None,
            stream: false,
            images: 1,
        }
    }

    /// Reads the next bytes.
    ///
    /// # Errors
    ///
    /// If they are no form.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let Self { scanner, field, model, stream, images, .. } = self;
        scanner.push(bytes, |step| match step {
            FormStep::Part { name, .. } => {
                *field = FormField::named(&name).map(|field| (field, Vec::new()));
            }
            FormStep::Content(content) => {
                if let Some((_, value)) = field
                    && value.len() + content.len() <= MAX_VALUE
                {
                    value.extend_from_slice(&content);
                }
            }
            FormStep::PartEnd => match field.take() {
                Some((FormField::Model, value)) if model.is_none() => {
                    *model = Some(value.trim_ascii().to_vec());
                }
                Some((FormField::Stream, value)) => *stream = value.trim_ascii() == b"true",
                Some((FormField::Images, value)) => {
                    let number = std::str::from_utf8(value.trim_ascii()).ok();
                    *images = number.and_then(|text| text.parse().ok()).unwrap_or(1);
                }
                Some((FormField::Model, _)) | None => {}
            },
            FormStep::End => {}
        })
    }

    /// Whether a model was found.
    pub fn has_model(&self) -> bool {
        self.model.is_some()
    }

    /// Checks that the form, of which nothing more comes, has ended.
    ///
    /// # Errors
    ///
    /// If it has not.
    pub fn check_end(&self) -> Result<()> {
        if self.scanner.is_ended() { Ok(()) } else { Err(malformed("the form is incomplete")) }
    }

    /// Returns what was read of a request to `endpoint` with a body of `length` bytes, as far as that
    /// is known. A model that a header has `named` replaces that of the form.
    ///
    /// # Errors
    ///
    /// If there is no model, or it is not a name.
    pub fn finish(
        self,
        endpoint: &RelayEndpoint,
        named: Option<&str>,
        length: Option<u64>,
    ) -> Result<RelayEnvelope> {
        let is_ended = self.scanner.is_ended();
        let model = match (named, self.model) {
            (Some(named), _) => named.to_owned(),
            (None, Some(model)) => text(model)?,
            (None, None) if is_ended => return Err(missing_model()),
            (None, None) => {
                return Err(super::wrong_model(
                    "the form begins with more than can be held before its field model: send that \
                     field first, or name the model in the header x-gateway-model",
                ));
            }
        };
        let units = match endpoint.request_unit {
            RequestUnit::Images => {
                BilledUnits { images: self.images.clamp(1, MAX_IMAGES), ..BilledUnits::NONE }
            }
            RequestUnit::Seconds => {
                let audio_millis =
                    length.unwrap_or(0).saturating_mul(1000).div_ceil(SOUND_PER_SECOND);
                BilledUnits { audio_millis, ..BilledUnits::NONE }
            }
            RequestUnit::None | RequestUnit::Characters => BilledUnits::NONE,
        };
        let place = ModelPlace::Form(self.boundary);
        Ok(RelayEnvelope { model, place, stream: self.stream, units })
    }
}

impl FormField {
    fn named(name: &str) -> Option<Self> {
        match name {
            "model" => Some(Self::Model),
            "stream" => Some(Self::Stream),
            "n" => Some(Self::Images),
            _ => None,
        }
    }
}

/// The name of a model, which must not be able to end the field that it is written to.
fn text(model: Vec<u8>) -> Result<String> {
    let model = String::from_utf8(model).map_err(|_| malformed("the model is not UTF-8"))?;
    if model.is_empty() || model.chars().any(char::is_control) {
        return Err(super::wrong_model("model must be the name of a model"));
    }
    Ok(model)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::GatewayError;

    fn part(name: &str, value: &str) -> String {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    }

    /// The model, whether the reply is streamed, and the units; the same wherever the form is cut.
    #[track_caller]
    fn check(path: &str, form: &str, named: Option<&str>, expected: &str) {
        let endpoint = RelayEndpoint::at(path).unwrap();
        for size in [1, 3, form.len()] {
            let mut reader = FormReader::new("b");
            let read = form.as_bytes().chunks(size).try_for_each(|piece| reader.push(piece));
            let read = read.and_then(|()| reader.finish(endpoint, named, Some(24_000)));
            let shown = read.map(|it| {
                let BilledUnits { images, audio_millis, characters } = it.units;
                let stream = if it.stream { " stream" } else { "" };
                format!("{}{stream} {images}/{audio_millis}/{characters}", it.model)
            });
            let shown = shown.unwrap_or_else(|error: GatewayError| error.message().to_owned());
            assert_eq!(shown, expected, "{size}");
        }
    }

    #[test]
    fn fields_are_read_in_any_order() {
        let transcriptions = "/v1/audio/transcriptions";
        let (file, model) = (part("file", "\r\nmodel\r\n"), part("model", "whisper-1"));
        let stream = part("stream", "true");
        check(transcriptions, &format!("{file}{model}--b--"), None, "whisper-1 0/1500/0");
        check(transcriptions, &format!("{stream}{model}{file}"), None, "whisper-1 stream 0/1500/0");
        check(transcriptions, &format!("{model}{file}"), Some("h"), "h 0/1500/0");
        let edits = "/v1/images/edits";
        check(edits, &format!("{model}{}--b--", part("n", "3")), None, "whisper-1 3/0/0");
    }

    #[test]
    fn form_without_a_model_is_refused() {
        let (path, file) = ("/v1/audio/translations", part("file", "x"));
        check(path, &format!("{file}--b--"), None, "model is required");
        let begun = "the form begins with more than can be held before its field model: send that \
                     field first, or name the model in the header x-gateway-model";
        check(path, &file, None, begun);
        let wrong = "model must be the name of a model";
        check(path, &format!("{}--b--", part("model", "")), None, wrong);
        check(path, &format!("{}--b--", part("model", "a\r\nb")), None, wrong);
    }
}
