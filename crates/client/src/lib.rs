#![doc = include_str!("../README.md")]

pub mod app;
mod causes;
pub mod clock;
pub mod files;
mod folder;
pub mod history;
pub mod local;
pub mod object;
pub mod observe;
pub mod read;
pub mod realm;
pub mod reset;
pub mod schema;
pub mod session;
pub mod transport;
pub mod value;
pub mod write;

pub use app::{App, AppConfig, AppError, Credentials, OpenRealmError, User};
pub use bailiwick_core::partition::PartitionValue;
#[doc(no_inline)]
pub use bailiwick_protocol as protocol;
pub use local::{EncryptionKey, OpenOptions};
pub use object::{Embedded, Object};
pub use read::{Query, ReadError, View};
pub use realm::Realm;
pub use reset::ResetObserver;
pub use schema::Schema;
pub use session::{ResetMode, SyncError};
pub use transport::{SyncHandle, SyncNotice, SyncProgress, SyncStatus};
pub use value::{Binary, Decimal, ObjectId, PrimaryKey, Timestamp, Uuid, Value};
pub use write::{WriteError, WriteTransaction};

/// For the code that the [`object!`] macro writes.
#[doc(hidden)]
pub use serde;

// Under this name that code finds the crate, here too.
extern crate self as bailiwick_client;

#[cfg(test)]
mod tests {
    #[test]
    fn the_first_example_is_short() {
        let readme = include_str!("../README.md");
        let (_, example) = readme.split_once("```rust,no_run\n").unwrap();
        let (example, _) = example.split_once("```").unwrap();
        assert!(example.lines().count() <= 20, "{example}");
    }
}
