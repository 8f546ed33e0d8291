//! Headers of a request to a provider that come from the context of the caller's request.

use gateway_core::Context;

/// The fields that identify the request, and those of the caller that an upstream of the same
/// dialect is given.
pub(crate) fn context_headers(
    context: &Context,
    same_dialect: bool,
) -> impl Iterator<Item = (&str, &str)> + Clone {
    let request_id = Some(&*context.request_id).filter(|id| !id.is_empty());
    let known = [
        ("x-request-id", request_id),
        ("traceparent", context.traceparent.as_deref()),
        ("tracestate", context.tracestate.as_deref()),
    ];
    let known = known.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let passed = if same_dialect { &*context.headers } else { &[] };
    known.chain(passed.iter().map(|(name, value)| (*name, value.as_str())))
}
