//! What lasts.

pub mod account;
pub mod commit;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod memory;
#[cfg(feature = "redb")]
pub mod redb;
pub mod store;
