//! What changesets mean: merging concurrent ones, applying them to objects, and a server's history of them.
//!
//! ```
//! use bailiwick_core::merge::{Concurrent, merge};
//! use bailiwick_protocol::changeset::{
//!     Changeset, Instruction, ObjectKey, Path, Payload, Target, UpdateKind,
//! };
//! use bailiwick_protocol::ident::FileIdent;
//! use bailiwick_protocol::version::OriginTimestamp;
//!
//! // We erase an object that another device, offline, gives a new age.
//! let mut erase = Changeset::default();
//! let table = erase.strings.intern("Dog");
//! let object = ObjectKey::Int(1);
//! erase.instructions.push(Instruction::EraseObject { table, object });
//!
//! let mut update = Changeset::default();
//! let (table, field) = (update.strings.intern("Dog"), update.strings.intern("age"));
//! update.instructions.push(Instruction::Update {
//!     target: Target { table, object, field, path: Path::new() },
//!     value: Payload::Int(3),
//!     kind: UpdateKind::Value { is_default: false },
//! });
//!
//! let mut ours = [Concurrent::new(erase, OriginTimestamp(100), FileIdent(2))];
//! let mut theirs = [Concurrent::new(update, OriginTimestamp(200), FileIdent(3))];
//! merge(&mut ours, &mut theirs)?;
//!
//! // The object stays erased, on both devices.
//! assert!(theirs[0].changeset().is_empty());
//! assert!(!ours[0].is_dirty());
//! # Ok::<(), bailiwick_core::merge::MergeError>(())
//! ```
//!
//! Everything here is a function of its arguments: there is no I/O, no clock, no randomness and no async, and equal
//! inputs give equal bytes. Results are those of the reference implementation, since devices merge and apply for
//! themselves and cannot be told another outcome.

pub mod partition;
pub mod schema;
pub mod state;

pub mod apply;

pub mod merge;

pub mod history;

mod encoding;

pub use encoding::EncodingError;
