//! What an integration takes, and what it keeps.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::borrow::Cow;
use std::convert::Infallible;

use bailiwick_core::apply::Transaction;
use bailiwick_core::history::{
    Base, ClientFile, ConcurrentHistory, Entry, Integration, Unseen, Upload, UploadedChangeset,
    integrate,
};
use bailiwick_core::schema::Schema;
use bailiwick_core::state::{ObjectRow, ObjectStore};
use bailiwick_protocol::changeset::{
    AddColumn, Changeset, CollectionKind, Instruction, KeySpec, KeyType, MAX_BINARY_LEN, ObjectKey,
    Path, Payload, TableKind, Target, TypeCode, UpdateKind,
};
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{
    ClientVersion, OriginTimestamp, SaltedVersion, ServerVersion, UploadCursor,
};
use bytes::Bytes;

/// A server whose objects are only those of the batch.
#[derive(Default)]
struct Server {
    entries: Vec<Entry>,
}

impl Server {
    fn append(&mut self, version: ServerVersion, changeset: Bytes) {
        let before = self.entries.last().map_or(0, |entry| entry.cumulative_len);
        self.entries.push(Entry {
            version: SaltedVersion { version, salt: Salt(1) },
            origin_file_ident: FileIdent(2),
            client_version: ClientVersion(version.0),
            origin_timestamp: OriginTimestamp(1),
            required_protocol: 2,
            cumulative_len: before + changeset.len() as u64,
            changeset,
        });
    }
}

impl ConcurrentHistory for Server {
    type Error = Infallible;

    fn entries(&self, after: ServerVersion) -> Result<Cow<'_, [Entry]>, Infallible> {
        let first = self.entries.partition_point(|entry| entry.version.version <= after);
        Ok(self.entries[first..].into())
    }

    fn reciprocals(
        &self,
        _: FileIdent,
        _: ServerVersion,
    ) -> Result<Vec<(ServerVersion, Bytes)>, Infallible> {
        Ok(Vec::new())
    }
}

impl ObjectStore for Server {
    type Error = Infallible;

    fn object(&self, _: &[u8]) -> Result<Option<Bytes>, Infallible> {
        Ok(None)
    }

    fn rows(&self, _: &[u8]) -> Result<Vec<ObjectRow>, Infallible> {
        Ok(Vec::new())
    }
}

#[test]
fn a_binary_of_the_largest_size_is_integrated_and_merged_past() {
    let mut server = Server::default();
    let schema = Schema::default();
    let largest = vec![7; usize::try_from(MAX_BINARY_LEN).unwrap()];
    let result = integrate_one(&server, &schema, 2, photo(1, &largest));
    assert!(result.rejections.is_empty(), "{:?}", result.rejections);
    assert!(result.entries[0].changeset.len() > 16 << 20, "larger than what devices put together");
    server.entries = result.entries;

    let result = integrate_one(&server, &schema, 3, photo(2, b"small"));
    assert!(result.rejections.is_empty(), "{:?}", result.rejections);
    assert!(!result.entries[0].changeset.is_empty());
}

/// Whoever has gone back over an upload does not go back over those before it, so what that would need is not kept.
#[test]
fn what_is_kept_for_going_back_is_forgotten_after_each_upload() {
    let (server, schema) = (Server::default(), Schema::default());
    let mut objects = Transaction::new(&schema, &server);
    let start = objects.savepoint();
    let uploads = vec![first_upload(2, photo(1, b"a")), first_upload(3, Bytes::from("refused"))];
    let result = integrate(&base(&server), &server, &mut objects, uploads).unwrap();
    assert_eq!(result.rejections.len(), 1);
    objects.rollback_to(start);
    assert_eq!(objects.finish().objects.len(), 1, "the photo stays");
}

#[test]
fn many_devices_that_have_not_seen_much_are_not_all_remembered() {
    let mut server = Server::default();
    for version in 1..=130 {
        let changeset = photo(version, &[1; 8000]);
        server.append(ServerVersion(version.unsigned_abs()), changeset);
    }
    let uploads = (3..23).map(|ident| first_upload(ident, photo(1000, b"x"))).collect();
    let schema = Schema::default();
    let mut objects = transaction(&server, &schema);
    let result = integrate(&base(&server), &server, &mut objects, uploads).unwrap();
    assert_eq!(result.entries.len(), 20);
    let len: usize = result.unseen.iter().map(|(_, unseen)| unseen.byte_len()).sum();
    assert!((1..=16 << 20).contains(&len), "{len} bytes");
}

/// What becomes of a device's first upload, which has not seen anything.
fn integrate_one(server: &Server, schema: &Schema, ident: u64, changeset: Bytes) -> Integration {
    let upload = first_upload(ident, changeset);
    integrate(&base(server), server, &mut transaction(server, schema), vec![upload]).unwrap()
}

/// Begins with what the first entry made.
fn transaction<'a>(server: &'a Server, schema: &'a Schema) -> Transaction<'a, Server> {
    let mut objects = Transaction::new(schema, server);
    if let Some(first) = server.entries.first() {
        let _ = objects.apply(&decode(&first.changeset)).unwrap();
    }
    objects
}

fn base(server: &Server) -> Base {
    let last = server.entries.last();
    Base {
        head: last.map(|entry| entry.version.version).unwrap_or_default(),
        cumulative_len: last.map(|entry| entry.cumulative_len).unwrap_or_default(),
        salt: Salt(1),
        now_ms: 1,
        max_reciprocals_len: usize::MAX,
    }
}

fn first_upload(ident: u64, changeset: Bytes) -> Upload {
    let cursor = UploadCursor {
        client_version: ClientVersion(2),
        last_integrated_server_version: ServerVersion(0),
    };
    Upload {
        file_ident: FileIdent(ident),
        file: ClientFile::new(Salt(1), "", 1),
        progress: cursor,
        locked: ServerVersion(0),
        changesets: vec![UploadedChangeset {
            cursor,
            origin_timestamp: OriginTimestamp(ident),
            origin_file_ident: FileIdent::SELF,
            bytes: changeset,
        }],
        unseen: Unseen::default(),
    }
}

fn decode(bytes: &[u8]) -> Changeset {
    let limits = bailiwick_protocol::changeset::DecodeLimits::NONE;
    Changeset::decode_within(bytes, &limits).unwrap()
}

/// The schema, and one object with a picture.
fn photo(id: i64, data: &[u8]) -> Bytes {
    let mut changeset = Changeset::default();
    let table = changeset.strings.intern("Photo");
    let key =
        KeySpec { field: changeset.strings.intern("_id"), key_type: KeyType::Int, nullable: false };
    let field = changeset.strings.intern("data");
    let object = ObjectKey::Int(id);
    changeset.instructions = vec![
        Instruction::AddTable { table, kind: TableKind::TopLevel(key) },
        Instruction::AddColumn(Box::new(AddColumn {
            table,
            field,
            column_type: TypeCode::Binary,
            nullable: false,
            collection: CollectionKind::Single,
            link_target: None,
            key_type: None,
        })),
        Instruction::CreateObject { table, object },
        Instruction::Update {
            target: Target { table, object, field, path: Path::new() },
            value: Payload::Binary(data.into()),
            kind: UpdateKind::Value { is_default: false },
        },
    ];
    changeset.encode().into()
}
