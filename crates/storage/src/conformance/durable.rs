//! What is there when a store was dropped and opened again.

use bailiwick_protocol::version::ServerVersion;
use bytes::Bytes;

use super::sample::{
    FIRST, append, changesets, client_file, commit, key, objects, reciprocals, session, try_commit,
    user, write,
};
use crate::account::Accounts;
use crate::store::{Commit, CommitRefused, Store};

/// Everything that was committed to a realm is read back.
pub fn a_realm_outlives_its_store<S: Store>(open: &dyn Fn() -> S) {
    let realm = key("realm");
    let store = open();
    let mut step = append(0, 1, &[b"one", b"", b"three"]);
    step.client_files = vec![(FIRST, client_file(1))];
    step.reciprocals = vec![(FIRST, ServerVersion(2), Bytes::new())];
    step.objects = write(0, &[(b"a", Some(b"1")), (b"b", Some(b""))]).objects;
    step.schema = Some(Bytes::from_static(b"schema"));
    commit(&store, &realm, step);
    commit(&store, &key("other"), Commit::default());
    let record = store.realm(&realm).unwrap();
    let entries = store.entries(&realm, ServerVersion(0), ServerVersion(3), 100).unwrap();
    drop(store);

    for _ in 0..2 {
        let store = open();
        assert_eq!(store.realms(None, 10).unwrap(), [key("other"), realm.clone()]);
        assert_eq!(store.realm(&realm).unwrap(), record);
        let again = store.entries(&realm, ServerVersion(0), ServerVersion(3), 100).unwrap();
        assert_eq!(again, entries);
        assert_eq!(store.client_file(&realm, FIRST).unwrap(), Some(client_file(1)));
        assert_eq!(reciprocals(&store, &realm, FIRST, 0), [(2, Bytes::new())]);
        let rows = [(b"a".to_vec(), Bytes::from("1")), (b"b".to_vec(), Bytes::new())];
        assert_eq!(objects(&store, &realm), rows);
    }
}

/// Users, sessions and secrets are read back; a revoked session is not.
pub fn accounts_outlive_their_store<S: Accounts>(open: &dyn Fn() -> S) {
    let store = open();
    store.create_user(&user("u"), &session("s", "u")).unwrap();
    store.put_session(&session("revoked", "u")).unwrap();
    assert!(store.revoke_session("revoked").unwrap());
    store.secret("key", b"first").unwrap();
    drop(store);

    let store = open();
    assert_eq!(store.user("u").unwrap(), Some(user("u")));
    assert_eq!(store.session("s").unwrap(), Some(session("s", "u")));
    assert_eq!(store.session("revoked").unwrap(), None);
    assert_eq!(store.secret("key", b"second").unwrap(), b"first");
}

/// A refused commit does not come back.
pub fn a_refused_commit_is_refused_for_good<S: Store>(open: &dyn Fn() -> S) {
    let realm = key("realm");
    let store = open();
    commit(&store, &realm, append(0, 1, &[b"a"]));
    let refused = try_commit(&store, &realm, append(0, 1, &[b"b"]));
    assert_eq!(refused, Err(CommitRefused::Outdated { expected: 0, actual: 1 }));
    drop(store);
    assert_eq!(changesets(&open(), &realm), [(1, Bytes::from("a"))]);
}

/// New realms and new entries find their place among the old ones.
pub fn a_realm_goes_on_where_it_stopped<S: Store>(open: &dyn Fn() -> S) {
    for round in 0..4_u64 {
        let store = open();
        for name in ["old", &format!("of round {round}")] {
            let realm = key(name);
            let record = store.realm(&realm).unwrap();
            let next = record.head.version.0 + 1;
            commit(&store, &realm, append(record.revision, next, &[&round.to_be_bytes()]));
        }
    }
    let store = open();
    assert_eq!(store.realms(None, 10).unwrap().len(), 5);
    let all = changesets(&store, &key("old"));
    let expected =
        (0..4_u64).map(|round| (round + 1, Bytes::copy_from_slice(&round.to_be_bytes())));
    assert_eq!(all, expected.collect::<Vec<_>>());
    for round in 0..4_u64 {
        let changeset = Bytes::copy_from_slice(&round.to_be_bytes());
        assert_eq!(changesets(&store, &key(&format!("of round {round}"))), [(1, changeset)]);
    }
}
