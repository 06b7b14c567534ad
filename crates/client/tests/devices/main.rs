//! Whole devices and a server in one process, without sockets: the session machine, the files on disks that crash,
//! realms that applications write to. Whatever happens to them, they end with the same objects.
//!
//! The devices run the production code from the realm down to the storage backend, and so does the server but for its
//! store. Time, the network and the disks are made up, and all choices follow from seeds.

#![expect(clippy::unwrap_used, reason = "what is not there fails the test")]

#[path = "../shared/choices.rs"]
#[expect(dead_code, reason = "others use more of it")]
mod choices;
mod conflicts;
mod device;
mod edits;
mod kills;
#[path = "../../../core/tests/devices/record.rs"]
#[expect(dead_code, reason = "others use more of it")]
mod record;
mod schedules;
mod server;
mod world;
