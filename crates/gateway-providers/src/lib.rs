//! Model providers of the LLM gateway: a dialect and an HTTP client each.
