//! The Rust client of Realm Device Sync: a local realm, offline writes, sync.

pub mod app;
pub mod clock;
pub mod files;
pub mod history;
pub mod local;
pub mod object;
pub mod read;
pub mod realm;
pub mod reset;
pub mod schema;
pub mod session;
pub mod transport;
pub mod value;
pub mod write;

/// For the code that the [`object!`] macro writes.
#[doc(hidden)]
pub use serde;

// Under this name that code finds the crate, here too.
extern crate self as bailiwick_client;
