//! Tools at work: against services as they are, and against services that misbehave.
#![cfg(test)]

mod bench;
mod faults;
mod loops;
mod memory;
mod ports;
mod services;
