//! A request that is copied only if something in it has to change.

use gateway_core::ProviderRequest;
use std::ops::Deref;

/// A request of the caller's, or an edited copy of it.
#[derive(Debug)]
pub(crate) struct EditableCall<'a> {
    original: &'a ProviderRequest,
    edited: Option<Box<ProviderRequest>>,
}

impl<'a> EditableCall<'a> {
    pub(crate) const fn new(original: &'a ProviderRequest) -> Self {
        Self { original, edited: None }
    }

    /// The copy to edit, made at the first edit.
    pub(crate) fn edit(&mut self) -> &mut ProviderRequest {
        self.edited.get_or_insert_with(|| Box::new(self.original.clone()))
    }
}

impl Deref for EditableCall<'_> {
    type Target = ProviderRequest;

    fn deref(&self) -> &ProviderRequest {
        self.edited.as_deref().unwrap_or(self.original)
    }
}
