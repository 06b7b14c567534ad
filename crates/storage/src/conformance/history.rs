//! Entries and the realm's record.

use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{ClientVersion, SaltedVersion, ServerVersion};
use bytes::Bytes;

use super::sample::{
    FIRST, append, changesets, check_invalid, client_file, commit, entry, key, moved, uploaded,
};
use crate::store::{Commit, RealmRecord, Store};

/// A realm that nothing was committed to reads as empty, everywhere.
pub fn an_unknown_realm_is_empty<S: Store>(store: &S) {
    let realm = key("nobody");
    assert_eq!(store.realm(&realm).unwrap(), RealmRecord::default());
    assert_eq!(store.realms(None, 10).unwrap(), []);
    assert_eq!(store.client_file(&realm, FIRST).unwrap(), None);
    assert_eq!(changesets(store, &realm), []);
    assert_eq!(store.reciprocals(&realm, FIRST, ServerVersion(0)).unwrap(), []);
    assert_eq!(store.objects(&realm, &[b"row".as_slice().into()]).unwrap(), [None]);
    assert_eq!(store.scan_objects(&realm, b"", None, 10).unwrap(), []);
}

/// Every field of an entry is read back as it was committed, and the record follows.
pub fn entries_are_read_back<S: Store>(store: &S) {
    let realm = key("realm");
    let first = entry(1, b"one");
    let second = uploaded(2, FIRST, 7);
    let third = entry(3, b"");
    let file = client_file(9);
    commit(
        store,
        &realm,
        Commit {
            entries: vec![first.clone(), second.clone()],
            client_files: vec![(FIRST, file)],
            ..Commit::default()
        },
    );
    commit(
        store,
        &realm,
        Commit { base_revision: 1, entries: vec![third.clone()], ..Commit::default() },
    );

    let mut expected = [first, second, third];
    for (entry, len) in expected.iter_mut().zip([3, 11, 11]) {
        entry.cumulative_len = len;
    }
    let all = store.entries(&realm, ServerVersion(0), ServerVersion(3), 1000).unwrap();
    assert_eq!(all, expected);
    let record = RealmRecord {
        revision: 2,
        head: SaltedVersion { version: ServerVersion(3), salt: Salt(1003) },
        cumulative_len: 11,
        client_file_count: 1,
        schema: Bytes::new(),
    };
    assert_eq!(store.realm(&realm).unwrap(), record);
}

/// The limit is tested after adding, with "above".
pub fn entries_end_with_the_first_above_the_limit<S: Store>(store: &S) {
    let realm = key("realm");
    commit(store, &realm, append(0, 1, &[b"aaaa", b"bbbb", b"", b"cccc", b"dddd"]));
    let cases = [
        // (after, max_len, last)
        (0, 0, 1),
        (0, 3, 1),
        (0, 4, 2),
        (0, 7, 2),
        (0, 8, 4),
        (2, 0, 4),
        (3, 0, 4),
        (4, 0, 5),
        (0, usize::MAX, 5),
    ];
    for (after, max_len, last) in cases {
        let entries =
            store.entries(&realm, ServerVersion(after), ServerVersion(5), max_len).unwrap();
        let versions: Vec<_> = entries.iter().map(|entry| entry.version.version.0).collect();
        let expected: Vec<_> = (after + 1..=last).collect();
        assert_eq!(versions, expected, "after {after}, at most {max_len} bytes");
    }
}

/// A range may be empty, reversed, or reach beyond the head.
pub fn entries_end_at_the_head<S: Store>(store: &S) {
    let realm = key("realm");
    commit(store, &realm, append(0, 1, &[b"a", b"b", b"c"]));
    let max = u64::MAX;
    let cases = [
        // (after, until, count)
        (0, 2, 2),
        (1, 3, 2),
        (1, max, 2),
        (2, 2, 0),
        (3, 3, 0),
        (3, max, 0),
        (3, 1, 0),
        (7, 9, 0),
        (max, max, 0),
        (max, 0, 0),
    ];
    for (after, until, count) in cases {
        let range = (ServerVersion(after), ServerVersion(until));
        let entries = store.entries(&realm, range.0, range.1, 1000).unwrap();
        assert_eq!(entries.len(), count, "after {after} until {until}");
    }
}

/// What a commit says as cumulative length is not believed.
pub fn the_store_sums_up_the_changesets<S: Store>(store: &S) {
    let realm = key("realm");
    let mut lying = append(0, 1, &[b"four", b"", b"sixsix"]);
    lying.entries[0].cumulative_len = 1_000_000;
    commit(store, &realm, lying);
    commit(store, &realm, append(1, 4, &[b"1"]));
    let entries = store.entries(&realm, ServerVersion(0), ServerVersion(4), 1000).unwrap();
    let sums: Vec<_> = entries.iter().map(|entry| entry.cumulative_len).collect();
    assert_eq!(sums, [4, 4, 10, 11]);
    assert_eq!(store.realm(&realm).unwrap().cumulative_len, 11);
}

/// Versions have neither gaps nor repetitions, and salts are in range.
pub fn an_entry_that_does_not_follow_is_refused<S: Store>(store: &S) {
    let realm = key("realm");
    commit(store, &realm, append(0, 1, &[b"a", b"b"]));
    for version in [0, 1, 2, 4, u64::MAX] {
        check_invalid(store, &realm, append(1, version, &[b"c"]));
    }
    let mut gap = append(1, 3, &[b"c", b"d"]);
    gap.entries[1].version.version.0 = 5;
    check_invalid(store, &realm, gap);
    for salt in [0, 1 << 63] {
        let mut salted = append(1, 3, &[b"c"]);
        salted.entries[0].version.salt = Salt(salt);
        check_invalid(store, &realm, salted);
    }
    assert_eq!(changesets(store, &realm).len(), 2);
}

/// An author is the server itself or an allocated client file.
pub fn an_entry_of_an_unknown_author_is_refused<S: Store>(store: &S) {
    let realm = key("realm");
    let by = |origin| Commit { entries: vec![uploaded(1, origin, 1)], ..Commit::default() };
    for ident in [0, 1, 2, u64::MAX] {
        check_invalid(store, &realm, by(FileIdent(ident)));
    }
    let mut allocated = by(FIRST);
    allocated.client_files.push((FIRST, client_file(1)));
    commit(store, &realm, allocated);
}

/// The client versions of one author ascend, within a commit and from what is integrated.
pub fn client_versions_of_an_author_ascend<S: Store>(store: &S) {
    let realm = key("realm");
    let (second, file) = (FileIdent(FIRST.0 + 1), client_file(1));
    commit(
        store,
        &realm,
        Commit {
            client_files: vec![(FIRST, file.clone()), (second, client_file(2))],
            ..Commit::default()
        },
    );
    let upload = |versions: &[(FileIdent, u64)]| {
        let entries =
            (1..).zip(versions).map(|(v, (origin, client))| uploaded(v, *origin, *client));
        Commit {
            base_revision: 1,
            entries: entries.collect(),
            client_files: vec![(FIRST, moved(&file, 9, 0))],
            ..Commit::default()
        }
    };
    check_invalid(store, &realm, upload(&[(FIRST, 0)]));
    check_invalid(store, &realm, upload(&[(FIRST, 5), (FIRST, 5)]));
    check_invalid(store, &realm, upload(&[(FIRST, 5), (second, 1), (FIRST, 4)]));
    commit(store, &realm, upload(&[(FIRST, 5), (second, 1), (FIRST, 9)]));

    let mut again =
        Commit { base_revision: 2, entries: vec![uploaded(4, FIRST, 9)], ..Commit::default() };
    check_invalid(store, &realm, again.clone());
    again.entries[0].client_version = ClientVersion(10);
    commit(store, &realm, again);
}

/// A changeset may have 16 MiB.
pub fn a_large_changeset_is_kept<S: Store>(store: &S) {
    let realm = key("realm");
    let large: Vec<u8> = (0..4_u32 << 20).flat_map(u32::to_le_bytes).collect();
    commit(store, &realm, append(0, 1, &[&large, b"small"]));
    let entries = store.entries(&realm, ServerVersion(0), ServerVersion(2), large.len()).unwrap();
    assert_eq!(entries.len(), 2);
    assert!(entries[0].changeset == large, "the large changeset differs");
    assert_eq!(store.realm(&realm).unwrap().cumulative_len, large.len() as u64 + 5);
}
