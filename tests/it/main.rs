//! The gateway from outside: the real binary, over TCP, before an upstream that misbehaves.
#![cfg(test)]

mod testkit;
