//! A reset that is cut short between any two steps, by a process that ends or an application that panics.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bailiwick_protocol::action::Action;
use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{
    ClientVersion, DownloadCursor, OriginTimestamp, SaltedVersion, ServerVersion,
};

use crate::files::{FreshError, FreshFile, FreshInMemory, RealmFiles};
use crate::history::local_commit;
use crate::local::{Batch, LocalFile, ResetStage};
use crate::read::{Query, View};
use crate::reset::ResetObserver;
use crate::schema::{Class, PropertyType, Schema};
use crate::session::{FileRole, ResetMode, StorageAnswer, StorageRequest};
use crate::write::{WriteError, WriteTransaction};

const NOW: OriginTimestamp = OriginTimestamp(9);

/// Files that outlive the process.
#[derive(Clone, Debug)]
struct Disk {
    main: Arc<LocalFile>,
    fresh: Arc<FreshInMemory>,
    /// The process ends where the fresh copy is to be removed.
    dies_at_removal: Arc<AtomicBool>,
}

impl FreshFile for Disk {
    fn open(&self) -> Result<Arc<LocalFile>, FreshError> {
        self.fresh.open()
    }

    fn remove(&self) -> Result<(), FreshError> {
        if self.dies_at_removal.load(Ordering::Relaxed) {
            return Err(FreshError::Remove {
                path: "fresh".into(),
                source: std::io::Error::other("the process has ended"),
            });
        }
        self.fresh.remove()
    }
}

fn schema() -> Schema {
    let task = Class::new("Task").primary_key("_id", PropertyType::Int);
    Schema::new().class(task.property("name", PropertyType::String))
}

impl Disk {
    /// A device of client file 2 with a task that the server does not have yet.
    fn new() -> Self {
        let main = Arc::new(LocalFile::in_memory());
        receive(&main, FileIdent(2), ServerVersion(5), &|tx| tx.declare(&schema()));
        let fresh = Arc::default();
        let disk = Self { main, fresh, dies_at_removal: Arc::default() };
        let writer = disk.main.write();
        let snapshot = writer.snapshot().unwrap();
        let mut tx = WriteTransaction::new(&snapshot);
        tx.create("Task", 1).unwrap().set("name", "offline").unwrap();
        let edits = tx.finish();
        writer.commit(&local_commit(&snapshot, edits.changes, edits.changeset, NOW)).unwrap();
        drop(writer);
        disk
    }

    /// A process begins.
    fn start(&self) -> RealmFiles {
        let files = RealmFiles::new(Arc::clone(&self.main), self.clone());
        assert!(matches!(load(&files, FileRole::Main), StorageAnswer::Ready(_)));
        files
    }

    fn names(&self) -> Vec<String> {
        let snapshot = self.main.snapshot().unwrap();
        let mut tx = WriteTransaction::new(&snapshot);
        let keys = tx.keys("Task").unwrap();
        let name = |key| tx.object("Task", key).unwrap().get("name").unwrap();
        keys.into_iter().map(name).map(|name| name.as_str().unwrap().to_owned()).collect()
    }
}

/// Commits what the server has sent to a file.
pub(super) fn receive(
    file: &LocalFile,
    ident: FileIdent,
    version: ServerVersion,
    edit: &dyn Fn(&mut WriteTransaction<'_>) -> Result<(), WriteError>,
) {
    let writer = file.write();
    let snapshot = writer.snapshot().unwrap();
    let mut tx = WriteTransaction::new(&snapshot);
    edit(&mut tx).unwrap();
    let changes = tx.finish().changes;
    let mut state = snapshot.state().clone();
    state.version.0 += 1;
    state.client_file = Some((ident, Salt(ident.0)));
    state.progress.download = DownloadCursor {
        server_version: version,
        last_integrated_client_version: ClientVersion(0),
    };
    state.progress.latest = SaltedVersion { version, salt: Salt(1) };
    writer.commit(&Batch { changes, state, ..Batch::default() }).unwrap();
}

fn load(files: &RealmFiles, role: FileRole) -> StorageAnswer {
    files.execute(role, StorageRequest::Load, NOW)
}

/// Downloads the fresh copy, as client file `ident`, unless it is there already; whether it was.
fn download(disk: &Disk, files: &RealmFiles, ident: u64) -> bool {
    let StorageAnswer::Ready(status) = load(files, FileRole::Fresh) else { panic!() };
    if status.state.client_file.is_some() {
        return true;
    }
    let copy = disk.fresh.open().unwrap();
    receive(&copy, FileIdent(ident), ServerVersion(8), &|tx| {
        tx.declare(&schema())?;
        tx.create("Task", 7)?.set("name", "server").map(drop)
    });
    false
}

pub(super) fn begin(files: &RealmFiles, mode: ResetMode) -> StorageAnswer {
    let request = StorageRequest::BeginReset {
        mode,
        action: Action::ClientReset,
        code: ErrorCode::from_number(208),
        message: String::new(),
    };
    files.execute(FileRole::Main, request, NOW)
}

pub(super) fn reset(files: &RealmFiles, mode: ResetMode) -> StorageAnswer {
    files.execute(FileRole::Main, StorageRequest::Reset { mode }, NOW)
}

fn is_pending(files: &RealmFiles) -> bool {
    match load(files, FileRole::Main) {
        StorageAnswer::Ready(status) => status.reset_pending,
        other => panic!("{other:?}"),
    }
}

/// Does the whole reset in a process that begins now.
fn go_through(disk: &Disk, ident: u64) {
    let files = disk.start();
    download(disk, &files, ident);
    assert!(matches!(begin(&files, ResetMode::Recover), StorageAnswer::ResetBegun(_)));
    let done = reset(&files, ResetMode::Recover);
    assert!(matches!(done, StorageAnswer::ResetDone { recovered: true, .. }), "{done:?}");
    assert!(is_pending(&files));
    files.execute(FileRole::Main, StorageRequest::EndReset, NOW);
    assert!(!is_pending(&files));
    assert_eq!(disk.names(), ["offline", "server"]);
    assert_eq!(disk.main.snapshot().unwrap().state().client_file.unwrap().0, FileIdent(ident));
}

#[test]
fn before_the_commit_a_crash_changes_nothing() {
    // Before the download, after it, after the record.
    for steps in 0..3 {
        let disk = Disk::new();
        let files = disk.start();
        if steps > 0 {
            assert!(!download(&disk, &files, 3));
        }
        if steps > 1 {
            begin(&files, ResetMode::Recover);
        }
        drop(files);
        let files = disk.start();
        assert!(!is_pending(&files));
        assert_eq!(disk.names(), ["offline"]);
        assert_eq!(download(&disk, &files, 3), steps > 0, "the copy goes on where it was");
        drop(files);
        go_through(&disk, 3);
    }
}

#[test]
fn after_the_commit_a_crash_changes_nothing() {
    let disk = Disk::new();
    let files = disk.start();
    download(&disk, &files, 3);
    begin(&files, ResetMode::Recover);
    disk.dies_at_removal.store(true, Ordering::Relaxed);
    assert!(matches!(reset(&files, ResetMode::Recover), StorageAnswer::ResetDone { .. }));
    drop(files);
    disk.dies_at_removal.store(false, Ordering::Relaxed);
    let files = disk.start();
    assert!(is_pending(&files));
    assert_eq!(disk.names(), ["offline", "server"]);
    assert_eq!(disk.fresh.open().unwrap().snapshot().unwrap().state().client_file, None);
    // The server demands another reset before this one is through.
    let answer = begin(&files, ResetMode::Recover);
    assert!(matches!(answer, StorageAnswer::ResetFailed(_)), "{answer:?}");
    assert_eq!(disk.names(), ["offline", "server"]);
}

#[test]
fn a_copy_that_was_taken_over_is_not_gone_on_with() {
    let disk = Disk::new();
    let files = disk.start();
    download(&disk, &files, 3);
    begin(&files, ResetMode::Recover);
    disk.dies_at_removal.store(true, Ordering::Relaxed);
    reset(&files, ResetMode::Recover);
    files.execute(FileRole::Main, StorageRequest::EndReset, NOW);
    drop(files);
    // The record is gone, and the copy is still there.
    assert!(disk.fresh.open().unwrap().snapshot().unwrap().state().client_file.is_some());
    disk.dies_at_removal.store(false, Ordering::Relaxed);
    let files = disk.start();
    assert!(!download(&disk, &files, 4), "it is another one");
}

#[test]
fn a_reset_that_fails_leaves_the_file_as_it_was() {
    let disk = Disk::new();
    let files = disk.start();
    load(&files, FileRole::Fresh);
    let copy = disk.fresh.open().unwrap();
    receive(&copy, FileIdent(3), ServerVersion(8), &|_| Ok(()));
    drop(copy);
    begin(&files, ResetMode::RecoverOrDiscard);
    let answer = reset(&files, ResetMode::RecoverOrDiscard);
    assert!(matches!(answer, StorageAnswer::ResetFailed(_)), "{answer:?}");
    assert_eq!(disk.names(), ["offline"]);
    let record = disk.main.snapshot().unwrap().pending_reset().cloned().unwrap();
    assert_eq!(record.stage, ResetStage::Failed);
    // The next one starts from another copy.
    assert!(!download(&disk, &files, 4));
    let begun = begin(&files, ResetMode::RecoverOrDiscard);
    assert!(matches!(begun, StorageAnswer::ResetBegun(ResetMode::DiscardLocal)), "{begun:?}");
}

#[test]
fn what_cannot_be_recovered_is_discarded_where_that_is_wanted() {
    let disk = Disk::new();
    let writer = disk.main.write();
    let snapshot = writer.snapshot().unwrap();
    let mut erase = bailiwick_protocol::changeset::Changeset::default();
    let table = erase.strings.intern("Task");
    erase.instructions.push(bailiwick_protocol::changeset::Instruction::EraseTable { table });
    let changes = bailiwick_core::apply::Changes::default();
    writer.commit(&local_commit(&snapshot, changes, erase, NOW)).unwrap();
    drop(writer);
    let files = disk.start();
    download(&disk, &files, 3);
    begin(&files, ResetMode::RecoverOrDiscard);
    let done = reset(&files, ResetMode::RecoverOrDiscard);
    assert!(matches!(done, StorageAnswer::ResetDone { recovered: false, .. }), "{done:?}");
    assert_eq!(disk.names(), ["server"]);
}

#[test]
fn a_file_that_was_given_up_stays_so() {
    let give_up = |disk: &Disk| {
        let writer = disk.main.write();
        writer.commit(&crate::reset::give_up(&writer.snapshot().unwrap(), NOW)).unwrap();
    };
    // Before the server's state is taken over.
    let disk = Disk::new();
    let files = disk.start();
    download(&disk, &files, 3);
    begin(&files, ResetMode::DiscardLocal);
    give_up(&disk);
    let answer = reset(&files, ResetMode::DiscardLocal);
    assert!(matches!(answer, StorageAnswer::ResetFailed(_)), "{answer:?}");
    check_given_up(&disk, &["offline"]);
    // Before the end of it is recorded.
    let disk = Disk::new();
    let files = disk.start();
    download(&disk, &files, 3);
    begin(&files, ResetMode::DiscardLocal);
    reset(&files, ResetMode::DiscardLocal);
    give_up(&disk);
    assert!(matches!(
        files.execute(FileRole::Main, StorageRequest::EndReset, NOW),
        StorageAnswer::Ready(_)
    ));
    check_given_up(&disk, &["server"]);
}

#[track_caller]
fn check_given_up(disk: &Disk, names: &[&str]) {
    let stage = disk.main.snapshot().unwrap().pending_reset().map(|record| record.stage);
    assert_eq!(stage, Some(ResetStage::GivenUp));
    assert_eq!(disk.names(), names);
}

/// What an application saw, and whether it panics.
#[derive(Default)]
struct Witness {
    seen: Mutex<Vec<String>>,
    panics_before: bool,
    panics_after: bool,
}

impl Witness {
    fn see(&self, what: &str, view: &View) {
        let count = view.count(&Query::class("Task")).unwrap();
        self.seen.lock().unwrap().push(format!("{what} {count}"));
    }
}

impl ResetObserver for Witness {
    fn before(&self, before: &View) {
        self.see("before", before);
        assert!(!self.panics_before, "the application panics");
    }

    fn after(&self, before: &View, after: &View, recovered: bool) {
        assert!(recovered);
        self.see("then", before);
        self.see("now", after);
        assert!(!self.panics_after, "the application panics");
    }
}

#[test]
fn an_observer_sees_both_states_and_harms_none() {
    let run = |witness: Witness| {
        let disk = Disk::new();
        let files = disk.start();
        let witness = Arc::new(witness);
        files.observe_resets(Arc::clone(&witness) as Arc<dyn ResetObserver>);
        download(&disk, &files, 3);
        begin(&files, ResetMode::Recover);
        let answer = reset(&files, ResetMode::Recover);
        let seen = std::mem::take(&mut *witness.seen.lock().unwrap());
        (disk, files, answer, seen)
    };
    let all = ["before 1", "then 1", "now 2"];
    let (_, _, answer, seen) = run(Witness::default());
    assert!(matches!(answer, StorageAnswer::ResetDone { .. }));
    assert_eq!(seen, all);
    let (disk, _, answer, seen) = run(Witness { panics_after: true, ..Witness::default() });
    assert!(matches!(answer, StorageAnswer::ResetDone { .. }));
    assert_eq!(seen, all);
    assert_eq!(disk.names(), ["offline", "server"]);
    let (disk, files, answer, _) = run(Witness { panics_before: true, ..Witness::default() });
    assert!(matches!(answer, StorageAnswer::ResetFailed(_)));
    assert_eq!(disk.names(), ["offline"]);
    drop(files);
    go_through(&disk, 3);
}
