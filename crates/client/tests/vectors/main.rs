//! A device does what the shared vectors state, with its own files and its own way of integrating DOWNLOADs.
//!
//! `cargo xtask vectors` checks the same files against `bailiwick-core` alone. Each test says how many cases there
//! are, so that none is lost.

#![expect(clippy::unwrap_used, reason = "what is not there fails the test")]

mod apply;
mod cases;
mod device;
mod history;
mod merge;

use cases::check_file;

#[test]
fn downloads_lead_to_the_stated_objects() {
    check_file("apply/cases.jsonl.gz", 892, apply::check);
}

#[test]
fn downloads_are_merged_with_local_changes_to_the_stated_bytes() {
    let base = merge::base_of_pairs();
    check_file("merge/pairs.jsonl.gz", 2064, |case| merge::check(case, Some(&base)));
}

#[test]
fn downloads_are_merged_with_random_transactions_to_the_stated_bytes() {
    check_file("merge/random.jsonl.gz", 1500, |case| merge::check(case, None));
}

#[test]
fn devices_write_and_integrate_whole_histories() {
    check_file("history/scenarios.jsonl.gz", 87, history::check);
}
