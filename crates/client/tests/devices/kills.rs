//! A device that dies at each of its storage writes in turn, and goes on.

use bailiwick_client::session::ResetMode;
use bailiwick_storage::disk::Keeps;

use super::edits::Step;
use super::world::{Event, World};

/// The devices: the one that dies, and one that it is concurrent with.
const MORTAL: usize = 1;
const OTHER: usize = 0;

fn write(device: usize, kinds: &[u8]) -> Event {
    let steps = kinds.iter().map(|&kind| Step { kind, key: 0, n: kind.into() });
    Event::Write { device, later: 1, steps: steps.collect() }
}

fn run() -> Event {
    Event::Run { count: 60 }
}

/// Writes offline and online, uploads, downloads and merges.
fn ordinary() -> Vec<Event> {
    vec![
        Event::Pause { device: MORTAL, pause: true },
        write(MORTAL, &[11, 28, 46, 54]),
        write(OTHER, &[11, 30, 47, 53]),
        write(MORTAL, &[3, 0, 15]),
        run(),
        Event::Pause { device: MORTAL, pause: false },
        run(),
        write(OTHER, &[32, 33, 42]),
        write(MORTAL, &[31, 34]),
        run(),
    ]
}

/// The same with a server that forgets the first half, so that the device resets.
fn with_reset() -> Vec<Event> {
    vec![
        write(MORTAL, &[28, 46]),
        run(),
        Event::Wake,
        run(),
        Event::Pause { device: MORTAL, pause: true },
        write(MORTAL, &[11, 15, 54]),
        Event::Restore,
        write(OTHER, &[30, 53]),
        Event::Pause { device: MORTAL, pause: false },
        Event::Wake,
        run(),
        run(),
        write(MORTAL, &[31]),
        run(),
    ]
}

/// Runs the scenario with a device that dies after `at` events of its disks, if there are as many; whether it has
/// died.
fn run_and_die(mode: ResetMode, events: &[Event], at: usize, keeps: Keeps) -> bool {
    let mut world = World::new(2, mode, 14, 1);
    world.dies_with(keeps);
    world.devices[MORTAL].power.last_for(at);
    for event in events {
        world.handle(event);
    }
    world.settle();
    let has_died = world.deaths() > 0;
    world.compare();
    has_died
}

/// Dies at each event, or at each so-manieth.
fn check(mode: ResetMode, events: &[Event], step: usize) {
    let mut deaths = 0;
    for at in (1..).step_by(step) {
        let keeps = DISKS[at % DISKS.len()];
        eprintln!("{mode:?}: dies after {at} events, the disk keeps {keeps:?}");
        if !run_and_die(mode, events, at, keeps) {
            break;
        }
        deaths += 1;
    }
    assert!(deaths * step > 50, "{deaths} deaths are no workload");
}

/// Of what was not flushed, each disk keeps something else; each place meets another one.
const DISKS: [Keeps; 5] =
    [Keeps::Nothing, Keeps::Some(1), Keeps::Everything, Keeps::Some(2), Keeps::Some(3)];

#[test]
fn a_device_that_dies_at_any_write_converges() {
    check(ResetMode::Recover, &ordinary(), 1);
}

#[test]
fn a_device_that_dies_at_any_write_of_a_recovery_converges() {
    check(ResetMode::Recover, &with_reset(), 1);
}

#[test]
fn a_device_that_dies_while_it_discards_converges() {
    check(ResetMode::DiscardLocal, &with_reset(), 3);
}
