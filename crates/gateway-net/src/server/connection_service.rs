//! The bounds of a service that answers the requests of a connection.

use super::RequestBody;
use bytes::Bytes;
use gateway_core::BoxError;
use http::{Request, Response};
use http_body::Body;
use hyper::service::Service;

/// A service that answers the requests of one connection. Every [`Service`] of a suitable type is
/// one.
pub trait ConnectionService:
    Service<
        Request<RequestBody>,
        Response = Response<<Self as ConnectionService>::ResponseBody>,
        Error: Into<BoxError>,
        Future: Send + 'static,
    > + Send
    + 'static
{
    /// The body of its responses.
    type ResponseBody: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
}

impl<S, B> ConnectionService for S
where
    S: Service<Request<RequestBody>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type ResponseBody = B;
}
