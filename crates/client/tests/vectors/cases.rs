//! Files of vectors: JSON lines, compressed with gzip.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde_json::Value as Json;

/// Checks all cases of a file, and that there are as many as there should be.
pub(crate) fn check_file(
    path: &str,
    count: usize,
    check: impl Fn(&Json) -> Result<(), String> + Sync,
) {
    let bytes = fs::read(vectors(path)).unwrap();
    let mut text = String::new();
    MultiGzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
    let cases: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let threads = std::thread::available_parallelism().map_or(1, Into::into);
    let check_part = |part: &[Json]| -> Vec<String> {
        let failed = |case: &Json| check(case).err().map(|why| format!("{}: {why}", case["name"]));
        part.iter().filter_map(failed).collect()
    };
    let failures: Vec<_> = std::thread::scope(|scope| {
        let parts = cases.chunks(cases.len().div_ceil(threads));
        let workers: Vec<_> = parts.map(|part| scope.spawn(|| check_part(part))).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let first = &failures[..failures.len().min(10)];
    assert!(failures.is_empty(), "{path}: {} failures: {}", failures.len(), first.join("\n"));
    assert_eq!(cases.len(), count, "{path} has lost cases, or gained some");
}

pub(crate) fn vectors(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors").join(path)
}

/// The bytes of a hexadecimal string.
pub(crate) fn bytes(json: &Json) -> Vec<u8> {
    hex::decode(json.as_str().unwrap()).unwrap()
}

/// The bytes of several.
pub(crate) fn list(json: &Json) -> Vec<Vec<u8>> {
    json.as_array().unwrap().iter().map(bytes).collect()
}
