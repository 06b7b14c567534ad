//! What is merged with local changes that a reset has recovered.

use std::sync::Arc;

use bailiwick_protocol::ident::{FileIdent, Salt, SessionIdent};
use bailiwick_protocol::message::{Body, DownloadEntry, DownloadHeader};
use bailiwick_protocol::version::{
    ClientVersion, DownloadCursor, OriginTimestamp, SaltedVersion, ServerVersion, UploadCursor,
};
use bytes::Bytes;

use super::crash::{begin, receive, reset};
use crate::files::{FreshInMemory, RealmFiles};
use crate::history::local_commit;
use crate::local::LocalFile;
use crate::schema::{Class, PropertyType, Schema};
use crate::session::{FileRole, ResetMode, StorageAnswer, StorageRequest};
use crate::value::{Link, PrimaryKey};
use crate::write::{WriteError, WriteTransaction};

const NOW: OriginTimestamp = OriginTimestamp(9);

type Outcome = Result<(), WriteError>;

/// Some tasks, the first of which is followed by others.
fn tasks(next: &[i64]) -> impl Fn(&mut WriteTransaction<'_>) -> Outcome {
    move |tx| {
        let task = Class::new("Task").primary_key("_id", PropertyType::Int);
        let task = task.list("next", PropertyType::Link("Task".into()));
        tx.declare(&Schema::new().class(task))?;
        for key in [1, 2, 10, 11, 12] {
            tx.create("Task", key)?;
        }
        next.iter().try_for_each(|&next| push(1, next)(tx))
    }
}

/// Lets a task be followed by another.
fn push(task: i64, next: i64) -> impl Fn(&mut WriteTransaction<'_>) -> Outcome {
    move |tx| tx.object("Task", task)?.list("next")?.push(Link::new("Task", next)).map(drop)
}

/// A file with what its server has sent.
fn file(next: &[i64]) -> Arc<LocalFile> {
    let file = Arc::new(LocalFile::in_memory());
    receive(&file, FileIdent(2), ServerVersion(5), &tasks(next));
    file
}

/// Commits a transaction of the application.
fn write(file: &LocalFile, edit: impl Fn(&mut WriteTransaction<'_>) -> Outcome) {
    let writer = file.write();
    let snapshot = writer.snapshot().unwrap();
    let mut tx = WriteTransaction::new(&snapshot);
    edit(&mut tx).unwrap();
    let edits = tx.finish();
    writer.commit(&local_commit(&snapshot, edits.changes, edits.changeset, NOW)).unwrap();
}

/// What task 1 is followed by.
fn next(file: &LocalFile) -> Vec<PrimaryKey> {
    let snapshot = file.snapshot().unwrap();
    let mut tx = WriteTransaction::new(&snapshot);
    let next = tx.object("Task", 1).unwrap().list("next").unwrap().values().unwrap();
    next.iter().map(|next| next.as_link().unwrap().key.clone()).collect()
}

/// Integrates what another device has written in a file like `base`, without knowing of our changes.
fn integrate(
    (files, role): (&RealmFiles, FileRole),
    version: u64,
    base: &LocalFile,
    edit: impl Fn(&mut WriteTransaction<'_>) -> Outcome,
) {
    let snapshot = base.snapshot().unwrap();
    let mut tx = WriteTransaction::new(&snapshot);
    edit(&mut tx).unwrap();
    let bytes = Bytes::from(tx.finish().changeset.encode());
    let server_version = ServerVersion(version);
    let last_integrated_client_version = ClientVersion(0);
    let entry = DownloadEntry {
        server_version,
        last_integrated_client_version,
        origin_timestamp: OriginTimestamp(version),
        origin_file_ident: FileIdent(7),
        original_changeset_len: bytes.len() as u64,
        changeset: bytes,
    };
    let header = DownloadHeader {
        session: SessionIdent(1),
        download_cursor: DownloadCursor { server_version, last_integrated_client_version },
        latest_server_version: SaltedVersion { version: server_version, salt: Salt(1) },
        upload_cursor: UploadCursor::default(),
        downloadable_bytes: 0,
    };
    let request = StorageRequest::Integrate(header, Body::from_entries(&[entry]));
    let answer = files.execute(role, request, NOW);
    assert!(matches!(answer, StorageAnswer::Ready(_)), "{answer:?}");
}

#[test]
fn it_is_what_was_recovered_and_not_what_had_that_version_before() {
    let main = file(&[10, 11]);
    write(&main, |tx| tx.object("Task", 1)?.list("next")?.remove(0).map(drop));
    write(&main, |tx| tx.create("Task", 3).map(drop).and_then(|()| push(1, 3)(tx)));
    write(&main, push(2, 10));
    let files = RealmFiles::new(Arc::clone(&main), FreshInMemory::default());
    let create = |tx: &mut WriteTransaction<'_>| tx.create("Task", 4).map(drop);
    integrate((&files, FileRole::Main), 6, &main, create);

    files.execute(FileRole::Fresh, StorageRequest::Identify(FileIdent(3), Salt(3)), NOW);
    let fresh = [12, 10, 11];
    integrate((&files, FileRole::Fresh), 8, &LocalFile::in_memory(), tasks(&fresh));
    assert!(matches!(begin(&files, ResetMode::Recover), StorageAnswer::ResetBegun(_)));
    let done = reset(&files, ResetMode::Recover);
    assert!(matches!(done, StorageAnswer::ResetDone { recovered: true, .. }), "{done:?}");
    // The first transaction brings the list but for the task that the second one creates; that follows in the last.
    assert_eq!(next(&main), [11, 3].map(PrimaryKey::Int));

    integrate((&files, FileRole::Main), 9, &file(&fresh), push(1, 12));
    assert_eq!(next(&main), [11, 3, 12].map(PrimaryKey::Int));
}
