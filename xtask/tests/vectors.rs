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
fn what_only_the_reference_accepts_is_refused() {
    check(Suite::Lenient, "changesets/lenient.jsonl", 83);
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
fn changesets_lead_to_the_stated_objects() {
    check(Suite::Apply, "apply/cases.jsonl.gz", 892);
}

#[test]
fn histories_grow_as_stated() {
    check(Suite::History, "history/scenarios.jsonl.gz", 87);
}

#[test]
fn recorded_connections_parse_and_print_to_the_same_bytes() {
    for (scenario, lines) in [
        ("bad-changeset-from-server", 8),
        ("client-reset-discard", 28),
        ("client-reset-manual", 7),
        ("client-reset-recover", 31),
        ("compensating-write", 14),
        ("compressed-download", 21),
        ("compressed-upload", 10),
        ("first-connect-upload", 14),
        ("illegal-partition", 4),
        ("multi-session", 33),
        ("partition-values", 100),
        ("pause-resume-same-connection", 20),
        ("permission-denied", 4),
        ("ping-pong", 14),
        ("protocol-14-compressed-upload", 10),
        ("protocol-14-first-connect", 10),
        ("protocol-14-log-message", 12),
        ("protocol-violation-by-server", 5),
        ("reconnect-existing-ident", 16),
        ("second-client-download", 31),
        ("token-expiry", 16),
        ("try-again-later", 14),
    ] {
        check(Suite::Wire, &format!("wire/{scenario}.jsonl"), lines);
    }
}

#[test]
fn flexible_sync_is_reported_as_missing_and_not_as_passed() {
    let report = check_file(Suite::Wire, &vectors("wire/flexible-sync.jsonl"), None).unwrap();
    assert_eq!((report.passed, report.failures.len()), (0, 24));
    assert!(report.failures.iter().all(|failure| failure.reason == "flexible sync: not yet"));
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
