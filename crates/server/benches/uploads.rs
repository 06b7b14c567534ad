//! What 1,000 small uploads cost from a realm's queue to the disk: decoded, merged, applied, committed.
//!
//! The measure beside them is what the disk itself needs, in the same directory: 1,000 appends that are
//! each flushed, and one append of all bytes. Uploads that wait for each other can come near the former,
//! uploads that do not can come near the latter.

use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bailiwick_core::history::UploadedChangeset;
use bailiwick_protocol::changeset::{
    AddColumn, Changeset, CollectionKind, Instruction, KeySpec, KeyType, ObjectKey,
    Path as FieldPath, Payload, TableKind, Target, TypeCode, UpdateKind,
};
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{
    ClientVersion, DownloadCursor, OriginTimestamp, SaltedVersion, ServerVersion, UploadCursor,
};
use bailiwick_server::clock::SystemClock;
use bailiwick_server::realm::{
    Command, Committer, ConnectionId, Queued, RealmHandle, Realms, RealmsConfig,
};
use bailiwick_server::session::AcceptedUpload;
use bailiwick_storage::redb::RedbStore;
use bailiwick_storage::store::RealmKey;
use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

const UPLOADS: usize = 1000;

fn uploads(c: &mut Criterion) {
    let mut group = c.benchmark_group("1,000 small uploads");
    group.sample_size(10);
    group.measurement_time(Duration::from_secs(5));
    let runtime = Runtime::new().expect("a runtime");

    for count in [1, 10, 100, 1000] {
        let (realms, _dir) = new_server();
        let mut devices: Vec<Device> =
            (0..count).map(|index| runtime.block_on(Device::open(&realms, index))).collect();
        group.bench_function(format!("over {count} realms"), |b| {
            b.iter_custom(|iterations| runtime.block_on(spread(&mut devices, iterations)));
        });
    }
    let (realms, dir) = new_server();
    let mut device = runtime.block_on(Device::open(&realms, 0));
    group.bench_function("one after the other", |b| {
        b.iter_custom(|iterations| runtime.block_on(one_by_one(&mut device, iterations)));
    });

    let bytes = vec![7; device.create_object().len()];
    let mut file = append_to(dir.path(), "one-by-one");
    group.bench_function("the disk: 1,000 appends, each flushed", |b| {
        b.iter(|| {
            for _ in 0..UPLOADS {
                append(&mut file, &bytes);
            }
        });
    });
    let all = bytes.repeat(UPLOADS);
    let mut file = append_to(dir.path(), "at-once");
    group.bench_function("the disk: one append of all bytes", |b| {
        b.iter(|| {
            append(&mut file, black_box(&all));
        });
    });
    group.finish();
}

/// A server with an empty store: what a commit costs depends on how much there is.
fn new_server() -> (Realms, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Arc::new(RedbStore::in_dir(dir.path()).expect("a store"));
    let (committer, _) = Committer::start(store.clone());
    let config = RealmsConfig::default();
    (Realms::new(store, committer, Salt(1), config, Arc::new(SystemClock)), dir)
}

/// All devices upload their share without waiting; ends when everything is durable.
async fn spread(devices: &mut [Device], iterations: u64) -> Duration {
    let start = Instant::now();
    for _ in 0..iterations {
        for _ in 0..UPLOADS / devices.len() {
            for device in &mut *devices {
                device.upload().await;
            }
        }
        for device in &mut *devices {
            device.drain().await;
        }
    }
    start.elapsed()
}

/// Each upload waits until the one before it is durable.
async fn one_by_one(device: &mut Device, iterations: u64) -> Duration {
    let start = Instant::now();
    for _ in 0..iterations {
        for _ in 0..UPLOADS {
            device.upload().await;
            device.drain().await;
        }
    }
    start.elapsed()
}

/// A device that is bound to a realm, and uploads as long as nobody else does.
struct Device {
    realm: RealmHandle,
    file_ident: FileIdent,
    version: u64,
    signals: tokio::sync::watch::Receiver<bailiwick_server::realm::Signal>,
}

const CONNECTION: ConnectionId = ConnectionId(1);

impl Device {
    async fn open(realms: &Realms, index: usize) -> Self {
        let realm = realms.open(&RealmKey::new(index.to_be_bytes()));
        let (answer, allocated) = oneshot::channel();
        realm.send(Command::Allocate { user_id: "user".to_owned(), answer }).await;
        let (file_ident, salt) = allocated.await.expect("an answer").expect("an ident");
        let (answer, identified) = oneshot::channel();
        let identify = Command::Identify {
            connection: CONNECTION,
            file_ident,
            salt,
            user_id: "user".to_owned(),
            download: DownloadCursor::default(),
            latest: SaltedVersion::default(),
            answer,
        };
        realm.send(identify).await;
        let signals = identified.await.expect("an answer").expect("bound").signals;
        let mut device = Self { realm, file_ident, version: 1, signals };
        device.send(schema()).await;
        device.drain().await;
        device
    }

    async fn upload(&mut self) {
        let bytes = self.create_object();
        self.send(bytes).await;
    }

    async fn send(&mut self, bytes: Bytes) {
        self.version += 1;
        let cursor = UploadCursor {
            client_version: ClientVersion(self.version),
            // A device integrates what it is sent, and it is sent each version at once.
            last_integrated_server_version: self.signals.borrow().head,
        };
        let changeset = UploadedChangeset {
            cursor,
            origin_timestamp: OriginTimestamp(self.version),
            origin_file_ident: FileIdent::SELF,
            bytes,
        };
        let upload = AcceptedUpload {
            file_ident: self.file_ident,
            progress: cursor,
            locked: ServerVersion(0),
            cost: changeset.bytes.len(),
            changesets: vec![changeset],
        };
        self.realm.send(Command::Upload(Queued { connection: CONNECTION, upload })).await;
    }

    async fn drain(&mut self) {
        let (answer, drained) = oneshot::channel();
        self.realm.send(Command::Drain { answer }).await;
        drained.await.expect("an answer");
    }

    /// One object with one field.
    fn create_object(&self) -> Bytes {
        let mut changeset = Changeset::default();
        let table = changeset.strings.intern("Item");
        let field = changeset.strings.intern("name");
        let object = ObjectKey::Int(self.version.cast_signed());
        let target = Target { table, object, field, path: FieldPath::new() };
        changeset.instructions = vec![
            Instruction::CreateObject { table, object },
            Instruction::Update {
                target,
                value: Payload::String("a lamp, and some more".into()),
                kind: UpdateKind::Value { is_default: false },
            },
        ];
        changeset.encode().into()
    }
}

fn schema() -> Bytes {
    let mut changeset = Changeset::default();
    let table = changeset.strings.intern("Item");
    let key =
        KeySpec { field: changeset.strings.intern("_id"), key_type: KeyType::Int, nullable: false };
    let column = AddColumn {
        table,
        field: changeset.strings.intern("name"),
        column_type: TypeCode::String,
        nullable: false,
        collection: CollectionKind::Single,
        link_target: None,
        key_type: None,
    };
    changeset.instructions = vec![
        Instruction::AddTable { table, kind: TableKind::TopLevel(key) },
        Instruction::AddColumn(Box::new(column)),
    ];
    changeset.encode().into()
}

fn append_to(dir: &Path, name: &str) -> File {
    OpenOptions::new().create(true).append(true).open(dir.join(name)).expect("a file")
}

fn append(file: &mut File, bytes: &[u8]) {
    file.write_all(bytes).expect("a write");
    file.sync_data().expect("a flush");
}

criterion_group!(benches, uploads);
criterion_main!(benches);
