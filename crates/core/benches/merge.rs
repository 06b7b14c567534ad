//! A device comes back with as many changesets as the server has meanwhile seen: decode all, merge, encode.
//!
//! Each changeset holds one instruction, and the timestamps of both sides alternate.
//!
//! Measured on two shared cores, beside what realm-core 14.14.0 takes on such a machine:
//!
//! | shape | changesets a side | time | realm-core |
//! |---|---|---|---|
//! | `distinct_objects` | 1000 | 0.8 ms | 1.9 ms |
//! | `one_field` | 1000 | 0.8 ms | 3.8 ms |
//! | `distinct_fields` | 1000 | 1.1 ms | 48 ms |
//! | `one_list` | 1000, 2000, 4000 | 10.6, 42, 129 ms | 69, 274 ms |
//!
//! Only `one_list` grows with the square: each insertion has to meet all those of the other side.

use std::hint::black_box;

use bailiwick_core::merge::{Concurrent, merge};
use bailiwick_protocol::changeset::{
    Changeset, Instruction, ObjectKey, Path, PathElement, Payload, StringTable, Target, UpdateKind,
};
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::OriginTimestamp;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// What both sides change; the numbers are the side and the position of the changeset.
type Shape = fn(side: u32, i: u32, strings: &mut StringTable) -> Instruction;

fn distinct_objects(side: u32, i: u32, strings: &mut StringTable) -> Instruction {
    update(target(strings, i64::from(side * 1_000_000 + i), "age"), i)
}

fn one_field(_: u32, i: u32, strings: &mut StringTable) -> Instruction {
    update(target(strings, 1, "age"), i)
}

fn distinct_fields(side: u32, i: u32, strings: &mut StringTable) -> Instruction {
    update(target(strings, 1, &format!("field_{side}_{i}")), i)
}

fn one_list(_: u32, i: u32, strings: &mut StringTable) -> Instruction {
    let mut target = target(strings, 1, "toys");
    target.path = Path::from_slice(&[PathElement::Index(i)]);
    Instruction::ArrayInsert { target, value: Payload::Int(i64::from(i)), prior_size: i }
}

fn target(strings: &mut StringTable, key: i64, field: &str) -> Target {
    let table = strings.intern("Dog");
    let field = strings.intern(field);
    Target { table, object: ObjectKey::Int(key), field, path: Path::new() }
}

fn update(target: Target, value: u32) -> Instruction {
    let value = Payload::Int(i64::from(value));
    Instruction::Update { target, value, kind: UpdateKind::Value { is_default: false } }
}

fn encoded(side: u32, count: u32, shape: Shape) -> Vec<Vec<u8>> {
    let changeset = |i| {
        let mut strings = StringTable::default();
        let instruction = shape(side, i, &mut strings);
        Changeset { strings, instructions: vec![instruction] }.encode()
    };
    (0..count).map(changeset).collect()
}

fn decoded(changesets: &[Vec<u8>], side: u64) -> Vec<Concurrent> {
    let concurrent = |(i, bytes): (u64, &Vec<u8>)| {
        let changeset = Changeset::decode(bytes).expect("it was just encoded");
        Concurrent::new(changeset, OriginTimestamp(2 * i + side), FileIdent(2 + side))
    };
    (0..).zip(changesets).map(concurrent).collect()
}

/// What a server does with an upload, but for the state and the storage; the length of what it would store.
fn integrate(local: &[Vec<u8>], remote: &[Vec<u8>]) -> usize {
    let (mut local, mut remote) = (decoded(local, 0), decoded(remote, 1));
    merge(&mut local, &mut remote).expect("both sides share a base");
    let dirty = local.iter().filter(|entry| entry.is_dirty());
    dirty.chain(&remote).map(|entry| entry.changeset().encode().len()).sum()
}

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("merge");
    group.sample_size(20);
    let shapes: [(&str, Shape, &[u32]); 4] = [
        ("distinct_objects", distinct_objects, &[1000, 4000]),
        ("one_field", one_field, &[1000]),
        ("distinct_fields", distinct_fields, &[1000]),
        ("one_list", one_list, &[1000, 2000, 4000]),
    ];
    for (name, shape, counts) in shapes {
        for &count in counts {
            let (local, remote) = (encoded(0, count, shape), encoded(1, count, shape));
            group.throughput(Throughput::Elements(2 * u64::from(count)));
            group.bench_function(BenchmarkId::new(name, count), |bencher| {
                bencher.iter(|| integrate(black_box(&local), black_box(&remote)));
            });
        }
    }
    group.finish();
}

criterion_group!(merge_benches, benches);
criterion_main!(merge_benches);
