//! Requests that are turns of a thread of the Messages API: they are read with the whole
//! conversation, and recorded.

use crate::{Engine, InboundRequest, RequestContext, session::tenant};
use bytes::Bytes;
use gateway_core::{Result, UNCHARGED_BYTES};
use gateway_sessions::{ThreadRecorder, ThreadTurn};
use gateway_wire::{
    json,
    messages::{BETA_HEADER, THREADS_BETA, thread_unsupported},
};
use std::sync::Arc;

impl Engine {
    /// Returns the request with the whole conversation of its thread, and the recorder of its
    /// response.
    ///
    /// # Errors
    ///
    /// If no threads are held, or the continued message is not known.
    pub(crate) async fn open_thread(
        &self,
        request: InboundRequest,
    ) -> Result<(InboundRequest, Arc<ThreadRecorder>)> {
        let client = &request.head.client;
        let hold = |body: Vec<u8>| {
            if body.len() <= UNCHARGED_BYTES {
                return Bytes::from(body);
            }
            let mut lease = self.memory.lease(&client.tenant);
            lease.charge(body.capacity());
            lease.attach(body)
        };
        let turn = request.body.clone();
        let footprint = json::decoded_footprint(&turn);
        let turn = self.charge_decoded(&client.tenant, turn, footprint).await?;
        let opened = self.responses.threads().open(tenant(client)?, &turn, hold).await?;
        let ThreadTurn { body, recorder } = opened;
        Ok((InboundRequest { body, ..request }, Arc::new(recorder)))
    }
}

impl RequestContext {
    /// Returns the headers for an upstream of the caller's dialect.
    pub(crate) fn forwarded_headers(&self) -> Arc<[(&'static str, String)]> {
        let headers = &self.head.options.forwarded_headers;
        if self.thread.is_some() { without_beta(headers) } else { headers.clone() }
    }

    /// Checks that the request does not continue a session besides a thread.
    pub(crate) fn check_thread(&self) -> Result<()> {
        let has_session = self.names_session || self.head.options.session.id.is_some();
        if has_session { Err(thread_unsupported()) } else { Ok(()) }
    }
}

/// Returns the forwarded `headers` without the beta of threads, which no upstream sees.
fn without_beta(headers: &[(&'static str, String)]) -> Arc<[(&'static str, String)]> {
    let rest = headers.iter().filter_map(|(name, value)| {
        if *name != BETA_HEADER {
            return Some((*name, value.clone()));
        }
        let betas = value.split(',').filter(|beta| beta.trim() != THREADS_BETA);
        let betas = betas.collect::<Vec<_>>().join(",");
        (!betas.is_empty()).then_some((*name, betas))
    });
    rest.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_wire::messages::VERSION_HEADER;

    #[track_caller]
    fn check(betas: &str, expected: Option<&str>) {
        let headers = [(VERSION_HEADER, "2023-06-01".to_owned()), (BETA_HEADER, betas.to_owned())];
        let rest = without_beta(&headers);
        assert_eq!(rest[0], headers[0]);
        assert_eq!(rest.get(1).map(|(_, betas)| betas.as_str()), expected, "{betas}");
    }

    #[test]
    fn beta_of_threads_is_not_forwarded() {
        check("a-1, message-threads-2026-08-12,b-2", Some("a-1,b-2"));
        check("message-threads-2026-08-12", None);
        check("a-1,b-2", Some("a-1,b-2"));
    }
}
