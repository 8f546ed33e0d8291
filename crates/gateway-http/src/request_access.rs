//! The access of a request to the gateway: of a client to its memory, and of an operator to what is
//! for operators.

use crate::{
    HttpService, RequestBody,
    body::{self, BodyOwner},
    operators::{self, OperatorAccess},
};
use bytes::Bytes;
use gateway_core::Result;
use gateway_limits::{BodyPermit, Client, LimitError};
use http::HeaderMap;
use std::net::IpAddr;

impl HttpService {
    /// Reads a JSON body of `client`, who sends it from `peer`, completely.
    ///
    /// # Errors
    ///
    /// As [`body::read`].
    pub(crate) async fn read_body(
        &self,
        headers: &HeaderMap,
        body: RequestBody,
        sender: (&Client, IpAddr),
    ) -> Result<Bytes, LimitError> {
        self.read(headers, body, sender, true).await
    }

    /// Reads a body as [`read_body`](Self::read_body) does, for the engine: that charges for what it
    /// takes to decode it.
    ///
    /// # Errors
    ///
    /// As [`body::read`].
    pub(crate) async fn read_model_body(
        &self,
        headers: &HeaderMap,
        body: RequestBody,
        sender: (&Client, IpAddr),
    ) -> Result<Bytes, LimitError> {
        self.read(headers, body, sender, false).await
    }

    async fn read(
        &self,
        headers: &HeaderMap,
        body: RequestBody,
        (client, peer): (&Client, IpAddr),
        decodes: bool,
    ) -> Result<Bytes, LimitError> {
        let permit = || self.body_permit(client, peer);
        let owner = BodyOwner { tenant: &client.tenant, permit, decodes };
        body::read(headers, body, &self.bodies, owner).await
    }

    /// Checks the limits of `client` before a body that is not small is read.
    ///
    /// # Errors
    ///
    /// If a limit is reached, or the gateway is short of memory.
    pub(crate) fn body_permit(
        &self,
        client: &Client,
        peer: IpAddr,
    ) -> Result<Option<BodyPermit>, LimitError> {
        let limits = &self.engine.limits;
        limits.admission.check_pressure(client.priority)?;
        limits.limiter.permit_body(client, peer)
    }

    /// Whether only operators may read what is for them.
    pub(crate) const fn is_for_operators(&self) -> bool {
        matches!(self.operators, OperatorAccess::Token(_))
    }

    /// Checks that a request is an operator's, where that is needed.
    ///
    /// # Errors
    ///
    /// As [`operators::identify`].
    pub(crate) fn check_operator(&self, peer: IpAddr, headers: &HeaderMap) -> Result<()> {
        match self.operators {
            OperatorAccess::Callers => Ok(()),
            OperatorAccess::Token(token) => {
                let failures = &self.engine.limits.failed_attempts;
                operators::identify(failures, token, (peer, headers))
            }
        }
    }
}
