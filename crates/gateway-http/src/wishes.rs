//! What a caller wants to be told beside an answer.

use crate::{App, decision::Decision, headers::cost, tools};
use gateway_core::{Cached, Price, ResponseMeta, Route};
use http::HeaderMap;

/// What a caller wants to be told beside an answer.
pub(crate) struct Wishes {
    /// What tokens cost at the model that was asked, if that is known.
    price: Option<Price>,
    /// What a stream took, and what that cost, at its end.
    pub(crate) tells_cost: bool,
    /// The gateway's tools at work.
    pub(crate) shows_tools: bool,
    /// What was decided, if the caller wants to know.
    pub(crate) decision: Option<Decision>,
}

impl Wishes {
    pub(crate) fn of(headers: &HeaderMap, route: &Route, price: Option<Price>) -> Self {
        Self {
            price,
            tells_cost: cost::is_asked(headers),
            shows_tools: tools::are_shown(headers),
            decision: Decision::wanted(headers, route),
        }
    }

    /// What tokens cost at the model that answers; what is remembered costs nothing.
    pub(crate) fn price(&self, app: &App, meta: &ResponseMeta) -> Option<Price> {
        match (meta.cache, &meta.card) {
            (Some(Cached::Hit { .. }), _) => Some(Price::default()),
            (_, Some(card)) => app.control.price(&meta.provider, Some(card)),
            (_, None) => self.price,
        }
    }
}
