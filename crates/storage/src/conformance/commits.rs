//! Batches, refusals, and realms beside each other.

use bytes::Bytes;

use super::sample::{append, changesets, commit, key, objects, try_commit, write};
use crate::store::{Commit, CommitRefused, RealmKey, RealmRecord, Store};

fn outdated(expected: u64, actual: u64) -> CommitRefused {
    CommitRefused::Outdated { expected, actual }
}

/// Compare and swap: a commit that names another revision writes nothing of what it lists.
pub fn an_outdated_commit_leaves_nothing<S: Store>(store: &S) {
    let realm = key("realm");
    commit(store, &realm, append(0, 1, &[b"a"]));
    let before = store.realm(&realm).unwrap();
    for base in [0, 2, u64::MAX] {
        let mut late = append(base, 2, &[b"b"]);
        late.objects = vec![(b"row".as_slice().into(), Some(Bytes::from_static(b"x")))];
        late.schema = Some(Bytes::from_static(b"schema"));
        assert_eq!(try_commit(store, &realm, late), Err(outdated(base, 1)));
    }
    assert_eq!(store.realm(&realm).unwrap(), before);
    assert_eq!(changesets(store, &realm).len(), 1);
    assert_eq!(objects(store, &realm), []);

    let unknown = key("unknown");
    assert_eq!(try_commit(store, &unknown, append(1, 1, &[b"a"])), Err(outdated(1, 0)));
    assert_eq!(store.realms(None, 10).unwrap(), [realm]);
}

/// The answers are in the order of the batch, and only the refused commits are missing.
pub fn a_refused_commit_leaves_the_others_alone<S: Store>(store: &S) {
    let (a, b, c, d) = (key("a"), key("b"), key("c"), key("d"));
    let batch = [
        (a.clone(), append(0, 1, &[b"a"])),
        (b.clone(), append(5, 1, &[b"b"])),
        (c.clone(), append(0, 9, &[b"c"])),
        (d.clone(), append(0, 1, &[b"d"])),
    ];
    let answers = store.commit(&batch).unwrap();
    assert_eq!(answers.len(), 4);
    assert_eq!(answers[0], Ok(()));
    assert_eq!(answers[1], Err(outdated(5, 0)));
    assert!(matches!(answers[2], Err(CommitRefused::Invalid(_))), "{:?}", answers[2]);
    assert_eq!(answers[3], Ok(()));
    assert_eq!(store.realms(None, 10).unwrap(), [a.clone(), d]);
    assert_eq!(store.realm(&b).unwrap(), RealmRecord::default());
    assert_eq!(changesets(store, &a), [(1, Bytes::from_static(b"a"))]);
}

/// Two commits of a realm in one batch are carried out in order.
pub fn commits_of_one_realm_follow_each_other<S: Store>(store: &S) {
    let (realm, other) = (key("realm"), key("other"));
    let mut first = append(0, 1, &[b"a", b"b"]);
    first.objects = write(0, &[(b"x", Some(b"1")), (b"y", Some(b"1"))]).objects;
    let mut second = append(1, 3, &[b"c"]);
    second.objects = write(0, &[(b"x", None), (b"y", Some(b"2"))]).objects;
    let batch = [(realm.clone(), first), (other, append(0, 1, &[b"z"])), (realm.clone(), second)];
    assert_eq!(store.commit(&batch).unwrap(), [Ok(()), Ok(()), Ok(())]);
    let record = store.realm(&realm).unwrap();
    assert_eq!((record.revision, record.head.version.0, record.cumulative_len), (2, 3, 3));
    assert_eq!(changesets(store, &realm).len(), 3);
    assert_eq!(objects(store, &realm), [(b"y".to_vec(), Bytes::from_static(b"2"))]);
}

/// What was computed from a commit that is refused is refused too.
pub fn a_commit_after_a_refused_one_is_refused<S: Store>(store: &S) {
    let realm = key("realm");
    let batch = [
        (realm.clone(), append(0, 1, &[b"a"])),
        (realm.clone(), append(0, 1, &[b"b"])),
        (realm.clone(), append(2, 2, &[b"c"])),
        (realm.clone(), append(1, 2, &[b"d"])),
    ];
    let expected = [Ok(()), Err(outdated(0, 1)), Err(outdated(2, 1)), Ok(())];
    assert_eq!(store.commit(&batch).unwrap(), expected);
    let kept = [(1, Bytes::from_static(b"a")), (2, Bytes::from_static(b"d"))];
    assert_eq!(changesets(store, &realm), kept);
}

/// No commits, no answers, no realms.
pub fn an_empty_batch_does_nothing<S: Store>(store: &S) {
    assert_eq!(store.commit(&[]).unwrap(), []);
    assert_eq!(store.realms(None, 10).unwrap(), []);
}

/// A commit of nothing still is one.
pub fn an_empty_commit_makes_the_realm<S: Store>(store: &S) {
    let realm = key("realm");
    commit(store, &realm, Commit::default());
    let expected = RealmRecord { revision: 1, ..RealmRecord::default() };
    assert_eq!(store.realm(&realm).unwrap(), expected);
    assert_eq!(store.realms(None, 10).unwrap(), [realm]);
}

/// A commit without schema keeps the one that there is; an empty schema is one.
pub fn a_schema_stays_until_it_is_replaced<S: Store>(store: &S) {
    let realm = key("realm");
    let large = vec![7; 100_000];
    let steps: [(Option<&[u8]>, &[u8]); 5] = [
        (Some(b"first"), b"first"),
        (None, b"first"),
        (Some(&large), &large),
        (None, &large),
        (Some(b""), b""),
    ];
    for (base_revision, (schema, expected)) in (0..).zip(steps) {
        let schema = schema.map(Bytes::copy_from_slice);
        commit(store, &realm, Commit { base_revision, schema, ..Commit::default() });
        assert_eq!(store.realm(&realm).unwrap().schema, expected);
    }
}

/// Realms whose keys are prefixes of each other, or of each other's rows, share nothing.
pub fn realms_do_not_see_each_other<S: Store>(store: &S) {
    let names: [&[u8]; 7] = [b"", b"\0", b"a", b"a\0", b"a\0b", b"ab", b"\xff\xff"];
    let realms = names.map(RealmKey::new);
    for (realm, name) in realms.iter().zip(names) {
        let mut step = append(0, 1, &[name]);
        step.objects = write(0, &[(b"", Some(name)), (b"\0b", Some(name))]).objects;
        step.schema = Some(Bytes::copy_from_slice(name));
        commit(store, realm, step);
    }
    for (realm, name) in realms.iter().zip(names) {
        let name = Bytes::copy_from_slice(name);
        assert_eq!(changesets(store, realm), [(1, name.clone())]);
        assert_eq!(store.realm(realm).unwrap().schema, name);
        let expected = [(b"".to_vec(), name.clone()), (b"\0b".to_vec(), name)];
        assert_eq!(objects(store, realm), expected);
    }
}

/// Keys of any allowed length name different realms.
pub fn a_key_may_be_empty_or_long<S: Store>(store: &S) {
    let longest = vec![b'k'; RealmKey::MAX_LEN];
    let mut other = longest.clone();
    other[RealmKey::MAX_LEN - 1] = b'l';
    let realms = [Vec::new(), longest, other].map(RealmKey::new);
    for (realm, changeset) in realms.iter().zip([b"1", b"2", b"3"]) {
        commit(store, realm, append(0, 1, &[changeset]));
    }
    assert_eq!(store.realms(None, 10).unwrap(), realms);
    assert_eq!(changesets(store, &realms[2]), [(1, Bytes::from_static(b"3"))]);
}

/// The list of realms is in byte order and can be read in pages of any size.
pub fn realms_are_listed_in_pages<S: Store>(store: &S) {
    let names = ["", "a", "a/b", "aa", "b", "\u{e9}"];
    for name in ["b", "aa", "\u{e9}", "", "a/b", "a"] {
        commit(store, &key(name), Commit::default());
    }
    let expected = names.map(key);
    for limit in 1..=expected.len() + 1 {
        let mut listed = Vec::new();
        loop {
            let page = store.realms(listed.last(), limit).unwrap();
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            listed.extend(page);
        }
        assert_eq!(listed, expected, "pages of {limit}");
    }
    assert_eq!(store.realms(None, 0).unwrap(), []);
    assert_eq!(store.realms(Some(&key("aaa")), 1).unwrap(), [key("b")]);
}

/// One batch may concern a thousand realms, known and new ones.
pub fn many_realms_fit_into_one_batch<S: Store>(store: &S) {
    let name = |i: u64| RealmKey::new(format!("realm/{:05}", i * 7919 % 1000).into_bytes());
    for round in 0..3 {
        let batch: Vec<_> =
            (0..1000).map(|i| (name(i), append(round, round + 1, &[&i.to_be_bytes()]))).collect();
        let answers = store.commit(&batch).unwrap();
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1000);
    }
    assert_eq!(store.realms(None, 2000).unwrap().len(), 1000);
    for i in [0_u64, 1, 500, 999] {
        let changeset = Bytes::copy_from_slice(&i.to_be_bytes());
        let expected = [1, 2, 3].map(|version| (version, changeset.clone()));
        assert_eq!(changesets(store, &name(i)), expected);
    }
}
