//! A device and a server that part company: both begin with the same objects, then each goes its way.

use std::collections::BTreeMap;

use bailiwick_core::apply::Changes;
use bailiwick_core::state::{State, encode_row};
use bailiwick_protocol::action::Action;
use bailiwick_protocol::changeset::Changeset;
use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{
    ClientVersion, DownloadCursor, OriginTimestamp, SaltedVersion, ServerVersion, UploadCursor,
};

use crate::history::local_commit;
use crate::local::{Batch, HistoryEntry, LocalFile, Origin, Snapshot};
use crate::reset::{self, ResetDemand, ResetFailure};
use crate::schema::{Class, PropertyType, Schema};
use crate::session::ResetMode;
use crate::write::{WriteError, WriteTransaction};

/// What somebody does in one transaction.
pub(crate) type Edit<'e> = &'e dyn Fn(&mut WriteTransaction<'_>) -> Result<(), WriteError>;

/// The files of a device that has to reset.
pub(crate) struct World {
    pub(crate) main: LocalFile,
    pub(crate) fresh: LocalFile,
}

/// What the server had when the fresh copy was made.
const SERVER_VERSION: ServerVersion = ServerVersion(9);

pub(crate) fn schema() -> Schema {
    let task = || PropertyType::Link("Task".into());
    let part = || PropertyType::Embedded("Part".into());
    let person = || PropertyType::Link("Person".into());
    Schema::new()
        .class(
            Class::new("Task")
                .primary_key("_id", PropertyType::Int)
                .property("name", PropertyType::String)
                .optional("count", PropertyType::Int)
                .optional("any", PropertyType::Mixed)
                .optional("next", task())
                .list("ints", PropertyType::Int)
                .list("anys", PropertyType::Mixed)
                .list("tasks", task())
                .set("tags", PropertyType::String)
                .set("friends", person())
                .set("anyset", PropertyType::Mixed)
                .dictionary("map", PropertyType::String)
                .dictionary("anymap", PropertyType::Mixed)
                .dictionary("people", person())
                .optional("part", part())
                .list("parts", part())
                .dictionary("partmap", part()),
        )
        .class(
            Class::new("Person")
                .primary_key("_id", PropertyType::String)
                .property("name", PropertyType::String),
        )
        .class(
            Class::embedded("Part")
                .property("n", PropertyType::Int)
                .list("items", PropertyType::Int)
                .optional("task", task()),
        )
}

/// The same with other ids.
fn schema_of_server() -> Schema {
    let mut schema = schema();
    schema.classes.reverse();
    schema.classes.iter_mut().for_each(|class| class.properties.reverse());
    schema
}

impl World {
    /// A device and a server with the same objects. `extra` classes are known to the server alone.
    pub(crate) fn new(base: Edit<'_>) -> Self {
        let main = LocalFile::in_memory();
        commit_remote(&main, &|tx| tx.declare(&schema()), (FileIdent(2), Salt(22)));
        commit_remote(&main, base, (FileIdent(2), Salt(22)));
        let fresh = LocalFile::in_memory();
        commit_remote(&fresh, &|tx| tx.declare(&schema_of_server()), (FileIdent(3), Salt(33)));
        commit_remote(&fresh, base, (FileIdent(3), Salt(33)));
        Self { main, fresh }
    }

    /// A transaction on the device.
    pub(crate) fn local(&self, edit: Edit<'_>) -> Result<(), WriteError> {
        let writer = self.main.write();
        let snapshot = writer.snapshot().unwrap();
        let mut transaction = WriteTransaction::new(&snapshot);
        edit(&mut transaction)?;
        let edits = transaction.finish();
        let time = OriginTimestamp(1000 + snapshot.state().version.0);
        writer.commit(&local_commit(&snapshot, edits.changes, edits.changeset, time)).unwrap();
        Ok(())
    }

    /// A changeset that another device has made, as the server has it.
    pub(crate) fn server(&self, edit: Edit<'_>) {
        commit_remote(&self.fresh, edit, (FileIdent(3), Salt(33)));
    }

    /// A raw local changeset, with what it does left out: only its replay matters.
    pub(crate) fn local_changeset(&self, changeset: &Changeset) {
        let writer = self.main.write();
        let snapshot = writer.snapshot().unwrap();
        let time = OriginTimestamp(1000);
        let batch = local_commit(&snapshot, Changes::default(), changeset.clone(), time);
        writer.commit(&batch).unwrap();
    }

    /// Makes the reset, and compares it with what a server makes of the upload.
    pub(crate) fn recover(&self) -> Result<Snapshot, ResetFailure> {
        begin(&self.main, ResetMode::Recover);
        let (main, fresh) = (self.main.snapshot().unwrap(), self.fresh.snapshot().unwrap());
        let batch = reset::recover(&main, &fresh)?;
        self.main.write().commit(&batch).unwrap();
        let after = self.main.snapshot().unwrap();
        self.check_upload(&main, &after);
        Ok(after)
    }

    fn check_upload(&self, before: &Snapshot, after: &Snapshot) {
        let fresh = self.fresh.snapshot().unwrap();
        let mut server = contents(&fresh);
        let history: Vec<HistoryEntry> =
            after.history(ClientVersion(0)).unwrap().map(Result::unwrap).collect();
        for entry in &history {
            let changeset = Changeset::decode(&entry.changeset).unwrap();
            changeset.check().unwrap();
            let _ = server.apply(&changeset).unwrap();
            assert_eq!(entry.remote_version, SERVER_VERSION);
            assert_eq!(entry.reciprocal, None);
            let original = before.history(ClientVersion(entry.version.0 - 1)).unwrap().next();
            let original = original.unwrap().unwrap();
            assert_eq!(original.version, entry.version);
            assert_eq!(original.origin_timestamp, entry.origin_timestamp);
        }
        assert_eq!(server.to_string(), contents(after).to_string());
        let state = after.state();
        assert_eq!(state.client_file, Some((FileIdent(3), Salt(33))));
        assert_eq!(state.version.0, before.state().version.0 + 1);
        assert_eq!(state.progress.latest.version, SERVER_VERSION);
        let uploadable: usize = history.iter().map(|entry| entry.changeset.len()).sum();
        assert_eq!(state.bytes.uploadable, uploadable as u64);
    }
}

/// Records that a reset has begun.
pub(crate) fn begin(main: &LocalFile, mode: ResetMode) {
    let demand = ResetDemand {
        mode,
        action: Action::ClientReset,
        code: ErrorCode::from_number(211),
        message: "diverging histories".to_owned(),
    };
    let writer = main.write();
    let guarded = reset::guard(&writer.snapshot().unwrap(), &demand, OriginTimestamp(5), "1");
    writer.commit(&guarded.unwrap().1).unwrap();
}

/// Commits what the server has sent.
fn commit_remote(file: &LocalFile, edit: Edit<'_>, client_file: (FileIdent, Salt)) {
    let writer = file.write();
    let snapshot = writer.snapshot().unwrap();
    let mut transaction = WriteTransaction::new(&snapshot);
    edit(&mut transaction).unwrap();
    let changes = transaction.finish().changes;
    let mut state = snapshot.state().clone();
    state.version = ClientVersion(state.version.0 + 1);
    state.client_file = Some(client_file);
    state.progress.download = DownloadCursor {
        server_version: SERVER_VERSION,
        last_integrated_client_version: ClientVersion(0),
    };
    state.progress.latest = SaltedVersion { version: SERVER_VERSION, salt: Salt(7) };
    state.progress.upload = UploadCursor {
        client_version: state.version,
        last_integrated_server_version: SERVER_VERSION,
    };
    writer.commit(&Batch { origin: Origin::Remote, changes, state, ..Batch::default() }).unwrap();
}

/// All that a file holds, in a form that compares by names.
pub(crate) fn contents(snapshot: &Snapshot) -> State {
    let mut state = State::default();
    let mut objects = Vec::new();
    for class in snapshot.schema().classes() {
        for entry in snapshot.objects(class.id()).unwrap() {
            let (key, object) = entry.unwrap();
            objects.push((encode_row(class.id(), &key), Some(object.encode().into())));
        }
    }
    objects.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    state.commit(Changes { schema: Some(snapshot.schema().clone()), objects });
    state
}

/// The fields of all objects, by names as in `Task[1].name`; an object itself has an entry, too.
pub(crate) fn fields(snapshot: &Snapshot) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let mut object = None;
    for line in contents(snapshot).to_string().lines() {
        match (line.strip_prefix("  "), &object) {
            (Some(field), Some(object)) => {
                let (name, value) = field.split_once(": ").unwrap();
                fields.insert(format!("{object}.{name}"), value.to_owned());
            }
            (None, _) if line.ends_with(']') => {
                fields.insert(line.to_owned(), String::new());
                object = Some(line.to_owned());
            }
            _ => object = None,
        }
    }
    fields
}
