//! A changeset: what one write transaction did, as a list of [`Instruction`]s over a table of strings.
//!
//! Class names, field names, string keys and dictionary keys are interned: an instruction holds a
//! [`Symbol`], and the text stands once in [`Changeset::strings`]. Symbols mean nothing outside their
//! changeset; to compare across changesets, compare texts.
//!
//! Spec: changeset format.

mod instruction;
mod intern;

mod key;
mod path;
mod value;

pub use instruction::{
    AddColumn, ColumnType, Instruction, KeySpec, KeyType, Kind, Link, TableKind, Target, UpdateKind,
};
pub use intern::{StringTable, Symbol};
pub use key::ObjectKey;
pub use path::{Path, PathElement};
pub use value::{CollectionKind, Decimal, Payload, Timestamp, TypeCode};

/// What one write transaction did.
///
/// Equality is by content: strings that no instruction uses, and the order of the table, do not count in
/// [`Changeset::same_content`]; the derived `PartialEq` compares the table as well.
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
