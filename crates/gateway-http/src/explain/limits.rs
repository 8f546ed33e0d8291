//! The limits part of an explanation.

use gateway_core::time::millis_rounded_up;
use gateway_limits::{LimitPreview, LimitScope, LimitStatus};
use serde_json::{Value, json};

/// Returns whether the request would be admitted, and the state of each limit, as JSON.
pub(super) fn written(outlook: &LimitPreview) -> Value {
    let refused = outlook.refused.as_ref().map(|error| {
        json!({
            "code": error.code(),
            "message": error.message(),
            "retry_after_ms": error.retry_after().map(millis_rounded_up),
        })
    });
    json!({
        "admitted": refused.is_none(),
        "error": refused,
        "met": outlook.limits.iter().map(limit).collect::<Vec<_>>(),
    })
}

fn limit(met: &LimitStatus) -> Value {
    let (name, per_minute, period) = match &met.of {
        LimitScope::Requests(per_minute) => ("requests", Some(per_minute), None),
        LimitScope::Tokens(per_minute) => ("tokens", Some(per_minute), None),
        LimitScope::Slots => ("concurrent", None, None),
        LimitScope::Budget(period) => ("budget_nano_dollars", None, Some(period)),
    };
    json!({
        "limit": name,
        "scope": if met.is_of_tenant { "tenant" } else { "client" },
        "model": met.model,
        "period": period,
        "per_minute": per_minute,
        "most": met.most,
        "takes": met.takes,
        "left": met.left,
        "reset_ms": met.reset.map(millis_rounded_up),
    })
}
