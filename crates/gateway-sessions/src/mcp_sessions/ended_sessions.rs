//! The sessions that their clients have ended.

use super::McpSessionKey;
use std::collections::{HashSet, VecDeque};

/// The most sessions that are remembered; beyond, the one that ended first is forgotten.
const MAX_ENDED: usize = 1024;

/// The sessions that have ended most recently.
#[derive(Debug, Default)]
pub(super) struct EndedSessions {
    known: HashSet<McpSessionKey>,
    /// The same, in the order in which they ended.
    order: VecDeque<McpSessionKey>,
}

impl EndedSessions {
    pub(super) fn add(&mut self, key: McpSessionKey) {
        if self.known.insert(key.clone()) {
            self.order.push_back(key);
        }
        if self.order.len() > MAX_ENDED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    pub(super) fn contains(&self, key: &McpSessionKey) -> bool {
        self.known.contains(key)
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
    fn ended_sessions_are_bounded() {
        let mut ended = EndedSessions::default();
        for number in 0..=MAX_ENDED {
            ended.add(key(number));
            ended.add(key(number));
        }
        assert_eq!((ended.known.len(), ended.order.len()), (MAX_ENDED, MAX_ENDED));
        assert!(!ended.contains(&key(0)) && ended.contains(&key(MAX_ENDED)));
    }
}
