//! Reads the outside of a request: the same members in every dialect we take.

use crate::json::{self, Error, Kind, Limits, Member, What};
use gateway_core::{Envelope, ErrorKind, GatewayError, Result};
use std::ops::Range;

/// Checks `body` from end to end and reads its envelope, in one pass.
///
/// # Errors
///
/// If `body` is no sound JSON object (`invalid_json`, `json_too_deep`, `duplicate_key`), names no
/// model, or has another member of the wrong kind (`invalid_parameter`).
pub fn read(body: &[u8], limits: &Limits) -> Result<Envelope> {
    let mut reader = Reader::default();
    json::members(body, limits, |member| reader.read(&member))?;
    reader.finish()
}

impl From<Error> for GatewayError {
    /// The error of a caller whose request is refused.
    fn from(error: Error) -> Self {
        let (kind, code) = match error.what {
            What::Invalid | What::NotUtf8 | What::NotAnObject | What::Empty => {
                (ErrorKind::InvalidRequest, "invalid_json")
            }
            What::TooDeep => (ErrorKind::InvalidRequest, "json_too_deep"),
            What::DuplicateKey => (ErrorKind::InvalidRequest, "duplicate_key"),
            What::TooLong => (ErrorKind::TooLarge, ErrorKind::TooLarge.as_str()),
        };
        Self::new(kind, error.to_string()).with_code(code)
    }
}

fn wrong(param: &'static str, message: &'static str) -> GatewayError {
    GatewayError::invalid(param, message).with_code("invalid_parameter")
}

#[derive(Default)]
struct Reader {
    envelope: Envelope,
    has_model: bool,
    /// The first member that is wrong.
    wrong: Option<GatewayError>,
    /// Where the member before this one ended.
    end_of_last: Option<usize>,
    /// The session is the first member: the comma behind it goes with it.
    cut_to_next: bool,
}

impl Reader {
    fn read(&mut self, member: &Member<'_>) {
        self.end_first_session(member.key_span.start);
        if let Err(error) = self.take(member) {
            self.wrong.get_or_insert(error);
        }
        self.end_of_last = Some(member.value_span.end);
    }

    fn take(&mut self, member: &Member<'_>) -> Result<()> {
        match &*member.key {
            "model" => self.model(member),
            "stream" => {
                self.envelope.stream = flag(member.kind, "stream")?;
                Ok(())
            }
            "stream_options" => self.stream_options(member),
            "session_id" => self.session(member),
            "tools" => {
                self.envelope.tools = Some(member.value_span.clone());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn model(&mut self, member: &Member<'_>) -> Result<()> {
        self.has_model = true;
        let Some(model) = member.string() else {
            return Err(wrong("model", "model must be a string"));
        };
        if model.is_empty() {
            return Err(wrong("model", "model must not be empty"));
        }
        self.envelope.model = model.into_owned();
        self.envelope.model_span = member.value_span.clone();
        Ok(())
    }

    fn stream_options(&mut self, member: &Member<'_>) -> Result<()> {
        self.envelope.stream_options = Some(member.value_span.clone());
        if member.kind == Kind::Null {
            return Ok(());
        }
        let mut usage = Ok(false);
        let inside =
            json::members(member.value.as_bytes(), &Limits { depth: usize::MAX }, |inner| {
                if inner.key == "include_usage" {
                    usage = flag(inner.kind, "stream_options.include_usage");
                }
            });
        inside.map_err(|_| wrong("stream_options", "stream_options must be an object"))?;
        self.envelope.stream_usage = usage?;
        Ok(())
    }

    fn session(&mut self, member: &Member<'_>) -> Result<()> {
        if member.kind == Kind::Null {
            return Ok(());
        }
        let Some(session) = member.string() else {
            return Err(wrong("session_id", "session_id must be a string"));
        };
        self.cut_to_next = self.end_of_last.is_none();
        let start = self.end_of_last.unwrap_or(member.key_span.start);
        self.envelope.session = Some((session.into_owned(), start..member.value_span.end));
        Ok(())
    }

    fn end_first_session(&mut self, next_key: usize) {
        if std::mem::take(&mut self.cut_to_next)
            && let Some((_, Range { end, .. })) = &mut self.envelope.session
        {
            *end = next_key;
        }
    }

    fn finish(self) -> Result<Envelope> {
        match self.wrong {
            Some(error) => Err(error),
            None if self.has_model => Ok(self.envelope),
            None => Err(wrong("model", "model is required")),
        }
    }
}

/// A flag; `null` is as good as none.
fn flag(kind: Kind, param: &'static str) -> Result<bool> {
    match kind {
        Kind::Bool(flag) => Ok(flag),
        Kind::Null => Ok(false),
        Kind::Number | Kind::String | Kind::Array | Kind::Object => {
            Err(wrong(param, "must be true or false"))
        }
    }
}
