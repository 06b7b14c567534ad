//! Cases: how many devices there are, and what happens to them.

use proptest::collection::{SizeRange, vec};
use proptest::option;
use proptest::prelude::*;

use super::app::Action;
use super::hostile::POISONS;
use super::server::NODES;
use super::world::Event;

fn actions(count: impl Into<SizeRange>) -> impl Strategy<Value = Vec<Action>> {
    let action = (any::<u8>(), any::<u8>(), any::<u16>());
    vec(action.prop_map(|(what, object, seed)| Action { what, object, seed }), count)
}

/// What happens; a device takes a DOWNLOAD as a whole, or up to `cut` of its changesets first.
fn event(cut: usize) -> impl Strategy<Value = Event> {
    let device = || 0..4_usize;
    let time = || 0..8_u8;
    let node = || 0..NODES;
    prop_oneof![
        12 => (device(), time(), actions(0..8))
            .prop_map(|(device, time, actions)| Event::Write { device, time, actions }),
        2 => (device(), node()).prop_map(|(device, node)| Event::Connect { device, node }),
        1 => device().prop_map(|device| Event::Lose { device }),
        3 => (device(), 1..4_usize).prop_map(|(device, count)| Event::Upload { device, count }),
        3 => device().prop_map(|device| Event::Deliver { device }),
        2 => node().prop_map(|node| Event::Integrate { node }),
        1 => node().prop_map(|node| Event::CrashInIntegration { node }),
        3 => (device(), 0..400_usize)
            .prop_map(|(device, soft_limit)| Event::Download { device, soft_limit }),
        3 => (device(), option::weighted(0.3, 0..cut))
            .prop_map(|(device, until)| Event::Receive { device, until }),
        4 => device().prop_map(|device| Event::Push { device }),
        4 => device().prop_map(|device| Event::Pull { device }),
        2 => device().prop_map(|device| Event::Synchronise { device }),
        1 => node().prop_map(|node| Event::Restart { node }),
        1 => (time(), actions(0..4)).prop_map(|(time, actions)| Event::ServerWrite { time, actions }),
        1 => (prop::sample::select(POISONS.as_slice()), actions(0..4))
            .prop_map(|(poison, actions)| Event::Attack { poison, actions }),
    ]
}

/// How many devices there are, what they have in common, what happens, and the columns that matter.
pub(super) fn cases(cut: usize) -> impl Strategy<Value = (usize, Vec<Action>, Vec<Event>, u32)> {
    // Few columns at a time, so that devices meet in them.
    let columns = vec(0..32_u32, 1..5);
    let columns = columns.prop_map(|places| places.into_iter().fold(0, |mask, at| mask | 1 << at));
    let common = prop_oneof![1 => actions(0..1), 4 => actions(16..48)];
    (2..5_usize, common, vec(event(cut), 0..80), columns)
}
