//! One device, and what its server says.

mod download;
mod unintegrated;
mod upload;

use std::cell::RefCell;

use bailiwick_core::apply::Transaction;
use bailiwick_protocol::changeset::{
    AddColumn, Changeset, CollectionKind, Instruction, KeySpec, KeyType, ObjectKey, Path, Payload,
    TableKind, Target, TypeCode, UpdateKind,
};
use bailiwick_protocol::ident::{FileIdent, Salt, SessionIdent};
use bailiwick_protocol::message::{Body, Download, DownloadEntry, DownloadHeader};
use bailiwick_protocol::version::{
    ClientVersion, DownloadCursor, OriginTimestamp, SaltedVersion, ServerVersion, UploadCursor,
};
use bytes::Bytes;

use super::{IntegrationError, Unintegrated, identify, integrate, local_commit};
use crate::local::{Batch, HistoryEntry, LocalFile, Snapshot};

/// The device's client file.
const OWN: FileIdent = FileIdent(2);
/// That of another device.
const OTHER: FileIdent = FileIdent(3);

/// A device; its version is 2 once it has its client file.
struct Device {
    file: LocalFile,
    unintegrated: RefCell<Unintegrated>,
}

impl Device {
    fn new() -> Self {
        let device = Self::nameless();
        device.commit(&identify(&device.snapshot(), OWN, Salt(7)));
        device
    }

    /// A device without client file.
    fn nameless() -> Self {
        Self { file: LocalFile::in_memory(), unintegrated: RefCell::default() }
    }

    fn snapshot(&self) -> Snapshot {
        self.file.snapshot().unwrap()
    }

    fn commit(&self, batch: &Batch) {
        self.file.write().commit(batch).unwrap();
    }

    /// Commits a transaction of the application.
    fn write(&self, timestamp: u64, changeset: Changeset) {
        let snapshot = self.snapshot();
        let mut objects = Transaction::new(snapshot.schema(), &snapshot);
        let _ = objects.apply(&changeset).unwrap();
        let timestamp = OriginTimestamp(timestamp);
        self.commit(&local_commit(&snapshot, objects.finish(), changeset, timestamp));
    }

    /// Integrates a DOWNLOAD; whether there was anything to integrate.
    fn download(
        &self,
        header: &DownloadHeader,
        entries: &[DownloadEntry],
    ) -> Result<bool, IntegrationError> {
        let plain = Body::from_entries(entries).inflate(usize::MAX).unwrap();
        let mut unintegrated = self.unintegrated.borrow_mut();
        let entries = Download::entries(plain);
        let batch = integrate(&self.snapshot(), &mut unintegrated, header, entries)?;
        Ok(batch.inspect(|batch| self.commit(batch)).is_some())
    }

    fn history(&self) -> Vec<HistoryEntry> {
        self.snapshot().history(ClientVersion(0)).unwrap().map(Result::unwrap).collect()
    }

    fn versions(&self) -> Vec<u64> {
        self.history().iter().map(|entry| entry.version.0).collect()
    }

    /// The size of a dog, if there is that dog.
    fn size(&self, key: i64) -> Option<i64> {
        let snapshot = self.snapshot();
        let class = snapshot.schema().class("Dog")?;
        let object = snapshot.get(class.id(), &crate::value::PrimaryKey::Int(key)).unwrap()?;
        match object.get(class.column("size")?.id) {
            Some(bailiwick_core::state::Value::Int(size)) => Some(*size),
            _ => Some(0),
        }
    }
}

/// A header: download cursor (server version, client version), latest server version, upload cursor (client version,
/// server version).
fn header(download: (u64, u64), latest: u64, upload: (u64, u64)) -> DownloadHeader {
    DownloadHeader {
        session: SessionIdent(1),
        download_cursor: DownloadCursor {
            server_version: ServerVersion(download.0),
            last_integrated_client_version: ClientVersion(download.1),
        },
        latest_server_version: SaltedVersion { version: ServerVersion(latest), salt: Salt(9) },
        upload_cursor: UploadCursor {
            client_version: ClientVersion(upload.0),
            last_integrated_server_version: ServerVersion(upload.1),
        },
        downloadable_bytes: 0,
    }
}

/// A changeset of the other device, later than everything.
fn entry(server_version: u64, base: u64, changeset: &Changeset) -> DownloadEntry {
    let bytes = Bytes::from(changeset.encode());
    DownloadEntry {
        server_version: ServerVersion(server_version),
        last_integrated_client_version: ClientVersion(base),
        origin_timestamp: OriginTimestamp(1_000),
        origin_file_ident: OTHER,
        original_changeset_len: bytes.len() as u64,
        changeset: bytes,
    }
}

/// Declares dogs that have a size and data.
fn declare() -> Changeset {
    let mut changeset = Changeset::default();
    let [table, field] = ["Dog", "_id"].map(|text| changeset.strings.intern(text));
    let key = KeySpec { field, key_type: KeyType::Int, nullable: false };
    changeset.instructions.push(Instruction::AddTable { table, kind: TableKind::TopLevel(key) });
    for (field, column_type) in [("size", TypeCode::Int), ("data", TypeCode::Binary)] {
        let field = changeset.strings.intern(field);
        changeset.instructions.push(Instruction::AddColumn(Box::new(AddColumn {
            table,
            field,
            column_type,
            nullable: false,
            collection: CollectionKind::Single,
            link_target: None,
            key_type: None,
        })));
    }
    changeset
}

/// Creates a dog.
fn create(key: i64) -> Changeset {
    let mut changeset = Changeset::default();
    let table = changeset.strings.intern("Dog");
    let object = ObjectKey::Int(key);
    changeset.instructions.push(Instruction::CreateObject { table, object });
    changeset
}

/// Gives a dog a size.
fn resize(key: i64, size: i64) -> Changeset {
    let mut changeset = Changeset::default();
    update(&mut changeset, key, "size", Payload::Int(size));
    changeset
}

/// Gives a dog so many bytes of data.
fn fill(key: i64, len: usize) -> Changeset {
    let mut changeset = Changeset::default();
    update(&mut changeset, key, "data", Payload::Binary(vec![7; len].into()));
    changeset
}

fn update(changeset: &mut Changeset, key: i64, field: &str, value: Payload) {
    let [table, field] = ["Dog", field].map(|text| changeset.strings.intern(text));
    changeset.instructions.push(Instruction::Update {
        target: Target { table, object: ObjectKey::Int(key), field, path: Path::new() },
        value,
        kind: UpdateKind::Value { is_default: false },
    });
}
