//! Whatever is committed, every store answers what the memory store does.

#![cfg(feature = "redb")]
#![expect(clippy::unwrap_used, reason = "a test panics when the store fails")]

use bailiwick_core::history::{ClientFile, Entry};
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{ClientVersion, ServerVersion};
use bailiwick_storage::conformance::sample::{client_file, entry, key, moved};
use bailiwick_storage::memory::MemoryStore;
use bailiwick_storage::redb::{RedbOptions, RedbStore};
use bailiwick_storage::store::{Commit, RealmKey, Store};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use tempfile::tempdir;

/// The keys are prefixes of each other.
const REALMS: [&str; 3] = ["", "a", "a\0"];

/// A commit, in numbers relative to what the realm holds when it is carried out, so that most of them
/// are steps of the realm and some are not.
#[derive(Clone, Debug)]
struct Plan {
    realm: usize,
    late: bool,
    entries: Vec<(u64, Vec<u8>, u64)>,
    new_files: u64,
    moves: Vec<(u64, u64, u64)>,
    forget: Vec<(u64, u64)>,
    reciprocals: Vec<(u64, u64, Vec<u8>)>,
    objects: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    schema: Option<Vec<u8>>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let some_bytes = || vec(any::<u8>(), 0..40);
    let row = || vec(prop::sample::select(vec![0_u8, 1, b'a', 0xff]), 0..4);
    let head = (0..REALMS.len(), prop::bool::weighted(0.05));
    let history = (
        vec((0..4_u64, some_bytes(), 1..3_u64), 0..4),
        0..2_u64,
        vec((0..3_u64, 0..3_u64, 0..3_u64), 0..2),
        vec((0..3_u64, 0..8_u64), 0..2),
        vec((0..3_u64, 0..3_u64, some_bytes()), 0..2),
    );
    let state = (vec((row(), option::of(some_bytes())), 0..5), option::weighted(0.2, some_bytes()));
    (head, history, state).prop_map(|((realm, late), history, (objects, schema))| {
        let (entries, new_files, moves, forget, reciprocals) = history;
        Plan { realm, late, entries, new_files, moves, forget, reciprocals, objects, schema }
    })
}

impl Plan {
    fn key(&self) -> RealmKey {
        key(REALMS[self.realm])
    }

    fn commit(&self, store: &MemoryStore) -> Commit {
        let key = self.key();
        let record = store.realm(&key).unwrap();
        let head = record.head.version.0;
        let count = record.client_file_count + self.new_files;
        let ident =
            |n: u64| FileIdent(if count == 0 { 0 } else { FileIdent::FIRST_CLIENT.0 + n % count });
        let file = |ident: FileIdent| {
            store.client_file(&key, ident).unwrap().unwrap_or_else(|| client_file(ident.0))
        };
        let mut client_files: Vec<(FileIdent, ClientFile)> = (record.client_file_count..count)
            .map(|n| (FileIdent(2 + n), client_file(2 + n)))
            .collect();
        let entries: Vec<Entry> = (head + 1..)
            .zip(&self.entries)
            .map(|(version, (origin, changeset, step))| {
                let origin = if *origin == 3 { FileIdent::SELF } else { ident(*origin) };
                let mut entry = entry(version, changeset);
                if origin != FileIdent::SELF {
                    let last = file(origin).upload_cursor.client_version.0;
                    entry.client_version = ClientVersion(last + step * version);
                }
                entry.origin_file_ident = origin;
                entry
            })
            .collect();
        for (n, client, server) in self.moves.iter().filter(|_| count > 0) {
            let old = file(ident(*n));
            let cursor = old.upload_cursor;
            let client = cursor.client_version.0 + client;
            let server = cursor.last_integrated_server_version.0 + server;
            client_files.push((ident(*n), moved(&old, client, server)));
        }
        Commit {
            base_revision: record.revision + u64::from(self.late),
            entries,
            client_files,
            forget_reciprocals: self
                .forget
                .iter()
                .map(|(n, until)| (ident(*n), ServerVersion(*until)))
                .collect(),
            reciprocals: self
                .reciprocals
                .iter()
                .filter(|_| count > 0)
                .map(|(n, back, form)| {
                    (ident(*n), ServerVersion(head.saturating_sub(*back)), form.clone().into())
                })
                .collect(),
            objects: self
                .objects
                .iter()
                .map(|(row, object)| (row.clone().into(), object.clone().map(Bytes::from)))
                .collect(),
            schema: self.schema.clone().map(Bytes::from),
        }
    }
}

/// Everything that can be read of a realm, in pages of several sizes.
fn check_equal(model: &MemoryStore, store: &RedbStore, key: &RealmKey) {
    let record = model.realm(key).unwrap();
    assert_eq!(store.realm(key).unwrap(), record);
    for after in [0, 1, record.head.version.0 / 2] {
        for max_len in [0, 50, usize::MAX] {
            let range = (ServerVersion(after), record.head.version);
            assert_eq!(
                store.entries(key, range.0, range.1, max_len).unwrap(),
                model.entries(key, range.0, range.1, max_len).unwrap()
            );
        }
    }
    for ident in (0..=record.client_file_count + 2).map(FileIdent) {
        assert_eq!(store.client_file(key, ident).unwrap(), model.client_file(key, ident).unwrap());
        for after in [0, 3].map(ServerVersion) {
            let forms = model.reciprocals(key, ident, after).unwrap();
            assert_eq!(store.reciprocals(key, ident, after).unwrap(), forms);
        }
    }
    let all = model.scan_objects(key, b"", None, usize::MAX).unwrap();
    let rows: Vec<_> = all.iter().map(|(row, _)| row.clone()).chain([b"none"[..].into()]).collect();
    assert_eq!(store.objects(key, &rows).unwrap(), model.objects(key, &rows).unwrap());
    for prefix in [&b""[..], b"a", b"\0", b"\xff"] {
        for after in [None, Some(&b"a"[..]), Some(b"\0\0")] {
            for limit in [1, 3, usize::MAX] {
                assert_eq!(
                    store.scan_objects(key, prefix, after, limit).unwrap(),
                    model.scan_objects(key, prefix, after, limit).unwrap()
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Commits are drawn up from the model in batches of one to three; both stores answer the same,
    /// refusals included, and read the same, also after a checkpoint, and after the files were closed and opened.
    #[test]
    fn every_sequence_of_commits_reads_the_same(
        batches in vec((vec(plan(), 1..4), 0..8), 1..12), log_pages in 2..40_usize,
    ) {
        // Short enough that it is used in a circle, and that some batches are too long for it.
        let options = RedbOptions::default().log_len(log_pages * 4096);
        let dir = tempdir().unwrap();
        let model = MemoryStore::new();
        let mut store = options.in_dir(dir.path()).unwrap();
        for (plans, then) in batches {
            let batch: Vec<_> =
                plans.iter().map(|plan| (plan.key(), plan.commit(&model))).collect();
            prop_assert_eq!(store.commit(&batch).unwrap(), model.commit(&batch).unwrap());
            match then {
                0 => {
                    drop(store);
                    store = options.in_dir(dir.path()).unwrap();
                }
                1 | 2 => store.checkpoint().unwrap(),
                _ => (),
            }
        }
        prop_assert_eq!(store.realms(None, 10).unwrap(), model.realms(None, 10).unwrap());
        for name in REALMS {
            check_equal(&model, &store, &key(name));
        }
    }
}

/// The plans are worth their time only if most of them are steps.
#[test]
fn most_plans_are_carried_out() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let model = MemoryStore::new();
    let (mut done, mut refused) = (0, 0);
    for _ in 0..300 {
        let plan = plan().new_tree(&mut runner).unwrap().current();
        match model.commit(&[(plan.key(), plan.commit(&model))]).unwrap()[0] {
            Ok(()) => done += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(done > 100 && refused > 20, "{done} were carried out, {refused} refused");
    let record = model.realm(&key("a")).unwrap();
    assert!(record.head.version.0 > 20 && record.client_file_count > 5, "{record:?}");
    let salt = Salt(2);
    assert_eq!(
        model.client_file(&key("a"), FileIdent(2)).unwrap().map(|file| file.salt),
        Some(salt)
    );
}
