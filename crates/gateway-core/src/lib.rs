//! The vocabulary of the gateway, and the ports that other crates implement.
//!
//! Nothing here performs I/O, reads a clock or knows a vendor's JSON. A service that wants the
//! gateway in-process depends on this crate, plus whichever adapters it needs:
//!
//! - [`Provider`]: something that answers a [`Call`];
//! - [`Tool`]: something a model may call and the gateway runs;
//! - [`Conversation`]: the loop that joins the two;
//! - [`Routes`]: which provider a model's name leads to;
//! - [`state`]: the ports to what outlives a request.
//!
//! An answer is a stream of [`Frame`]s, each some [`StreamEvent`]s and perhaps the bytes in which
//! they came. A whole answer is the fold of its events: see [`Collector`].

mod answer;
mod calendar;
mod context_service;
mod conversation;
mod decision;
mod dialect;
mod embedding;
mod envelope;
mod error;
pub mod estimate;
mod event;
mod frame;
mod json;
mod layer;
mod loss;
mod message;
mod model;
mod on_end;
mod provider;
mod recall;
mod request;
mod route;
pub mod state;
mod tool;
mod tools;
mod usage;

pub use self::{
    answer::{ChatResponse, Choice, Collector},
    calendar::Date,
    context_service::{ContextService, Shortening},
    conversation::{Conversation, MAX_ROUNDS, Rounds},
    decision::{Against, Cached, Caching, Fate, Prospect, Step},
    dialect::Dialect,
    embedding::{
        Embedded, EmbeddingCall, EmbeddingFormat, EmbeddingInput, EmbeddingRequest,
        EmbeddingResponse, Vector,
    },
    envelope::{Envelope, Original},
    error::{BoxError, ErrorKind, GatewayError, Result},
    event::{Finish, FinishReason, Started, StreamEvent, ToolCallDelta},
    frame::{Frame, FrameStream},
    json::{Extra, Json},
    layer::Layer,
    loss::Loss,
    message::{
        CacheControl, CacheTtl, Content, File, Image, Message, Opaque, Part, Reasoning, Role, Seal,
        SealKind, Source, ToolResult, plain_text,
    },
    model::{Capabilities, ModelCard, ReasoningStyle},
    on_end::{End, Witness, on_end},
    provider::{Answer, Ask, Call, Context, Head, Look, Provider, Target, admits},
    recall::Recall,
    request::{ChatRequest, Effort, Options, ReasoningOptions, ResponseFormat},
    route::{MAX_ALIASES, Route, Routes, Rule},
    tool::{Custom, Function, Tool, ToolCall, ToolChoice, ToolKind, ToolSpec},
    tools::{Moment, ToolContext, ToolError, ToolErrorCode, Tools},
    usage::{NanoDollars, Price, Usage},
};
