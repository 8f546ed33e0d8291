//! `Anthropic`, with the Messages API.

use crate::{Credential, Descriptor, compatible};
use gateway_core::Dialect;
use gateway_wire::messages::VERSION_HEADER;

pub(crate) const DESCRIPTOR: Descriptor = Descriptor {
    id: "anthropic",
    aliases: &[],
    prefixes: &[],
    families: &["claude-"],
    base_url: "https://api.anthropic.com",
    credential: Credential::Required,
    thinking: Some(&[Dialect::Messages]),
    build: |mut settings| {
        // The one version there is; a configured header wins.
        if !settings.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(VERSION.0)) {
            settings.headers.push((VERSION.0.to_owned(), VERSION.1.to_owned()));
        }
        compatible::anthropic(settings)
    },
};

const VERSION: (&str, &str) = (VERSION_HEADER, "2023-06-01");
