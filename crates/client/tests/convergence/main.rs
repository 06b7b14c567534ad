//! Whatever several devices of one realm do, however they are connected, they end with the same objects.
//!
//! The devices are this crate's files; the server is the production code over a record in memory. What happens
//! to them, and what their apps write, is as in the test of the same name in `bailiwick-core`, whose devices are a
//! model. Here, files are opened again with every connection, DOWNLOADs arrive twice, and disks fail.

#![expect(clippy::unwrap_used, reason = "what is not there fails the test")]

mod device;

#[path = "../shared/choices.rs"]
#[expect(dead_code, reason = "others use more of it")]
mod choices;
#[path = "../shared/disk.rs"]
#[expect(dead_code, reason = "others use more of it")]
mod disk;

#[path = "../../../core/tests/devices/app.rs"]
mod app;
#[path = "../../../core/tests/devices/hostile.rs"]
mod hostile;
#[path = "../../../core/tests/devices/message.rs"]
mod message;
#[path = "../../../core/tests/devices/record.rs"]
mod record;
#[path = "../../../core/tests/devices/schema.rs"]
mod schema;
#[path = "../../../core/tests/devices/server.rs"]
mod server;
#[path = "../../../core/tests/devices/world.rs"]
mod world;
#[path = "../../../core/tests/devices/writer.rs"]
mod writer;

use proptest::collection::{SizeRange, vec};
use proptest::option;
use proptest::prelude::*;

use app::{Action, Style};
use hostile::POISONS;
use server::NODES;
use world::{Event, World};

/// What the clocks of devices do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clocks {
    /// They agree, and do not go back.
    Steady,
    /// They show anything.
    Jumping,
}

fn actions(count: impl Into<SizeRange>) -> impl Strategy<Value = Vec<Action>> {
    let action = (any::<u8>(), any::<u8>(), any::<u16>());
    vec(action.prop_map(|(what, object, seed)| Action { what, object, seed }), count)
}

fn event() -> impl Strategy<Value = Event> {
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
        3 => (device(), option::weighted(0.3, 0..6_usize))
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
fn cases() -> impl Strategy<Value = (usize, Vec<Action>, Vec<Event>, u32)> {
    // Few columns at a time, so that devices meet in them.
    let columns = vec(0..22_u32, 1..5);
    let columns = columns.prop_map(|places| places.into_iter().fold(0, |mask, at| mask | 1 << at));
    let common = prop_oneof![1 => actions(0..1), 4 => actions(16..48)];
    (2..5_usize, common, vec(event(), 0..80), columns)
}

/// Files take longer than models, so there are fewer cases unless one asks for more.
fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => config,
        None => ProptestConfig { cases: 48, ..config },
    }
}

proptest! {
    #![proptest_config(config())]

    /// With clocks that do not go back, whatever SDKs write converges.
    #[test]
    fn files_converge((devices, common, events, columns) in cases()) {
        let style = Style { clocks: Clocks::Steady, columns };
        World::new(devices, style).run(&common, &events)?;
    }

    /// With clocks that show anything, all but changes of type of mixed values does.
    #[test]
    fn files_converge_whatever_their_clocks_show((devices, common, events, columns) in cases()) {
        let style = Style { clocks: Clocks::Jumping, columns };
        World::new(devices, style).run(&common, &events)?;
    }
}
