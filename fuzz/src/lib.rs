//! Fuzz targets: a module each, with a `run` that takes any bytes and panics if something is not as it has to be.
//!
//! `fuzz_targets/` hands them to libFuzzer; `cargo xtask fuzz` builds and runs that. A panic in the code under test, too
//! much memory and too much time are findings as well.

#![forbid(unsafe_code)]

pub mod changeset;

pub mod client_message;
pub mod server_message;

pub mod download;
pub mod upload;

pub mod partition;
pub mod token;

pub mod merge;

mod body;
mod device;
mod input;
mod memory;
mod realm;
