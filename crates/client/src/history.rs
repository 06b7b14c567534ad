//! What becomes of a file's history: local changes enter it, UPLOADs are gathered from it, and DOWNLOADs are merged
//! with what of it the server has not integrated.
//!
//! Functions of a [`Snapshot`](crate::local::Snapshot) and their arguments alone, without I/O but reading it. What is
//! to be kept comes out as one [`Batch`](crate::local::Batch), computed and committed under one
//! [`Writer`](crate::local::Writer). Spec: client, sections 1, 3, 4 and 8.
//!
//! ```
//! use bailiwick_client::history::{collect_upload, identify};
//! use bailiwick_client::local::LocalFile;
//! use bailiwick_client::protocol::ident::{FileIdent, Salt};
//! use bailiwick_client::{Realm, Schema, object};
//!
//! object! {
//!     struct Item { #[primary_key] _id: i64 }
//! }
//! let file = std::sync::Arc::new(LocalFile::in_memory());
//! let realm = Realm::open(file.clone(), Schema::new().with::<Item>())?;
//! realm.write(|tx| tx.insert(&Item { _id: 1 }))?;
//!
//! let writer = file.write();
//! writer.commit(&identify(&writer.snapshot()?, FileIdent(2), Salt(77)))?;
//! let snapshot = writer.snapshot()?;
//! let upload = collect_upload(&snapshot, snapshot.state().progress.upload)?;
//! assert_eq!(upload.entries.len(), 2, "the classes, then the item");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod check;
mod commit;
mod error;
mod identify;
mod integrate;
mod local_side;
mod split;
#[cfg(test)]
mod tests;
mod unintegrated;
mod upload;

pub use commit::local_commit;
pub use error::{IntegrationError, ProtocolViolation};
pub use identify::identify;
pub use integrate::integrate;
pub use split::MAX_PIECE_LEN;
pub use unintegrated::Unintegrated;
pub use upload::{UPLOAD_HARD_LIMIT, UPLOAD_SOFT_LIMIT, collect_upload, last_uploadable, pending};
