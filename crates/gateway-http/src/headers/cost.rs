//! What an answer cost, told to its caller.

use crate::names;
use bytes::Bytes;
use gateway_core::{Chunk, Dialect, GatewayError, NanoDollars, Price, StreamEvent, Usage};
use gateway_wire::{Caller, Reply, StreamWriter};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;

const COST: HeaderName = HeaderName::from_static("x-gateway-cost-usd");

/// In which shape a stream tells it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Shape {
    /// A chunk without choices, as OpenAI's clients know them from token counts.
    Chunk,
    /// An event of a name of its own, which clients of other dialects pass over.
    Event,
}

/// Writes an answer, and before its end what it took and what that cost.
struct Told {
    inner: Box<dyn StreamWriter>,
    shape: Shape,
    price: Option<Price>,
    model: String,
    created: u64,
    usage: Option<Usage>,
}

/// Whether a request asks to be told at the end of a stream.
pub(crate) fn is_asked(headers: &HeaderMap) -> bool {
    headers.get(names::USAGE).is_some_and(|value| value.as_bytes() == b"true")
}

/// The writer of `caller` that tells at the end what the answer took.
pub(crate) fn telling(
    caller: &dyn Caller,
    to: Reply,
    price: Option<Price>,
) -> Box<dyn StreamWriter> {
    let shape = match caller.dialect() {
        Dialect::Chat => Shape::Chunk,
        Dialect::Responses | Dialect::Messages | Dialect::Gemini | Dialect::Ollama => Shape::Event,
    };
    let (model, created) = (to.model.clone(), to.created);
    let inner = caller.writer(to);
    Box::new(Told { inner, shape, price, model, created, usage: None })
}

/// Tells what an answer cost; nothing of one whose usage is not known.
pub(crate) fn add_to(headers: &mut HeaderMap, usage: Option<&Usage>, price: Option<&Price>) {
    let Some(usage) = usage else { return };
    let value = match price {
        Some(price) => HeaderValue::try_from(dollars(price.cost(usage))).ok(),
        None => Some(HeaderValue::from_static("unknown")),
    };
    if let Some(value) = value {
        headers.insert(COST, value);
    }
}

/// An amount in dollars, to the last billionth.
pub(crate) fn dollars(amount: NanoDollars) -> String {
    const UNIT: u64 = 1_000_000_000;
    let mut text = (amount.0 / UNIT).to_string();
    let (mut rest, mut unit) = (amount.0 % UNIT, UNIT);
    if rest > 0 {
        text.push('.');
    }
    while rest > 0 {
        unit /= 10;
        text.push(char::from(b'0' + ((rest / unit) & 15) as u8));
        rest %= unit;
    }
    text
}

impl Told {
    fn see(&mut self, frame: &Chunk) {
        for event in &frame.events {
            if let StreamEvent::Usage(usage) = event {
                self.usage = Some(*usage);
            }
        }
    }

    fn tell(&self, out: &mut Vec<u8>) {
        let Some(usage) = &self.usage else { return };
        let cost = self.price.map(|price| dollars(price.cost(usage)));
        let told = json!({
            "prompt_tokens": usage.prompt(),
            "completion_tokens": usage.completion(),
            "total_tokens": usage.total(),
            "cost_usd": cost,
        });
        let (name, data) = match self.shape {
            Shape::Chunk => {
                let chunk = json!({
                    "id": "chatcmpl-gateway",
                    "object": "chat.completion.chunk",
                    "created": self.created,
                    "model": self.model,
                    "choices": [],
                    "x_gateway": told,
                });
                ("", chunk)
            }
            Shape::Event => {
                let event = json!({ "type": "gateway.usage", "x_gateway": told });
                ("event: gateway.usage\n", event)
            }
        };
        out.extend_from_slice(format!("{name}data: {data}\n\n").as_bytes());
    }
}

impl StreamWriter for Told {
    fn write(&mut self, frame: Chunk, out: &mut Vec<u8>) {
        self.see(&frame);
        self.inner.write(frame, out);
    }

    fn pass(&mut self, frame: &mut Chunk) -> Option<Bytes> {
        self.see(frame);
        self.inner.pass(frame)
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        match self.shape {
            // Nothing comes behind `[DONE]` that anybody would read.
            Shape::Chunk => {
                self.tell(out);
                self.inner.end(out);
            }
            Shape::Event => {
                self.inner.end(out);
                self.tell(out);
            }
        }
    }

    fn fail(&mut self, error: &GatewayError, out: &mut Vec<u8>) {
        self.inner.fail(error, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(nano: u64, expected: &str) {
        assert_eq!(dollars(NanoDollars(nano)), expected);
    }

    #[test]
    fn amounts_are_exact() {
        check(0, "0");
        check(1, "0.000000001");
        check(1_500_000_000, "1.5");
        check(12_000_000_000, "12");
        check(u64::MAX, "18446744073.709551615");
    }

    #[test]
    fn an_unknown_price_is_not_guessed() {
        let usage = Usage { input: 10, ..Usage::default() };
        let told = |usage: Option<&Usage>, price: Option<&Price>| {
            let mut headers = HeaderMap::new();
            add_to(&mut headers, usage, price);
            headers.get("x-gateway-cost-usd").map(|it| it.to_str().unwrap().to_owned())
        };
        let price = Price { input: 1_000_000_000, ..Price::default() };
        assert_eq!(told(Some(&usage), Some(&price)).as_deref(), Some("0.00001"));
        assert_eq!(told(Some(&usage), None).as_deref(), Some("unknown"));
        assert_eq!(told(None, Some(&price)), None);
    }
}
