//! An entry of the request log, and the line of JSON that it is stored as.
//!
//! The line is written member by member: on the way of every request, that takes a fifth of what a
//! serializer takes. It is read by the `Deserialize` of [`LoggedRequest`](super::LoggedRequest).

use crate::{Attempt, AttemptOutcome, DroppedParams, NanoDollars, Usage};

/// A request that has ended, as it is recorded: the members of
/// [`LoggedRequest`](super::LoggedRequest), borrowed.
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "the members are described where they are read")]
pub struct RequestLogEntry<'a> {
    pub id: &'a str,
    pub at: u64,
    pub path: &'a str,
    pub client: Option<&'a str>,
    pub tenant: Option<&'a str>,
    pub tags: &'a [String],
    pub user: Option<&'a str>,
    pub requested_model: Option<&'a str>,
    pub model: Option<&'a str>,
    pub provider: Option<&'a str>,
    pub rule: Option<&'a str>,
    pub stream: bool,
    pub outcome: &'a str,
    pub status: Option<u16>,
    pub limit: Option<&'a str>,
    pub error: Option<&'a str>,
    pub finish: Option<&'a str>,
    pub attempts: u32,
    pub failed_attempts: &'a [Attempt],
    pub usage: Usage,
    pub usage_estimated: bool,
    pub cost: Option<NanoDollars>,
    pub cache: Option<&'a str>,
    pub tools: &'a [String],
    pub dropped: Option<&'a DroppedParams>,
    pub prepared_ms: Option<u64>,
    pub first_output_ms: Option<u64>,
    pub duration_ms: u64,
    pub upstream_request_id: Option<&'a str>,
}

impl RequestLogEntry<'_> {
    /// Appends the entry to `out` as JSON. Members with their default are left out.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut members = Members { out };
        members.key("{\"id\":");
        members.string(self.id);
        members.count(",\"at\":", self.at);
        members.text(",\"path\":", Some(self.path));
        members.text(",\"client\":", self.client);
        members.text(",\"tenant\":", self.tenant);
        members.list(",\"tags\":", self.tags.iter().map(String::as_str));
        members.text(",\"user\":", self.user);
        members.text(",\"requested_model\":", self.requested_model);
        members.text(",\"model\":", self.model);
        members.text(",\"provider\":", self.provider);
        members.text(",\"rule\":", self.rule);
        members.flag(",\"stream\":true", self.stream);
        members.text(",\"outcome\":", Some(self.outcome));
        members.number(",\"status\":", self.status.map(u64::from));
        members.text(",\"limit\":", self.limit);
        members.text(",\"error\":", self.error);
        members.text(",\"finish\":", self.finish);
        members.count(",\"attempts\":", u64::from(self.attempts));
        members.attempts(self.failed_attempts);
        members.usage(&self.usage);
        members.flag(",\"usage_estimated\":true", self.usage_estimated);
        members.number(",\"cost\":", self.cost.map(|cost| cost.0));
        members.text(",\"cache\":", self.cache);
        members.list(",\"tools\":", self.tools.iter().map(String::as_str));
        members.list(",\"dropped\":", self.dropped.iter().flat_map(|dropped| dropped.iter()));
        members.number(",\"prepared_ms\":", self.prepared_ms);
        members.number(",\"first_output_ms\":", self.first_output_ms);
        members.count(",\"duration_ms\":", self.duration_ms);
        members.text(",\"upstream_request_id\":", self.upstream_request_id);
        members.key("}");
    }
}

/// The members of an object, as they are written one after the other. A key comes with its
/// punctuation.
struct Members<'a> {
    out: &'a mut Vec<u8>,
}

impl Members<'_> {
    fn key(&mut self, key: &str) {
        self.out.extend_from_slice(key.as_bytes());
    }

    fn text(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.key(key);
            self.string(value);
        }
    }

    fn number(&mut self, key: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.key(key);
            self.key(itoa::Buffer::new().format(value));
        }
    }

    /// Writes a number whose default is zero.
    fn count(&mut self, key: &str, value: u64) {
        self.number(key, (value != 0).then_some(value));
    }

    fn flag(&mut self, member: &str, is_set: bool) {
        if is_set {
            self.key(member);
        }
    }

    fn list<'t>(&mut self, key: &str, values: impl Iterator<Item = &'t str>) {
        let mut separator = "[";
        for value in values {
            if separator == "[" {
                self.key(key);
            }
            self.key(separator);
            self.string(value);
            separator = ",";
        }
        self.flag("]", separator == ",");
    }

    fn attempts(&mut self, attempts: &[Attempt]) {
        let mut separator = ",\"failed_attempts\":[";
        for Attempt { provider, model, outcome } in attempts {
            self.key(separator);
            self.key("{\"provider\":");
            self.string(provider);
            self.text(",\"model\":", Some(model));
            self.flag(",\"skipped\":true", matches!(outcome, AttemptOutcome::Skipped(_)));
            self.text(",\"cause\":", Some(&outcome.to_string()));
            self.key("}");
            separator = ",";
        }
        self.flag("]", !attempts.is_empty());
    }

    fn usage(&mut self, usage: &Usage) {
        // Every class by its name: one that is added has to be added here.
        let Usage {
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
            units,
            tier,
            stated_total,
            is_odd: _,
        } = *usage;
        // Always there, so that each further member begins with a comma.
        self.key(",\"usage\":{");
        self.key("\"input\":");
        self.key(itoa::Buffer::new().format(input));
        self.count(",\"cache_read\":", cache_read);
        self.count(",\"cache_write\":", cache_write);
        self.count(",\"cache_write_1h\":", cache_write_1h);
        self.count(",\"audio_input\":", audio_input);
        self.count(",\"output\":", output);
        self.count(",\"reasoning\":", reasoning);
        self.count(",\"audio_output\":", audio_output);
        self.count(",\"image_input\":", image_input);
        self.count(",\"image_output\":", image_output);
        self.count(",\"searches\":", searches);
        if !units.is_empty() {
            self.key(",\"units\":");
            // Numbers have a form in JSON, and a vector takes whatever is written.
            let _ = serde_json::to_writer(&mut *self.out, &units);
        }
        self.text(",\"tier\":", tier.map(crate::ServiceTier::as_str));
        self.number(",\"stated_total\":", stated_total);
        self.key("}");
    }

    fn string(&mut self, text: &str) {
        // Without a branch for each byte, so that many are looked at at once.
        let escapes = text.bytes().fold(0, |escapes, byte| {
            escapes | u8::from(byte < b' ') | u8::from(byte == b'"') | u8::from(byte == b'\\')
        });
        if escapes != 0 {
            // A string has a form in JSON, and a vector takes whatever is written.
            let _ = serde_json::to_writer(&mut *self.out, text);
        } else {
            self.out.push(b'"');
            self.out.extend_from_slice(text.as_bytes());
            self.out.push(b'"');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        BilledUnits, ServiceTier, UnavailableReason,
        state::{LoggedAttempt, LoggedRequest},
    };
    use serde_json::Value;

    fn line(entry: &RequestLogEntry<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        entry.write(&mut out);
        out
    }

    fn full_usage() -> Usage {
        Usage {
            input: 1,
            cache_read: 2,
            cache_write: 3,
            cache_write_1h: 4,
            audio_input: 5,
            output: 6,
            reasoning: 7,
            audio_output: 8,
            image_input: 9,
            image_output: 10,
            searches: 11,
            units: BilledUnits { images: 18, audio_millis: 19, characters: 20 },
            tier: Some(ServiceTier::Priority),
            stated_total: Some(12),
            is_odd: false,
        }
    }

    fn attempts() -> [Attempt; 2] {
        let attempt = |outcome| Attempt { provider: "p".into(), model: "\u{1}".into(), outcome };
        [
            attempt(AttemptOutcome::Skipped(UnavailableReason::NoTools)),
            attempt(AttemptOutcome::Failed(crate::ErrorKind::Overloaded)),
        ]
    }

    /// A request in which every member is set.
    fn full_request() -> LoggedRequest {
        let text = |text: &str| Some(text.to_owned());
        let texts = vec!["a\"b".to_owned(), "c\\\n".to_owned()];
        let logged = |attempt: &Attempt| LoggedAttempt {
            provider: attempt.provider.to_string(),
            model: attempt.model.to_string(),
            skipped: matches!(attempt.outcome, AttemptOutcome::Skipped(_)),
            cause: attempt.outcome.to_string(),
        };
        LoggedRequest {
            id: "id".to_owned(),
            at: 13,
            path: "/p".to_owned(),
            client: text("client"),
            tenant: text("tenant"),
            tags: texts.clone(),
            user: text("user"),
            requested_model: text("\u{fc}\u{7f}"),
            model: text("model"),
            provider: text("provider"),
            rule: text("exact"),
            stream: true,
            outcome: "ok".to_owned(),
            status: Some(429),
            limit: text("limit"),
            error: text("error"),
            finish: text("stop"),
            attempts: 2,
            failed_attempts: attempts().iter().map(logged).collect(),
            usage: full_usage(),
            usage_estimated: true,
            cost: Some(NanoDollars(14)),
            cache: text("hit"),
            tools: texts,
            dropped: vec!["seed".to_owned(), "n".to_owned()],
            prepared_ms: Some(15),
            first_output_ms: Some(16),
            duration_ms: 17,
            upstream_request_id: text("up"),
        }
    }

    /// The entry of `request`, whose lists of other types are given.
    fn entry<'a>(
        request: &'a LoggedRequest,
        failed_attempts: &'a [Attempt],
        dropped: &'a DroppedParams,
    ) -> RequestLogEntry<'a> {
        RequestLogEntry {
            id: &request.id,
            at: request.at,
            path: &request.path,
            client: request.client.as_deref(),
            tenant: request.tenant.as_deref(),
            tags: &request.tags,
            user: request.user.as_deref(),
            requested_model: request.requested_model.as_deref(),
            model: request.model.as_deref(),
            provider: request.provider.as_deref(),
            rule: request.rule.as_deref(),
            stream: request.stream,
            outcome: &request.outcome,
            status: request.status,
            limit: request.limit.as_deref(),
            error: request.error.as_deref(),
            finish: request.finish.as_deref(),
            attempts: request.attempts,
            failed_attempts,
            usage: request.usage,
            usage_estimated: request.usage_estimated,
            cost: request.cost,
            cache: request.cache.as_deref(),
            tools: &request.tools,
            dropped: Some(dropped),
            prepared_ms: request.prepared_ms,
            first_output_ms: request.first_output_ms,
            duration_ms: request.duration_ms,
            upstream_request_id: request.upstream_request_id.as_deref(),
        }
    }

    #[test]
    fn every_member_is_read_as_it_was_written() {
        let (request, mut dropped) = (full_request(), DroppedParams::default());
        request.dropped.iter().for_each(|name| dropped.insert(name.clone()));
        let line = line(&entry(&request, &attempts(), &dropped));
        assert_eq!(serde_json::from_slice::<LoggedRequest>(&line).unwrap(), request);
        // No member is missing, and none has another name.
        let mut whole = serde_json::to_value(&request).unwrap();
        whole["failed_attempts"][1].as_object_mut().unwrap().remove("skipped");
        assert_eq!(serde_json::from_slice::<Value>(&line).unwrap(), whole);
    }

    #[test]
    fn defaults_are_left_out() {
        let line = line(&RequestLogEntry { id: "r", outcome: "ok", ..RequestLogEntry::default() });
        let text = r#"{"id":"r","path":"","outcome":"ok","usage":{"input":0}}"#;
        assert_eq!(String::from_utf8(line.clone()).unwrap(), text);
        let expected = LoggedRequest {
            id: "r".to_owned(),
            outcome: "ok".to_owned(),
            ..LoggedRequest::default()
        };
        assert_eq!(serde_json::from_slice::<LoggedRequest>(&line).unwrap(), expected);
    }
}
