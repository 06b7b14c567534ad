//! What 1,000 small uploads cost from a realm's queue to the disk: decoded, merged, applied, committed.
//!
//! The measure beside them is what the disk itself needs, in the same directory: 1,000 appends that are
//! each flushed, and one append of all bytes. Uploads that wait for each other can come near the former,
//! uploads that do not can come near the latter.

#[path = "shared/changeset.rs"]
mod changeset;
#[path = "shared/realms.rs"]
mod realms;

use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use bailiwick_core::history::UploadedChangeset;
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::{ClientVersion, OriginTimestamp, ServerVersion, UploadCursor};
use bailiwick_server::realm::{Command, ConnectionId, Queued, RealmHandle, Realms, Signal};
use bailiwick_server::session::AcceptedUpload;
use bailiwick_storage::store::RealmKey;
use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use tokio::runtime::Runtime;
use tokio::sync::{oneshot, watch};

use changeset::{create_object, schema};
use realms::{bind, new_server};

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

    let bytes = vec![7; create_object(device.version).len()];
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
    signals: watch::Receiver<Signal>,
}

const CONNECTION: ConnectionId = ConnectionId(1);

impl Device {
    async fn open(realms: &Realms, index: usize) -> Self {
        let realm = realms.open(&RealmKey::new(index.to_be_bytes()));
        let (file_ident, signals) = bind(&realm, CONNECTION).await;
        let mut device = Self { realm, file_ident, version: 1, signals };
        device.send(schema()).await;
        device.drain().await;
        device
    }

    async fn upload(&mut self) {
        self.send(create_object(self.version)).await;
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
