//! A changeset: what one write transaction did, as a list of [`Instruction`]s over a table of strings.
//!
//! Class names, field names, string keys and dictionary keys are interned: an instruction holds a
//! [`Symbol`], and the text stands once in [`Changeset::strings`]. Symbols mean nothing outside their
//! changeset; to compare across changesets, compare texts.
//!
//! Spec: changeset format.

mod check;
mod decode;
mod describe;
mod encode;
mod instruction;
mod intern;
#[cfg(feature = "json")]
pub mod json;

mod key;
mod path;
mod value;

pub use check::{CheckError, CheckRule, MAX_CLASS_NAME_LEN, MAX_FIELD_NAME_LEN, MAX_LIST_SIZE};
pub use decode::{DecodeError, DecodeFault, DecodeLimits, MAX_BINARY_LEN, MAX_STRING_LEN};
pub use instruction::{
    AddColumn, ColumnType, Instruction, KeySpec, KeyType, Kind, Link, TableKind, Target, UpdateKind,
};
pub use intern::{StringTable, Symbol};
pub use key::ObjectKey;
pub use path::{Path, PathElement};
pub use value::{CollectionKind, Decimal, Payload, Timestamp, TypeCode};

/// What one write transaction did.
///
/// Two changesets are equal if their tables and their instructions are; the same instructions over
/// another table are another changeset.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changeset {
    /// The interned strings, by index.
    pub strings: StringTable,
    /// What was done, in order.
    pub instructions: Vec<Instruction>,
}

impl Changeset {
    /// The text of a symbol of this changeset.
    ///
    /// # Panics
    ///
    /// If the symbol comes from another changeset and is out of range here.
    pub fn text(&self, symbol: Symbol) -> &str {
        self.strings.get(symbol)
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.instructions.is_empty()
    }
}
