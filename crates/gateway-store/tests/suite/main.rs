//! One suite for every backend: the same tests run on memory, on a file and on Redis.
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
mod quotas;
mod records;
mod redis_faults;
mod redis_server;
mod sessions;
mod tenants;
mod topologies;

/// A property of every backend.
type Fact = fn(backend::Which) -> Pin<Box<dyn Future<Output = ()>>>;

/// Runs each test on each backend.
macro_rules! suite {
    ($($module:ident: $($test:ident)+;)+) => {
        suite!(@on memory $($module: $($test)+;)+);
        suite!(@on embedded $($module: $($test)+;)+);
        suite!(@on redis $($module: $($test)+;)+);

        /// Every fact, by its name.
        pub(crate) fn facts() -> Vec<(&'static str, Fact)> {
            vec![$($((
                concat!(stringify!($module), "::", stringify!($test)),
                (|on| Box::pin($module::$test(on))) as Fact,
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
        a_session_is_what_was_created
        a_turn_is_appended_once
        concurrent_appends_are_all_there_in_dense_versions
        a_turn_that_builds_on_the_past_is_refused
        a_change_of_context_does_not_disturb_a_turn
        nobody_sees_what_is_somebody_elses
        what_has_expired_stays_so
        many_that_end_at_once_hold_up_nobody
        an_end_can_be_moved
        a_deleted_session_is_not_written_to
        a_full_session_takes_nothing
        a_context_is_changed_member_by_member
        a_fork_has_the_past_and_its_own_future
        sessions_are_listed_newest_first
        a_slice_is_a_part_of_the_whole
        any_message_comes_back
        one_turn_is_prepared_at_a_time
        an_id_is_given_once;
    records:
        an_answer_is_kept_for_its_time
        steps_of_an_answer_are_appended_once
        a_new_answer_inherits_no_steps
        a_request_is_done_once
        an_abandoned_request_may_be_done_again
        a_lease_that_ended_lets_another_try
        an_attempt_that_says_so_lasts
        asides_are_remembered_by_call
        the_oldest_asides_make_room
        a_cache_forgets
        the_ledger_adds_up
        orphans_are_closed_once
        keys_of_clients_are_kept_until_they_are_removed;
    quotas:
        rate_takes_a_burst_and_grows_back
        units_may_be_returned_and_owed
        extra_is_taken_from_half_of_what_is_left
        limits_are_taken_together_or_not_at_all
        slots_are_given_back
        dead_holder_frees_slots_and_its_money_counts_as_spent
        money_is_set_aside_and_then_spent
        clients_do_not_share_limits
        many_at_once_take_no_more_than_there_is;
    tenants:
        none_sees_what_is_anothers;
    limits:
        what_is_too_large_is_refused
        health_names_the_backend;
}
