//! Whatever several devices of one realm do, however they are connected, they end with the same objects.
//!
//! The server is the production code over a record in memory; the devices do what official ones do. A case is a
//! list of events; a failure prints what they led to.

mod app;
mod cases;
mod device;
mod hostile;
mod message;
mod record;
mod schema;
mod server;
mod value;
mod world;
mod writer;

use proptest::prelude::*;

use app::{Clocks, Style};
use cases::cases;
use world::World;

/// Changesets of a DOWNLOAD after which a device may be interrupted.
const CUT: usize = 3;

proptest! {
    /// With clocks that do not go back, whatever SDKs write converges.
    #[test]
    fn devices_converge((devices, common, events, columns) in cases(CUT)) {
        let style = Style { clocks: Clocks::Steady, columns };
        World::new(devices, style).run(&common, &events)?;
    }

    /// With clocks that show anything, all but changes of type of mixed values does.
    #[test]
    fn devices_converge_whatever_their_clocks_show((devices, common, events, columns) in cases(CUT)) {
        let style = Style { clocks: Clocks::Jumping, columns };
        World::new(devices, style).run(&common, &events)?;
    }
}
