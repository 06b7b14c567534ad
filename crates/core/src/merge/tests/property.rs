//! What holds for all concurrent changesets.
//!
//! Spec: merge, section 9.

use std::ops::Range;

use proptest::prelude::*;

use super::generate::{
    ALL, Action, CONVERGENT, SCHEMA, WITH_MIXED, actions, base, list_actions, steady_transactions,
    transactions,
};
use super::hostile;
use super::text::print;
use crate::merge::{Concurrent, Footprint, MergeError, MergeFault, Position, merge, oracle};
use crate::state::State;

/// What a side has become, also in bytes, and which of its changesets were touched.
type Outcome = Vec<(String, Vec<u8>, bool)>;

/// One of the two merges.
type Merge = fn(&mut [Concurrent], &mut [Concurrent]) -> Result<(), MergeError>;

fn describe(entries: &[Concurrent]) -> Outcome {
    let describe = |entry: &Concurrent| {
        let changeset = entry.changeset();
        (print(changeset), changeset.encode(), entry.is_dirty())
    };
    entries.iter().map(describe).collect()
}

/// What does not depend on the order in which inserted instructions have brought their strings with them.
fn without_bytes(sides: [Outcome; 2]) -> [Vec<(String, bool)>; 2] {
    sides.map(|side| side.into_iter().map(|(text, _, is_dirty)| (text, is_dirty)).collect())
}

fn texts(entries: &[Concurrent]) -> Vec<String> {
    entries.iter().map(|entry| print(entry.changeset())).collect()
}

/// What both sides have become, or the first fault and its place.
fn merged_by(
    merge: Merge,
    ours: &[Concurrent],
    theirs: &[Concurrent],
) -> Result<[Outcome; 2], (Position, Position, String, MergeFault)> {
    let (mut ours, mut theirs) = (ours.to_vec(), theirs.to_vec());
    let outcome = merge(&mut ours, &mut theirs);
    outcome.map(|()| [describe(&ours), describe(&theirs)]).map_err(|error| {
        let MergeError { local, remote, path, fault } = error;
        (local, remote, path, fault)
    })
}

fn merged(ours: &[Concurrent], theirs: &[Concurrent]) -> Option<[Outcome; 2]> {
    merged_by(merge, ours, theirs).ok()
}

/// Whether meeting in pairs has the same outcome, as usual and if all that can be woven is.
pub(super) fn check_against_oracle(
    ours: &[Concurrent],
    theirs: &[Concurrent],
) -> Result<(), TestCaseError> {
    let expected = merged_by(oracle::merge, ours, theirs);
    prop_assert_eq!(&merged_by(merge, ours, theirs), &expected);
    prop_assert_eq!(merged_by(oracle::merge_as_if_long, ours, theirs), expected);
    Ok(())
}

fn check_convergence(ours: &[Concurrent], theirs: &[Concurrent]) -> Result<(), TestCaseError> {
    let mut common = State::default();
    for changeset in base() {
        prop_assert!(common.apply(&changeset).unwrap().rewritten.is_none());
    }
    let (mut ours_after, mut theirs_after) = (ours.to_vec(), theirs.to_vec());
    merge(&mut ours_after, &mut theirs_after).unwrap();
    let here = applied(applied(common.clone(), ours)?, &theirs_after)?;
    let there = applied(applied(common, theirs)?, &ours_after)?;
    prop_assert_eq!(here, there);
    Ok(())
}

/// The state of a device that starts from `state` and applies `entries`.
fn applied(mut state: State, entries: &[Concurrent]) -> Result<State, TestCaseError> {
    for entry in entries {
        let changeset = entry.changeset();
        let outcome = state.apply(changeset);
        let applied = outcome
            .map_err(|error| TestCaseError::fail(format!("{error:?}: {}", print(changeset))))?;
        prop_assert!(applied.rewritten.is_none());
    }
    Ok(state)
}

fn both(kinds: Range<u8>) -> impl Strategy<Value = (Vec<Action>, Vec<Action>)> {
    (actions(kinds.clone()), actions(kinds))
}

/// More cases than usual, unless their number is asked for.
fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => config,
        None => ProptestConfig { cases: 512, ..config },
    }
}

proptest! {
    #![proptest_config(config())]

    /// Whatever two devices did at the same time, both orders apply and end in the same state.
    #[test]
    fn both_orders_converge((ours, theirs) in both(CONVERGENT)) {
        check_convergence(&transactions(&ours, 2), &transactions(&theirs, 3))?;
    }

    /// So do collections inside of mixed values.
    #[test]
    fn both_orders_converge_with_mixed_values((ours, theirs) in both(WITH_MIXED)) {
        check_convergence(&steady_transactions(&ours, 2), &steady_transactions(&theirs, 3))?;
    }

    /// The index leaves out no pair that matters, and keeps the order.
    #[test]
    fn the_index_changes_nothing((ours, theirs) in prop_oneof![2 => both(ALL), 1 => both(SCHEMA)]) {
        let (ours, theirs) = (transactions(&ours, 2), transactions(&theirs, 3));
        check_against_oracle(&ours, &theirs)?;
    }

    /// Long histories of lists are not carried pair by pair, and that changes nothing either.
    #[test]
    fn weaving_changes_nothing(ours in list_actions(), theirs in list_actions()) {
        check_against_oracle(&transactions(&ours, 2), &transactions(&theirs, 3))?;
        let (ours, theirs) = (steady_transactions(&ours, 2), steady_transactions(&theirs, 3));
        check_against_oracle(&ours, &theirs)?;
    }

    /// It does not matter which of the peers merges.
    #[test]
    fn swapped_sides_have_swapped_results(
        (ours, theirs) in prop_oneof![2 => both(ALL), 1 => both(SCHEMA)],
    ) {
        let (ours, theirs) = (transactions(&ours, 2), transactions(&theirs, 3));
        let expected = merged(&ours, &theirs).map(without_bytes);
        let swapped = merged(&theirs, &ours).map(without_bytes).map(|[right, left]| [left, right]);
        prop_assert_eq!(swapped, expected);
    }

    /// A batch may be merged in pieces, and the history be read in pieces.
    #[test]
    fn pieces_give_what_the_whole_gives(
        (ours, theirs) in prop_oneof![2 => both(ALL), 1 => both(SCHEMA)],
        at in any::<prop::sample::Index>(),
    ) {
        let (ours, theirs) = (transactions(&ours, 2), transactions(&theirs, 3));
        let expected = merged(&ours, &theirs).map(without_bytes);

        let (mut left, mut right) = (ours.clone(), theirs.clone());
        let (first, second) = right.split_at_mut(at.index(theirs.len() + 1));
        let outcome = merge(&mut left, first).and_then(|()| merge(&mut left, second));
        let incoming_split =
            outcome.ok().map(|()| without_bytes([describe(&left), describe(&right)]));
        prop_assert_eq!(&incoming_split, &expected);

        let (mut left, mut right) = (ours.clone(), theirs);
        let (first, second) = left.split_at_mut(at.index(ours.len() + 1));
        let outcome = merge(first, &mut right).and_then(|()| merge(second, &mut right));
        let local_split =
            outcome.ok().map(|()| without_bytes([describe(&left), describe(&right)]));
        prop_assert_eq!(local_split, expected);
    }

    /// What meets nothing of the other side may be left out.
    #[test]
    fn footprints_leave_out_nothing_that_matters(
        (ours, theirs) in prop_oneof![2 => both(ALL), 1 => both(SCHEMA)],
    ) {
        let (mut left, mut right) = (transactions(&ours, 2), transactions(&theirs, 3));
        let expected = merged(&left, &right);
        let incoming = Footprint::of(right.iter().map(Concurrent::changeset));
        let meets =
            |entry: &Concurrent| Footprint::of([entry.changeset()]).meets(&incoming);
        let (positions, mut met): (Vec<_>, Vec<_>) =
            left.iter().cloned().enumerate().filter(|(_, entry)| meets(entry)).unzip();
        let outcome = merge(&mut met, &mut right);
        for (position, entry) in positions.into_iter().zip(met) {
            left[position] = entry;
        }
        prop_assert_eq!(outcome.ok().map(|()| [describe(&left), describe(&right)]), expected);
    }

    /// Nothing happens if nothing was concurrent.
    #[test]
    fn merging_with_nothing_touches_nothing(ours in actions(ALL)) {
        let before = transactions(&ours, 2);
        let mut ours = before.clone();
        let mut empty = transactions(&[], 3);
        prop_assert!(merge(&mut ours, &mut []).is_ok());
        prop_assert!(merge(&mut ours, &mut empty).is_ok());
        prop_assert!(merge(&mut empty, &mut ours).is_ok());
        prop_assert_eq!(texts(&ours), texts(&before));
        prop_assert!(ours.iter().chain(&empty).all(|entry| !entry.is_dirty()));
    }

    /// Equal inputs give equal bytes, although hashes differ from merge to merge.
    #[test]
    fn equal_inputs_give_equal_bytes((ours, theirs) in both(ALL)) {
        let run = || {
            let (mut ours, mut theirs) = (transactions(&ours, 2), transactions(&theirs, 3));
            merge(&mut ours, &mut theirs).ok().map(|()| {
                let all = ours.iter().chain(&theirs);
                all.map(|entry| entry.changeset().encode()).collect::<Vec<_>>()
            })
        };
        prop_assert_eq!(run(), run());
    }

    /// Whatever the decoder lets through, merging ends, and finds the same fault if there is one.
    #[test]
    fn hostile_input_meets_the_same_end(ours in hostile::side(2), theirs in hostile::side(3)) {
        check_against_oracle(&ours, &theirs)?;
    }
}
