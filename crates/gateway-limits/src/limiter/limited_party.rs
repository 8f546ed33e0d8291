//! The parties whose limits a request meets: its client, and the tenant of the client.

use super::Inner;
use crate::{
    Client,
    account::LimitAccount,
    account_key, client_prefix,
    policy::{ClientLimits, LimitSet},
};
use gateway_core::state::{Key, Tenant};
use std::{net::IpAddr, sync::Arc};

/// The limits that apply to a caller, or to its tenant, and their account.
pub(crate) struct LimitedParty<'a> {
    pub(crate) account: Arc<LimitAccount>,
    pub(crate) is_tenant: bool,
    pub(crate) own: &'a LimitSet,
    pub(super) client: Option<&'a ClientLimits>,
}

impl Inner {
    /// Returns whose limits apply to a caller: its own, and those of its tenant.
    pub(crate) fn parties<'a>(
        &'a self,
        client: &'a Client,
        peer: IpAddr,
    ) -> impl Iterator<Item = LimitedParty<'a>> {
        let tenant = self.tenants.get(&client.tenant);
        let tenant = tenant.map(|limits| LimitedParty {
            is_tenant: true,
            account: Arc::clone(&limits.account),
            own: limits.own(),
            client: Some(limits),
        });
        self.caller(client, peer).into_iter().chain(tenant)
    }

    /// Returns the limits of a caller alone; `None` if there are none.
    fn caller<'a>(&'a self, client: &'a Client, peer: IpAddr) -> Option<LimitedParty<'a>> {
        if let Some(limits) = &client.limits {
            let account = Arc::clone(&limits.account);
            let (own, client) = (limits.own(), Some(limits));
            return Some(LimitedParty { account, is_tenant: false, own, client });
        }
        let anonymous = self.anonymous.as_ref().filter(|_| client.is_anonymous)?;
        let prefix = client_prefix(peer);
        let key = || anonymous_key(client, prefix);
        let account = self.accounts.peer(prefix, key, &anonymous.template)?;
        Some(LimitedParty { account, is_tenant: false, own: &anonymous.set, client: None })
    }
}

fn anonymous_key(client: &Client, prefix: IpAddr) -> Option<Key> {
    let tenant = Tenant::new(Arc::clone(&client.tenant))?;
    Some(account_key::of_peer(&tenant, prefix))
}
