//! What a conversation leaves behind: sessions, stored responses, conversations, background work,
//! idempotency. No HTTP.
//!
//! [`Sessions`] is what an application sees of a session; the rules behind it are pure functions:
//! how history and request are joined ([`history`]), what is left out when a model's window is too
//! small ([`window`]) or when a call has no result ([`pairs`]), which taxonomy a message asks for
//! ([`taxonomy`]), and what the context of a session may say ([`context`]). A [`Keeper`] takes a
//! request through a turn of one.
//!
//! [`Responses`] keeps answers under their ids, and makes them without their callers;
//! [`conversations`] are what the Responses API knows by that name; [`Idempotency`] knows what was
//! done already.

mod commit;
pub mod conversations;
pub mod idempotency;
pub mod responses;
mod session;

pub use self::{
    commit::{CommitResult, NOT_STORED_COMMENT, NotStored, StorageReport, StoredItem, describe},
    idempotency::Idempotency,
    responses::Responses,
    session::{
        Chosen, Composed, Delivered, Keeper, OnConflict, OpenTurn, Opened, Options, Rules,
        SessionId, Sessions, Turn, context, history, open, pairs, taxonomy, window,
    },
};
