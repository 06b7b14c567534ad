//! From a run that fails to a short one that fails in the same way.

use super::campaign::run;
use super::fault::Fault;
use super::plan::Scenario;
use super::violation::{Check, Violation};

/// Finds a shorter prefix and fewer faults that still break the same promise.
///
/// Runs the scenario some dozens of times. A prefix ends with everybody coming in step, so that a shorter one may fail
/// where a longer one does not: what is found is short, and not always the shortest.
pub fn shrink(scenario: Scenario, check: Check) -> (Scenario, Violation) {
    let mut best = scenario;
    let mut violation = fails(best, check)
        .unwrap_or_else(|| Violation::new(check, "it does not fail a second time"));
    shorten(&mut best, &mut violation);
    for fault in Fault::ALL {
        try_out(&mut best, &mut violation, |it| it.without = it.without.with(fault));
    }
    shorten(&mut best, &mut violation);
    (best, violation)
}

/// Looks for the shortest prefix by halves, then by steps of a few events.
fn shorten(best: &mut Scenario, violation: &mut Violation) {
    let (mut passes, mut len) = (0, best.steps);
    while len - passes > 1 {
        let middle = passes + (len - passes) / 2;
        if try_out(best, violation, |it| it.steps = middle) {
            len = middle;
        } else {
            passes = middle;
        }
    }
}

/// Keeps a change if the scenario still fails with it.
fn try_out(
    best: &mut Scenario,
    violation: &mut Violation,
    change: impl FnOnce(&mut Scenario),
) -> bool {
    let mut scenario = *best;
    change(&mut scenario);
    match fails(scenario, violation.check) {
        Some(found) => {
            (*best, *violation) = (scenario, found);
            true
        }
        None => false,
    }
}

fn fails(scenario: Scenario, check: Check) -> Option<Violation> {
    run(scenario).err().filter(|violation| violation.check == check)
}
