//! The measured scenarios.

use super::load::Load;
use serde_json::{Value, json};
use std::{fs, path::Path};

/// A load, and what it shows.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    /// The name in tables.
    pub(super) name: &'static str,
    concurrency: u32,
    body: Body,
    answer: AnswerMode,
    /// The ratio to the bare proxy that is aimed for.
    pub(super) goal: Option<f64>,
}

#[derive(Clone, Copy, Debug)]
enum Body {
    Small,
    /// Many messages, 90 kB in all.
    Messages,
    /// One message of 1 MB.
    Large,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum AnswerMode {
    Whole,
    /// Each chunk in a write of its own, as a model sends them that is slower than the network.
    Streamed,
    /// Chunks share writes, as when a slow reader lets them pile up.
    PiledUp,
}

/// Chunks of a stream.
pub(super) const CHUNKS: u32 = 100;

const fn scenario(
    name: &'static str,
    concurrency: u32,
    body: Body,
    answer: AnswerMode,
    goal: Option<f64>,
) -> Scenario {
    Scenario { name, concurrency, body, answer, goal }
}

/// All of them. The first shows by its latency what the gateway adds to one request at a time.
pub(super) const ALL: &[Scenario] = &[
    scenario("small, 1 connection", 1, Body::Small, AnswerMode::Whole, None),
    scenario("small, 32 connections", 32, Body::Small, AnswerMode::Whole, Some(1.5)),
    scenario("small, 64 connections", 64, Body::Small, AnswerMode::Whole, Some(1.5)),
    scenario("200 messages, 90 kB", 32, Body::Messages, AnswerMode::Whole, Some(2.0)),
    scenario("1 MB body", 8, Body::Large, AnswerMode::Whole, Some(3.0)),
    scenario("streamed, 32 connections", 32, Body::Small, AnswerMode::Streamed, Some(1.05)),
    scenario("streamed, 64 connections", 64, Body::Small, AnswerMode::Streamed, Some(1.05)),
    scenario("streamed, chunks piled up", 32, Body::Small, AnswerMode::PiledUp, None),
];

impl Scenario {
    /// Whether the name contains `part`.
    pub(super) fn is_called(&self, part: Option<&str>) -> bool {
        part.is_none_or(|part| self.name.contains(part))
    }

    /// Whether its figures are per chunk, not per request.
    pub(super) fn per_chunk(&self) -> bool {
        self.answer != AnswerMode::Whole
    }

    /// Returns the mode of the mock upstream.
    pub(super) fn mock(&self) -> &'static str {
        match self.answer {
            AnswerMode::Whole | AnswerMode::Streamed => {
                "chunks=100&delay_ms=0&latency_ms=0&flush=each"
            }
            AnswerMode::PiledUp => "chunks=100&delay_ms=0&latency_ms=0&flush=batch",
        }
    }

    /// The load; its body is written to a file in `folder`.
    pub(super) fn load(&self, folder: &Path) -> anyhow::Result<Load> {
        let body = match self.body {
            Body::Small => None,
            Body::Messages => Some(messages(200, 450)),
            Body::Large => Some(messages(1, 1 << 20)),
        };
        let file = folder.join(format!("{:?}.json", self.body));
        if let Some(body) = &body {
            fs::write(&file, body.to_string())?;
        }
        Ok(Load {
            concurrency: self.concurrency,
            stream: self.per_chunk(),
            body: body.map(|_| file),
            ..Load::default()
        })
    }
}

/// A request of `count` messages, each of `size` bytes of text.
pub(super) fn messages(count: usize, size: usize) -> Value {
    let words = "The quick brown fox jumps over the \"lazy\" dog,\nand the dog does not mind. ";
    let text: String = words.chars().cycle().take(size).collect();
    let message = |index: usize| {
        let role = if index.is_multiple_of(2) { "user" } else { "assistant" };
        json!({"role": role, "content": text})
    };
    let messages: Vec<Value> = (0..count).map(message).collect();
    json!({"model": "mock-model", "max_tokens": 256, "messages": messages})
}

#[cfg(test)]
mod tests {
    use super::{ALL, messages};
    use std::collections::BTreeSet;

    #[test]
    fn bodies_are_as_large_as_they_are_called() {
        let many = messages(200, 450).to_string().len();
        assert!((90_000..110_000).contains(&many), "{many}");
        let large = messages(1, 1 << 20).to_string().len();
        assert!((1_000_000..1_200_000).contains(&large), "{large}");
    }

    #[test]
    fn scenario_names_are_unique() {
        let names: BTreeSet<&str> = ALL.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), ALL.len());
    }
}
