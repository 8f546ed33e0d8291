//! State backends of the LLM gateway: memory, a file, Redis.
