//! Names under which things are kept.

use std::{fmt, sync::Arc};

/// The owner of stored data. Never empty.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Tenant(Arc<str>);

/// The name of one thing of one tenant.
///
/// ```
/// use gateway_core::state::{Key, Tenant};
///
/// assert!(Tenant::new("").is_none());
/// let acme = Tenant::new("acme").unwrap();
/// assert_ne!(acme.key("a"), Tenant::new("other").unwrap().key("a"));
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Key {
    tenant: Tenant,
    id: Arc<str>,
}

impl Tenant {
    /// Creates the tenant called `name`; `None` if the name is empty.
    pub fn new(name: impl Into<Arc<str>>) -> Option<Self> {
        let name = name.into();
        (!name.is_empty()).then_some(Self(name))
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of this tenant's `id`.
    pub fn key(&self, id: impl Into<Arc<str>>) -> Key {
        Key { tenant: self.clone(), id: id.into() }
    }
}

impl Key {
    /// Returns the tenant that owns the key.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Its name among the things of its tenant.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
