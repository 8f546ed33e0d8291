//! The documented rules of the newest models, as their providers enforce them.

use super::answers;
use gateway_tests::Script;
use serde_json::{Value, json};

/// A request as a provider reads it.
pub(super) struct UpstreamCall {
    pub(super) model: String,
    path: String,
    body: Value,
}

/// Refuses what is documented to be refused, and answers everything else.
pub(super) fn strict(path: &str, body: &[u8]) -> Script {
    let call = UpstreamCall::read(path, body);
    let Some(message) = call.refusal() else { return answers::answer(path) };
    // Mistral names the place of what is wrong; the others' words are enough.
    if let Some(name) = message.strip_prefix("extra_forbidden ") {
        let detail = json!([{ "type": "extra_forbidden", "loc": ["body", name],
            "msg": "Extra inputs are not permitted" }]);
        return Script::json(
            422,
            json!({ "object": "error", "message": { "detail": detail },
            "type": "invalid_request_error", "param": null, "code": null })
            .to_string(),
        );
    }
    let error = json!({ "message": message, "type": "invalid_request_error" });
    Script::json(400, json!({ "type": "error", "error": error }).to_string())
}

impl UpstreamCall {
    pub(super) fn read(path: &str, body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let named = body["model"].as_str().map(str::to_owned);
        let in_path = path.rsplit_once("models/").and_then(|(_, rest)| rest.split_once(':'));
        let model = named.or_else(|| in_path.map(|(model, _)| model.to_owned()));
        Self { model: model.unwrap_or_default(), path: path.to_owned(), body }
    }

    /// Why the rules of its model refuse it; nothing if they do not.
    pub(super) fn refusal(&self) -> Option<&'static str> {
        match self.model.split('-').next() {
            Some("claude") => self.claude(),
            Some("gpt") => self.gpt(),
            Some("gemini") => self.gemini(),
            Some("deepseek") => self.deepseek(),
            Some("grok") => self.grok(),
            Some("mistral") => self.mistral(),
            _ => Some("this model does not exist"),
        }
    }

    fn is_set(&self, name: &str) -> bool {
        !self.body[name].is_null()
    }

    fn is_one_of(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.model.contains(name))
    }

    fn last_role(&self, turns: &str) -> &str {
        let last = self.body[turns].as_array().and_then(|it| it.last());
        last.and_then(|it| it["role"].as_str()).unwrap_or_default()
    }

    fn claude(&self) -> Option<&'static str> {
        let differs = |name: &str| self.is_set(name) && self.body[name].as_f64() != Some(1.0);
        let is_always_on = self.is_one_of(&["opus-5-5", "opus-6", "sonnet-5-5", "fable-5-1"]);
        let thinking = self.body["thinking"]["type"].as_str();
        let is_forced = matches!(self.body["tool_choice"]["type"].as_str(), Some("any" | "tool"));
        if differs("temperature") || differs("top_p") || self.is_set("top_k") {
            return Some("temperature, top_p and top_k are not supported");
        }
        if thinking == Some("enabled") || is_always_on && thinking == Some("disabled") {
            return Some("the type of thinking is not supported");
        }
        let is_tired = self.model.ends_with("4-7") && thinking == Some("adaptive");
        if is_forced && (is_always_on || is_tired) {
            return Some("tool_choice forces tool use");
        }
        let format = &self.body["output_config"]["format"];
        let tools = self.body["tools"].as_array().into_iter().flatten();
        let mut schemas = tools.filter(|it| it["strict"] == true).map(|it| &it["input_schema"]);
        if schemas.any(is_open) || format["type"] == "json_schema" && is_open(&format["schema"]) {
            return Some("additionalProperties must be false");
        }
        (self.last_role("messages") == "assistant").then_some("prefill is not supported")
    }

    fn gpt(&self) -> Option<&'static str> {
        let is_chat = self.path.ends_with("/chat/completions");
        let body = &self.body;
        let effort = if is_chat { &body["reasoning_effort"] } else { &body["reasoning"]["effort"] };
        let always = self.is_one_of(&["gpt-6-astra", "gpt-6.2-sol", "gpt-7-sol"]);
        if effort == "minimal" || always && effort == "none" {
            return Some("unsupported_value: reasoning.effort");
        }
        let takes_max = self.is_one_of(&["gpt-5.6", "gpt-6-"]);
        if effort == "max" && is_chat && !takes_max {
            return Some("unsupported_value: reasoning_effort");
        }
        let reasons = match effort.as_str() {
            None => self.model != "gpt-5.4",
            Some(effort) => effort != "none",
        };
        let is_neutral = |name: &str| body[name].as_f64() == Some(1.0) && always;
        if reasons && ["temperature", "top_p"].iter().any(|it| self.is_set(it) && !is_neutral(it)) {
            return Some("temperature is not supported while reasoning");
        }
        if self.is_set("presence_penalty") || self.is_set("frequency_penalty") {
            return Some("penalties are not supported");
        }
        if is_chat && (self.is_set("max_tokens") || self.is_set("stop")) {
            return Some("unsupported parameter");
        }
        let tools = || body["tools"].as_array().into_iter().flatten();
        let of_chat = body["response_format"]["json_schema"].as_object();
        let of_responses = body["text"]["format"].as_object();
        let mut strict = tools()
            .flat_map(|it| [it.as_object(), it["function"].as_object()])
            .chain([of_chat, of_responses])
            .flatten()
            .filter(|it| it.get("strict") == Some(&json!(true)))
            .filter_map(|it| it.get("parameters").or_else(|| it.get("schema")));
        if strict.any(|schema| is_open(schema) || has_optional_members(schema)) {
            return Some("invalid schema: additionalProperties and required");
        }
        let is_tools = is_chat && tools().next().is_some() && effort != "none";
        is_tools.then_some("use /v1/responses")
    }

    fn gemini(&self) -> Option<&'static str> {
        let config = &self.body["generationConfig"];
        let thinking = &config["thinkingConfig"];
        let level = thinking["thinkingLevel"].as_str();
        let (is_4, is_3_8) = (self.is_one_of(&["-4-", "-5-"]), self.is_one_of(&["3.7", "3.8"]));
        let is_lite = self.is_one_of(&["lite"]);
        if !thinking["thinkingBudget"].is_null() && (level.is_some() || is_4) {
            return Some("thinking_budget is not supported");
        }
        let takes_more = self.is_one_of(&["neon", "hydrogen"]);
        if level == Some("minimal") && (is_4 || is_3_8) || level == Some("xhigh") && !takes_more {
            return Some("thinking_level is not supported");
        }
        let has_penalty =
            ["presencePenalty", "frequencyPenalty"].iter().any(|it| !config[it].is_null());
        if has_penalty || is_4 && config["candidateCount"].as_u64() > Some(1) {
            return Some("penalties and candidates are not supported");
        }
        if !is_lite && self.last_role("contents") == "model" {
            return Some("Requests ending with a model turn are not supported.");
        }
        let turns = self.body["contents"].as_array().into_iter().flatten();
        let mut calls = turns.filter_map(|turn| {
            turn["parts"].as_array()?.iter().find(|part| !part["functionCall"].is_null())
        });
        calls
            .any(|first| first["thoughtSignature"].is_null())
            .then_some("Function call is missing a thought_signature in functionCall parts")
    }

    fn deepseek(&self) -> Option<&'static str> {
        let effort = self.body["reasoning_effort"].as_str();
        if effort
            .is_some_and(|it| !["minimal", "low", "medium", "high", "xhigh", "max"].contains(&it))
        {
            return Some("reasoning_effort is not supported");
        }
        if self.body["response_format"]["type"] == "json_schema" {
            return Some("This response_format type is unavailable now");
        }
        let turns = self.body["messages"].as_array().into_iter().flatten();
        let thinks = self.body["thinking"]["type"] != "disabled";
        for turn in turns {
            if turn["role"] == "developer" {
                return Some("unknown variant `developer`");
            }
            if thinks && !turn["tool_calls"].is_null() && turn["reasoning_content"].is_null() {
                return Some(
                    "The reasoning_content in the thinking mode must be passed back to the API",
                );
            }
        }
        None
    }

    fn grok(&self) -> Option<&'static str> {
        let effort = self.body["reasoning_effort"].as_str();
        let known: &[&str] = if self.model == "grok-4.3" {
            &["none", "low", "medium", "high"]
        } else {
            &["low", "medium", "high"]
        };
        if effort.is_some_and(|it| !known.contains(&it)) {
            return Some("reasoning_effort is not supported");
        }
        ["stop", "frequency_penalty"]
            .iter()
            .any(|it| self.is_set(it))
            .then_some("stop and frequency_penalty are not supported by reasoning models")
    }

    fn mistral(&self) -> Option<&'static str> {
        let effort = self.body["reasoning_effort"].as_str();
        if effort.is_some_and(|it| !["none", "high"].contains(&it)) {
            return Some("reasoning_effort is not supported");
        }
        let tools = self.body["tools"].as_array().into_iter().flatten();
        if tools.into_iter().any(|it| !it["function"]["strict"].is_null()) {
            return Some("tools.strict is not supported");
        }
        // What the API does not know.
        ["max_completion_tokens", "seed", "user", "logit_bias", "service_tier", "verbosity"]
            .into_iter()
            .find(|name| self.is_set(name))
            .map(|name| match name {
                "user" => "extra_forbidden user",
                "service_tier" => "extra_forbidden service_tier",
                _ => "extra_forbidden",
            })
    }
}

/// Whether an object of the schema takes members that it does not name.
fn is_open(schema: &Value) -> bool {
    let is_object = schema["type"] == "object";
    let members = schema["properties"].as_object().into_iter().flat_map(|it| it.values());
    is_object && schema["additionalProperties"] != false || members.into_iter().any(is_open)
}

/// Whether an object of the schema has members that are not required.
fn has_optional_members(schema: &Value) -> bool {
    let required = schema["required"].as_array().map_or(0, Vec::len);
    let members = schema["properties"].as_object();
    members.is_some_and(|it| it.len() != required || it.values().any(has_optional_members))
}
