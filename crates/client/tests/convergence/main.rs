//! Whatever several devices of one realm do, however they are connected, they end with the same objects.
//!
//! The devices are this crate's files; the server is the production code over a record in memory. What happens
//! to them, and what their apps write, is as in the test of the same name in `bailiwick-core`, whose devices are a
//! model. Here, files are opened again with every connection, DOWNLOADs arrive twice, and disks fail.

#![expect(clippy::unwrap_used, reason = "what is not there fails the test")]

mod device;

#[path = "../../../core/tests/devices/app.rs"]
mod app;
#[path = "../../../core/tests/devices/cases.rs"]
mod cases;
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
#[path = "../../../core/tests/devices/value.rs"]
mod value;
#[path = "../../../core/tests/devices/world.rs"]
mod world;
#[path = "../../../core/tests/devices/writer.rs"]
mod writer;

use proptest::prelude::*;

use app::{Clocks, Style};
use cases::cases;
use world::World;

/// Changesets of a DOWNLOAD after which a device may be interrupted.
const CUT: usize = 6;

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
    fn files_converge((devices, common, events, columns) in cases(CUT)) {
        let style = Style { clocks: Clocks::Steady, columns };
        World::new(devices, style).run(&common, &events)?;
    }

    /// With clocks that show anything, all but changes of type of mixed values does.
    #[test]
    fn files_converge_whatever_their_clocks_show((devices, common, events, columns) in cases(CUT)) {
        let style = Style { clocks: Clocks::Jumping, columns };
        World::new(devices, style).run(&common, &events)?;
    }
}
