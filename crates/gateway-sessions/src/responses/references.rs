//! Items that a request names instead of saying them again.

use super::{Responses, chain, items, record::Record};
use gateway_core::{ErrorKind, GatewayError, Json, JsonObject, Result, state::Tenant};
use gateway_wire::IdGenerator;
use std::collections::{HashMap, HashSet};

/// Maximum number of responses that the items of a request may come from.
const MAX_ANSWERS: usize = 256;

/// Returns `items` with references replaced by the items; `None` if there is nothing to replace.
///
/// Items that `earlier` contains are not repeated. An unknown item stays a reference if the
/// provider may know it, by `is_native`.
///
/// # Errors
///
/// `item_not_found` if an item is unknown.
pub(super) async fn resolve(
    responses: &Responses,
    tenant: &Tenant,
    items: &[Json],
    earlier: &[Json],
    is_native: bool,
) -> Result<Option<Vec<Json>>> {
    let said: HashSet<String> = earlier.iter().filter_map(items::id_of).collect();
    let mut answers = LoadedResponses { responses, tenant, known: HashMap::new() };
    let mut resolved = Vec::with_capacity(items.len());
    let mut has_changed = false;
    for item in items {
        let Some(id) = reference(item) else {
            resolved.push(item.clone());
            continue;
        };
        let found = if said.contains(&id) { None } else { Some(answers.item(&id).await?) };
        match found {
            Some(None) if is_native => resolved.push(item.clone()),
            Some(None) => return Err(unknown(&id)),
            Some(Some(found)) => {
                has_changed = true;
                resolved.extend(items::of_output(&found));
            }
            None => has_changed = true,
        }
    }
    Ok(has_changed.then_some(resolved))
}

/// The id that `item` refers to, if it is a reference.
fn reference(item: &Json) -> Option<String> {
    if !item.get().contains("item_reference") {
        return None;
    }
    let members = item.read::<JsonObject>().ok()?;
    let kind: String = members.get("type")?.read().ok()?;
    if kind == "item_reference" { members.get("id")?.read().ok() } else { None }
}

/// The responses that were loaded.
struct LoadedResponses<'a> {
    responses: &'a Responses,
    tenant: &'a Tenant,
    known: HashMap<String, Option<Record>>,
}

impl LoadedResponses<'_> {
    /// Returns the item `id`, if it is part of a stored response; the id names the response.
    async fn item(&mut self, id: &str) -> Result<Option<Json>> {
        let Some(answer) = IdGenerator::first(id, "resp_") else { return Ok(None) };
        if !self.known.contains_key(&answer) {
            if self.known.len() >= MAX_ANSWERS {
                let message = "the items come from too many responses";
                return Err(GatewayError::invalid("input", message));
            }
            let record = chain::get(self.responses, self.tenant, &answer).await?.map(|it| it.0);
            self.known.insert(answer.clone(), record);
        }
        let record = self.known.get(&answer).and_then(Option::as_ref);
        let is_it = |item: &Json| items::id_of(item).is_some_and(|name| name == id);
        Ok(record.and_then(|record| record.all_items().into_iter().find(is_it)))
    }
}

fn unknown(id: &str) -> GatewayError {
    let message = format!(
        "there is no item with the id '{}': items are known as long as their response is stored",
        id.chars().take(80).collect::<String>()
    );
    GatewayError::new(ErrorKind::NotFound, message).with_code("item_not_found").with_param("input")
}
