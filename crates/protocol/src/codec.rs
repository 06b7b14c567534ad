//! The only code that touches single bytes: the integers of the changeset format, and a reader that
//! never runs past its end.
//!
//! An integer is written in 7-bit groups, least significant first; the last byte has only six value
//! bits, and its bit 6 is the sign. This is *not* LEB128. Only the shortest form is read: the reference
//! accepts longer ones, but nobody writes them. Spec: changeset format, section 2.

mod reader;
mod varint;

pub use reader::Reader;
pub use varint::{IntegerFault, write_i64, write_u64, write_u128};
