//! The Lua scripts of atomic operations.
//!
//! A script is named by the hash of its text, so that two versions of the gateway on one Redis
//! never run each other's. The data is versioned separately, by a schema number.

use fred::util::sha1_hash;
use std::sync::LazyLock;

/// A script, and the name by which Redis knows it once it has seen it.
pub(super) struct RedisScript {
    pub(super) text: &'static str,
    pub(super) hash: String,
}

macro_rules! scripts {
    ($($name:ident = $($file:literal)+;)+) => {
        $(pub(super) static $name: LazyLock<RedisScript> = LazyLock::new(|| {
            let text = concat!(include_str!("lua/clock.lua"), $(include_str!(concat!("lua/", $file))),+);
            RedisScript { text, hash: sha1_hash(text) }
        });)+
    };
}

scripts! {
    SESSION_CREATE = "session_create.lua";
    SESSION_LOAD = "session_load.lua";
    SESSION_APPEND = "session.lua" "session_append.lua";
    SESSION_PATCH = "session.lua" "session_patch.lua";
    SESSION_TOUCH = "session.lua" "session_touch.lua";
    SESSION_DELETE = "session_delete.lua";
    SESSION_INDEX = "session_index.lua";
    SESSION_LIST = "session_list.lua";
    SESSION_CLAIM = "session_claim.lua";
    SESSION_RELEASE = "session_release.lua";
    RESPONSE_PUT = "response_put.lua";
    RESPONSE_APPEND = "response_append.lua";
    RESPONSE_EVENTS = "response_lease.lua" "response_events.lua";
    RESPONSE_GET = "response_lease.lua" "response_get.lua";
    RESPONSE_RENEW = "response_renew.lua";
    RESPONSE_END = "response_lease.lua" "response_end.lua";
    REPLAY_BEGIN = "replay_begin.lua";
    REPLAY_FINISH = "replay_finish.lua";
    REPLAY_ABANDON = "replay_abandon.lua";
    ASIDE_PUT = "aside_put.lua";
    LEDGER_RECORD = "ledger_record.lua";
    LEDGER_RENEW = "ledger_renew.lua";
    LEDGER_END = "ledger_end.lua";
    CLIENT_KEY_PUT = "client_key_put.lua";
    CLIENT_KEY_REPLACE = "client_key_replace.lua";
    CLIENT_KEY_REMOVE = "client_key_remove.lua";
    TENANT_CHARGE = "tenant_charge.lua";
    TENANT_RELEASE = "tenant_release.lua";
    REQUEST_LOG_APPEND = "request_log_append.lua";
    REQUEST_LOG_INDEXES = "request_log_indexes.lua";
    REQUEST_LOG_LINES = "request_log_lines.lua";
    QUOTA_EXCHANGE = "quota_exchange.lua";
    QUOTA_REPLICAS = "quota_replicas.lua";
    QUOTA_RESET = "quota_reset.lua";
}

/// A number as an argument: Redis counts in signed ones.
pub(super) fn integer(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
