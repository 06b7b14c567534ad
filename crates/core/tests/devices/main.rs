//! Whatever several devices of one realm do, however they are connected, they end with the same objects.
//!
//! The server is the production code over a record in memory; the devices do what official ones do. A case is a
//! list of events; a failure prints what they led to.

mod device;
mod hostile;
mod message;
mod schema;
mod server;
mod transaction;
mod world;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use hostile::POISONS;
use transaction::Action;
use world::{Event, World};

/// What the clocks of devices do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clocks {
    /// They agree, and do not go back.
    Steady,
    /// They show anything.
    Jumping,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = (any::<u8>(), any::<u8>(), any::<u16>());
    vec(action.prop_map(|(what, object, seed)| Action { what, object, seed }), 0..5)
}

fn event() -> impl Strategy<Value = Event> {
    let device = 0..4_usize;
    let time = 0..8_u8;
    prop_oneof![
        10 => (device.clone(), time.clone(), actions())
            .prop_map(|(device, time, actions)| Event::Write { device, time, actions }),
        2 => device.clone().prop_map(|device| Event::Connect { device }),
        1 => device.clone().prop_map(|device| Event::Lose { device }),
        5 => (device.clone(), 1..4_usize)
            .prop_map(|(device, count)| Event::Upload { device, count }),
        5 => device.clone().prop_map(|device| Event::Deliver { device }),
        4 => Just(Event::Integrate),
        1 => Just(Event::CrashInIntegration),
        5 => (device.clone(), 0..400_usize)
            .prop_map(|(device, soft_limit)| Event::Download { device, soft_limit }),
        5 => (device.clone(), option::weighted(0.2, 0..3_usize))
            .prop_map(|(device, until)| Event::Receive { device, until }),
        4 => device.prop_map(|device| Event::Synchronise { device }),
        1 => Just(Event::Restart),
        1 => (time, actions()).prop_map(|(time, actions)| Event::ServerWrite { time, actions }),
        1 => (prop::sample::select(POISONS.as_slice()), actions())
            .prop_map(|(poison, actions)| Event::Attack { poison, actions }),
    ]
}

fn events() -> impl Strategy<Value = (usize, Vec<Event>)> {
    (2..5_usize, vec(event(), 0..60))
}

proptest! {
    /// With clocks that do not go back, whatever SDKs write converges.
    #[test]
    fn devices_converge((devices, events) in events()) {
        World::new(devices, Clocks::Steady).run(&events)?;
    }

    /// With clocks that show anything, all but changes of type of mixed values does.
    #[test]
    fn devices_converge_whatever_their_clocks_show((devices, events) in events()) {
        World::new(devices, Clocks::Jumping).run(&events)?;
    }
}
