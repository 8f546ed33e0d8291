//! The cost of a stream, reported at its end on request.

use bytes::Bytes;
use gateway_core::{Chunk, Dialect, GatewayError, NanoDollars, Price, StreamEvent, Usage};
use gateway_wire::{InboundDialect, ResponseContext, StreamWriter};
use serde_json::json;

/// The shape of the report.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ReportShape {
    /// A chunk without choices, as OpenAI's clients know them from token counts.
    Chunk,
    /// An event of its own name, which clients of other dialects skip.
    Event,
}

/// Writes a response, and before its end its tokens and cost.
struct CostReportingWriter {
    inner: Box<dyn StreamWriter>,
    shape: ReportShape,
    price: Option<Price>,
    model: String,
    created: u64,
    usage: Option<Usage>,
}

/// The writer of `dialect` that reports tokens and cost at the end of the stream.
pub(crate) fn writer(
    dialect: &dyn InboundDialect,
    reply: ResponseContext,
    price: Option<Price>,
) -> Box<dyn StreamWriter> {
    let shape = match dialect.dialect() {
        Dialect::Chat => ReportShape::Chunk,
        Dialect::Responses | Dialect::Messages | Dialect::Gemini | Dialect::Ollama => {
            ReportShape::Event
        }
    };
    let (model, created) = (reply.model.clone(), reply.created);
    let inner = dialect.writer(reply);
    Box::new(CostReportingWriter { inner, shape, price, model, created, usage: None })
}

/// An amount in US dollars as a decimal number, to the last billionth.
pub fn dollars(amount: NanoDollars) -> String {
    let mut text = Vec::with_capacity(24);
    write_dollars(amount, &mut text);
    String::from_utf8(text).unwrap_or_default()
}

/// Appends an amount in US dollars as [`dollars`] writes it.
pub fn write_dollars(amount: NanoDollars, out: &mut Vec<u8>) {
    const UNIT: u64 = 1_000_000_000;
    out.extend_from_slice(itoa::Buffer::new().format(amount.0 / UNIT).as_bytes());
    let (mut rest, mut unit) = (amount.0 % UNIT, UNIT);
    if rest > 0 {
        out.push(b'.');
    }
    while rest > 0 {
        unit /= 10;
        out.push(b'0' + ((rest / unit) & 15) as u8);
        rest %= unit;
    }
}

impl CostReportingWriter {
    fn record(&mut self, chunk: &Chunk) {
        for event in &chunk.events {
            if let StreamEvent::Usage(usage) = event {
                self.usage = Some(*usage);
            }
        }
    }

    fn report(&self, out: &mut Vec<u8>) {
        let Some(usage) = &self.usage else { return };
        let cost = self.price.as_ref().map(|price| dollars(price.cost(usage)));
        let report = json!({
            "prompt_tokens": usage.prompt(),
            "completion_tokens": usage.completion(),
            "total_tokens": usage.total(),
            "cost_usd": cost,
        });
        let (name, data) = match self.shape {
            ReportShape::Chunk => {
                let chunk = json!({
                    "id": "chatcmpl-gateway",
                    "object": "chat.completion.chunk",
                    "created": self.created,
                    "model": self.model,
                    "choices": [],
                    "x_gateway": report,
                });
                ("", chunk)
            }
            ReportShape::Event => {
                let event = json!({ "type": "gateway.usage", "x_gateway": report });
                ("event: gateway.usage\n", event)
            }
        };
        out.extend_from_slice(format!("{name}data: {data}\n\n").as_bytes());
    }
}

impl StreamWriter for CostReportingWriter {
    fn write(&mut self, chunk: Chunk, out: &mut Vec<u8>) {
        self.record(&chunk);
        self.inner.write(chunk, out);
    }

    fn pass(&mut self, chunk: &mut Chunk) -> Option<Bytes> {
        self.record(chunk);
        self.inner.pass(chunk)
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        match self.shape {
            // No client reads what comes after `[DONE]`.
            ReportShape::Chunk => {
                self.report(out);
                self.inner.end(out);
            }
            ReportShape::Event => {
                self.inner.end(out);
                self.report(out);
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
    fn dollars_are_exact_to_the_last_billionth() {
        check(0, "0");
        check(1, "0.000000001");
        check(1_500_000_000, "1.5");
        check(12_000_000_000, "12");
        check(u64::MAX, "18446744073.709551615");
    }
}
