//! Keys, records and commits for the cases.

use bailiwick_core::history::{ClientFile, Entry};
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{
    ClientVersion, OriginTimestamp, SaltedVersion, ServerVersion, UploadCursor,
};
use bytes::Bytes;

use crate::account::{Identity, LoginSession, User};
use crate::store::{Commit, CommitRefused, RealmKey, Store};

/// The first client file of a realm.
pub const FIRST: FileIdent = FileIdent::FIRST_CLIENT;

/// A realm's key.
pub fn key(name: &str) -> RealmKey {
    RealmKey::new(name.as_bytes())
}

/// An entry that the server itself made.
pub fn entry(version: u64, changeset: &[u8]) -> Entry {
    Entry {
        version: salted(version),
        origin_file_ident: FileIdent::SELF,
        client_version: ClientVersion(0),
        origin_timestamp: OriginTimestamp(5_000_000 + version % 1000),
        changeset: Bytes::copy_from_slice(changeset),
        required_protocol: 10 + u8::from(version.is_multiple_of(2)),
        cumulative_len: 0,
    }
}

/// A version with a salt of its own.
pub fn salted(version: u64) -> SaltedVersion {
    SaltedVersion { version: ServerVersion(version), salt: Salt(1000 + version % 1000) }
}

/// An entry that a client file uploaded.
pub fn uploaded(version: u64, origin: FileIdent, client_version: u64) -> Entry {
    Entry {
        origin_file_ident: origin,
        client_version: ClientVersion(client_version),
        ..entry(version, b"uploaded")
    }
}

/// A client file that has integrated nothing.
pub fn client_file(salt: u64) -> ClientFile {
    ClientFile::new(Salt(salt), format!("user-{salt}"), 1_700_000_000_000 + salt)
}

/// The same client file later; its last changeset is that of the version before.
pub fn moved(file: &ClientFile, client_version: u64, server_version: u64) -> ClientFile {
    ClientFile {
        upload_cursor: UploadCursor {
            client_version: ClientVersion(client_version),
            last_integrated_server_version: ServerVersion(server_version),
        },
        acknowledged: UploadCursor {
            client_version: ClientVersion(client_version.saturating_sub(1)),
            last_integrated_server_version: ServerVersion(server_version.saturating_sub(1)),
        },
        locked_server_version: ServerVersion(server_version),
        ..file.clone()
    }
}

/// A commit of entries with versions from `first` on, one for each changeset.
pub fn append(base_revision: u64, first: u64, changesets: &[&[u8]]) -> Commit {
    let mut entries: Vec<_> = changesets.iter().map(|changeset| entry(first, changeset)).collect();
    for (i, entry) in (0..).zip(&mut entries) {
        entry.version = salted(first.wrapping_add(i));
    }
    Commit { base_revision, entries, ..Commit::default() }
}

/// A commit of objects.
pub fn write(base_revision: u64, objects: &[(&[u8], Option<&[u8]>)]) -> Commit {
    let objects = objects
        .iter()
        .map(|(row, object)| ((*row).into(), object.map(Bytes::copy_from_slice)))
        .collect();
    Commit { base_revision, objects, ..Commit::default() }
}

/// Commits to one realm; the answer.
///
/// # Errors
///
/// What the store refuses the commit for.
pub fn try_commit<S: Store>(
    store: &S,
    realm: &RealmKey,
    commit: Commit,
) -> Result<(), CommitRefused> {
    let answers = store.commit(&[(realm.clone(), commit)]).expect("the store works");
    assert_eq!(answers.len(), 1, "one answer for each commit");
    answers.into_iter().next().expect("there is one")
}

/// Commits to one realm.
#[track_caller]
pub fn commit<S: Store>(store: &S, realm: &RealmKey, commit: Commit) {
    assert_eq!(try_commit(store, realm, commit), Ok(()));
}

/// Expects a commit to be refused as invalid and to leave the realm's record as it is.
#[track_caller]
pub fn check_invalid<S: Store>(store: &S, realm: &RealmKey, commit: Commit) {
    let before = store.realm(realm).expect("the store works");
    let answer = try_commit(store, realm, commit);
    assert!(matches!(answer, Err(CommitRefused::Invalid(_))), "{answer:?}");
    assert_eq!(store.realm(realm).expect("the store works"), before);
}

/// The versions and changesets of all entries.
pub fn changesets<S: Store>(store: &S, realm: &RealmKey) -> Vec<(u64, Bytes)> {
    let all = store
        .entries(realm, ServerVersion(0), ServerVersion(u64::MAX), usize::MAX)
        .expect("the store works");
    all.into_iter().map(|entry| (entry.version.version.0, entry.changeset)).collect()
}

/// All objects of a realm.
pub fn objects<S: Store>(store: &S, realm: &RealmKey) -> Vec<(Vec<u8>, Bytes)> {
    let all = store.scan_objects(realm, b"", None, usize::MAX).expect("the store works");
    all.into_iter().map(|(row, object)| (row.into_vec(), object)).collect()
}

/// The versions and bytes of the reciprocal forms after a version.
pub fn reciprocals<S: Store>(
    store: &S,
    realm: &RealmKey,
    ident: FileIdent,
    after: u64,
) -> Vec<(u64, Bytes)> {
    let forms = store.reciprocals(realm, ident, ServerVersion(after)).expect("the store works");
    forms.into_iter().map(|(version, bytes)| (version.0, bytes)).collect()
}

/// A user with two identities.
pub fn user(id: &str) -> User {
    let identity = |provider_type: &str| Identity {
        id: format!("{id}@{provider_type}"),
        provider_type: provider_type.to_owned(),
        provider_id: "65a0000000000000000000ff".to_owned(),
    };
    User {
        id: id.to_owned(),
        identities: vec![identity("anon-user"), identity("local-userpass")],
        created_ms: 1_700_000_000_000,
        disabled: false,
    }
}

/// A session of a user.
pub fn session(id: &str, user_id: &str) -> LoginSession {
    LoginSession {
        id: id.to_owned(),
        user_id: user_id.to_owned(),
        device_id: "65a0000000000000000000aa".to_owned(),
        created_ms: 1_700_000_000_001,
        expires_ms: 1_705_000_000_000,
    }
}
