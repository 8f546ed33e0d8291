//! The tool selection of a session.

use super::{context, taxonomy::TaxonomyTable};
use gateway_core::state::Session;
use std::sync::Arc;

/// The tool selection of a session, for its turns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionTools {
    /// The session's id.
    pub session: Option<Arc<str>>,
    /// The tools that its requests offer.
    pub tools: Vec<String>,
    /// The taxonomy that holds.
    pub taxonomy: Option<String>,
    /// The tiers that hold.
    pub tier_filter: Option<Vec<i64>>,
}

impl SessionTools {
    /// Returns the tool selection of `session`, whose taxonomy may be a name of a `known` one.
    pub fn by(session: &Session, known: &TaxonomyTable) -> Self {
        let tiers = context::tier_filter(&session.context);
        Self {
            session: Some(session.id.as_str().into()),
            tools: context::tools(&session.context),
            taxonomy: context::taxonomy(&session.context).map(|name| known.id_of(&name)),
            tier_filter: tiers.and_then(|tiers| tiers.read().ok()),
        }
    }
}
