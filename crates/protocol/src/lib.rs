//! The wire format of Realm Device Sync.

pub mod changeset;
pub mod ident;
pub mod version;
