//! The members that the decoder of this dialect reads of a request, in both spellings.

use crate::request_shape::{
    ShapeMembers,
    ValueShape::{self, Any, List, Object, Usual},
};

static PART: ValueShape = Object(&[
    ("text", Any),
    ("thought", Any),
    ("thoughtSignature", Any),
    ("thought_signature", Any),
    ("inlineData", INLINE_DATA),
    ("inline_data", INLINE_DATA),
    ("fileData", FILE_DATA),
    ("file_data", FILE_DATA),
    ("functionCall", FUNCTION_CALL),
    ("function_call", FUNCTION_CALL),
    ("functionResponse", FUNCTION_RESPONSE),
    ("function_response", FUNCTION_RESPONSE),
    // Carried whole, or refused.
    ("executableCode", Any),
    ("executable_code", Any),
    ("codeExecutionResult", Any),
    ("code_execution_result", Any),
    ("toolCall", Any),
    ("toolResponse", Any),
]);

const INLINE_DATA: ValueShape =
    Object(&[("mimeType", Any), ("mime_type", Any), ("data", Any), ("displayName", Any)]);

const FILE_DATA: ValueShape = Object(&[
    ("mimeType", Any),
    ("mime_type", Any),
    ("fileUri", Any),
    ("file_uri", Any),
    ("displayName", Any),
]);

const FUNCTION_CALL: ValueShape = Object(&[("id", Any), ("name", Any), ("args", Any)]);

static RESULT_PART: ValueShape =
    Object(&[("inlineData", INLINE_DATA), ("inline_data", INLINE_DATA), ("fileData", FILE_DATA)]);

const FUNCTION_RESPONSE: ValueShape =
    Object(&[("id", Any), ("name", Any), ("response", Any), ("parts", List(&RESULT_PART))]);

static CONTENT: ValueShape = Object(&[("role", Any), ("parts", List(&PART))]);

static FUNCTION: ValueShape = Object(&[
    ("name", Any),
    ("description", Any),
    ("parameters", Any),
    ("parametersJsonSchema", Any),
    ("parameters_json_schema", Any),
    ("behavior", Usual(&[r#""BLOCKING""#, r#""UNSPECIFIED""#])),
]);

const TOOL_CONFIG: ValueShape = Object(&[
    ("functionCallingConfig", FUNCTION_CALLING),
    ("function_calling_config", FUNCTION_CALLING),
]);

const FUNCTION_CALLING: ValueShape =
    Object(&[("mode", Any), ("allowedFunctionNames", Any), ("allowed_function_names", Any)]);

const THINKING: ValueShape = Object(&[
    ("includeThoughts", Any),
    ("include_thoughts", Any),
    ("thinkingBudget", Any),
    ("thinking_budget", Any),
    ("thinkingLevel", Any),
    ("thinking_level", Any),
]);

const CONFIG: ValueShape = Object(&[
    ("temperature", Any),
    ("topP", Any),
    ("top_p", Any),
    ("topK", Any),
    ("top_k", Any),
    ("maxOutputTokens", Any),
    ("max_output_tokens", Any),
    ("candidateCount", Any),
    ("candidate_count", Any),
    ("stopSequences", Any),
    ("stop_sequences", Any),
    ("seed", Any),
    ("presencePenalty", Any),
    ("presence_penalty", Any),
    ("frequencyPenalty", Any),
    ("frequency_penalty", Any),
    ("responseMimeType", Any),
    ("response_mime_type", Any),
    ("responseSchema", Any),
    ("response_schema", Any),
    ("responseJsonSchema", Any),
    ("response_json_schema", Any),
    ("_responseJsonSchema", Any),
    ("responseLogprobs", Any),
    ("response_logprobs", Any),
    ("logprobs", Any),
    ("responseModalities", Usual(&[r#"["TEXT"]"#])),
    ("response_modalities", Usual(&[r#"["TEXT"]"#])),
    ("thinkingConfig", THINKING),
    ("thinking_config", THINKING),
]);

/// An entry of `tools`: what runs at the provider is carried whole.
static TOOL: ValueShape = Object(&[
    ("functionDeclarations", List(&FUNCTION)),
    ("function_declarations", List(&FUNCTION)),
    ("googleSearch", Any),
    ("google_search", Any),
    ("googleSearchRetrieval", Any),
    ("google_search_retrieval", Any),
    ("codeExecution", Any),
    ("code_execution", Any),
    ("urlContext", Any),
    ("url_context", Any),
    ("googleMaps", Any),
    ("google_maps", Any),
    ("fileSearch", Any),
    ("file_search", Any),
    ("computerUse", Any),
    ("computer_use", Any),
    ("retrieval", Any),
    ("enterpriseWebSearch", Any),
    ("mcpServers", Any),
    ("mcp_servers", Any),
]);

/// The members of a request that are read in part.
pub(super) const MEMBERS: ShapeMembers = &[
    ("contents", List(&CONTENT)),
    ("systemInstruction", CONTENT_OF_SYSTEM),
    ("system_instruction", CONTENT_OF_SYSTEM),
    ("tools", List(&TOOL)),
    ("toolConfig", TOOL_CONFIG),
    ("tool_config", TOOL_CONFIG),
    ("generationConfig", CONFIG),
    ("generation_config", CONFIG),
];

const CONTENT_OF_SYSTEM: ValueShape = Object(&[("role", Any), ("parts", List(&PART))]);
