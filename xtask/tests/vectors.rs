//! Bailiwick does what the repository's vectors state. Each test says how many cases there are, so that none is lost.

use std::fs;
use std::path::{Path, PathBuf};

use xtask::vectors::{Suite, check_file};

fn vectors(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors").join(path)
}

fn check(suite: Suite, path: &str, cases: usize) {
    let report = check_file(suite, &vectors(path), None).expect("the file can be read");
    if let Some(first) = report.failures.first() {
        panic!("{path}: {report}; {first}");
    }
    assert_eq!(report.passed, cases, "{path} has lost cases, or gained some");
}

#[test]
fn changesets_decode_to_what_they_mean_and_encode_to_the_same_bytes() {
    check(Suite::Changesets, "changesets/basic.jsonl", 619);
    check(Suite::Changesets, "changesets/sdk.jsonl", 44);
    check(Suite::Changesets, "changesets/random.jsonl.gz", 1500);
}

#[test]
fn malformed_changesets_are_refused() {
    check(Suite::Invalid, "changesets/invalid.jsonl", 211);
}

#[test]
fn integers_are_read_and_written_exactly() {
    check(Suite::Integers, "changesets/integers.jsonl", 191);
}

#[test]
fn concurrent_histories_merge_to_the_stated_bytes() {
    check(Suite::Merge, "merge/pairs.jsonl.gz", 2064);
    check(Suite::Merge, "merge/random.jsonl.gz", 1500);
}

#[test]
fn a_file_that_holds_nothing_or_no_json_fails() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (name, content) in
        [("empty", ""), ("blank", "\n\n"), ("cut", "{\"kind\":"), ("gap", "{}\n\n{}")]
    {
        let path = dir.join(name);
        fs::write(&path, content).unwrap();
        let report = check_file(Suite::Integers, &path, None).unwrap();
        assert!(!report.failures.is_empty(), "{name}: {report}");
    }
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    check_file(Suite::Integers, &vectors("no-such-file.jsonl"), None).unwrap_err();
}
