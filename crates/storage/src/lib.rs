#![doc = include_str!("../README.md")]

pub mod account;
pub mod commit;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "disk")]
pub mod disk;
#[cfg(feature = "conformance")]
pub mod fault;
pub mod memory;
#[cfg(feature = "redb")]
pub mod redb;
pub mod store;
