//! The way from a field to the place inside it that an instruction is about.
//!
//! Spec: changeset format, section 8.

use smallvec::SmallVec;

use super::Symbol;

/// One step of a [`Path`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PathElement {
    /// A position in a list.
    Index(u32),
    /// A dictionary key, or a field of an embedded object: only the schema tells them apart.
    Key(Symbol),
}

/// The steps below a field; empty for the field itself.
pub type Path = SmallVec<[PathElement; 2]>;
