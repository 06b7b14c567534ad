//! What a server keeps for one realm, and the pure functions over it: what an IDENT may claim, what an
//! UPLOAD becomes, what a DOWNLOAD carries.
//!
//! Spec: server history.

mod record;

pub use record::{ClientFile, Entry};
