//! Tools of the LLM gateway: registry, executor, built-in tools, clients of platform services.
