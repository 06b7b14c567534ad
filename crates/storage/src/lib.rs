//! What lasts.

pub mod account;
pub mod store;
