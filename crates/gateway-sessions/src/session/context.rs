//! The validation of a session's context.
//!
//! The gateway reads three members: `taxonomy` (text), `tier_filter` (a list of integers) and
//! `tools` (a list of names). All others belong to the application.

use gateway_core::{ErrorKind, GatewayError, Json, Result, state::SessionContext};

/// The member that names a taxonomy.
pub const TAXONOMY: &str = "taxonomy";

/// The member that lists tiers.
pub const TIER_FILTER: &str = "tier_filter";

/// The member that lists the gateway's tools that the model is offered.
pub const TOOLS: &str = "tools";

/// The taxonomy of the session.
pub fn taxonomy(context: &SessionContext) -> Option<String> {
    context.get(TAXONOMY)?.read::<Option<String>>().ok()?.filter(|name| !name.is_empty())
}

/// The tiers of the session, as they were written.
pub fn tier_filter(context: &SessionContext) -> Option<&Json> {
    context.get(TIER_FILTER).filter(|tiers| tiers.get() != "null")
}

/// The tools of the session.
pub fn tools(context: &SessionContext) -> Vec<String> {
    let tools = context.get(TOOLS).and_then(|tools| tools.read::<Option<Vec<String>>>().ok());
    tools.flatten().unwrap_or_default()
}

/// Checks the types of the members that the gateway reads.
pub fn check<'a>(members: impl IntoIterator<Item = (&'a String, &'a Json)>) -> Result<()> {
    for (name, value) in members {
        let (fits, wanted) = match &**name {
            TAXONOMY => (value.read::<Option<String>>().is_ok(), "text"),
            TIER_FILTER => (value.read::<Option<Vec<i64>>>().is_ok(), "a list of whole numbers"),
            TOOLS => (value.read::<Option<Vec<String>>>().is_ok(), "a list of names"),
            _ => continue,
        };
        if !fits {
            let message = format!("context.{name} must be {wanted}");
            let error = GatewayError::new(ErrorKind::Unprocessable, message);
            return Err(error.with_param(format!("context.{name}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(json: &str) -> SessionContext {
        Json::parse(json).unwrap().read().unwrap()
    }

    #[test]
    fn known_context_members_are_read() {
        let it = context(r#"{"taxonomy":"AI-ML_taxonomy","tier_filter":[1,2],"tools":["a","b"]}"#);
        assert_eq!(taxonomy(&it).as_deref(), Some("AI-ML_taxonomy"));
        assert_eq!(tier_filter(&it).map(Json::get), Some("[1,2]"));
        assert_eq!(tools(&it), ["a", "b"]);
        let nothing = context(r#"{"taxonomy":null,"tier_filter":null,"tools":null}"#);
        assert_eq!((taxonomy(&nothing), tier_filter(&nothing)), (None, None));
        assert!(tools(&nothing).is_empty() && check(&nothing).is_ok());
    }

    #[track_caller]
    fn check_refused(json: &str) {
        let error = check(&context(json)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unprocessable);
        assert!(error.param().unwrap().starts_with("context."));
    }

    #[test]
    fn invalid_context_member_is_rejected() {
        check_refused(r#"{"taxonomy":1}"#);
        check_refused(r#"{"tier_filter":["one"]}"#);
        check_refused(r#"{"tier_filter":[1.5]}"#);
        check_refused(r#"{"tools":"a"}"#);
        assert!(check(&context(r#"{"mine":{"any":[null]}}"#)).is_ok());
    }
}
