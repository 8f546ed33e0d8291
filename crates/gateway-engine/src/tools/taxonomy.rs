//! The taxonomy of a request that no tool gets: only the caller learns of it.

use gateway_core::{Payload, ProviderRequest};
use gateway_sessions::{
    SessionTools,
    taxonomy::{TaxonomyTable, latest},
};

/// The places outside of a request that may name its taxonomy.
pub(crate) struct TaxonomySources<'a> {
    /// The tool selection of its session.
    pub(crate) chosen: &'a SessionTools,
    /// The taxonomy of the response that it continues.
    pub(crate) remembered: Option<String>,
}

impl TaxonomySources<'_> {
    /// Returns the taxonomy of a request without tools. A request that names none is not decoded.
    pub(crate) fn resolve(
        self,
        known: &TaxonomyTable,
        request: &ProviderRequest,
    ) -> Option<String> {
        let may_name = || match &request.payload {
            Payload::Raw(raw) => known.may_be_requested_in(&raw.body),
            Payload::Parsed(_) => !known.is_empty(),
            Payload::Relayed(_) => false,
        };
        let named = || {
            // Decoding comes last: a request that names none is passed on in its own bytes.
            let request = if may_name() { request.request().ok()? } else { return None };
            latest(known, &request.messages)
        };
        self.chosen.taxonomy.clone().or_else(named).or(self.remembered)
    }
}
