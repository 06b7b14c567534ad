//! The Rust client of Realm Device Sync: a local realm, offline writes, sync.

pub mod app;
pub mod clock;
pub mod files;
pub mod history;
pub mod local;
pub mod realm;
pub mod reset;
pub mod schema;
pub mod session;
pub mod transport;
pub mod value;
pub mod write;
