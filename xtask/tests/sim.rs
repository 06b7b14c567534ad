//! Simulated worlds: that a seed is a run, that runs keep what the server promises, and that what breaks a promise is
//! found.

use xtask::sim::{Check, Fault, Faults, STEPS, Sabotage, Scenario, Tally, run};

/// Seeds of each run of the tests; `cargo xtask sim` runs as many as one wants.
const SEEDS: u64 = 60;
/// So many if something that they are made for is so rare.
const MOST_SEEDS: u64 = 240;

#[test]
fn worlds_keep_what_the_server_promises_and_meet_all_that_they_are_made_for() {
    let mut tally = Tally::default();
    let mut seeds = 0..MOST_SEEDS;
    while seeds.start < SEEDS || !tally.missing().is_empty() {
        let Some(seed) = seeds.next() else { break };
        let outcome = run(Scenario::of(seed));
        tally += outcome.unwrap_or_else(|failure| panic!("{failure}")).tally;
    }
    assert_eq!(tally.missing(), [], "{tally}");
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..4 {
        let scenario = Scenario { steps: STEPS / 2, ..Scenario::of(seed) };
        let outcome = run(scenario).unwrap();
        assert_eq!(run(scenario), Ok(outcome), "{seed}");
        assert_ne!(run(Scenario { seed: seed + 100, ..scenario }).unwrap().hash, outcome.hash);
    }
}

/// Runs that have failed once. Their seeds stand for other runs as soon as a world draws one more number: a bug of the
/// product is shown by a test of its own crate as well, which is named.
struct Regression {
    /// What they found.
    name: &'static str,
    seeds: &'static [u64],
    steps: u64,
    /// The faults that it takes.
    faults: &'static [Fault],
}

const REGRESSIONS: [Regression; 9] = [
    // The server: `accounts_that_cannot_be_changed_end_the_server_at_once`.
    Regression {
        name: "the server went on after a login had stopped the store, and answered nothing for ever",
        seeds: &[14, 28, 34],
        steps: STEPS,
        faults: &[Fault::FullDisk, Fault::Rogue],
    },
    // Nobody: official devices do not agree there either, so that apps leave it out.
    Regression {
        name: "a client reset made an entry again in which another device was at work",
        seeds: &[2738],
        steps: STEPS,
        faults: &[Fault::ClockSkew, Fault::Pause, Fault::Restore],
    },
    // The judge.
    Regression {
        name: "a device crashed between a client reset and the news of it",
        seeds: &[2_051_219],
        steps: 823,
        faults: &[
            Fault::DeviceCrash,
            Fault::FullDisk,
            Fault::Pause,
            Fault::Away,
            Fault::Restore,
            Fault::LogOut,
        ],
    },
    // The judge.
    Regression {
        name: "a message that had stalled came when its device had long connected again",
        seeds: &[2_091_714],
        steps: 401,
        faults: &[
            Fault::Stall,
            Fault::Unreachable,
            Fault::FullDisk,
            Fault::ClockSkew,
            Fault::Away,
            Fault::Pause,
        ],
    },
    // The client: `an_application_that_is_in_a_hurry_is_told_soon`.
    Regression {
        name: "an app that knew of a network again still waited as long as failures had taught it before",
        seeds: &[4_046_353],
        steps: 436,
        faults: &[Fault::Stall, Fault::TokenExpiry, Fault::Pause],
    },
    // The server: `what_brings_nothing_new_but_a_cursor_takes_no_memory`.
    Regression {
        name: "a backlog full of uploads that brought nothing turned away whoever would have emptied it",
        seeds: &[2777],
        steps: 448,
        faults: &[],
    },
    // The judge.
    Regression {
        name: "a device whose connections had failed often was to come back at once without being told",
        seeds: &[9_035_244],
        steps: STEPS,
        faults: &Fault::ALL,
    },
    // The core: `what_reads_the_same_is_stored_as_the_same_bytes`.
    Regression {
        name: "a collection that was touched to no effect was stored, and the form for devices did not touch it",
        seeds: &[14_548],
        steps: 1096,
        faults: &Fault::ALL,
    },
    // The core: `values_of_erased_columns_are_gone_at_once`.
    Regression {
        name: "a row kept the values of an erased column until it was written again",
        seeds: &[5118],
        steps: 236,
        faults: &[Fault::Away, Fault::Rogue],
    },
];

#[test]
fn what_has_failed_once_does_not_fail_again() {
    for Regression { name, seeds, steps, faults } in REGRESSIONS {
        let without: Faults = Fault::ALL.into_iter().filter(|it| !faults.contains(it)).collect();
        for &seed in seeds {
            for without in [without, Faults::NONE] {
                let scenario = Scenario { steps, without, ..Scenario::of(seed) };
                let failed = |failure| panic!("{name}: {failure}");
                run(scenario).unwrap_or_else(failed);
            }
        }
    }
}

/// One of some seeds breaks the promise that the sabotage is aimed at, and the first that fails does so.
fn check_found(sabotage: Sabotage, check: Check) {
    let first = (0..60).find_map(|seed| {
        let scenario = Scenario { sabotage: Some(sabotage), ..Scenario::of(seed) };
        run(scenario).err()
    });
    let Some(failure) = first else { panic!("{sabotage:?} is not found") };
    assert_eq!(failure.violation.check, check, "{failure}");
}

#[test]
fn each_broken_promise_is_found() {
    check_found(Sabotage::EchoOwnChange, Check::OwnChanges);
    check_found(Sabotage::LoseEntry, Check::ExactlyOnce);
    check_found(Sabotage::DoubleEntry, Check::ExactlyOnce);
    check_found(Sabotage::Misroute, Check::Isolation);
    check_found(Sabotage::RewindCursor, Check::Cursors);
    check_found(Sabotage::RewindDevice, Check::Cursors);
    check_found(Sabotage::Flood, Check::Bounds);
    check_found(Sabotage::ForgetEntry, Check::Durable);
    check_found(Sabotage::Accuse, Check::Honest);
    check_found(Sabotage::Evict, Check::Honest);
    check_found(Sabotage::ForgetDevice, Check::InStep);
    check_found(Sabotage::ForgetTimer, Check::InStep);
    check_found(Sabotage::ForgetWait, Check::InStep);
    check_found(Sabotage::ChangeDevice, Check::Converged);
    check_found(Sabotage::RepeatTransaction, Check::Acknowledged);
    check_found(Sabotage::LoseKept, Check::Acknowledged);
    check_found(Sabotage::ChangeServer, Check::Projection);
    check_found(Sabotage::ChangeHistory, Check::Durable);
    check_found(Sabotage::Spare, Check::Refused);
    check_found(Sabotage::Panic, Check::Panics);
}

/// What was flushed is missing in a world in which nothing but these crashes happen, and nothing is without the sabotage.
fn check_lost(sabotage: Sabotage, crash: Fault) {
    let without: Faults = Fault::ALL.into_iter().filter(|fault| *fault != crash).collect();
    let first = (0..60).find_map(|seed| {
        let scenario = Scenario { without, ..Scenario::of(seed) };
        run(scenario).unwrap_or_else(|failure| panic!("{failure}"));
        run(Scenario { sabotage: Some(sabotage), ..scenario }).err()
    });
    let Some(failure) = first else { panic!("{sabotage:?} is not found") };
    assert_eq!(failure.violation.check, Check::Durable, "{failure}");
}

#[test]
fn disks_that_pretend_to_flush_are_found() {
    check_lost(Sabotage::SkipDeviceSync, Fault::DeviceCrash);
    check_lost(Sabotage::SkipServerSync, Fault::ServerCrash);
}
