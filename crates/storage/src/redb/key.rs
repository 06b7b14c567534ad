//! The tables and their keys; drawn in [the module above](crate::redb).

use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::ServerVersion;
use redb::TableDefinition;

use crate::store::StorageError;

pub(super) type Bytes8 = &'static [u8; 8];
pub(super) type Bytes16 = &'static [u8; 16];
pub(super) type Bytes24 = &'static [u8; 24];
pub(super) type Slice = &'static [u8];
pub(super) type Text = &'static str;

/// A table: what the database calls it, and its number in the log and in memory.
pub(super) struct Table<K: redb::Key + 'static, V: redb::Value + 'static> {
    pub(super) definition: TableDefinition<'static, K, V>,
    pub(super) number: u8,
}

impl<K: redb::Key + 'static, V: redb::Value + 'static> Table<K, V> {
    const fn new(name: &'static str, number: u8) -> Self {
        Self { definition: TableDefinition::new(name), number }
    }
}

// The numbers are part of the log's format.
pub(super) const META: Table<Text, u64> = Table::new("meta", 0);
pub(super) const REALMS: Table<Slice, Slice> = Table::new("realms", 1);
pub(super) const SCHEMAS: Table<Bytes8, Slice> = Table::new("schemas", 2);
pub(super) const ENTRIES: Table<Bytes16, Slice> = Table::new("entries", 3);
pub(super) const CLIENT_FILES: Table<Bytes16, Slice> = Table::new("client_files", 4);
pub(super) const RECIPROCALS: Table<Bytes24, Slice> = Table::new("reciprocals", 5);
pub(super) const OBJECTS: Table<Slice, Slice> = Table::new("objects", 6);
pub(super) const USERS: Table<Text, Slice> = Table::new("users", 7);
pub(super) const SESSIONS: Table<Text, Slice> = Table::new("sessions", 8);
pub(super) const USER_SESSIONS: Table<(Text, Text), ()> = Table::new("user_sessions", 9);
pub(super) const SECRETS: Table<Text, Slice> = Table::new("secrets", 10);

/// In `meta`: the format of the file.
pub(super) const FORMAT: &str = "format";
/// In `meta`: the id of the log that belongs to the file.
pub(super) const LOG: &str = "log";
/// In `meta`: the number of the log's last record that the file holds.
pub(super) const LOG_UNTIL: &str = "log_until";
/// In `meta`: the id that the next realm gets; missing if there was none yet.
pub(super) const NEXT_REALM: &str = "next_realm";

/// Names a realm within the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RealmId(pub(super) u64);

impl RealmId {
    pub(super) fn schema(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    pub(super) fn entry(self, version: ServerVersion) -> [u8; 16] {
        join(self.0, version.0)
    }

    pub(super) fn client_file(self, ident: FileIdent) -> [u8; 16] {
        join(self.0, ident.0)
    }

    pub(super) fn reciprocal(self, ident: FileIdent, version: ServerVersion) -> [u8; 24] {
        let mut key = [0; 24];
        key[..16].copy_from_slice(&join(self.0, ident.0));
        key[16..].copy_from_slice(&version.0.to_be_bytes());
        key
    }

    pub(super) fn object(self, row: &[u8]) -> Vec<u8> {
        [&self.0.to_be_bytes(), row].concat()
    }
}

fn join(first: u64, second: u64) -> [u8; 16] {
    ((u128::from(first) << 64) | u128::from(second)).to_be_bytes()
}

/// The version at the end of a key of `entries` or `reciprocals`.
pub(super) fn version(key: &[u8]) -> Result<ServerVersion, StorageError> {
    match key.last_chunk() {
        Some(bytes) => Ok(ServerVersion(u64::from_be_bytes(*bytes))),
        None => Err(StorageError::Corrupt("a key is too short")),
    }
}

/// The row in a key of `objects`.
pub(super) fn row(key: &[u8]) -> Result<&[u8], StorageError> {
    key.get(8..).ok_or(StorageError::Corrupt("a key is too short"))
}
