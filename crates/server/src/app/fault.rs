//! Why an app's configuration cannot be used, and what to do about it.

use std::io;
use std::path::PathBuf;

use crate::app::id::InvalidAppId;

/// A file of the configuration directory that keeps the app from being served.
#[derive(Debug, thiserror::Error)]
#[error("the app's configuration cannot be used: {}", file.display())]
pub struct AppError {
    /// The file, or the directory.
    pub file: PathBuf,
    /// What is wrong with it.
    #[source]
    pub fault: AppFault,
}

/// What is wrong with a file; the text ends with the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppFault {
    /// There is no such directory.
    #[error("this is not a directory; name the one that holds the app's `realm_config.json`")]
    NotADirectory,
    /// The root file is missing.
    #[error(
        "this file is missing, so it is not an app's directory; export the app with realm-cli or appservices, \
         or start from `examples/inventory`"
    )]
    NoRootFile,
    /// The sync configuration is missing.
    #[error(
        "this file is missing, so nothing would be synced; export the app while sync is enabled, \
         or start from `examples/inventory/sync/config.json`"
    )]
    NoSyncFile,
    /// The operating system refuses.
    #[error("it cannot be read")]
    Unreadable(#[source] io::Error),
    /// The text is not JSON.
    #[error("line {line}, column {column} is not JSON; correct it there or a little before")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in bytes.
        column: usize,
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
    /// The file holds JSON of another kind.
    #[error("it must hold a JSON object, `{{...}}`, but holds {found}")]
    NotAnObject {
        /// What it holds.
        found: &'static str,
    },
    /// A field is missing that cannot be.
    #[error("the field `{field}` is missing; add it, for example as `{example}`")]
    FieldMissing {
        /// Dots lead into objects.
        field: String,
        /// How it could look.
        example: &'static str,
    },
    /// A field holds JSON of another kind.
    #[error("the field `{field}` must be {expected}, but is {found}")]
    FieldType {
        /// Dots lead into objects.
        field: String,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// The app id could not stand in a URL.
    #[error("the field `app_id` is wrong; write the id that the app's devices are configured with")]
    AppId(#[source] InvalidAppId),
    /// The app uses the other kind of sync.
    #[error(
        "the app uses flexible sync, which is not served yet; only partition-based sync is \
         (`\"type\": \"partition\"`)"
    )]
    FlexibleSync,
    /// A kind of sync that does not exist.
    #[error("the field `type` is {found:?}; write \"partition\"")]
    UnknownSyncType {
        /// What it is.
        found: String,
    },
    /// There is no partition, so sync was never enabled or was terminated.
    #[error(
        "sync is not enabled in this app: there is no `partition`; export it while sync is enabled, or add one"
    )]
    SyncOff,
    /// Sync is paused or terminated.
    #[error("sync is not enabled in this app: `state` is {state:?}; write \"enabled\" to serve it")]
    SyncDisabled {
        /// What it is.
        state: String,
    },
    /// The partition key is no usable field name.
    #[error(
        "the field `partition.key` is {found:?}; name a field of the documents that is not `_id` and has no leading `$`"
    )]
    PartitionKey {
        /// What it is.
        found: String,
    },
    /// Partitions cannot be told apart by values of this type.
    #[error(
        "the field `partition.type` is {found:?}; a partition key is one of \
         \"string\", \"objectId\", \"long\" (or \"int\") and \"uuid\""
    )]
    PartitionType {
        /// What it is.
        found: String,
    },
    /// A schema contradicts the sync configuration.
    #[error(
        "the property {key:?} is the partition key and has type {found:?} here, but `partition.type` in \
         sync/config.json is {expected:?}; make them the same"
    )]
    SchemaContradicts {
        /// The partition key.
        key: String,
        /// The type in the schema.
        found: String,
        /// The type in the sync configuration.
        expected: &'static str,
    },
}

impl AppError {
    /// A fault of this file.
    pub fn new(file: impl Into<PathBuf>, fault: AppFault) -> Self {
        Self { file: file.into(), fault }
    }
}
