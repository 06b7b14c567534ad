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
//!
//! The `list_` shapes change one list. 10,000 changesets a side take 1.8 to 2.8 times as long as 5,000, measured in one
//! run of a busy machine.

use std::hint::black_box;
use std::time::Duration;

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

fn list_append(_: u32, i: u32, strings: &mut StringTable) -> Instruction {
    insert(strings, i, i)
}

fn list_front(_: u32, i: u32, strings: &mut StringTable) -> Instruction {
    insert(strings, 0, i)
}

fn list_random(side: u32, i: u32, strings: &mut StringTable) -> Instruction {
    insert(strings, random(side, i) % (i + 1), i)
}

/// Everywhere in a list of 1000: two elements are inserted, one is erased, one is set, and so on.
fn list_edit(side: u32, i: u32, strings: &mut StringTable) -> Instruction {
    let len = 1000 + i / 4 + [0, 1, 2, 1][i as usize % 4];
    let index = random(side, i) % len;
    match i % 4 {
        0 | 1 => insert(strings, index, len),
        2 => Instruction::ArrayErase { target: element(strings, index), prior_size: len },
        _ => Instruction::Update {
            target: element(strings, index),
            value: Payload::Int(i64::from(i)),
            kind: UpdateKind::Element { prior_size: len },
        },
    }
}

/// Two devices type at the end of one text, and take every third letter back.
fn list_type(_: u32, i: u32, strings: &mut StringTable) -> Instruction {
    let size = 1000 + i / 3 + [0, 1, 2][i as usize % 3];
    match i % 3 {
        0 | 1 => insert(strings, size, size),
        _ => Instruction::ArrayErase { target: element(strings, size - 1), prior_size: size },
    }
}

fn insert(strings: &mut StringTable, index: u32, prior_size: u32) -> Instruction {
    let value = Payload::Int(i64::from(index));
    Instruction::ArrayInsert { target: element(strings, index), value, prior_size }
}

fn element(strings: &mut StringTable, index: u32) -> Target {
    let mut target = target(strings, 1, "toys");
    target.path = Path::from_slice(&[PathElement::Index(index)]);
    target
}

/// The same number for the same arguments.
fn random(side: u32, i: u32) -> u32 {
    let mixed =
        (u64::from(side) << 32 | u64::from(i)).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    u32::try_from((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32)
        .expect("32 bits")
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

/// The changesets a side of histories of one list.
const LONG: &[u32] = &[1000, 2500, 5000, 10_000];

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("merge");
    group.sample_size(10);
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    let shapes: [(&str, Shape, &[u32]); 8] = [
        ("distinct_objects", distinct_objects, &[1000, 4000]),
        ("one_field", one_field, &[1000]),
        ("distinct_fields", distinct_fields, &[1000]),
        ("list_append", list_append, LONG),
        ("list_front", list_front, LONG),
        ("list_random", list_random, LONG),
        ("list_edit", list_edit, LONG),
        ("list_type", list_type, LONG),
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
