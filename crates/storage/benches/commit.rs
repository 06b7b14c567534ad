//! A thousand small uploads, made durable in batches of several sizes.
//!
//! The limits are what the same directory's disk needs to flush an append of as many bytes, and what redb needs to
//! commit as many rows, both measured in the same run; the table at the end sets each batch in relation to them.
#![expect(clippy::unwrap_used, reason = "a bench panics when the store fails")]

use std::fs::File;
use std::io::Write as _;
use std::time::{Duration, Instant};

use bailiwick_core::history::ClientFile;
use bailiwick_storage::conformance::sample::{FIRST, client_file, entry, moved, uploaded};
use bailiwick_storage::redb::RedbStore;
use bailiwick_storage::store::{Commit, RealmKey, Store as _};
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use redb::{Database, TableDefinition};
use tempfile::{TempDir, tempdir};

const UPLOADS: usize = 1000;
const CHANGESET: [u8; 200] = [7; 200];

/// A store and how far each of its realms is.
struct Bench {
    store: RedbStore,
    realms: Vec<(RealmKey, u64, ClientFile)>,
    _dir: TempDir,
}

impl Bench {
    fn new(realms: usize) -> Self {
        let dir = tempdir().unwrap();
        let store = RedbStore::in_dir(dir.path()).unwrap();
        let file = client_file(1);
        let realms: Vec<_> = (0..realms)
            .map(|i| (RealmKey::new(format!("app/realm {i:06}").into_bytes()), 0, file.clone()))
            .collect();
        let start = Commit { client_files: vec![(FIRST, file)], ..Commit::default() };
        let batch: Vec<_> = realms.iter().map(|(key, ..)| (key.clone(), start.clone())).collect();
        store.commit(&batch).unwrap();
        Self { store, realms, _dir: dir }
    }

    /// One upload of one device: an entry, an object and the device's client file.
    fn upload(&mut self, realm: usize) -> (RealmKey, Commit) {
        let (key, version, file) = &mut self.realms[realm];
        let (base_revision, changeset) = (*version + 1, Bytes::from_static(&CHANGESET));
        *version += 1;
        *file = moved(file, *version, *version - 1);
        let mut entry = uploaded(*version, FIRST, *version);
        entry.changeset = changeset.clone();
        let row = (*version % 100).to_be_bytes().into();
        let commit = Commit {
            base_revision,
            entries: vec![entry],
            client_files: vec![(FIRST, file.clone())],
            objects: vec![(row, Some(changeset))],
            ..Commit::default()
        };
        (key.clone(), commit)
    }

    /// All uploads, one after the other through the realms.
    fn run(&mut self, batch_len: usize) {
        for first in (0..UPLOADS).step_by(batch_len) {
            let batch: Vec<_> = (first..(first + batch_len).min(UPLOADS))
                .map(|i| self.upload(i % self.realms.len()))
                .collect();
            let answers = self.store.commit(&batch).unwrap();
            assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        }
    }

    /// As many entries by one commit of the first realm.
    fn run_one_commit(&mut self) {
        let (key, version, _) = &mut self.realms[0];
        let record = self.store.realm(key).unwrap();
        let entries = (1..=UPLOADS as u64).map(|i| entry(*version + i, &CHANGESET)).collect();
        *version += UPLOADS as u64;
        let commit = Commit { base_revision: record.revision, entries, ..Commit::default() };
        assert_eq!(self.store.commit(&[(key.clone(), commit)]).unwrap(), [Ok(())]);
    }
}

/// Appends as much as a batch holds and flushes, as often as there are batches.
fn append(file: &mut File, batch_len: usize) {
    for _ in (0..UPLOADS).step_by(batch_len) {
        file.write_all(&CHANGESET.repeat(batch_len)).unwrap();
        file.sync_data().unwrap();
    }
}

const ROWS: TableDefinition<u64, &[u8]> = TableDefinition::new("rows");

/// Inserts as many rows with redb alone, durably for each batch.
fn insert(database: &Database, next: &mut u64, batch_len: usize) {
    for _ in (0..UPLOADS).step_by(batch_len) {
        let transaction = database.begin_write().unwrap();
        {
            let mut rows = transaction.open_table(ROWS).unwrap();
            for _ in 0..batch_len {
                rows.insert(*next, CHANGESET.as_slice()).unwrap();
                *next += 1;
            }
        }
        transaction.commit().unwrap();
    }
}

fn uploads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("1000 uploads");
    group.throughput(Throughput::Elements(UPLOADS as u64)).sample_size(10);
    for batch_len in [1, 10, 100, 1000] {
        let dir = tempdir().unwrap();
        let mut file = File::create(dir.path().join("append")).unwrap();
        group.bench_function(format!("limit: append and flush, {batch_len} a batch"), |bencher| {
            bencher.iter(|| append(&mut file, batch_len));
        });
        for realms in [1000, 1] {
            let mut bench = Bench::new(realms);
            group.bench_function(format!("{realms} realms, {batch_len} a batch"), |bencher| {
                bencher.iter(|| bench.run(batch_len));
            });
        }
    }
    let mut bench = Bench::new(1);
    group.bench_function("1 realm, 1 commit", |bencher| bencher.iter(|| bench.run_one_commit()));
    group.finish();
}

/// How many times the limits each batch takes; the fastest of five runs of each.
fn ratios(_: &mut Criterion) {
    eprintln!("\nbatch  realms  times append and flush  times redb  redb, times append and flush");
    for batch_len in [1, 10, 100, 1000] {
        let dir = tempdir().unwrap();
        let mut file = File::create(dir.path().join("append")).unwrap();
        let appended = fastest(|| append(&mut file, batch_len));
        let database = Database::create(dir.path().join("rows")).unwrap();
        let mut next = 0;
        let inserted = fastest(|| insert(&database, &mut next, batch_len));
        for realms in [1000, 1] {
            let mut bench = Bench::new(realms);
            let time = fastest(|| bench.run(batch_len));
            let times = |limit: Duration| time.as_secs_f64() / limit.as_secs_f64();
            let (of_append, of_redb) = (times(appended), times(inserted));
            let redb = inserted.as_secs_f64() / appended.as_secs_f64();
            eprintln!(
                "{batch_len:>5}  {realms:>6}  {of_append:>22.1}  {of_redb:>10.2}  {redb:>28.1}"
            );
        }
    }
}

fn fastest(mut run: impl FnMut()) -> Duration {
    let times = (0..5).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed()
    });
    times.min().unwrap()
}

criterion_group!(benches, uploads, ratios);
criterion_main!(benches);
