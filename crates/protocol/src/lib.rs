//! The wire format of Realm Device Sync: what devices and servers send each other, and nothing else.
//!
//! ```
//! use bailiwick_protocol::changeset::{Changeset, Instruction};
//!
//! // A device declares the embedded class `Addr`.
//! let bytes = b"\x3f\x00\x04Addr\x00\x00\x01";
//! let changeset = Changeset::decode(bytes)?;
//! changeset.check()?;
//! let [Instruction::AddTable { table, .. }] = changeset.instructions[..] else { panic!() };
//! assert_eq!(changeset.text(table), "Addr");
//! assert_eq!(changeset.encode(), bytes);
//!
//! // What does not decode says where and why.
//! let error = Changeset::decode(b"\x3f\x00\x04Add").unwrap_err();
//! assert_eq!(error.offset, 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Input is read strictly: whatever a device does not write is an error, never a panic, and never an allocation that the
//! size of the input does not justify. Output has the bytes of the reference implementation. There is no I/O here,
//! no clock, no async and no state; `bailiwick-core` says what changesets mean.

pub mod ident;
pub mod version;

pub mod changeset;
pub mod codec;

pub mod message;

pub mod action;
pub mod error_code;

pub mod close_code;
pub mod handshake;
pub mod protocol_version;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
