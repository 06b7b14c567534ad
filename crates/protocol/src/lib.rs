//! The wire format of Realm Device Sync.

pub mod changeset;
pub mod codec;
pub mod ident;
pub mod version;
