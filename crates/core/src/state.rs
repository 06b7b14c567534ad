//! Objects as values: what a realm holds, how it is ordered and how it is stored.
//!
//! An [`Object`] holds its values by column id and knows nothing of its class; the
//! [`Schema`](crate::schema::Schema) gives them names and types. The primary key is not among them: it is
//! in the object's [row](ObjectRow).

mod decimal;
mod dump;
mod encoding;
mod json;
mod memory;
mod object;
mod payload;
mod row;
mod sequence;
mod set_order;
mod value;

use bytes::Bytes;

pub use memory::State;
pub use object::Object;
pub(crate) use row::row_class;
pub(crate) use row::{Hex, UuidText};
pub use row::{ObjectRow, PrimaryKey, RowError, decode_row, encode_row, row_prefix};
pub use sequence::Sequence;
pub use set_order::SetOrder;
pub use value::{Dictionary, Link, Set, Value};

/// Where the objects of one realm are read from.
///
/// All answers come from one state of the realm: nobody commits to it in between.
pub trait ObjectStore {
    /// Why the objects cannot be read.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The stored form of the object of this row.
    ///
    /// # Errors
    ///
    /// The store failed.
    fn object(&self, row: &[u8]) -> Result<Option<Bytes>, Self::Error>;

    /// All rows that start with `prefix`. Only asked when a class is erased, which no SDK does.
    ///
    /// # Errors
    ///
    /// The store failed.
    fn rows(&self, prefix: &[u8]) -> Result<Vec<ObjectRow>, Self::Error>;
}
