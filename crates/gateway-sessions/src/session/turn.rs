//! A turn of a session, from start to end.

use super::{
    SessionId,
    context::{self, TAXONOMY},
    history::{History, JoinedConversation},
    taxonomy::{self, TaxonomyTable},
};
use gateway_core::{
    Json, Message,
    state::{Key, Session, SessionPatch},
};
use std::time::Duration;

/// The handling of a request while another turn of the session is open.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnConflict {
    /// Refuse the request with a conflict error.
    #[default]
    Refuse,
    /// Wait for the other to end, for this long.
    Wait(Duration),
}

/// A turn that is being prepared. It must be ended: committed, or abandoned.
///
/// Until then, or until its lease ends, no other turn of the session begins.
#[derive(Clone, Debug)]
pub struct OpenTurn {
    /// The session at the start of the turn.
    pub session: Session,
    /// The history of the session.
    pub history: History,
    pub(crate) id: SessionId,
    pub(crate) key: Key,
    pub(crate) token: String,
}

/// The result of a turn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TurnResult {
    /// The new messages of the request: see [`JoinedConversation::to_remember`].
    pub asked: Vec<Message>,
    /// The response: calls, results, and the final message.
    pub answered: Vec<Message>,
    /// Whether the response was interrupted; this is its delivered part.
    pub incomplete: bool,
    /// The taxonomy that the request names.
    pub taxonomy: Option<String>,
}

impl OpenTurn {
    /// Returns the session's id.
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// Joins the session's history with a request.
    pub fn join(&self, request: Vec<Message>) -> JoinedConversation {
        self.history.clone().join(request)
    }

    /// The taxonomy that holds for this turn, and the one to be remembered if it is a new one.
    pub fn taxonomy(
        &self,
        known: &TaxonomyTable,
        new: &[Message],
    ) -> (Option<String>, Option<String>) {
        let remembered = context::taxonomy(&self.session.context);
        let asked = taxonomy::latest(known, new);
        let holds = taxonomy::resolve(None, asked.as_deref(), remembered.as_deref());
        let holds = holds.map(|name| known.id_of(name));
        (holds, asked.filter(|asked| Some(asked) != remembered.as_ref()))
    }
}

impl TurnResult {
    /// All messages of the turn.
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.asked.iter().chain(&self.answered).cloned().collect()
    }

    /// Returns the changes of the turn to the session's context.
    pub(crate) fn patch(&self) -> SessionPatch {
        let taxonomy = self.taxonomy.as_ref().map(Json::of);
        taxonomy.into_iter().map(|name| (TAXONOMY.to_owned(), Some(name))).collect()
    }
}
