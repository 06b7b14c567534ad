//! The unmodified Realm SDK against `bailiwick serve`.
//!
//! Each test starts the program on a free port and a Node.js process for each device (`device.mjs`), which runs the official
//! JavaScript SDK. Expected are the SDK's behaviour and the server's own account of its data, `bailiwick dump`.
//!
//! `cargo xtask test` installs the SDK first; by hand it is `npm ci` in this folder.

#![expect(clippy::unwrap_used, reason = "what is not there fails the test")]

mod accounts;
mod bulk;
mod conflicts;
mod counters;
mod crash;
mod device;
mod dump;
mod live;
mod mixed;
mod no_effect;
mod partitions;
mod peer;
mod reset;
mod server;
mod types;
