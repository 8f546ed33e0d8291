//! The HTTP surface of the LLM gateway, as a hyper service without a listener.
