//! A request that is relayed: it reaches its provider as its caller wrote it, except for the name of
//! its model, and so does the reply. Nothing of it is translated.

use crate::{BilledUnits, Dialect, ErrorKind, GatewayError, Result, sync};
use bytes::Bytes;
use futures_util::Stream;
use std::{
    borrow::Cow,
    fmt,
    ops::Range,
    pin::Pin,
    slice,
    sync::{Arc, Mutex},
};

/// A request to an endpoint of a provider that the gateway relays, and meters, without reading more
/// of it than that takes.
pub struct RelayRequest {
    /// The HTTP method.
    pub method: &'static str,
    /// The path below the provider's base URL, with its query.
    pub path: Cow<'static, str>,
    /// The header fields that are sent besides the gateway's own, names in lower case.
    pub fields: Vec<(&'static str, String)>,
    /// The dialect whose API the endpoint belongs to: a provider that does not speak it has no such
    /// endpoint. Any provider will do if absent.
    pub api: Option<Dialect>,
    /// Whether the provider's refusals reach the caller in its own words, unless they are about the
    /// gateway's credential or its rate.
    pub passes_refusals: bool,
    /// The body.
    pub body: RelayBody,
    /// The units that are owed for the request, unless its reply reports what it has used.
    pub units: BilledUnits,
    /// The unit that a reply without tokens is billed by.
    pub billed_by: ReplyUnit,
}

/// The body of a relayed request.
#[derive(Default)]
pub struct RelayBody {
    /// The bytes of the caller.
    pub bytes: Bytes,
    /// The place of the model's name in it.
    pub model: ModelPlace,
    /// The part that is still to come, behind the bytes.
    pub rest: Option<BodyRest>,
}

/// The place where the body of a request names its model.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum ModelPlace {
    /// It does not.
    #[default]
    Absent,
    /// A string of a JSON document, at these bytes, quotes included.
    Json(Range<usize>),
    /// A member that a JSON object lacks, and is to get.
    JsonMember,
    /// The field `model` of a multipart form with this boundary.
    Form(Arc<str>),
}

/// The part of a body that is still to come. It can be sent once.
pub struct BodyRest(Mutex<BodyRestState>);

struct BodyRestState {
    /// The pieces, until they are taken.
    pieces: Option<BodyStream>,
    /// Why they did not come to their end.
    failure: Option<GatewayError>,
}

/// The pieces of a body as they come.
pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

impl BodyRest {
    /// Creates the rest of a body.
    pub fn new(pieces: BodyStream) -> Self {
        Self(Mutex::new(BodyRestState { pieces: Some(pieces), failure: None }))
    }

    /// Takes the pieces, if they were not taken before.
    pub fn take(&self) -> Option<BodyStream> {
        sync::lock(&self.0).pieces.take()
    }

    /// Whether the pieces were taken, and cannot be sent again.
    pub fn is_taken(&self) -> bool {
        sync::lock(&self.0).pieces.is_none()
    }

    /// Records why the body did not come to its end.
    pub fn fail(&self, error: GatewayError) {
        sync::lock(&self.0).failure = Some(error);
    }

    /// Takes the reason why the body did not come to its end, if it did not.
    pub fn take_failure(&self) -> Option<GatewayError> {
        sync::lock(&self.0).failure.take()
    }
}

/// The unit that a reply which reports no tokens is billed by.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ReplyUnit {
    /// The request: the fee of each, or nothing.
    #[default]
    Request,
    /// Each image of the reply.
    Image,
    /// The seconds of sound that the reply reports.
    Second,
}

impl RelayBody {
    /// Returns what its tokens are estimated by: a JSON document, and nothing of any other body.
    pub fn counted(&self) -> &[Bytes] {
        match self.model {
            ModelPlace::Json(_) | ModelPlace::JsonMember => slice::from_ref(&self.bytes),
            ModelPlace::Absent | ModelPlace::Form(_) => &[],
        }
    }
}

impl RelayRequest {
    /// Whether it can be sent again.
    pub fn is_repeatable(&self) -> bool {
        self.body.rest.as_ref().is_none_or(|rest| !rest.is_taken())
    }

    /// Returns the error of a provider that has no such endpoint.
    pub fn unsupported(&self) -> GatewayError {
        let path = self.path.split('?').next().unwrap_or_default();
        let message = format!("the model's provider has no endpoint '{path}'");
        GatewayError::new(ErrorKind::InvalidRequest, message)
            .with_code("unsupported_model")
            .with_param("model")
    }
}

impl fmt::Debug for RelayRequest {
    /// Leaves the body out: it may be long, and it is the caller's own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("bytes", &self.body.bytes.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for BodyRest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyRest").field("is_taken", &self.is_taken()).finish_non_exhaustive()
    }
}

impl fmt::Debug for RelayBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayBody").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}
