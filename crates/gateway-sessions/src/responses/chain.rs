//! The earlier responses that a request continues.

use super::{
    Responses,
    record::{self, ConversationPosition, Record},
};
use gateway_core::{
    ErrorKind, GatewayError, Json, Result,
    state::{StoreError, Tenant},
};
use std::{collections::HashSet, time::Duration};
use tokio::time::{self, Instant};

/// Maximum number of turns of a continued conversation.
const MAX_TURNS: usize = 1000;
/// Maximum size of the earlier items that are added to a request, in bytes.
const MAX_BYTES: usize = 32 << 20;
/// Maximum wait for a response that is being cancelled.
const PATIENCE: Duration = Duration::from_secs(5);
/// The poll interval of that wait.
const PAUSE: Duration = Duration::from_millis(25);

/// The conversation up to a response.
#[derive(Debug, Default)]
pub(super) struct EarlierTurns {
    /// Its items; none if its provider stores them itself, or may.
    pub(super) items: Option<Vec<Json>>,
    /// The taxonomy that it is about.
    pub(super) taxonomy: Option<String>,
}

/// Returns the conversation up to the response `previous`, without its items if the provider
/// `kept_by` stores that response itself, or may.
///
/// # Errors
///
/// `previous_response_not_found` if the response, or one before it, does not exist.
pub(super) async fn resolve(
    responses: &Responses,
    tenant: &Tenant,
    previous: &str,
    kept_by: Option<&str>,
) -> Result<EarlierTurns> {
    let found = match get(responses, tenant, previous).await {
        Ok(found) => found,
        Err(_) if kept_by.is_some() => return Ok(EarlierTurns::default()),
        Err(error) => return Err(error.into()),
    };
    let Some((record, in_progress)) = found else {
        return if kept_by.is_some() { Ok(EarlierTurns::default()) } else { Err(unknown()) };
    };
    if record.native && kept_by == Some(&*record.provider) {
        return Ok(EarlierTurns { items: None, taxonomy: record.taxonomy });
    }
    let last = if in_progress { ended(responses, tenant, previous).await? } else { record };
    let taxonomy = last.taxonomy.clone();
    let items = walk(responses, tenant, last).await?;
    Ok(EarlierTurns { items: Some(items), taxonomy })
}

/// The items of the conversation that ends with `last`, oldest first.
async fn walk(responses: &Responses, tenant: &Tenant, last: Record) -> Result<Vec<Json>> {
    let mut turns = Vec::new();
    let mut bytes = 0;
    let mut seen = HashSet::new();
    let mut next = Some(last);
    while let Some(record) = next {
        let items = record.items();
        let within = record.within;
        bytes += items.iter().map(|item| item.get().len()).sum::<usize>();
        turns.push(items);
        if bytes > MAX_BYTES || turns.len() > MAX_TURNS {
            return Err(GatewayError::new(
                ErrorKind::ContextLength,
                "the conversation is too long to be continued",
            )
            .with_param("previous_response_id"));
        }
        // An upstream that uses an id twice makes a circle.
        next = match record.previous.filter(|id| seen.insert(id.clone())) {
            Some(id) => Some(get(responses, tenant, &id).await?.ok_or_else(unknown)?.0),
            None => None,
        };
        if let Some(ConversationPosition { id, changes }) = within {
            let kept = responses.conversations().load(tenant, &id, Some(changes)).await?;
            turns.push(kept.ok_or_else(unknown)?.input());
        }
    }
    Ok(turns.into_iter().rev().flatten().collect())
}

/// Returns the response `id` once it has ended.
async fn ended(responses: &Responses, tenant: &Tenant, id: &str) -> Result<Record> {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        time::sleep(PAUSE).await;
        match get(responses, tenant, id).await? {
            Some((record, false)) => return Ok(record),
            Some((_, true)) => {}
            None => return Err(unknown()),
        }
    }
    let message = "the previous response is still being written";
    Err(GatewayError::invalid("previous_response_id", message).with_code("response_in_progress"))
}

/// Returns the record of the response `id`, and whether the response is still running.
pub(super) async fn get(
    responses: &Responses,
    tenant: &Tenant,
    id: &str,
) -> Result<Option<(Record, bool)>, StoreError> {
    if !record::is_id(id) {
        return Ok(None);
    }
    responses.get(&tenant.key(id)).await
}

fn unknown() -> GatewayError {
    GatewayError::invalid("previous_response_id", "the previous response is not known")
        .with_code("previous_response_not_found")
}
