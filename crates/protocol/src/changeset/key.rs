//! What names an object within its class.
//!
//! Spec: changeset format, section 6.

use super::Symbol;

/// A primary key value, or the `GlobalKey` of an object whose class has no primary key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectKey {
    /// The null primary key, of whatever key type the class has.
    Null,
    /// An integer primary key.
    Int(i64),
    /// A string primary key; interned, unlike a string payload.
    String(Symbol),
    /// An `ObjectId`, in the order of its hexadecimal form.
    ObjectId([u8; 12]),
    /// A UUID, in the order of its hexadecimal form.
    Uuid([u8; 16]),
    /// An object without primary key.
    GlobalKey {
        /// The file ident of the device that created it.
        hi: u64,
        /// That device's running number.
        lo: u64,
    },
}

impl ObjectKey {
    /// The symbol in it, if it is a string.
    pub(super) fn symbol_mut(&mut self) -> Option<&mut Symbol> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }
}
