//! `cargo xtask sim`: devices, a server and all that can go wrong between them, in one process, from one seed.
//!
//! The state machines, the merge, the stores and the files are the production code. Time, the network and the disks are
//! simulated, so that a seed is a run: the same seed does the same things in the same order, which a
//! hash over all of them says.

mod agenda;
pub(crate) mod choices;
mod tally;
mod trace;
mod violation;

mod failure;
mod fault;
mod limits;
mod panics;
mod plan;
mod sabotage;

pub(crate) mod app;
mod device;
mod network;
mod partition;
mod rogue;
mod server;

mod watch;
mod world;

mod campaign;
mod shrink;

pub use campaign::{Args, run};
pub use failure::Failure;
pub use fault::{Fault, Faults};
pub use plan::{STEPS, Scenario};
pub use sabotage::Sabotage;
pub use shrink::shrink;
pub use tally::{Met, Tally};
pub use violation::{Check, Violation};
pub use world::Outcome;
