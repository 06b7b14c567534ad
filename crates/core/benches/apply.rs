//! Applying one large changeset: objects that are created and filled, fields that are written, lists that grow.

use std::fmt::Debug;
use std::hint::black_box;

use bailiwick_core::apply::{Changes, Transaction};
use bailiwick_core::state::State;
use bailiwick_protocol::changeset::{
    AddColumn, Changeset, CollectionKind, Instruction, KeySpec, KeyType, ObjectKey, Path,
    PathElement, Payload, Symbol, TableKind, Target, TypeCode, UpdateKind,
};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const FIELDS: [&str; 4] = ["a", "b", "c", "d"];

/// A changeset over `Task` with an integer key, four integer fields and a list.
struct Author {
    changeset: Changeset,
    table: Symbol,
}

impl Author {
    fn new() -> Self {
        let mut changeset = Changeset::default();
        let table = changeset.strings.intern("Task");
        Self { changeset, table }
    }

    fn schema(mut self) -> Changeset {
        self.class("Task");
        for field in FIELDS {
            self.column(field, CollectionKind::Single);
        }
        self.column("list", CollectionKind::List);
        self.changeset
    }

    fn class(&mut self, name: &str) -> Symbol {
        let table = self.changeset.strings.intern(name);
        let field = self.changeset.strings.intern("_id");
        let kind = TableKind::TopLevel(KeySpec { field, key_type: KeyType::Int, nullable: false });
        self.changeset.instructions.push(Instruction::AddTable { table, kind });
        table
    }

    fn column(&mut self, field: &str, collection: CollectionKind) {
        let column = AddColumn {
            table: self.table,
            field: self.changeset.strings.intern(field),
            column_type: TypeCode::Int,
            nullable: false,
            collection,
            link_target: None,
            key_type: None,
        };
        self.changeset.instructions.push(Instruction::AddColumn(Box::new(column)));
    }

    fn create(&mut self, key: i64) {
        let object = ObjectKey::Int(key);
        self.changeset.instructions.push(Instruction::CreateObject { table: self.table, object });
    }

    fn update(&mut self, key: i64, field: &str, value: i64) {
        let target = self.target(key, field, Path::new());
        let (value, kind) = (Payload::Int(value), UpdateKind::Value { is_default: false });
        self.changeset.instructions.push(Instruction::Update { target, value, kind });
    }

    fn insert(&mut self, key: i64, index: u32, prior_size: u32) {
        let target = self.target(key, "list", Path::from_slice(&[PathElement::Index(index)]));
        let value = Payload::Int(index.into());
        self.changeset.instructions.push(Instruction::ArrayInsert { target, value, prior_size });
    }

    fn target(&mut self, key: i64, field: &str, path: Path) -> Target {
        let field = self.changeset.strings.intern(field);
        Target { table: self.table, object: ObjectKey::Int(key), field, path }
    }
}

fn state(changesets: &[Changeset]) -> State {
    let mut state = State::default();
    for changeset in changesets {
        let _ = state.apply(changeset).expect("the changeset fits");
    }
    state
}

fn run(state: &State, changesets: &[Changeset]) -> Changes {
    let mut transaction = Transaction::new(state.schema(), state);
    for changeset in changesets {
        let _ = transaction.apply(black_box(changeset)).expect("the changeset fits");
    }
    transaction.finish()
}

fn bench(
    criterion: &mut Criterion,
    name: &str,
    count: impl Debug,
    state: &State,
    changesets: &[Changeset],
) {
    let mut group = criterion.benchmark_group("apply");
    group.sample_size(10);
    let instructions = changesets.iter().map(|changeset| changeset.instructions.len() as u64).sum();
    group.throughput(Throughput::Elements(instructions));
    group.bench_function(BenchmarkId::new(name, format!("{count:?}")), |bencher| {
        bencher.iter_batched(|| (), |()| run(state, changesets), BatchSize::LargeInput);
    });
}

fn objects(criterion: &mut Criterion) {
    const COUNT: i64 = 10_000;
    let mut create = Author::new();
    let mut update = Author::new();
    for key in 0..COUNT {
        create.create(key);
        for (value, field) in (0..).zip(FIELDS) {
            create.update(key, field, value);
            update.update(key, field, value + key);
        }
    }
    let schema = Author::new().schema();
    let empty = state(std::slice::from_ref(&schema));
    bench(
        criterion,
        "create and fill objects",
        COUNT,
        &empty,
        std::slice::from_ref(&create.changeset),
    );
    let full = state(&[schema, create.changeset]);
    bench(criterion, "update fields of objects", COUNT, &full, &[update.changeset]);
}

fn lists(criterion: &mut Criterion) {
    let mut create = Author::new();
    create.create(1);
    let state = state(&[Author::new().schema(), create.changeset]);
    for count in [10_000, 100_000] {
        for (name, index) in [
            ("append to a list", (|len| len) as fn(u32) -> u32),
            ("insert at the front of a list", |_| 0),
            ("insert in the middle of a list", |len| len / 2),
        ] {
            let mut author = Author::new();
            for len in 0..count {
                author.insert(1, index(len), len);
            }
            bench(criterion, name, count, &state, &[author.changeset]);
        }
    }
    // Each changeset must be able to be undone without the others.
    let changesets: Vec<_> = (0..10_000)
        .map(|len| {
            let mut author = Author::new();
            author.insert(1, len, len);
            author.changeset
        })
        .collect();
    bench(criterion, "append to a list, one changeset each", changesets.len(), &state, &changesets);
}

/// Each is to take as long beside many objects and classes as beside few.
fn erasing(criterion: &mut Criterion) {
    const COUNT: usize = 10_000;
    let mut erase = Author::new();
    for class in 0..COUNT {
        let table = erase.class(&format!("Other {class}"));
        erase.changeset.instructions.push(Instruction::EraseTable { table });
    }
    for count in [100, 1000, 5000] {
        let mut create = Author::new();
        (0..i64::from(count)).for_each(|key| create.create(key));
        let mut classes = Author::new();
        for class in 0..count {
            classes.class(&format!("Class {class}"));
        }
        let state = state(&[Author::new().schema(), classes.changeset]);
        let changesets = [create.changeset, erase.changeset.clone()];
        bench(criterion, "add and erase classes, beside others", count, &state, &changesets);
    }
}

criterion_group!(benches, objects, lists, erasing);
criterion_main!(benches);
