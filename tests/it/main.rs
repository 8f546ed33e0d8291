//! The gateway from outside: the real binary, over TCP, before an upstream that misbehaves.
//!
//! A module a theme; in each one `check` and many cases.
#![cfg(test)]

mod access;
mod admin;
mod admission;
mod answers;
mod api;
mod bodies;
mod cache;
mod connecting;
mod console;
mod context_service;
mod conversations;
mod crashes;
mod cuts;
mod draining;
mod examples;
mod explain;
mod fidelity;
mod files;
mod framing;
mod headers;
mod health;
mod idempotency;
mod leaving;
mod limits;
mod load;
mod logging;
mod losses;
mod matrix;
mod mcp;
mod metrics;
mod odd_usage;
mod outcomes;
mod providers;
mod reloading;
mod resilience;
mod responses_state;
mod routes;
mod sessions;
mod shared;
mod stopping;
mod stores;
mod streams;
mod surface;
mod tenants;
mod testkit;
mod tool_access;
mod tool_data;
mod tool_ledger;
mod tool_loop;
mod tools;
mod traces;
mod upstreams;
mod usage;
