//! The header that carries a key.

/// The way in which a credential is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Auth {
    /// The header `Authorization: Bearer`.
    Bearer,
    /// In a header of this name.
    Header(&'static str),
}

impl Auth {
    /// Returns the header that carries `key`.
    pub(crate) fn field(self, key: &str) -> (&'static str, String) {
        match self {
            Self::Bearer => ("authorization", format!("Bearer {key}")),
            Self::Header(name) => (name, key.to_owned()),
        }
    }
}
