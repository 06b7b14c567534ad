//! Users, sessions and secrets.

use std::thread;

use super::sample::{append, commit, key, session, user};
use crate::account::{Accounts, Identity, User};
use crate::store::Store;

/// The first proposal is stored; later ones are ignored.
pub fn a_secret_is_the_first_proposal<S: Accounts>(store: &S) {
    assert_eq!(store.secret("key", b"first").unwrap(), b"first");
    assert_eq!(store.secret("key", b"second").unwrap(), b"first");
    assert_eq!(store.secret("", b"").unwrap(), b"");
    assert_eq!(store.secret("", b"late").unwrap(), b"");
}

/// Proposals that are made at the same time all get the same answer.
pub fn one_of_many_proposals_wins<S: Accounts>(store: &S) {
    let answers = thread::scope(|scope| {
        let threads: Vec<_> = (0..8_u8)
            .map(|i| scope.spawn(move || store.secret("key", &[i; 32]).unwrap()))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(answers.iter().all(|answer| *answer == answers[0] && answer.len() == 32));
}

/// Every field is read back, before and after it is replaced.
pub fn a_user_is_read_back_and_replaced<S: Accounts>(store: &S) {
    let first = user("65a000000000000000000001");
    assert_eq!(store.user(&first.id).unwrap(), None);
    store.put_user(&first).unwrap();
    assert_eq!(store.user(&first.id).unwrap(), Some(first.clone()));
    let strange = Identity {
        id: "\u{1f980}\0".to_owned(),
        provider_type: String::new(),
        provider_id: "x".repeat(5000),
    };
    let changed =
        User { identities: vec![strange], disabled: true, created_ms: u64::MAX, ..first.clone() };
    store.put_user(&changed).unwrap();
    store.put_user(&user("other")).unwrap();
    assert_eq!(store.user(&first.id).unwrap(), Some(changed));
    let nobody = User { identities: Vec::new(), ..user("none") };
    store.put_user(&nobody).unwrap();
    assert_eq!(store.user("none").unwrap(), Some(nobody));
}

/// After the call both are there, and only the user that was named is changed.
pub fn a_user_is_created_with_a_session<S: Accounts>(store: &S) {
    let (first, second) = (user("first"), user("second"));
    store.create_user(&first, &session("s1", "first")).unwrap();
    store.create_user(&second, &session("s2", "second")).unwrap();
    assert_eq!(store.user("first").unwrap(), Some(first));
    assert_eq!(store.user("second").unwrap(), Some(second));
    assert_eq!(store.session("s1").unwrap(), Some(session("s1", "first")));
    assert_eq!(store.session("s2").unwrap(), Some(session("s2", "second")));
    assert_eq!(store.session("first").unwrap(), None);
}

/// A session ends once; the others stay.
pub fn a_revoked_session_is_gone<S: Accounts>(store: &S) {
    store.put_session(&session("a", "user")).unwrap();
    store.put_session(&session("b", "user")).unwrap();
    let mut longer = session("b", "user");
    longer.expires_ms += 1;
    store.put_session(&longer).unwrap();
    assert!(store.revoke_session("a").unwrap());
    assert!(!store.revoke_session("a").unwrap());
    assert!(!store.revoke_session("unknown").unwrap());
    assert_eq!(store.session("a").unwrap(), None);
    assert_eq!(store.session("b").unwrap(), Some(longer));
}

/// A deleted user's sessions end; those of other users, and of users with longer ids, stay.
pub fn a_deleted_user_leaves_no_session<S: Accounts>(store: &S) {
    for id in ["a", "ab", "b"] {
        store.create_user(&user(id), &session(&format!("{id}1"), id)).unwrap();
        store.put_session(&session(&format!("{id}2"), id)).unwrap();
    }
    assert!(store.delete_user("a").unwrap());
    assert!(!store.delete_user("a").unwrap());
    assert!(!store.delete_user("").unwrap());
    assert_eq!(store.user("a").unwrap(), None);
    for id in ["a1", "a2"] {
        assert_eq!(store.session(id).unwrap(), None, "session {id}");
    }
    for id in ["ab1", "ab2", "b1", "b2"] {
        assert!(store.session(id).unwrap().is_some(), "session {id}");
    }
    assert_eq!(store.user("ab").unwrap(), Some(user("ab")));

    store.put_session(&session("b1", "ab")).unwrap();
    assert!(store.delete_user("b").unwrap());
    assert_eq!(store.session("b1").unwrap(), Some(session("b1", "ab")));
    assert_eq!(store.session("b2").unwrap(), None);
}

/// A realm of the same name as a user, session or secret is another thing.
pub fn accounts_do_not_meet_realms<S: Store + Accounts>(store: &S) {
    commit(store, &key("same"), append(0, 1, &[b"a"]));
    assert_eq!(store.user("same").unwrap(), None);
    store.create_user(&user("same"), &session("same", "same")).unwrap();
    assert_eq!(store.secret("same", b"secret").unwrap(), b"secret");
    assert_eq!(store.realm(&key("same")).unwrap().revision, 1);
    assert_eq!(store.realms(None, 10).unwrap(), [key("same")]);
}
