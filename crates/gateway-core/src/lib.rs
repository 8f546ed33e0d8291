//! The vocabulary of the gateway, and the ports that other crates implement.
//!
//! Nothing here performs I/O, reads a clock or knows a vendor's JSON. A service that wants the
//! gateway in-process depends on this crate, plus whichever adapters it needs:
//!
//! - [`Provider`]: something that answers a [`ProviderRequest`];
//! - [`Tool`]: something a model may call and the gateway runs;
//! - [`ToolLoop`]: the loop that joins the two;
//! - [`Routes`]: which provider a model's name leads to;
//! - [`state`]: the ports to what outlives a request.
//!
//! An answer is a stream of [`Chunk`]s, each some [`StreamEvent`]s and perhaps the bytes in which
//! they came. A whole answer is the fold of its events: see [`Collector`].

mod answer;
mod attempt;
mod attribution;
mod billed_units;
mod calendar;
mod caught_panic;
mod chunk;
mod context_service;
mod dialect;
mod dropped_params;
mod embedding;
mod envelope;
mod error;
mod error_kind;
pub mod estimate;
mod event;
mod json;
mod layer;
mod mcp;
mod mcp_relay;
mod mcp_reply;
mod memory;
mod message;
mod model;
mod pattern;
mod planned_attempt;
mod price;
mod provider;
mod provider_key;
mod provider_request;
mod provider_response;
mod reasoning_replay;
mod relay;
mod request;
mod response_meta;
mod route;
mod seal_owner;
pub mod state;
mod stream_observer;
pub mod sync;
pub mod time;
mod tool;
mod tool_loop;
mod tools;
mod usage;
mod usage_meter;
mod waker;

pub use self::{
    answer::{ChatResponse, Choice, Collector},
    attempt::{Attempt, AttemptOutcome, CacheDirective, CacheStatus, UnavailableReason},
    attribution::{Attribution, InvalidAttribution},
    billed_units::{BilledUnits, UnitFees},
    calendar::Date,
    caught_panic::{CaughtPanic, catch_panic},
    chunk::{Chunk, ChunkStream, metered},
    context_service::{ContextService, ContextShortening},
    dialect::Dialect,
    dropped_params::DroppedParams,
    embedding::{
        EmbeddingCall, EmbeddingFormat, EmbeddingInput, EmbeddingRequest, EmbeddingResponse,
        EmbeddingResult, Vector,
    },
    envelope::{Envelope, PresentMembers, RawRequest},
    error::{BoxError, GatewayError, Result},
    error_kind::ErrorKind,
    event::{Finish, FinishReason, Started, StreamEvent, ToolCallDelta},
    json::{Extra, Json, JsonObject, compact_json},
    layer::ProviderLayer,
    mcp::{McpAnnouncement, McpList, McpListEntry, McpRequest, McpServers, McpSubscribers},
    mcp_relay::{McpClientRequests, McpRelay, NotificationSink},
    mcp_reply::McpReply,
    memory::{MemoryBudget, MemoryLease, UNCHARGED_BYTES},
    message::{
        CacheControl, CacheTtl, Content, File, Image, Message, Opaque, Part, Reasoning, Role, Seal,
        SealKind, Source, ToolResult, plain_text,
    },
    model::{
        Capabilities, EffortSet, ForcedTools, ModelCard, ModelCatalogue, ModelKind, ModelRules,
        ReasoningControl, ReasoningOff, ReasoningStyle, ResponsesOnly, SamplingSupport,
        StrictSchemas, conform,
    },
    pattern::{admits, matches_pattern, pattern_prefix},
    planned_attempt::PlannedAttempt,
    price::{
        OffPeakPrice, Price, PriceHistory, PricePeriod, PriceVariants, PriceWindow, RateCard,
        ServiceTier, TokenRates,
    },
    provider::Provider,
    provider_key::ProviderKey,
    provider_request::{BreakerHints, Context, Inspection, Payload, ProviderRequest, Target},
    provider_response::ProviderResponse,
    reasoning_replay::ReasoningReplay,
    relay::{BodyRest, BodyStream, ModelPlace, RelayBody, RelayRequest, ReplyUnit},
    request::{ChatRequest, Effort, Options, ReasoningOptions, ResponseFormat, TextCompletion},
    response_meta::{PassthroughBody, ResponseMeta},
    route::{MAX_ALIASES, Route, Routes, Rule},
    seal_owner::SealOwner,
    stream_observer::{StreamEnd, StreamObserver, observe},
    tool::{Custom, Function, Tool, ToolCall, ToolChoice, ToolKind, ToolSpec},
    tool_loop::{MAX_ROUNDS, ToolLoop, ToolLoopLimits},
    tools::{Moment, ToolContext, ToolError, ToolErrorCode, Tools},
    usage::{NanoDollars, Usage},
    usage_meter::{CallMeter, CallObserver, CallUsage, UsageMeter},
    waker::RegisteredWaker,
};
#[cfg(feature = "test-support")]
pub use self::{provider::MockProvider, tool::MockTool, tools::MockTools};
