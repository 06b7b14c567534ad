//! Decoding and encoding changesets, in bytes a second, over the random vectors.

#![expect(clippy::unwrap_used, reason = "a bench that cannot run has no other way to say so")]

use std::fs::File;
use std::hint::black_box;
use std::io::{BufRead as _, BufReader};

use bailiwick_protocol::changeset::Changeset;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flate2::read::GzDecoder;

const VECTORS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/changesets/random.jsonl.gz");

fn changesets(criterion: &mut Criterion) {
    let inputs = inputs();
    let decoded: Vec<_> = inputs.iter().map(|input| Changeset::decode(input).unwrap()).collect();
    let encoded_len: usize = decoded.iter().map(|changeset| changeset.encode().len()).sum();

    let mut group = criterion.benchmark_group("changeset");
    group.throughput(bytes(inputs.iter().map(Vec::len).sum()));
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            for input in &inputs {
                black_box(Changeset::decode(black_box(input)).unwrap());
            }
        });
    });
    group.throughput(bytes(encoded_len));
    group.bench_function("encode", |bencher| {
        let mut out = Vec::new();
        bencher.iter(|| {
            for changeset in &decoded {
                out.clear();
                black_box(changeset).encode_into(&mut out);
            }
            black_box(&out);
        });
    });
}

fn inputs() -> Vec<Vec<u8>> {
    let file = BufReader::new(GzDecoder::new(File::open(VECTORS).unwrap()));
    let case = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    file.lines()
        .map(|line| hex::decode(case(&line.unwrap())["hex"].as_str().unwrap()).unwrap())
        .collect()
}

fn bytes(len: usize) -> Throughput {
    Throughput::Bytes(len.try_into().unwrap())
}

criterion_group!(benches, changesets);
criterion_main!(benches);
