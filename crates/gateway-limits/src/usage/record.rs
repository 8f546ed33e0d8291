//! The usage record of a request, and the events of its life.

use gateway_core::{
    Attribution, NanoDollars, Usage,
    state::{AdmittedRequest, RequestOutcome, ReservedUsage},
};
use std::sync::Arc;

/// The record of an admitted request.
#[derive(Clone, Debug)]
pub struct UsageRecord {
    pub(super) id: u64,
    /// In milliseconds since 1970.
    pub(super) at: u64,
    pub(super) client: Arc<str>,
    pub(super) model: Arc<str>,
    /// The catalogue knows the model.
    pub(super) is_catalogued: bool,
    pub(super) provider: Arc<str>,
    /// The tags and the user; absent if the request has neither.
    pub(super) attribution: Option<Arc<Attribution>>,
}

/// The result of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RequestResult {
    /// The outcome, a value of a closed set: `ok`, `client_cancelled` ...
    pub outcome: &'static str,
    /// The tokens used.
    pub usage: Usage,
    /// The cost of the usage; `None` if no price is known.
    pub cost: Option<NanoDollars>,
    /// The usage is our estimate, not the provider's word.
    pub estimated: bool,
}

/// The labels of a usage record: client, provider, model and endpoint.
#[derive(Clone, Copy, Debug)]
pub struct RequestLabels<'a> {
    /// The client's name.
    pub client: &'a Arc<str>,
    /// The provider's name.
    pub provider: &'a Arc<str>,
    /// The model's name.
    pub model: &'a Arc<str>,
    /// Whether the catalogue knows the model.
    pub is_catalogued: bool,
    /// The tags and the user; absent if the request has neither.
    pub attribution: Option<&'a Arc<Attribution>>,
}

/// A step in the life of a request.
#[derive(Debug)]
pub(super) enum LedgerEvent {
    /// It is about to be sent.
    Opened(Arc<UsageRecord>, ReservedUsage),
    /// A further upstream call is about to be made for it.
    Revised(Arc<UsageRecord>, ReservedUsage),
    /// It has ended.
    Closed(Arc<UsageRecord>, RequestResult),
}

impl UsageRecord {
    pub(super) fn admitted(
        &self,
        run: &str,
        (model, attribution): (&str, Option<&Attribution>),
        reserved: ReservedUsage,
    ) -> AdmittedRequest {
        AdmittedRequest {
            id: format!("{run}-{}", self.id),
            at: self.at,
            client: self.client.to_string(),
            model: model.to_owned(),
            provider: self.provider.to_string(),
            tags: attribution.map(Attribution::tags_text).unwrap_or_default(),
            user: attribution.and_then(Attribution::user).unwrap_or_default().to_owned(),
            reserved,
        }
    }
}

impl RequestResult {
    pub(super) fn closed(&self) -> RequestOutcome {
        RequestOutcome {
            outcome: self.outcome.to_owned(),
            usage: self.usage,
            cost: self.cost,
            estimated: self.estimated,
        }
    }
}
