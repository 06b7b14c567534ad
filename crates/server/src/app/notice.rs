//! What an app's configuration holds that this server does not act on.

use std::fmt;

/// A setting without effect; its text is for the operator, at start-up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The permissions are known and not yet enforced.
    PermissionsNotEnforced,
    /// A field of a file that is read otherwise.
    UnreadField {
        /// The file, relative to the directory.
        file: String,
        /// The field; dots lead into objects.
        field: String,
    },
    /// A file or directory, which then ends in a slash, relative to the directory.
    UnreadPath(String),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PermissionsNotEnforced => f.write_str(
                "sync/config.json: `partition.permissions` is not enforced yet: \
                 every user may read and write every partition",
            ),
            Self::UnreadField { file, field } => write!(f, "{file}: `{field}` is not used yet"),
            Self::UnreadPath(path) if path == "data_sources/" => write!(
                f,
                "{path} is not used yet, except for the place of the partition key in its schemas"
            ),
            Self::UnreadPath(path) => write!(f, "{path} is not used yet"),
        }
    }
}
