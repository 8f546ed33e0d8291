//! Other dialects' reasoning seals, carried through callers of this one.
//!
//! A caller of Responses sends thinking back as `encrypted_content`, and no other field of it. What
//! another dialect signed travels in that field, wrapped, so that the next request can return it to
//! the upstream it came from.

use gateway_core::{Dialect, Seal, SealKind};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The prefix of a wrapped seal.
const MARK: &str = "gw1:";

#[derive(Deserialize, Serialize)]
struct WrappedSealWire<'a> {
    dialect: Cow<'a, str>,
    kind: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Cow<'a, str>>,
    /// The call that it proves, if it proves one.
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<Cow<'a, str>>,
    data: Cow<'a, str>,
}

const KINDS: [(SealKind, &str); 3] = [
    (SealKind::Signature, "signature"),
    (SealKind::Encrypted, "encrypted"),
    (SealKind::Details, "details"),
];

/// The `encrypted_content` of the item `item` that carries `seal`, which may prove a call.
///
/// A provider's own is wrapped only where the item cannot have the name under which it was sealed.
pub(super) fn wrap(seal: &Seal, call: Option<&str>, item: &str) -> String {
    let fits = seal.id.as_ref().is_none_or(|id| id == item);
    if seal.dialect == Dialect::Responses && call.is_none() && fits {
        return seal.data.clone();
    }
    let kind = KINDS.iter().find(|(kind, _)| *kind == seal.kind).map_or("", |(_, word)| word);
    let wrapped = WrappedSealWire {
        dialect: seal.dialect.as_str().into(),
        kind: kind.into(),
        id: seal.id.as_deref().map(Into::into),
        call: call.map(Into::into),
        data: seal.data.as_str().into(),
    };
    let json = serde_json::to_string(&wrapped).unwrap_or_default();
    format!("{MARK}{json}")
}

/// The seal that `content` carries for the item `id`, and the call that it proves, if it is one's.
pub(super) fn unwrap(content: String, id: Option<String>) -> (Seal, Option<String>) {
    unwrap_foreign(&content).unwrap_or_else(|| {
        let (dialect, kind) = (Dialect::Responses, SealKind::Encrypted);
        (Seal { dialect, kind, id, data: content }, None)
    })
}

/// The seal in a wrapped `content`, and the call that it proves, if it is one's.
pub(super) fn unwrap_foreign(content: &str) -> Option<(Seal, Option<String>)> {
    let wrapped: WrappedSealWire<'_> = serde_json::from_str(content.strip_prefix(MARK)?).ok()?;
    let dialect = Dialect::ALL.into_iter().find(|it| it.as_str() == wrapped.dialect)?;
    let (kind, _) = KINDS.into_iter().find(|(_, word)| *word == wrapped.kind)?;
    let id = wrapped.id.map(Cow::into_owned);
    let seal = Seal { dialect, kind, id, data: wrapped.data.into_owned() };
    Some((seal, wrapped.call.map(Cow::into_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(dialect: Dialect, kind: SealKind, call: Option<&str>) {
        let id = Some("id".to_owned());
        let seal = Seal { dialect, kind, id, data: "\"a:b\"\n".to_owned() };
        for item in ["id", "rs_1"] {
            let carried = wrap(&seal, call, item);
            let expected = (seal.clone(), call.map(str::to_owned));
            assert_eq!(unwrap(carried, Some(item.to_owned())), expected);
        }
    }

    #[test]
    fn wrapped_seal_round_trips() {
        check(Dialect::Messages, SealKind::Signature, None);
        check(Dialect::Messages, SealKind::Encrypted, None);
        check(Dialect::Gemini, SealKind::Signature, Some("call_1"));
        check(Dialect::Chat, SealKind::Details, None);
        check(Dialect::Responses, SealKind::Encrypted, None);
    }

    #[test]
    fn seal_that_only_looks_wrapped_is_native() {
        let (seal, call) = unwrap("gw1:{}".to_owned(), None);
        assert_eq!((seal.dialect, seal.data.as_str(), call), (Dialect::Responses, "gw1:{}", None));
    }
}
