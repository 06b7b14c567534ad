//! What a changeset does to the objects of a realm.
//!
//! A [`Transaction`] reads from an [`ObjectStore`](crate::state::ObjectStore), keeps what changesets change
//! beside it, and [finishes](Transaction::finish) with the [`Changes`] to commit. Each object is decoded
//! once and encoded once, however many instructions touch it.
//!
//! ```
//! use bailiwick_core::apply::Transaction;
//! use bailiwick_core::state::State;
//! use bailiwick_protocol::changeset::{
//!     Changeset, Instruction, KeySpec, KeyType, ObjectKey, TableKind,
//! };
//!
//! let mut changeset = Changeset::default();
//! let table = changeset.strings.intern("Dog");
//! let field = changeset.strings.intern("_id");
//! let key = KeySpec { field, key_type: KeyType::Int, nullable: false };
//! changeset.instructions = vec![
//!     Instruction::AddTable { table, kind: TableKind::TopLevel(key) },
//!     Instruction::CreateObject { table, object: ObjectKey::Int(1) },
//! ];
//!
//! // A store holds a schema and rows; in memory both are a `State`.
//! let mut state = State::default();
//! let mut transaction = Transaction::new(state.schema(), &state);
//! let applied = transaction.apply(&changeset)?;
//! assert!(applied.rewritten.is_none());
//! let changes = transaction.finish();
//! state.commit(changes);
//! assert_eq!(state.to_string(), "class Dog (_id)\n  _id: int\nDog[1]\n");
//! # Ok::<(), bailiwick_core::apply::ApplyError<std::convert::Infallible>>(())
//! ```
//!
//! # Nothing passes that a device could choke on
//!
//! A changeset that applies here is sent to devices, so this module refuses whatever the official applier
//! refuses, and a few things more that it lets pass to its own harm: a repeated `AddTable` with another key type,
//! writing or erasing a primary key's column, links from or to asymmetric classes, `GlobalKey`s beyond what a file
//! can hold, names and values that are too long, nesting that is too deep.
//!
//! A class that a changeset erased, which no SDK does, is not named again by the same changeset.
//! Erasing a class or a column reads and writes all objects that it was in.
//!
//! Four things are taken from devices and are not sent to them as they came. Where a changeset holds one,
//! [`Applied::rewritten`] is the form to store and send:
//!
//! - `SetErase(null)` on a set of a type, which devices write and no device applies, becomes `Clear` and the
//!   `SetInsert` of each remaining element;
//! - `ArrayMove` of a list or dictionary inside a mixed list, which crashes a device, becomes `ArrayErase` and
//!   the same collection again;
//! - a repeated `AddColumn` of links to any class, which a device takes for a contradiction, is left out;
//! - what is done to objects of asymmetric classes is left out: these objects never travel to devices. They
//!   are kept in the store.
//!
//! And devices of older protocol versions are sent [another form](for_older_devices) of a changeset that removes
//! dictionary entries.
//!
//! Spec: applying.

mod draft;
mod error;
mod list;
mod older;
mod overlay;
mod path;
mod payload;
mod references;
mod rewrite;
mod schema;
mod set;
#[cfg(test)]
mod tests;
mod transaction;
mod update;

pub use draft::Draft;
pub use error::{ApplyError, Fault, Refusal};
pub use older::{FORGIVING_PROTOCOL, for_older_devices};
pub use transaction::{Applied, Changes, Savepoint, Transaction};
