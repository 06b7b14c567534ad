//! DOWNLOADs into a file on the disk, against redb writing the objects that come of them; and what an offline
//! device has to upload.

#![expect(clippy::unwrap_used, reason = "what cannot be measured is not reported")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use bailiwick_client::files::{FreshInMemory, RealmFiles};
use bailiwick_client::history::{collect_upload, local_commit};
use bailiwick_client::local::{Batch, LocalFile, OpenOptions, Owner};
use bailiwick_client::session::{FileRole, StorageAnswer, StorageRequest};
use bailiwick_core::apply::Transaction;
use bailiwick_core::state::{ObjectRow, ObjectStore as _};
use bailiwick_protocol::changeset::{
    AddColumn, Changeset, CollectionKind, Instruction, KeySpec, KeyType, ObjectKey, Path as Place,
    Payload, TableKind, Target, TypeCode, UpdateKind,
};
use bailiwick_protocol::ident::{FileIdent, Salt, SessionIdent};
use bailiwick_protocol::message::{Body, DownloadEntry, DownloadHeader};
use bailiwick_protocol::version::{
    ClientVersion, DownloadCursor, OriginTimestamp, SaltedVersion, ServerVersion, UploadCursor,
};
use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use redb::{Database, TableDefinition};
use tempfile::TempDir;

/// What a server puts into one DOWNLOAD, in bytes.
const DOWNLOAD_LEN: usize = 1 << 20;

/// Each object has a key, two integers and a text.
const FIELDS: [(&str, TypeCode); 3] =
    [("age", TypeCode::Int), ("size", TypeCode::Int), ("name", TypeCode::String)];

fn schema() -> Changeset {
    let mut changeset = Changeset::default();
    let [table, field] = ["Dog", "_id"].map(|text| changeset.strings.intern(text));
    let key = KeySpec { field, key_type: KeyType::Int, nullable: false };
    changeset.instructions.push(Instruction::AddTable { table, kind: TableKind::TopLevel(key) });
    for (field, column_type) in FIELDS {
        changeset.instructions.push(Instruction::AddColumn(Box::new(AddColumn {
            table,
            field: changeset.strings.intern(field),
            column_type,
            nullable: false,
            collection: CollectionKind::Single,
            link_target: None,
            key_type: None,
        })));
    }
    changeset
}

fn create(changeset: &mut Changeset, key: i64) {
    let table = changeset.strings.intern("Dog");
    let object = ObjectKey::Int(key);
    changeset.instructions.push(Instruction::CreateObject { table, object });
    for (field, _) in FIELDS {
        let value = match field {
            "name" => Payload::String(format!("dog number {key}").into()),
            _ => Payload::Int(key * 3),
        };
        update(changeset, key, field, value);
    }
}

fn update(changeset: &mut Changeset, key: i64, field: &str, value: Payload) {
    let [table, field] = ["Dog", field].map(|text| changeset.strings.intern(text));
    changeset.instructions.push(Instruction::Update {
        target: Target { table, object: ObjectKey::Int(key), field, path: Place::new() },
        value,
        kind: UpdateKind::Value { is_default: false },
    });
}

/// The schema, then 5,000 objects that are created and another transaction for each of them.
fn transactions() -> Vec<Changeset> {
    let mut changesets = vec![schema()];
    for key in 0..5_000 {
        let mut changeset = Changeset::default();
        create(&mut changeset, key);
        changesets.push(changeset);
    }
    for key in 0..4_999 {
        let mut changeset = Changeset::default();
        update(&mut changeset, key, "age", Payload::Int(7));
        changesets.push(changeset);
    }
    changesets
}

/// The schema, then 100,000 objects, a hundred in a transaction.
fn bootstrap() -> Vec<Changeset> {
    let mut changesets = vec![schema()];
    for hundred in 0..1_000 {
        let mut changeset = Changeset::default();
        (0..100).for_each(|key| create(&mut changeset, hundred * 100 + key));
        changesets.push(changeset);
    }
    changesets
}

/// A DOWNLOAD.
type Message = (DownloadHeader, Body);

/// Changesets as a server sends them, in messages of about so many bytes.
fn messages(changesets: &[Changeset], len: usize) -> Vec<Message> {
    let whole: usize = changesets.iter().map(|changeset| changeset.encode().len()).sum();
    let parts = changesets.chunks(changesets.len().div_ceil(whole.div_ceil(len)));
    let mut first = 1;
    parts
        .map(|part| {
            let message = message(first, part);
            first += part.len() as u64;
            message
        })
        .collect()
}

/// The DOWNLOAD that begins with a server version.
fn message(first: u64, changesets: &[Changeset]) -> Message {
    let entries = (first..).zip(changesets).map(|(version, changeset)| {
        let bytes = Bytes::from(changeset.encode());
        DownloadEntry {
            server_version: ServerVersion(version),
            last_integrated_client_version: ClientVersion(0),
            origin_timestamp: OriginTimestamp(version),
            origin_file_ident: FileIdent(9),
            original_changeset_len: bytes.len() as u64,
            changeset: bytes,
        }
    });
    let last = ServerVersion(first - 1 + changesets.len() as u64);
    let header = DownloadHeader {
        session: SessionIdent(1),
        download_cursor: DownloadCursor {
            server_version: last,
            last_integrated_client_version: ClientVersion(0),
        },
        latest_server_version: SaltedVersion { version: last, salt: Salt(7) },
        upload_cursor: UploadCursor::default(),
        downloadable_bytes: 0,
    };
    (header, Body::from_entries(&entries.collect::<Vec<_>>()))
}

/// A device without objects.
fn device(dir: &Path) -> RealmFiles {
    let options = OpenOptions::new(Owner::default());
    let main = LocalFile::open(dir.join("dogs.realm"), &options).unwrap();
    let files = RealmFiles::new(Arc::new(main), FreshInMemory::default());
    execute(&files, StorageRequest::Identify(FileIdent(2), Salt(1)));
    files
}

fn execute(files: &RealmFiles, request: StorageRequest) {
    let answer = files.execute(FileRole::Main, request, OriginTimestamp(0));
    assert!(matches!(answer, StorageAnswer::Ready(_)), "{answer:?}");
}

fn integrate(files: &RealmFiles, messages: &[Message]) {
    for (header, body) in messages {
        execute(files, StorageRequest::Integrate(*header, body.clone()));
    }
}

/// The objects of a file.
fn rows(files: &RealmFiles) -> Vec<(ObjectRow, Bytes)> {
    let snapshot = files.main().snapshot().unwrap();
    let rows = snapshot.rows(&[]).unwrap();
    rows.into_iter()
        .map(|row| {
            let object = snapshot.object(&row).unwrap().unwrap();
            (row, object)
        })
        .collect()
}

const RAW: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("objects");

/// Writes rows to a file, in so many transactions.
fn write_raw(database: &Database, rows: &[(ObjectRow, Bytes)], transactions: usize) {
    for part in rows.chunks(rows.len().div_ceil(transactions)) {
        let writing = database.begin_write().unwrap();
        {
            let mut table = writing.open_table(RAW).unwrap();
            for (row, object) in part {
                table.insert(&**row, &**object).unwrap();
            }
        }
        writing.commit().unwrap();
    }
}

/// Integrates messages into an empty file, and writes what comes of them without a client.
fn compare(c: &mut Criterion, name: &str, messages: &[Message]) {
    let dir = TempDir::new().unwrap();
    let files = device(dir.path());
    integrate(&files, messages);
    let rows = rows(&files);
    let mut group = c.benchmark_group(name);
    group.sample_size(10);
    group.bench_function("integrate", |b| {
        b.iter_batched(
            || {
                let dir = TempDir::new().unwrap();
                (device(dir.path()), dir)
            },
            |(files, dir)| {
                integrate(&files, messages);
                (files, dir)
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("redb alone", |b| {
        b.iter_batched(
            || {
                let dir = TempDir::new().unwrap();
                (Database::create(dir.path().join("raw.redb")).unwrap(), dir)
            },
            |(database, dir)| {
                write_raw(&database, &rows, messages.len());
                (database, dir)
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn ten_thousand_changesets(c: &mut Criterion) {
    compare(c, "one DOWNLOAD of 10,000 changesets", &[message(1, &transactions())]);
}

fn first_open(c: &mut Criterion) {
    compare(c, "first open of 100,000 objects", &messages(&bootstrap(), DOWNLOAD_LEN));
}

/// 1,000 changesets arrive that are concurrent with 1,000 transactions of the device, on the same fields.
fn conflicts(c: &mut Criterion) {
    let common = &transactions()[..5_001];
    let sizes = |size| -> Vec<_> {
        let change = |key| {
            let mut changeset = Changeset::default();
            update(&mut changeset, key, "size", Payload::Int(size));
            changeset
        };
        (0..1_000).map(change).collect()
    };
    let (before, after) = (message(1, common), message(5_002, &sizes(2)));
    let mut group = c.benchmark_group("1,000 offline transactions");
    group.sample_size(10);
    group.bench_function("and 1,000 changesets", |b| {
        b.iter_batched(
            || {
                let dir = TempDir::new().unwrap();
                let files = device(dir.path());
                integrate(&files, std::slice::from_ref(&before));
                commit(&files, &sizes(1));
                (files, dir)
            },
            |(files, dir)| {
                integrate(&files, std::slice::from_ref(&after));
                (files, dir)
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// Commits transactions of the application.
fn commit(files: &RealmFiles, changesets: &[Changeset]) {
    let writer = files.main().write();
    for changeset in changesets {
        let snapshot = writer.snapshot().unwrap();
        let mut objects = Transaction::new(snapshot.schema(), &snapshot);
        let _ = objects.apply(changeset).unwrap();
        let changes = objects.finish();
        let batch = local_commit(&snapshot, changes, changeset.clone(), OriginTimestamp(5));
        writer.commit(&batch).unwrap();
    }
}

/// All UPLOADs of a device that was offline for 10,000 transactions, and for ten times as many: the cost of one is
/// the same.
fn upload(c: &mut Criterion) {
    let mut group = c.benchmark_group("collect all UPLOADs");
    group.sample_size(10);
    for count in [10_000, 100_000] {
        let dir = TempDir::new().unwrap();
        let files = device(dir.path());
        commit(&files, &[schema()]);
        let mut changeset = Changeset::default();
        create(&mut changeset, 0);
        commit(&files, &[changeset]);
        let mut changeset = Changeset::default();
        update(&mut changeset, 0, "age", Payload::Int(1));
        append(&files, std::iter::repeat_n(changeset, count));
        let snapshot = files.main().snapshot().unwrap();
        group.bench_function(format!("{count} transactions"), |b| {
            b.iter(|| {
                let mut at = UploadCursor::default();
                loop {
                    let batch = collect_upload(&snapshot, at).unwrap();
                    if batch.entries.is_empty() {
                        break;
                    }
                    at = batch.progress;
                    black_box(batch);
                }
                assert_eq!(at.client_version, snapshot.state().version);
            });
        });
    }
    group.finish();
}

/// Commits transactions that leave the objects as they are, in one commit of the disk.
fn append(files: &RealmFiles, changesets: impl Iterator<Item = Changeset>) {
    let writer = files.main().write();
    let snapshot = writer.snapshot().unwrap();
    let mut batch = Batch { state: snapshot.state().clone(), ..Batch::default() };
    for changeset in changesets {
        let transaction = local_commit(&snapshot, <_>::default(), changeset, OriginTimestamp(5));
        for mut entry in transaction.append {
            entry.version = ClientVersion(batch.state.version.0 + 1);
            batch.state.version = entry.version;
            batch.append.push(entry);
        }
    }
    writer.commit(&batch).unwrap();
}

/// DOWNLOADs of one changeset each, while none and while 10,000 transactions of the device wait for the server: about
/// other objects, and 100 of them about the same.
fn trickle(c: &mut Criterion) {
    let resize = |key, size| {
        let mut changeset = Changeset::default();
        update(&mut changeset, key, "size", Payload::Int(size));
        changeset
    };
    let before = message(1, &transactions()[..5_001]);
    let mut group = c.benchmark_group("a DOWNLOAD of 1 changeset");
    group.sample_size(10);
    for (waiting, key) in [(0, 0), (10_000, 0), (10_000, 1)] {
        let files = RealmFiles::new(Arc::new(LocalFile::in_memory()), FreshInMemory::default());
        execute(&files, StorageRequest::Identify(FileIdent(2), Salt(1)));
        integrate(&files, std::slice::from_ref(&before));
        append(&files, (0..waiting).map(|number| resize(number % 100 + 1, 3)));
        let mut versions = 5_002..;
        group.bench_function(format!("{waiting} waiting, object {key}"), |b| {
            b.iter(|| {
                let version = versions.next().unwrap();
                integrate(&files, &[message(version, &[resize(key, 4)])]);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, ten_thousand_changesets, first_open, conflicts, upload, trickle);
criterion_main!(benches);
