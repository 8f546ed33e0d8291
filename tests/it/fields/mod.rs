//! Every field of every caller's dialect over every upstream: it arrives, is adapted, is named in
//! `x-gateway-dropped`, or is refused. None is lost silently.

mod names;
mod table;

use gateway_tests::{
    Dialect, Exchange, Gateway, ScriptedAnswer, Setup, Upstream, number, print_measurement, request,
};
use serde_json::Value;
use std::collections::BTreeMap;
use table::{CallerTable, RequestField, TABLES};

/// What becomes of a field.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum FieldFate {
    /// Its value is in the request to the upstream.
    Arrives,
    /// The request to the upstream is another than without it.
    Adapted,
    /// `x-gateway-dropped` names it.
    Named,
    /// The request is refused before an upstream is called.
    Refused,
    /// None of these.
    Silent,
}

/// Fields that need not be sent: the gateway sees to them, they repeat what a reply said, or every
/// upstream of the dialect does so anyway.
const NOT_SENT: &[(&str, &str, Option<Dialect>)] = &[
    // Stored by the gateway, or by an upstream that has the field.
    ("chat", "/store", None),
    // Returned with the response.
    ("responses", "/metadata", None),
    // Echoes of a reply, which only their issuer reads.
    ("chat", "/messages/2/reasoning_content", None),
    ("chat", "/messages/2/annotations", None),
    // The name of the function, which its call has.
    ("chat", "/messages/3/name", None),
    // Schemas are always enforced.
    ("chat", "/response_format/json_schema/strict", Some(Dialect::Messages)),
    ("chat", "/response_format/json_schema/strict", Some(Dialect::Gemini)),
    ("chat", "/response_format/json_schema/strict", Some(Dialect::Ollama)),
    ("responses", "/text/format/strict", Some(Dialect::Messages)),
    ("responses", "/text/format/strict", Some(Dialect::Gemini)),
    ("responses", "/text/format/strict", Some(Dialect::Ollama)),
    // It is the tier of a request that names none.
    ("messages", "/service_tier", Some(Dialect::Gemini)),
    ("messages", "/service_tier", Some(Dialect::Ollama)),
];

/// The answer to one request.
struct FieldReply {
    status: u16,
    text: String,
    dropped: Vec<String>,
    /// What the upstream got; `null` if it was not called.
    sent: Value,
}

struct FieldBench {
    gateway: Gateway,
    upstreams: BTreeMap<&'static str, Upstream>,
}

impl FieldBench {
    /// A provider for each dialect, called by its name.
    async fn start() -> Self {
        let mut upstreams = BTreeMap::new();
        let mut setup = Setup::new();
        for dialect in Dialect::ALL {
            let (name, upstream) = (dialect.name(), Upstream::start().await);
            upstream.always(dialect.says(&ScriptedAnswer::text(&[r#"{"a":"ok"}"#]), false));
            setup = setup.provider(name, &upstream.url()).speaking(name, dialect);
            upstreams.insert(name, upstream);
        }
        // Callers of Chat Completions reach the Responses API by a model that has no other.
        let setup = setup.model("by-responses", Dialect::Responses.name(), "responses");
        let chat = format!("providers.{}", Dialect::Chat.name());
        let setup = setup.set(&chat, "quirks", "openai");
        Self { gateway: setup.start().await, upstreams }
    }

    async fn send(&self, table: &CallerTable, to: Dialect, fields: &[RequestField]) -> FieldReply {
        let model = if to == Dialect::Responses { "by-responses" } else { "m" };
        let mut body = table.base(&format!("{}/{model}", to.name()));
        for field in fields {
            assert!(field.add_to(&mut body), "{} has no place", field.pointer);
        }
        let upstream = &self.upstreams[to.name()];
        let before = upstream.exchanges().len();
        let headers = [("Content-Type", "application/json")];
        let bytes = request("POST", table.path, &headers, body.to_string().as_bytes());
        let reply = self.gateway.send(bytes).await;
        let exchanges = upstream.exchanges();
        let sent = exchanges.get(before).map_or(Value::Null, Exchange::json);
        let dropped = reply.header("x-gateway-dropped").split(',').map(|it| it.trim().to_owned());
        FieldReply {
            status: reply.status(),
            text: reply.text().to_owned(),
            dropped: dropped.filter(|it| !it.is_empty()).collect(),
            sent,
        }
    }
}

/// The texts and odd numbers in `value`, by which it can be recognized.
fn marks(value: &str) -> Vec<String> {
    let words = value.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
    words
        .filter(|word| word.len() > 2 && word.bytes().any(|b| b.is_ascii_digit()))
        .map(str::to_owned)
        .collect()
}

/// What became of `field` in `reply`, if `without` is the reply to the request without it.
fn judge(field: RequestField, reply: &FieldReply, without: &FieldReply) -> FieldFate {
    if reply.status >= 400 {
        return if reply.sent.is_null() { FieldFate::Refused } else { FieldFate::Silent };
    }
    let (sent, marks) = (reply.sent.to_string(), marks(field.value));
    if !marks.is_empty() && marks.iter().all(|mark| sent.contains(mark.as_str())) {
        FieldFate::Arrives
    } else if is_named(field, &reply.dropped, &without.dropped) {
        FieldFate::Named
    } else if reply.sent != without.sent {
        FieldFate::Adapted
    } else {
        FieldFate::Silent
    }
}

/// Whether `dropped` has a name more than `before`, or the name of `field`, which another field may
/// share.
fn is_named(field: RequestField, dropped: &[String], before: &[String]) -> bool {
    let name = field.name();
    // What is appended to a list shares its name with what was in it.
    let kind = field.pointer.ends_with("/-").then(|| name.split('.').next().unwrap_or_default());
    dropped.iter().any(|it| {
        let is_shared = *it == name
            || name.ends_with(&format!(".{it}"))
            || kind.is_some_and(|kind| it.starts_with(&format!("{kind}.")));
        !before.contains(it) || is_shared
    })
}

fn need_not_be_sent(table: &CallerTable, to: Dialect, field: RequestField) -> bool {
    NOT_SENT.iter().any(|(caller, pointer, upstream)| {
        (*caller, *pointer) == (table.dialect.name(), field.pointer)
            && upstream.is_none_or(|upstream| upstream == to)
    })
}

#[tokio::test]
async fn no_field_alone_is_lost_silently() {
    let bench = FieldBench::start().await;
    let (mut fates, mut silent) = (BTreeMap::new(), Vec::new());
    for table in &TABLES {
        for to in Dialect::ALL {
            let base = bench.send(table, to, &[]).await;
            let pair = format!("{} to {}", table.dialect.name(), to.name());
            assert_eq!(base.status, 200, "{pair}: {}", base.text);
            if !base.dropped.is_empty() {
                print_measurement(&format!("{pair}: {:?}", base.dropped));
            }
            for field in table.fields.iter().filter(|it| !need_not_be_sent(table, to, **it)) {
                let reply = bench.send(table, to, &[*field]).await;
                let fate = judge(*field, &reply, &base);
                *fates.entry(fate).or_insert(0_usize) += 1;
                if fate == FieldFate::Silent {
                    silent.push(format!(
                        "{pair}: {} = {}: {} {:?}",
                        field.pointer, field.value, reply.status, reply.dropped
                    ));
                }
            }
        }
    }
    print_measurement(&format!("fields alone: {fates:?}"));
    assert!(silent.is_empty(), "{} silent:\n{}", silent.len(), silent.join("\n"));
}

#[tokio::test]
async fn no_field_of_a_pair_is_lost_silently() {
    let bench = FieldBench::start().await;
    let seed = number("FIELD_SEED").unwrap_or(20_261_130);
    let count = number("FIELD_PAIRS").unwrap_or(60);
    let mut draw = seed;
    let mut next = |below: usize| {
        // A linear congruential generator: the same pairs for the same seed.
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(draw >> 33).unwrap_or_default() % below
    };
    let (mut fates, mut silent) = (BTreeMap::new(), Vec::new());
    for table in &TABLES {
        for to in Dialect::ALL {
            for _ in 0..count {
                let one = table.fields[next(table.fields.len())];
                let other = table.fields[next(table.fields.len())];
                if one.pointer == other.pointer
                    || one.pointer.starts_with(&format!("{}/", other.pointer))
                    || other.pointer.starts_with(&format!("{}/", one.pointer))
                    || need_not_be_sent(table, to, one)
                    || need_not_be_sent(table, to, other)
                {
                    continue;
                }
                let both = bench.send(table, to, &[one, other]).await;
                for (field, rest) in [(one, other), (other, one)] {
                    let without = bench.send(table, to, &[rest]).await;
                    let mut fate = judge(field, &both, &without);
                    if fate == FieldFate::Silent {
                        // Two fields that say the same are not lost in each other.
                        let alone = bench.send(table, to, &[field]).await;
                        if alone.sent == without.sent {
                            fate = FieldFate::Adapted;
                        }
                    }
                    *fates.entry(fate).or_insert(0_usize) += 1;
                    if fate == FieldFate::Silent {
                        let pair = format!("{} to {}", table.dialect.name(), to.name());
                        let (name, with) = (field.pointer, rest.pointer);
                        silent.push(format!("{pair}: {name} with {with}: {:?}", both.dropped));
                    }
                }
            }
        }
    }
    print_measurement(&format!("fields in pairs, seed {seed}: {fates:?}"));
    assert!(silent.is_empty(), "{} silent:\n{}", silent.len(), silent.join("\n"));
}
