//! Sessions, and the turns that requests to models take in them.

mod active_turn;
mod again;
mod chosen;
mod compose;
pub mod context;
pub mod history;
mod id;
mod manager;
pub mod pairs;
mod passage;
mod service;
pub mod taxonomy;
mod turn;
pub mod window;

pub use self::{
    active_turn::Turn,
    chosen::SessionTools,
    compose::{CompositionFacts, OpenedSession, Options, open},
    id::SessionId,
    manager::SessionManager,
    service::{Rules, Sessions},
    turn::{OnConflict, OpenTurn, TurnResult},
};
