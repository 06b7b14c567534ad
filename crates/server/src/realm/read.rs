//! What an actor has to read before it can go on.

use std::collections::BTreeMap;
use std::sync::Arc;

use bailiwick_core::history::ClientFile;
use bailiwick_core::schema::Schema;
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::ServerVersion;
use bailiwick_storage::store::{RealmKey, Store};

use super::RealmError;
use super::integration::Loaded;

/// What is to be read of a realm; everything at once, since each trip to the disk takes its time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The realm itself. It is read first: what is read after it is not older.
    pub(super) realm: bool,
    /// Client files.
    pub(super) files: Vec<FileIdent>,
    /// Salts of versions.
    pub(super) salts: Vec<ServerVersion>,
}

/// What was read.
#[derive(Debug, Default)]
pub struct Records {
    pub(super) loaded: Option<Loaded>,
    pub(super) files: BTreeMap<FileIdent, Option<ClientFile>>,
    pub(super) salts: BTreeMap<ServerVersion, Option<Salt>>,
}

impl Request {
    /// Reads it. Blocks.
    ///
    /// # Errors
    ///
    /// If the storage fails, or holds what cannot be read.
    pub fn read(&self, store: &dyn Store, key: &RealmKey) -> Result<Records, RealmError> {
        let mut records = Records::default();
        if self.realm {
            let record = store.realm(key)?;
            let schema = Schema::decode(&record.schema)
                .map_err(|error| RealmError::Damaged(format!("its schema: {error}").into()))?;
            records.loaded = Some(Loaded { record, schema: Arc::new(schema) });
        }
        for ident in &self.files {
            records.files.insert(*ident, store.client_file(key, *ident)?);
        }
        for version in &self.salts {
            let before = ServerVersion(version.0.saturating_sub(1));
            let entries = store.entries(key, before, *version, 0)?;
            records.salts.insert(*version, entries.first().map(|entry| entry.version.salt));
        }
        Ok(records)
    }
}
