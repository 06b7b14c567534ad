//! Conflicts on which devices once did not agree.

use bailiwick_client::session::ResetMode;

use super::edits::Step;
use super::world::{Event, World};

/// `edits` are those of the devices in turn, each later than those before it, all offline.
fn check(edits: &[(usize, Step)]) {
    let mut world = World::new(2, ResetMode::Recover, 14, 1);
    for device in 0..2 {
        world.handle(&Event::Pause { device, pause: true });
    }
    for (device, step) in edits {
        world.handle(&Event::Write { device: *device, later: 1, steps: vec![*step] });
    }
    world.settle();
    world.compare();
}

/// Gives a mixed value another value: a list, a dictionary with a list, or a number.
fn set_any(kind: u32) -> Step {
    Step { kind: 18, key: 1, n: 30 + kind }
}

#[test]
fn a_collection_does_not_mix_with_one_that_was_replaced_elsewhere() {
    for kind in [0, 1] {
        check(&[(0, set_any(kind)), (0, set_any(2)), (1, set_any(kind))]);
        check(&[(0, set_any(kind)), (0, set_any(1 - kind)), (1, set_any(kind))]);
        check(&[(1, set_any(kind)), (0, set_any(kind)), (0, set_any(2)), (1, set_any(kind))]);
    }
}
