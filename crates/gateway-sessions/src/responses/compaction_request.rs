//! `POST /v1/responses/compact`: a conversation in, a shorter one out.

use bytes::Bytes;
use gateway_core::{ErrorKind, GatewayError, Json, JsonObject, Result};
use serde::Deserialize;
use serde_json::json;

/// A request to compact a conversation.
#[derive(Clone, Debug)]
pub struct CompactionRequest {
    members: JsonObject,
    /// The messages of the user, which stay as they are.
    kept: Vec<Json>,
}

impl CompactionRequest {
    /// Reads a request.
    ///
    /// # Errors
    ///
    /// If it is no JSON object, or its input no text or list of items.
    pub fn read(body: &[u8]) -> Result<Self> {
        let mut members: JsonObject = serde_json::from_slice(body).map_err(|error| {
            GatewayError::invalid("body", "the body is not a JSON object").with_source(error)
        })?;
        let input = members.remove("input").unwrap_or_else(|| Json::of(&json!([])));
        let mut items = match input.read::<String>() {
            Ok(text) => {
                vec![Json::of(&json!({ "type": "message", "role": "user", "content": text }))]
            }
            Err(_) => input.read::<Vec<Json>>().map_err(|error| {
                let message = "input is a string or a list of items";
                GatewayError::invalid("input", message).with_source(error)
            })?,
        };
        let kept = items.iter().filter(|item| is_users(item)).cloned().collect();
        items.push(Json::of(&json!({ "type": "compaction_trigger" })));
        members.insert("input".to_owned(), Json::of(&items));
        members.insert("store".to_owned(), Json::of(&false));
        members.remove("stream");
        members.remove("background");
        Ok(Self { members, kept })
    }

    /// The body of the request for a response that is a compaction.
    pub fn body(&self) -> Bytes {
        Json::of(&self.members).get().to_owned().into()
    }

    /// The compacted conversation, from the response in `body`.
    ///
    /// # Errors
    ///
    /// If the response holds no compaction.
    pub fn response(&self, body: &[u8]) -> Result<Bytes> {
        #[derive(Deserialize)]
        struct Response {
            id: String,
            created_at: Json,
            #[serde(default)]
            output: Vec<Json>,
            usage: Option<Json>,
        }
        let missing = || {
            let message = "the provider compacted nothing";
            GatewayError::new(ErrorKind::UpstreamInvalid, message)
        };
        let response: Response = serde_json::from_slice(body).map_err(|_| missing())?;
        let is_compaction = |item: &&Json| kind(item).as_deref() == Some("compaction");
        let compaction = response.output.iter().find(is_compaction).ok_or_else(missing)?;
        let output: Vec<_> = self.kept.iter().chain([compaction]).collect();
        let object = json!({
            "id": response.id, "object": "response.compaction", "created_at": response.created_at,
            "output": output, "usage": response.usage,
        });
        Ok(object.to_string().into())
    }
}

fn kind(item: &Json) -> Option<String> {
    item.read::<JsonObject>().ok()?.get("type")?.read().ok()
}

fn is_users(item: &Json) -> bool {
    let role = item.read::<JsonObject>().ok().and_then(|it| it.get("role")?.read::<String>().ok());
    role.as_deref() == Some("user")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn request_asks_for_a_compaction_and_keeps_the_users_messages() {
        let body = br#"{"model":"m","input":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}],"stream":true}"#;
        let request = CompactionRequest::read(body).unwrap();
        let sent: Value = serde_json::from_slice(&request.body()).unwrap();
        assert_eq!(sent["input"][2], json!({ "type": "compaction_trigger" }));
        assert_eq!((&sent["store"], sent.get("stream")), (&json!(false), None));
        let response = br#"{"id":"resp_1","created_at":5,"output":[{"type":"compaction","id":"cmp_1"}],"usage":{"n":1.0}}"#;
        let object: Value = serde_json::from_slice(&request.response(response).unwrap()).unwrap();
        assert_eq!(object["object"], "response.compaction");
        assert_eq!(object["output"][0]["content"], "a");
        assert_eq!(object["output"][1]["id"], "cmp_1");
        assert!(request.response(br#"{"id":"r","created_at":5,"output":[]}"#).is_err());
    }
}
