//! The log levels of sessions.

use super::McpSessionKey;
use std::collections::HashMap;

/// The most sessions whose level is remembered; beyond, the one set first loses it.
const MAX_LEVELS: usize = 4096;

/// A level of log messages, by its name in the protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct McpLogLevel(&'static str);

const LEVELS: [&str; 8] =
    ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

impl McpLogLevel {
    /// Returns the level of that name.
    pub fn parse(name: &str) -> Option<Self> {
        LEVELS.into_iter().find(|level| *level == name).map(Self)
    }

    /// Returns the name.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// The levels of sessions that have one.
#[derive(Debug, Default)]
pub(super) struct LogLevels {
    levels: HashMap<McpSessionKey, (u64, McpLogLevel)>,
    /// The number of levels that were set.
    count: u64,
}

impl LogLevels {
    pub(super) fn set(&mut self, key: McpSessionKey, level: McpLogLevel) {
        self.count += 1;
        self.levels.insert(key, (self.count, level));
        if self.levels.len() > MAX_LEVELS {
            let oldest = self.levels.iter().min_by_key(|(_, (at, _))| *at).map(|(key, _)| key);
            if let Some(oldest) = oldest.cloned() {
                self.levels.remove(&oldest);
            }
        }
    }

    pub(super) fn get(&self, key: &McpSessionKey) -> Option<McpLogLevel> {
        self.levels.get(key).map(|(_, level)| *level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> McpSessionKey {
        let (tenant, client) = ("t".into(), "c".into());
        McpSessionKey { tenant, client, session: number.to_string().into() }
    }

    #[test]
    fn levels_are_bounded() {
        let mut levels = LogLevels::default();
        let info = McpLogLevel::parse("info").unwrap();
        for number in 0..=MAX_LEVELS {
            levels.set(key(number), info);
        }
        assert_eq!((levels.levels.len(), levels.get(&key(0))), (MAX_LEVELS, None));
        assert_eq!(levels.get(&key(MAX_LEVELS)), Some(info));
        assert_eq!(McpLogLevel::parse("verbose"), None);
    }
}
