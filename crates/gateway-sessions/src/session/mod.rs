//! Sessions, and the turns that requests to models take in them.

mod active_turn;
mod compose;
pub mod context;
pub mod context_window;
pub mod history;
mod id;
mod manager;
mod recording;
mod repeated_turns;
mod service;
pub mod taxonomy;
pub mod tool_pairs;
mod tool_selection;
mod turn;

pub use self::{
    active_turn::ActiveTurn,
    compose::{CompositionFacts, OpenedSession, SessionOptions, open},
    id::SessionId,
    manager::SessionManager,
    service::{SessionRules, Sessions},
    tool_selection::SessionTools,
    turn::{OnConflict, OpenTurn, TurnResult},
};
