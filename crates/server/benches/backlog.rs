//! A device that was offline for long uploads its queue, at once and on one base, into a partition where others work.
//!
//! The measure of the queue is its own time at half the length, and that of the others what they wait without it.

#[path = "shared/changeset.rs"]
mod changeset;
#[path = "shared/realms.rs"]
mod realms;

use std::time::{Duration, Instant};

use bailiwick_core::history::UploadedChangeset;
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::{
    ClientVersion, DownloadCursor, OriginTimestamp, ServerVersion, UploadCursor,
};
use bailiwick_server::realm::{Command, ConnectionId, Queued, RealmHandle, Realms, Signal};
use bailiwick_server::session::AcceptedUpload;
use bailiwick_storage::store::RealmKey;
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;
use tokio::sync::{oneshot, watch};

use changeset::{create_object, schema};
use realms::{bind, new_server};

/// Changesets of one UPLOAD: what a device puts into 128 KiB.
const UPLOAD_COUNT: usize = 1000;
/// The others, and how often each of them writes: 100 times a second together.
const OTHERS: u64 = 20;
const PERIOD: Duration = Duration::from_millis(200);
/// How many writes of the others are looked at.
const WRITES: usize = 20;

fn backlog(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let mut group = c.benchmark_group("a queue on one base");
    group.sample_size(10);
    for count in [10_000, 20_000, 40_000] {
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("{count} changesets, one other device"), |b| {
            b.iter_custom(|iterations| {
                (0..iterations).map(|_| runtime.block_on(queue_alone(count))).sum()
            });
        });
    }
    group.finish();

    let mut group = c.benchmark_group("the p99 of 20 others");
    group.sample_size(10);
    for (name, count) in [("without a queue", 0), ("beside a queue of 100,000", 100_000)] {
        group.bench_function(name, |b| {
            b.iter_custom(|iterations| {
                (0..iterations).map(|_| runtime.block_on(p99_of_others(count))).sum()
            });
        });
    }
    group.finish();
}

async fn queue_alone(count: usize) -> Duration {
    let (realms, _dir) = new_server();
    let mut devices = open(&realms, 2).await;
    let mut device = devices.pop().expect("there are two");
    let start = Instant::now();
    device.upload_queue(count).await;
    device.acknowledged().await;
    start.elapsed()
}

/// How long 99 of 100 writes of the others take until they are durable.
async fn p99_of_others(queue: usize) -> Duration {
    let (realms, _dir) = new_server();
    let mut devices = open(&realms, OTHERS + 1).await;
    let mut offline = devices.pop().expect("there are some");
    let others = devices.into_iter().map(|mut device| {
        tokio::spawn(async move {
            let mut latencies = Vec::new();
            tokio::time::sleep(PERIOD * u32::try_from(device.file_ident.0).expect("few") / 20)
                .await;
            for _ in 0..WRITES {
                let start = Instant::now();
                device.write().await;
                device.acknowledged().await;
                latencies.push(start.elapsed());
                tokio::time::sleep(PERIOD.saturating_sub(start.elapsed())).await;
            }
            latencies
        })
    });
    let others: Vec<_> = others.collect();
    if queue > 0 {
        offline.upload_queue(queue).await;
        offline.acknowledged().await;
    }
    let mut latencies = Vec::new();
    for other in others {
        latencies.extend(other.await.expect("it writes"));
    }
    latencies.sort_unstable();
    latencies[latencies.len() * 99 / 100]
}

/// Devices of one realm; the first has declared the class.
async fn open(realms: &Realms, count: u64) -> Vec<Device> {
    let mut devices = Vec::new();
    for number in 0..count {
        devices.push(Device::open(realms, number).await);
        if number == 0 {
            devices[0].upload(vec![schema()]).await;
            devices[0].acknowledged().await;
        }
    }
    devices
}

struct Device {
    realm: RealmHandle,
    connection: ConnectionId,
    file_ident: FileIdent,
    version: u64,
    signals: watch::Receiver<Signal>,
    /// What it has integrated; a device with a queue integrates nothing.
    base: ServerVersion,
}

impl Device {
    async fn open(realms: &Realms, number: u64) -> Self {
        let connection = ConnectionId(number);
        let realm = realms.open(&RealmKey::new(*b"realm"));
        let (file_ident, signals) = bind(&realm, connection).await;
        let base = signals.borrow().head;
        Self { realm, connection, file_ident, version: 1, signals, base }
    }

    /// One object, by a device that has integrated everything.
    async fn write(&mut self) {
        self.base = self.signals.borrow().head;
        let changeset = self.create_object(0);
        self.upload(vec![changeset]).await;
    }

    async fn upload_queue(&mut self, count: usize) {
        for _ in 0..count / UPLOAD_COUNT {
            let changesets = (0..UPLOAD_COUNT as u64).map(|i| self.create_object(i)).collect();
            self.upload(changesets).await;
        }
    }

    async fn upload(&mut self, changesets: Vec<Bytes>) {
        let cost = changesets.iter().map(Bytes::len).sum();
        let changesets: Vec<_> = changesets
            .into_iter()
            .map(|bytes| {
                self.version += 1;
                UploadedChangeset {
                    cursor: self.cursor(),
                    origin_timestamp: OriginTimestamp(self.version),
                    origin_file_ident: FileIdent::SELF,
                    bytes,
                }
            })
            .collect();
        let upload = AcceptedUpload {
            file_ident: self.file_ident,
            progress: self.cursor(),
            locked: ServerVersion(0),
            cost,
            changesets,
        };
        let connection = self.connection;
        self.realm.send(Command::Upload(Queued { connection, upload })).await;
    }

    fn cursor(&self) -> UploadCursor {
        UploadCursor {
            client_version: ClientVersion(self.version),
            last_integrated_server_version: self.base,
        }
    }

    /// Waits until everything that it has uploaded is durable.
    async fn acknowledged(&mut self) {
        loop {
            let server_version = self.signals.borrow_and_update().head;
            let cursor = DownloadCursor { server_version, ..DownloadCursor::default() };
            let (answer, scanned) = oneshot::channel();
            let file_ident = self.file_ident;
            self.realm.send(Command::Scan { file_ident, cursor, answer }).await;
            let scanned = scanned.await.expect("an answer").expect("the history can be read");
            if scanned.upload_cursor.client_version.0 >= self.version {
                return;
            }
            self.signals.changed().await.expect("the session lasts");
        }
    }

    /// The `i`th object from now.
    fn create_object(&self, i: u64) -> Bytes {
        create_object((self.file_ident.0 << 32) + self.version + i)
    }
}

criterion_group!(benches, backlog);
criterion_main!(benches);
