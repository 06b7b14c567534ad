//! Merging: what two devices wrote at the same time converges, and the merge does what its definition says.
//!
//! Devices write what two official ones agree about (spec: merge, section 9). Instructions that no device makes
//! are merged as well: then only the definition counts.

mod hostile;

use bailiwick_core::merge::{Concurrent, MergeError, merge, oracle};
use bailiwick_protocol::changeset::Changeset;
use bailiwick_protocol::ident::FileIdent;

use crate::changeset::by_name;
use crate::device::{self, Device, Habits, applied_to};
use crate::input::Input;

/// Actions of all devices together; the oracle takes the product of both sides.
const MAX_ACTIONS: usize = 96;

/// The first byte chooses between devices and instructions that no device makes.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let kind = input.u8();
    let split = usize::from(input.u8());
    if kind.is_multiple_of(4) {
        let [ours, theirs] = hostile::sides(input);
        let _ = check_definition(&ours, &theirs, split);
    } else {
        devices(input, split);
    }
}

fn devices(mut input: Input<'_>, split: usize) {
    let habits = Habits::read(&mut input);
    let count = usize::from(input.u8() % 32);
    let (common, _) = device::base(habits, &mut input, count);
    let [mut ours, mut theirs] =
        [2, 3].map(|ident| Device::new(common.clone(), FileIdent(ident), habits));
    for _ in 0..MAX_ACTIONS {
        if input.is_empty() {
            break;
        }
        let who = input.u8();
        let device = if who.is_multiple_of(2) { &mut ours } else { &mut theirs };
        device.act(&mut input);
        if who & 0b1100_0000 == 0 {
            device.commit((who >> 1) % 8);
        }
    }
    ours.commit(4);
    theirs.commit(4);

    let merged = check_definition(&ours.written, &theirs.written, split);
    let [ours_after, theirs_after] = merged.expect("what devices write can be merged");
    let here = applied_to(ours.state, &theirs_after);
    let there = applied_to(theirs.state, &ours_after);
    assert_eq!(here, there, "the devices diverge");
}

type Sides = [Vec<Concurrent>; 2];

/// Merges in every way that has to give the same.
fn check_definition(
    ours: &[Concurrent],
    theirs: &[Concurrent],
    split: usize,
) -> Result<Sides, MergeError> {
    let run = |merge: fn(&mut [Concurrent], &mut [Concurrent]) -> Result<(), MergeError>| {
        let (mut ours, mut theirs) = (ours.to_vec(), theirs.to_vec());
        merge(&mut ours, &mut theirs).map(|()| [ours, theirs])
    };
    let merged = run(merge);
    let expected = run(oracle::merge);
    let as_if_long = run(oracle::merge_as_if_long);
    let swapped = run(|ours, theirs| merge(theirs, ours));
    let in_pieces = [run_split(ours, theirs, split), run_split_local(ours, theirs, split)];
    match (&merged, &expected) {
        (Ok(merged), Ok(expected)) => {
            assert_eq!(describe(merged), describe(expected), "the index changes something");
            let as_if_long = as_if_long.expect("long lists can be merged as well");
            assert_eq!(
                describe(&as_if_long),
                describe(expected),
                "long lists are merged otherwise"
            );
            for entry in merged.iter().flatten().filter(|entry| !entry.changeset().is_empty()) {
                let stored = Changeset::decode(&entry.changeset().encode());
                assert_eq!(
                    stored.as_ref(),
                    Ok(entry.changeset()),
                    "it is stored as something else"
                );
            }
            let swapped = swapped.as_ref().expect("sides may be swapped");
            assert_same(merged, swapped, "it matters who merges");
            for pieces in in_pieces {
                let pieces = pieces.expect("pieces can be merged as well");
                assert_same(merged, &pieces, "pieces are not the whole");
            }
        }
        (Err(error), Err(expected)) => {
            let as_if_long = as_if_long.expect_err("long lists cannot be merged either");
            for error in [error, &as_if_long] {
                assert_eq!(format!("{error:?}"), format!("{expected:?}"));
            }
            assert!(in_pieces.iter().all(Result::is_err) && swapped.is_err());
        }
        _ => panic!("{merged:?}, but by definition {expected:?}"),
    }
    merged
}

/// The incoming side arrives in two pieces.
fn run_split(ours: &[Concurrent], theirs: &[Concurrent], at: usize) -> Result<Sides, MergeError> {
    let (mut ours, mut theirs) = (ours.to_vec(), theirs.to_vec());
    let at = at % (theirs.len() + 1);
    let (first, second) = theirs.split_at_mut(at);
    merge(&mut ours, first)?;
    merge(&mut ours, second)?;
    Ok([ours, theirs])
}

/// The local side is merged in two pieces.
fn run_split_local(
    ours: &[Concurrent],
    theirs: &[Concurrent],
    at: usize,
) -> Result<Sides, MergeError> {
    let (mut ours, mut theirs) = (ours.to_vec(), theirs.to_vec());
    let at = at % (ours.len() + 1);
    let (first, second) = ours.split_at_mut(at);
    merge(first, &mut theirs)?;
    merge(second, &mut theirs)?;
    Ok([ours, theirs])
}

/// All that others see of both sides.
fn describe(sides: &Sides) -> Vec<(bool, Vec<u8>)> {
    let entries = sides.iter().flatten();
    entries.map(|entry| (entry.is_dirty(), entry.changeset().encode())).collect()
}

/// Whether both have the same instructions; the strings that inserted ones need may stand in another order.
#[track_caller]
fn assert_same(sides: &Sides, others: &Sides, otherwise: &str) {
    if describe(sides) == describe(others) {
        return;
    }
    let describe = |sides: &Sides| {
        let entries = sides.iter().flatten();
        entries.map(|entry| (entry.is_dirty(), by_name(entry.changeset()))).collect::<Vec<_>>()
    };
    assert_eq!(describe(sides), describe(others), "{otherwise}");
}
