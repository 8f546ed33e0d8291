//! Who runs a tool without a model, and leave to do so.
//!
//! A tool is work of a service, as an answer is work of a model: it takes a place of the gateway, of
//! its tenant and of its client until it has ended.

use crate::{App, generate};
use gateway_core::Result;
use gateway_limits::{AdmissionPermit, Client, QuotaReservation};
use http::HeaderMap;
use std::{net::IpAddr, sync::Arc};

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Asker<'a> {
    /// The client.
    pub(crate) client: &'a Client,
    /// Where it is.
    pub(crate) peer: IpAddr,
    /// The request's name.
    pub(crate) request_id: Arc<str>,
}

/// Leave to run a tool; given back when dropped.
#[derive(Debug)]
pub(super) struct Leave {
    _permit: Option<AdmissionPermit>,
    _taken: Option<QuotaReservation>,
}

impl Asker<'_> {
    /// Gives leave to run a tool, perhaps after a moment.
    ///
    /// # Errors
    ///
    /// If there is too much to do, or the client does as much as it may.
    pub(super) async fn enter(&self, app: &App, headers: &HeaderMap) -> Result<Leave> {
        let permit = generate::admit(app, self.client, headers).await?;
        let taken = app.control.limiter.acquire_slot(self.client, self.peer).await?;
        Ok(Leave { _permit: permit, _taken: taken })
    }
}
