//! What a transaction of the application costs, from its first edit until it is durable.
//!
//! The measure beside them is what the database itself needs in the same directory: one row of the same length, made
//! durable alone. A transaction writes an object and its changeset, which take one commit, too; so a second transaction
//! of one edit can come near that, and many edits in one cost what they do in memory.

#![expect(clippy::unwrap_used, reason = "what cannot be measured is not reported")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_client::local::{LocalFile, OpenOptions, Owner};
use bailiwick_client::realm::Realm;
use bailiwick_client::schema::{Class, PropertyType, Schema};
use bailiwick_client::write::{WriteError, WriteTransaction};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use redb::{Database, Durability, TableDefinition};
use tempfile::TempDir;

const ROWS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");
const ROW_LEN: usize = 100;
const MANY: i64 = 1000;

fn transactions(c: &mut Criterion) {
    let mut group = c.benchmark_group("transactions");
    group.sample_size(10).warm_up_time(Duration::from_millis(500));
    group.measurement_time(Duration::from_secs(3));

    group.bench_function("one row, in the bare database", |b| {
        let folder = folder();
        let database = Database::create(folder.path().join("rows")).unwrap();
        let mut key = 0;
        b.iter(|| {
            key += 1;
            write_row(&database, key);
        });
    });
    group.bench_function("an object", |b| {
        let folder = folder();
        let realm = synced(folder.path());
        let mut key = 0;
        b.iter(|| {
            key += 1;
            realm.write(|tx| create(tx, key)).unwrap();
        });
    });
    group.bench_function("a field", |b| {
        let folder = folder();
        let realm = synced(folder.path());
        realm.write(|tx| create(tx, 1)).unwrap();
        let mut age = 0;
        b.iter(|| {
            age += 1;
            realm.write(|tx| tx.object("Dog", 1)?.set("age", age).map(drop)).unwrap();
        });
    });
    group.bench_function("an object, in a realm without a server", |b| {
        let folder = folder();
        let path = folder.path().join("dogs");
        let realm = Realm::open_local(path, &OpenOptions::local(), schema()).unwrap();
        let mut key = 0;
        b.iter(|| {
            key += 1;
            realm.write(|tx| create(tx, key)).unwrap();
        });
    });
    group.throughput(Throughput::Elements(MANY.unsigned_abs()));
    group.bench_function("1,000 objects", |b| {
        let folder = folder();
        let realm = synced(folder.path());
        let mut key = 0;
        b.iter(|| {
            key += MANY;
            realm.write(|tx| (key..key + MANY).try_for_each(|key| create(tx, key))).unwrap();
        });
    });
    group.bench_function("1,000 objects, not committed", |b| {
        let folder = folder();
        let snapshot = synced(folder.path()).snapshot().unwrap();
        b.iter(|| {
            let mut tx = WriteTransaction::new(&snapshot);
            (0..MANY).try_for_each(|key| create(&mut tx, key)).unwrap();
            black_box(tx.finish())
        });
    });
    group.finish();
}

fn create(tx: &mut WriteTransaction<'_>, key: i64) -> Result<(), WriteError> {
    let mut dog = tx.create("Dog", key)?;
    dog.set("name", "Rex")?.set("age", 5)?.list("tags")?.push("good")?;
    Ok(())
}

fn write_row(database: &Database, key: u64) {
    let mut writing = database.begin_write().unwrap();
    writing.set_durability(Durability::Immediate).unwrap();
    writing.open_table(ROWS).unwrap().insert(key, &[0; ROW_LEN][..]).unwrap();
    writing.commit().unwrap();
}

fn synced(folder: &Path) -> Realm {
    let options = OpenOptions::new(Owner { app_id: "kennel".into(), ..Owner::default() });
    let file = LocalFile::open(folder.join("dogs"), &options).unwrap();
    Realm::open(Arc::new(file), schema()).unwrap()
}

fn schema() -> Schema {
    let dog = Class::new("Dog").primary_key("_id", PropertyType::Int);
    let dog = dog.property("name", PropertyType::String).property("age", PropertyType::Int);
    Schema::new().class(dog.list("tags", PropertyType::String))
}

/// On the disk that holds the build, since a file in memory costs nothing to flush.
fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

criterion_group!(benches, transactions);
criterion_main!(benches);
