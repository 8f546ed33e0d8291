//! Deadlines, breakers, retries and limits of the LLM gateway.
