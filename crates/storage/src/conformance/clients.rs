//! Client files and what was stored for them.

use bailiwick_core::history::ClientFile;
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{ClientVersion, ServerVersion, UploadCursor};
use bytes::Bytes;

use super::sample::{FIRST, append, check_invalid, client_file, commit, key, moved, reciprocals};
use crate::store::{Commit, RealmKey, Store};

const SECOND: FileIdent = FileIdent(FIRST.0 + 1);

fn files(base_revision: u64, client_files: &[(FileIdent, ClientFile)]) -> Commit {
    Commit { base_revision, client_files: client_files.to_vec(), ..Commit::default() }
}

fn put(base_revision: u64, forms: &[(FileIdent, u64, &'static [u8])]) -> Commit {
    let reciprocals = forms
        .iter()
        .map(|(ident, version, bytes)| (*ident, ServerVersion(*version), Bytes::from_static(bytes)))
        .collect();
    Commit { base_revision, reciprocals, ..Commit::default() }
}

/// A realm at revision 1 with four entries and two client files that have integrated nothing.
fn realm_with_clients<S: Store>(store: &S) -> RealmKey {
    let realm = key("realm");
    let mut start = append(0, 1, &[b"1", b"2", b"3", b"4"]);
    start.client_files = vec![(FIRST, client_file(1)), (SECOND, client_file(2))];
    commit(store, &realm, start);
    realm
}

/// Every field is read back, before and after it is replaced.
pub fn client_files_are_added_and_replaced<S: Store>(store: &S) {
    let realm = realm_with_clients(store);
    assert_eq!(store.client_file(&realm, FIRST).unwrap(), Some(client_file(1)));
    assert_eq!(store.client_file(&realm, SECOND).unwrap(), Some(client_file(2)));
    assert_eq!(store.client_file(&key("other"), FIRST).unwrap(), None);
    let later = ClientFile {
        last_seen_ms: 0,
        locked_server_version: ServerVersion(3),
        user_id: String::new(),
        ..moved(&client_file(1), 8, 4)
    };
    commit(store, &realm, files(1, &[(FIRST, later.clone())]));
    assert_eq!(store.client_file(&realm, FIRST).unwrap(), Some(later));
    assert_eq!(store.client_file(&realm, SECOND).unwrap(), Some(client_file(2)));
    assert_eq!(store.realm(&realm).unwrap().client_file_count, 2);
}

/// Idents are allocated one after the other, from 2 on.
pub fn client_files_continue_the_idents<S: Store>(store: &S) {
    let realm = key("realm");
    for ident in [0, 1, 3, u64::MAX] {
        check_invalid(store, &realm, files(0, &[(FileIdent(ident), client_file(1))]));
    }
    check_invalid(store, &realm, files(0, &[(SECOND, client_file(1)), (FIRST, client_file(2))]));
    let twice =
        [(FIRST, client_file(1)), (SECOND, client_file(2)), (FIRST, moved(&client_file(1), 3, 0))];
    commit(store, &realm, files(0, &twice));
    assert_eq!(store.realm(&realm).unwrap().client_file_count, 2);
    assert_eq!(store.client_file(&realm, FIRST).unwrap(), Some(moved(&client_file(1), 3, 0)));
    for ident in [0, 1, 4, u64::MAX] {
        assert_eq!(store.client_file(&realm, FileIdent(ident)).unwrap(), None, "{ident}");
    }
}

/// Neither cursors nor salts nor expiry can be taken back, and nothing is ahead of the history.
pub fn a_client_file_never_goes_back<S: Store>(store: &S) {
    let realm = realm_with_clients(store);
    let now = ClientFile { last_seen_ms: 0, ..moved(&client_file(1), 5, 3) };
    commit(store, &realm, files(1, &[(FIRST, now.clone())]));
    let at = |client, server| UploadCursor {
        client_version: client,
        last_integrated_server_version: server,
    };
    let (client, server) = (now.upload_cursor.client_version, ServerVersion(3));
    let mut earlier = client;
    earlier.0 -= 1;
    let wrong = [
        ClientFile { salt: Salt(77), ..now.clone() },
        ClientFile { salt: Salt(0), ..now.clone() },
        ClientFile { last_seen_ms: 1, ..now.clone() },
        ClientFile { locked_server_version: ServerVersion(2), ..now.clone() },
        ClientFile { locked_server_version: ServerVersion(5), ..now.clone() },
        ClientFile { upload_cursor: at(earlier, server), ..now.clone() },
        ClientFile { upload_cursor: at(client, ServerVersion(2)), ..now.clone() },
        ClientFile { upload_cursor: at(client, ServerVersion(5)), ..now.clone() },
        ClientFile { acknowledged: at(ClientVersion(3), ServerVersion(2)), ..now.clone() },
        ClientFile { acknowledged: at(earlier, ServerVersion(1)), ..now.clone() },
        ClientFile { acknowledged: at(ClientVersion(6), server), ..now.clone() },
        ClientFile { acknowledged: at(client, ServerVersion(4)), ..now.clone() },
    ];
    for file in wrong {
        check_invalid(store, &realm, files(2, &[(FIRST, file)]));
    }
    assert_eq!(store.client_file(&realm, FIRST).unwrap(), Some(now));
}

/// The forms after a version are answered in the order of the versions.
pub fn reciprocals_are_read_after_a_version<S: Store>(store: &S) {
    let realm = realm_with_clients(store);
    commit(store, &realm, put(1, &[(FIRST, 4, b"iv"), (FIRST, 1, b"i"), (FIRST, 3, b"iii")]));
    let all = [(1, "i"), (3, "iii"), (4, "iv")].map(|(version, form)| (version, Bytes::from(form)));
    for (after, expected) in
        [(0, &all[..]), (1, &all[1..]), (2, &all[1..]), (3, &all[2..]), (4, &[])]
    {
        assert_eq!(reciprocals(store, &realm, FIRST, after), expected, "after {after}");
    }
    assert_eq!(reciprocals(store, &realm, FIRST, u64::MAX), []);
    assert_eq!(reciprocals(store, &realm, FileIdent(u64::MAX), u64::MAX), []);
}

/// What a commit puts is there although it forgets the same versions.
pub fn reciprocals_are_forgotten_before_others_are_put<S: Store>(store: &S) {
    let realm = realm_with_clients(store);
    commit(store, &realm, put(1, &[(FIRST, 1, b"i"), (FIRST, 2, b"ii"), (FIRST, 4, b"iv")]));
    let mut both = put(2, &[(FIRST, 2, b"new")]);
    both.forget_reciprocals = vec![(FIRST, ServerVersion(3)), (SECOND, ServerVersion(u64::MAX))];
    commit(store, &realm, both);
    let expected = [(2, Bytes::from("new")), (4, Bytes::from("iv"))];
    assert_eq!(reciprocals(store, &realm, FIRST, 0), expected);

    let mut all = put(3, &[]);
    all.forget_reciprocals = vec![(FIRST, ServerVersion(u64::MAX))];
    commit(store, &realm, all);
    assert_eq!(reciprocals(store, &realm, FIRST, 0), []);
}

/// A form that is put again replaces the former one, also within a commit.
pub fn a_reciprocal_is_replaced<S: Store>(store: &S) {
    let realm = realm_with_clients(store);
    commit(store, &realm, put(1, &[(FIRST, 1, b"a"), (FIRST, 1, b"b")]));
    assert_eq!(reciprocals(store, &realm, FIRST, 0), [(1, Bytes::from("b"))]);
    commit(store, &realm, put(2, &[(FIRST, 1, b"longer than before")]));
    assert_eq!(reciprocals(store, &realm, FIRST, 0), [(1, Bytes::from("longer than before"))]);
}

/// "It became empty" and "it looks as the entry does" are two things.
pub fn an_empty_reciprocal_is_not_a_missing_one<S: Store>(store: &S) {
    let realm = realm_with_clients(store);
    commit(store, &realm, put(1, &[(FIRST, 2, b"")]));
    assert_eq!(reciprocals(store, &realm, FIRST, 0), [(2, Bytes::new())]);
}

/// Neither other client files nor other realms see or forget a form.
pub fn reciprocals_belong_to_one_client_file<S: Store>(store: &S) {
    let realm = realm_with_clients(store);
    let other = key("other");
    let mut start = append(0, 1, &[b"1"]);
    start.client_files = vec![(FIRST, client_file(3))];
    commit(store, &other, start);
    commit(store, &realm, put(1, &[(FIRST, 1, b"first"), (SECOND, 1, b"second")]));
    commit(store, &other, put(1, &[(FIRST, 1, b"other")]));
    let mut forget = put(2, &[]);
    forget.forget_reciprocals = vec![(FIRST, ServerVersion(4))];
    commit(store, &realm, forget);
    assert_eq!(reciprocals(store, &realm, FIRST, 0), []);
    assert_eq!(reciprocals(store, &realm, SECOND, 0), [(1, Bytes::from("second"))]);
    assert_eq!(reciprocals(store, &other, FIRST, 0), [(1, Bytes::from("other"))]);
}

/// Forms are for known client files, and for versions that these have not integrated.
pub fn a_reciprocal_that_nobody_needs_is_refused<S: Store>(store: &S) {
    let realm = realm_with_clients(store);
    for ident in [0, 1, 4, u64::MAX] {
        check_invalid(store, &realm, put(1, &[(FileIdent(ident), 1, b"x")]));
    }
    for version in [0, 5, u64::MAX] {
        check_invalid(store, &realm, put(1, &[(FIRST, version, b"x")]));
    }
    let mut moving = put(1, &[(FIRST, 2, b"x")]);
    moving.client_files = vec![(FIRST, moved(&client_file(1), 1, 2))];
    check_invalid(store, &realm, moving.clone());
    moving.reciprocals[0].1 = ServerVersion(3);
    commit(store, &realm, moving);
    check_invalid(store, &realm, put(2, &[(FIRST, 2, b"x")]));
}
