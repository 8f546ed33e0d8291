//! The LLM gateway as a process: its configuration, its listener and its end.

pub mod config;
