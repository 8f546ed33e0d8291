//! A request that is relayed: it reaches its provider as its caller wrote it, except for the name of
//! its model, and so does the reply. Nothing of it is translated.

use crate::{BilledUnits, Dialect, ErrorKind, GatewayError};
use bytes::Bytes;
use std::{borrow::Cow, fmt, ops::Range};

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

impl RelayRequest {
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

impl fmt::Debug for RelayBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayBody").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}
