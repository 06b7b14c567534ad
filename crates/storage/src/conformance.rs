//! The contract of [`Store`](crate::store::Store) and [`Accounts`](crate::account::Accounts) as named
//! cases.
//!
//! [`suite!`](crate::conformance::suite) makes a test of each case, with a store of its own:
//!
//! ```
//! use bailiwick_storage::conformance;
//! use bailiwick_storage::memory::MemoryStore;
//!
//! conformance::suite!(memory, (), |()| MemoryStore::new());
//! # fn main() {}
//! ```
//!
//! The second argument makes the place where the store is kept, such as a temporary directory; it is
//! dropped after the store. The third one opens a store in that place.
//! [`durable_suite!`](crate::conformance::durable_suite) has the same arguments and is for stores that are
//! still complete when they were dropped and opened again.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a case is a test: it panics when the store breaks the contract"
)]

pub mod accounts;
pub mod clients;
pub mod commits;
pub mod durable;
pub mod history;
pub mod objects;
pub mod readers;
pub mod sample;

/// Makes a store in a place and runs a case on it.
pub fn run<P, S>(place: P, open: impl Fn(&P) -> S, case: impl FnOnce(&S)) {
    let store = open(&place);
    case(&store);
    drop(store);
    drop(place);
}

/// Makes a place and runs a case that opens stores in it.
pub fn run_durable<P, S>(place: P, open: impl Fn(&P) -> S, case: impl FnOnce(&dyn Fn() -> S)) {
    case(&|| open(&place));
    drop(place);
}

/// Makes a test of each case of the contract; see [the module](crate::conformance).
#[macro_export]
#[doc(hidden)]
macro_rules! conformance_suite {
    ($name:ident, $place:expr, $open:expr) => {
        $crate::conformance_tests! {
            $name, run, $place, $open;
            accounts::a_secret_is_the_first_proposal,
            accounts::one_of_many_proposals_wins,
            accounts::a_user_is_read_back_and_replaced,
            accounts::a_user_is_created_with_a_session,
            accounts::a_revoked_session_is_gone,
            accounts::a_deleted_user_leaves_no_session,
            accounts::accounts_do_not_meet_realms,
            clients::client_files_are_added_and_replaced,
            clients::client_files_continue_the_idents,
            clients::a_client_file_never_goes_back,
            clients::reciprocals_are_read_after_a_version,
            clients::reciprocals_are_forgotten_before_others_are_put,
            clients::a_reciprocal_is_replaced,
            clients::an_empty_reciprocal_is_not_a_missing_one,
            clients::reciprocals_belong_to_one_client_file,
            clients::a_reciprocal_that_nobody_needs_is_refused,
            commits::an_outdated_commit_leaves_nothing,
            commits::a_refused_commit_leaves_the_others_alone,
            commits::commits_of_one_realm_follow_each_other,
            commits::a_commit_after_a_refused_one_is_refused,
            commits::an_empty_batch_does_nothing,
            commits::an_empty_commit_makes_the_realm,
            commits::a_schema_stays_until_it_is_replaced,
            commits::realms_do_not_see_each_other,
            commits::a_key_may_be_empty_or_long,
            commits::realms_are_listed_in_pages,
            commits::many_realms_fit_into_one_batch,
            history::an_unknown_realm_is_empty,
            history::entries_are_read_back,
            history::entries_end_with_the_first_above_the_limit,
            history::entries_end_at_the_head,
            history::the_store_sums_up_the_changesets,
            history::an_entry_that_does_not_follow_is_refused,
            history::an_entry_of_an_unknown_author_is_refused,
            history::client_versions_of_an_author_ascend,
            history::a_large_changeset_is_kept,
            objects::objects_are_written_and_removed,
            objects::objects_are_answered_in_the_order_of_the_rows,
            objects::the_last_of_two_writes_to_a_row_wins,
            objects::a_scan_is_paged_within_its_prefix,
            objects::a_scan_ends_where_the_prefix_does,
            objects::an_empty_object_is_not_a_missing_one,
            readers::a_reader_sees_all_of_a_commit_or_nothing,
            readers::concurrent_commits_of_a_realm_are_serial,
        }
    };
}

/// Makes a test of each case for stores that outlive their process; see [the module](crate::conformance).
#[macro_export]
#[doc(hidden)]
macro_rules! conformance_durable_suite {
    ($name:ident, $place:expr, $open:expr) => {
        $crate::conformance_tests! {
            $name, run_durable, $place, $open;
            durable::a_realm_outlives_its_store,
            durable::accounts_outlive_their_store,
            durable::a_refused_commit_is_refused_for_good,
            durable::a_realm_goes_on_where_it_stopped,
        }
    };
}

#[macro_export]
#[doc(hidden)]
macro_rules! conformance_tests {
    ($name:ident, $run:ident, $place:expr, $open:expr; $($group:ident :: $case:ident,)*) => {
        mod $name {
            #[allow(unused_imports, reason = "the place may need nothing of what is around")]
            use super::*;

            $(
                #[test]
                fn $case() {
                    $crate::conformance::$run($place, $open, $crate::conformance::$group::$case);
                }
            )*
        }
    };
}

pub use {conformance_durable_suite as durable_suite, conformance_suite as suite};
