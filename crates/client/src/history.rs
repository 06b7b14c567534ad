//! What becomes of a file's history: local changes enter it, UPLOADs are gathered from it, and DOWNLOADs are merged
//! with what of it the server has not integrated.
//!
//! Functions of a [`Snapshot`](crate::local::Snapshot) and their arguments alone, without I/O but reading it. What is
//! to be kept comes out as one [`Batch`](crate::local::Batch), computed and committed under one
//! [`Writer`](crate::local::Writer). Spec: client, sections 1, 3, 4 and 8.

mod check;
mod commit;
mod error;
mod identify;
mod integrate;
mod split;
#[cfg(test)]
mod tests;
mod upload;

pub use commit::local_commit;
pub use error::{IntegrationError, ProtocolViolation};
pub use identify::identify;
pub use integrate::integrate;
pub use split::MAX_PIECE_LEN;
pub use upload::{collect_upload, last_uploadable, pending};
