//! Why a realm cannot be read.

use bailiwick_core::EncodingError;

use crate::local::LocalError;
use crate::object::ObjectError;
use crate::value::{PrimaryKey, ValueError};

/// Why something cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file cannot be read.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// The realm has no such class.
    #[error("there is no class {0:?}; has the realm been opened with it in the schema?")]
    NoClass(String),
    /// The class has no such field.
    #[error("class {class:?} has no field {field:?}")]
    NoField {
        /// The class.
        class: String,
        /// The name that it does not have.
        field: String,
    },
    /// A value that is looked for is not one that the class can have.
    #[error("class {class:?} cannot have the value that is looked for")]
    Value {
        /// The class.
        class: String,
        /// Why not.
        #[source]
        error: ValueError,
    },
    /// Collections, links and embedded objects have no order.
    #[error("objects of class {class:?} cannot be sorted by {field:?}: it has no order")]
    NotSortable {
        /// The class.
        class: String,
        /// The field.
        field: String,
    },
    /// The object does not fit the struct.
    #[error("object {key} of class {class:?} does not fit the struct")]
    Object {
        /// The class.
        class: String,
        /// The object.
        key: PrimaryKey,
        /// Why not.
        #[source]
        error: ObjectError,
    },
}

impl From<EncodingError> for ReadError {
    fn from(error: EncodingError) -> Self {
        Self::Local(error.into())
    }
}
