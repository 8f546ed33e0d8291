//! Audit records: one line of the log for each request of an operator.

use super::Task;
use gateway_core::GatewayError;
use http::{Method, StatusCode};
use std::net::IpAddr;

/// A request of an operator, as it is recorded. Holds no secret.
pub(super) struct AuditRecord {
    peer: IpAddr,
    method: Method,
    action: &'static str,
    key: Option<String>,
    /// The key that was made.
    new_key: Option<String>,
    client: Option<String>,
    /// The names of the members that were changed.
    changed: Option<String>,
    error: Option<String>,
}

impl AuditRecord {
    pub(super) const fn new(peer: IpAddr, method: Method) -> Self {
        let (key, new_key, client, changed, error) = (None, None, None, None, None);
        Self { peer, method, action: "unknown", key, new_key, client, changed, error }
    }

    pub(super) fn task(&mut self, task: Task<'_>) {
        self.action = task.action();
        // An id of ours is short; what else a path holds is cut.
        self.key = task.key().map(|id| id.chars().take(64).collect());
    }

    pub(super) fn created(&mut self, id: &str) {
        self.new_key = Some(id.to_owned());
    }

    pub(super) fn client(&mut self, name: &str) {
        self.client = Some(name.to_owned());
    }

    pub(super) fn changed(&mut self, members: String) {
        self.changed = Some(members);
    }

    pub(super) fn refused(&mut self, error: &GatewayError) {
        self.error = Some(error.code().to_owned());
    }

    pub(super) fn write(self, status: StatusCode) {
        tracing::info!(
            target: "gateway::audit",
            peer = %self.peer,
            method = self.method.as_str(),
            action = self.action,
            key = self.key,
            new_key = self.new_key,
            client = self.client,
            changed = self.changed,
            error = self.error,
            status = status.as_u16(),
            "operator request"
        );
    }
}
