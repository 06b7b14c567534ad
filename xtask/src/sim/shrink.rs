//! From a run that fails to a short one that fails in the same way.

use super::campaign::run;
use super::failure::Failure;
use super::fault::Fault;
use super::plan::Scenario;

/// The longest prefix of which all shorter ones are tried; the time that this takes grows with its square.
const TRIED_ONE_BY_ONE: u64 = 2000;

/// Finds the shortest prefix with few faults that still breaks the same promise.
///
/// Begins with the step at which the run failed. A prefix ends with everybody coming in step, so that a shorter one may
/// fail where a longer one does not: they are halved first, to be fast, and in the end each is tried.
pub fn shrink(failure: &Failure) -> Failure {
    let Some(mut best) = again(failure.prefix(), failure) else {
        return failure.clone(); // Whoever repeats it sees that it is not the same every time.
    };
    halve(&mut best);
    for fault in Fault::ALL {
        let mut scenario = best.prefix();
        scenario.without = scenario.without.with(fault);
        keep(&mut best, scenario);
    }
    halve(&mut best);
    if best.step <= TRIED_ONE_BY_ONE {
        let longest = best.prefix();
        let prefixes = (0..best.step).map(|steps| Scenario { steps, ..longest });
        best = prefixes.into_iter().find_map(|shorter| again(shorter, &best)).unwrap_or(best);
    }
    best
}

fn halve(best: &mut Failure) {
    let mut passes = 0;
    while best.step - passes > 1 {
        let middle = passes + (best.step - passes) / 2;
        if !keep(best, Scenario { steps: middle, ..best.scenario }) {
            passes = middle;
        }
    }
}

/// Takes a scenario that still fails.
fn keep(best: &mut Failure, scenario: Scenario) -> bool {
    let found = again(scenario, best);
    let fails = found.is_some();
    *best = found.unwrap_or_else(|| best.clone());
    fails
}

/// How a scenario breaks the same promise, if it does.
fn again(scenario: Scenario, failure: &Failure) -> Option<Failure> {
    run(scenario).err().filter(|found| found.violation.check == failure.violation.check)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::fault::Faults;
    use crate::sim::sabotage::Sabotage;
    use crate::sim::violation::Check;

    /// A device is accused at the first DOWNLOAD that the server sends, whatever goes wrong besides.
    fn accused() -> Failure {
        let scenario = Scenario { sabotage: Some(Sabotage::Accuse), ..Scenario::of(1) };
        run(scenario).unwrap_err()
    }

    #[test]
    fn a_run_fails_again_at_the_step_that_is_told() {
        let failure = accused();
        assert!(failure.step < failure.scenario.steps, "{failure}");
        let again = run(failure.prefix()).unwrap_err();
        assert_eq!((again.step, again.violation), (failure.step, failure.violation));
    }

    /// What is found out only when all is healed does not come sooner for it, nor later.
    #[test]
    fn a_run_that_fails_at_its_end_fails_again_there() {
        let sabotage = Some(Sabotage::ForgetDevice);
        let failures =
            (0..).filter_map(|seed| run(Scenario { sabotage, ..Scenario::of(seed) }).err());
        let at_end = |failure: &Failure| failure.violation.check == Check::InStep;
        for failure in failures.filter(at_end).take(3) {
            let again = run(failure.prefix()).expect_err(&failure.command());
            assert_eq!((again.step, again.violation), (failure.step, failure.violation));
        }
    }

    #[test]
    fn what_is_found_is_the_shortest_and_needs_no_faults() {
        let shortest = shrink(&accused());
        assert_eq!(shortest.violation.check, Check::Honest);
        assert_eq!(shortest.step, shortest.scenario.steps);
        let all: Faults = Fault::ALL.into_iter().collect();
        assert_eq!(shortest.scenario.without, all, "{shortest}");
        for steps in 0..shortest.step {
            assert!(run(Scenario { steps, ..shortest.scenario }).is_ok(), "{steps}, {shortest}");
        }
    }
}
