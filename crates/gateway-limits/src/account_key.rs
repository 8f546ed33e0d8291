//! The keys of accounts in the store.

use gateway_core::state::{Key, Tenant};
use std::net::IpAddr;

/// The account that all clients of a tenant share.
const TENANT: &str = "tenant";

/// Begins the account of a client, before its name.
const CLIENT: &str = "client/";

/// Returns the key of the account that all clients of `tenant` share.
pub(crate) fn of_tenant(tenant: &Tenant) -> Key {
    tenant.key(TENANT)
}

/// Returns the key of the account of the client called `name`.
pub(crate) fn of_client(tenant: &Tenant, name: &str) -> Key {
    tenant.key(format!("{CLIENT}{name}"))
}

/// Returns the key of the account of callers without a key at the addresses of `prefix`.
pub(crate) fn of_peer(tenant: &Tenant, prefix: IpAddr) -> Key {
    tenant.key(format!("peer/{prefix}"))
}

/// Returns the name of the client whose account `key` is; `None` if it is not that of a client.
pub(crate) fn client_name(key: &Key) -> Option<&str> {
    key.id().strip_prefix(CLIENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_is_found_in_its_key_only() {
        let tenant = Tenant::new("t").unwrap();
        assert_eq!(client_name(&of_client(&tenant, "a/b")), Some("a/b"));
        assert_eq!(client_name(&of_tenant(&tenant)), None);
        assert_eq!(client_name(&of_peer(&tenant, IpAddr::from([127, 0, 0, 1]))), None);
    }
}
