//! One suite for every backend: the same tests run on memory, on a file, on Redis and on Postgres.
//!
//! Time is real here, not paused: Redis has its own clock.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "all of this is tests, where a panic is the way to fail"
)]

use std::pin::Pin;

mod backend;
mod crash;
mod file_faults;
mod limits;
mod postgres_crashes;
mod postgres_faults;
mod postgres_server;
mod quotas;
mod records;
mod redis_faults;
mod redis_server;
mod request_log;
mod sessions;
mod tenants;
mod topologies;

/// A property of every backend.
type BackendTest = fn(backend::BackendFactory) -> Pin<Box<dyn Future<Output = ()>>>;

/// Runs each test on each backend.
macro_rules! suite {
    ($($module:ident: $($test:ident)+;)+) => {
        suite!(@on memory $($module: $($test)+;)+);
        suite!(@on embedded $($module: $($test)+;)+);
        suite!(@on redis $($module: $($test)+;)+);
        suite!(@on postgres $($module: $($test)+;)+);

        /// Every fact, by its name.
        pub(crate) fn facts() -> Vec<(&'static str, BackendTest)> {
            vec![$($((
                concat!(stringify!($module), "::", stringify!($test)),
                (|on| Box::pin($module::$test(on))) as BackendTest,
            )),+),+]
        }
    };
    (@on $backend:ident $($module:ident: $($test:ident)+;)+) => {
        mod $backend {
            $(mod $module {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    crate::$module::$test(std::sync::Arc::new(crate::backend::$backend)).await;
                })+
            })+
        }
    };
}

suite! {
    sessions:
        created_session_is_returned_unchanged
        repeated_append_stores_turn_once
        concurrent_appends_get_dense_versions
        append_with_stale_version_is_refused
        context_change_does_not_conflict_with_turn
        session_of_other_tenant_is_invisible
        expired_session_stays_expired
        mass_expiry_does_not_delay_requests
        expiry_can_be_extended
        append_to_deleted_session_is_refused
        append_to_full_session_is_refused
        context_is_patched_by_member
        fork_copies_history_and_diverges
        sessions_are_listed_newest_first
        message_page_equals_slice_of_session
        every_message_kind_survives_storage
        concurrent_turn_is_refused_while_one_is_open
        duplicate_session_id_is_refused;
    records:
        response_is_stored_until_expiry
        abandoned_response_is_ended_by_another
        repeated_append_stores_events_once
        recreated_response_has_no_old_events
        idempotency_key_runs_request_once
        abandoned_attempt_frees_idempotency_key
        expired_lease_frees_idempotency_key
        renewed_lease_keeps_idempotency_key
        reasoning_is_found_by_tool_call
        oldest_reasoning_is_evicted
        cached_value_expires
        ledger_totals_equal_sum_of_records
        orphans_are_closed_once
        requests_of_a_lost_run_owe_their_reservations
        virtual_keys_are_stored_until_removal;
    quotas:
        rate_limit_allows_burst_and_refills
        returned_and_owed_units_are_settled
        lease_takes_at_most_half_of_remaining_units
        limits_are_charged_atomically
        released_slots_are_reused
        dead_holder_frees_slots_and_its_money_counts_as_spent
        reserved_money_is_settled
        reset_budget_begins_anew
        clients_do_not_share_limits
        concurrent_charges_never_exceed_limit;
    request_log:
        logged_requests_are_found_newest_first
        request_log_keeps_the_newest
        logged_request_ends_its_lifetime;
    tenants:
        records_of_other_tenants_are_invisible;
    limits:
        oversized_records_are_refused
        health_names_the_backend;
}
