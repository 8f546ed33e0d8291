//! Sessions of the LLM gateway: lifecycle, history rules, taxonomy.
//!
//! [`Sessions`] is what an application sees of a session; the rules behind it are pure functions:
//! how history and request are joined ([`history`]), what is left out when a model's window is too
//! small ([`window`]) or when a call has no result ([`pairs`]), which taxonomy a message asks for ([`taxonomy`]), and what the context of a
//! session may say ([`context`]).

mod again;
pub mod context;
pub mod history;
mod id;
pub mod pairs;
mod service;
pub mod taxonomy;
mod turn;
pub mod window;

pub use self::{
    id::SessionId,
    service::{Rules, Sessions},
    turn::{Delivered, OnConflict, OpenTurn},
};
