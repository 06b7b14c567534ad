//! What the reference client says in a reset, and what the server says to it, carried out by our files:
//! `vectors/wire/client-reset-recover.jsonl` and `client-reset-discard.jsonl`.

use std::collections::VecDeque;
use std::sync::Arc;

use bailiwick_core::apply::Transaction;
use bailiwick_protocol::action::Action;
use bailiwick_protocol::changeset::Changeset;
use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::ident::{FileIdent, Salt, SessionIdent};
use bailiwick_protocol::message::{ClientMessage, ServerMessage, Upload, UploadEntry};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bailiwick_protocol::version::{ClientVersion, OriginTimestamp, UploadCursor};
use bytes::Bytes;

use crate::files::{FreshInMemory, RealmFiles};
use crate::history::local_commit;
use crate::local::LocalFile;
use crate::session::{FileRole, ResetMode, StorageAnswer, StorageRequest};

const NOW: OriginTimestamp = OriginTimestamp(9);

/// A device that says what the reference client said.
struct Device {
    files: RealmFiles,
    mode: ResetMode,
    /// Entries that the reference client has uploaded after the reset.
    uploaded: Vec<UploadEntry>,
    is_reset: bool,
}

impl Device {
    fn execute(&self, role: FileRole, request: StorageRequest) -> StorageAnswer {
        self.files.execute(role, request, NOW)
    }

    /// Session 1 is the main file's, 2 the fresh copy's, 3 the main file's after the reset.
    fn role(session: SessionIdent) -> FileRole {
        if session == SessionIdent(2) { FileRole::Fresh } else { FileRole::Main }
    }

    fn said(&mut self, message: ClientMessage) {
        match message {
            ClientMessage::Bind(bind) if bind.session == SessionIdent(3) => self.reset(),
            ClientMessage::Bind(bind) => {
                let loaded = self.execute(Self::role(bind.session), StorageRequest::Load);
                assert!(matches!(loaded, StorageAnswer::Ready(_)));
            }
            ClientMessage::Upload(upload) => {
                let plain = upload.body.inflate(1 << 20).unwrap();
                for entry in Upload::entries(plain).filter(|_| self.is_reset) {
                    self.uploaded.push(entry.unwrap());
                }
            }
            ClientMessage::Ident(ident) if self.is_reset => {
                let snapshot = self.files.main().snapshot().unwrap();
                let state = snapshot.state();
                assert_eq!(state.client_file, Some((ident.file_ident, ident.file_ident_salt)));
                assert_eq!(state.progress.download, ident.download_cursor);
                assert_eq!(state.progress.latest, ident.latest_server_version);
            }
            _ => (),
        }
    }

    /// Makes the transaction that became this entry, once the file is at its version; whether it is.
    fn write(&self, entry: &UploadEntry) -> bool {
        let writer = self.files.main().write();
        let snapshot = writer.snapshot().unwrap();
        if snapshot.state().version.0 + 1 != entry.client_version.0 {
            return false;
        }
        let changeset = Changeset::decode(&entry.changeset).unwrap();
        let mut transaction = Transaction::new(snapshot.schema(), &snapshot);
        let _ = transaction.apply(&changeset).unwrap();
        let changes = transaction.finish();
        let batch = local_commit(&snapshot, changes, changeset, entry.origin_timestamp);
        writer.commit(&batch).unwrap();
        true
    }

    fn heard(&self, message: ServerMessage) {
        match message {
            ServerMessage::Ident(ident) => {
                let request = StorageRequest::Identify(ident.file_ident, ident.file_ident_salt);
                self.execute(Self::role(ident.session), request);
            }
            // What comes after the reset acknowledges it, and is nothing to compare.
            ServerMessage::Download(_) if self.is_reset => (),
            ServerMessage::Download(download) => {
                let role = Self::role(download.header.session);
                let request = StorageRequest::Integrate(download.header, download.body);
                let answer = self.execute(role, request);
                assert!(matches!(answer, StorageAnswer::Ready(_)), "{answer:?}");
            }
            _ => (),
        }
    }

    fn reset(&mut self) {
        let begin = StorageRequest::BeginReset {
            mode: self.mode,
            action: Action::ClientReset,
            code: ErrorCode::from_number(211),
            message: "diverging histories".to_owned(),
        };
        let StorageAnswer::ResetBegun(mode) = self.execute(FileRole::Main, begin) else { panic!() };
        let answer = self.execute(FileRole::Main, StorageRequest::Reset { mode });
        assert!(matches!(answer, StorageAnswer::ResetDone { .. }), "{answer:?}");
        self.is_reset = true;
    }
}

/// A line of a transcript.
enum Message {
    Said(ClientMessage),
    Heard(ServerMessage),
}

fn message(line: &str) -> Message {
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    let message = Bytes::from(hex::decode(line["hex"].as_str().unwrap()).unwrap());
    match line["dir"].as_str() {
        Some("c2s") => Message::Said(ClientMessage::parse(ProtocolVersion::MAX, &message).unwrap()),
        _ => Message::Heard(ServerMessage::parse(ProtocolVersion::MAX, &message).unwrap()),
    }
}

fn entries_before_the_reset(message: &Message) -> Vec<UploadEntry> {
    match message {
        Message::Said(ClientMessage::Upload(upload))
            if upload.header.session == SessionIdent(1) =>
        {
            let plain = upload.body.inflate(1 << 20).unwrap();
            Upload::entries(plain).map(Result::unwrap).collect()
        }
        _ => Vec::new(),
    }
}

fn check(name: &str, mode: ResetMode) -> Vec<UploadEntry> {
    let path = format!("{}/../../vectors/wire/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let files = RealmFiles::new(Arc::new(LocalFile::in_memory()), FreshInMemory::default());
    let mut device = Device { files, mode, uploaded: Vec::new(), is_reset: false };
    let messages: Vec<_> = text.lines().skip(1).map(message).collect();
    let mut written: VecDeque<_> = messages.iter().flat_map(entries_before_the_reset).collect();
    for message in messages {
        while written.pop_front_if(|entry| device.write(entry)).is_some() {}
        match message {
            Message::Said(message) => device.said(message),
            Message::Heard(message) => device.heard(message),
        }
    }
    assert_eq!(written, []);
    let collect = StorageRequest::CollectUpload(UploadCursor::default());
    let StorageAnswer::Upload(batch) = device.execute(FileRole::Main, collect) else { panic!() };
    assert_eq!(batch.entries, device.uploaded);
    let state = device.files.main().snapshot().unwrap().state().clone();
    assert_eq!(state.client_file.unwrap().0, FileIdent(3));
    assert_ne!(state.client_file.unwrap().1, Salt(0));
    batch.entries
}

#[test]
fn a_recovery_uploads_what_the_reference_uploads() {
    let entries = check("client-reset-recover", ResetMode::Recover);
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].client_version, ClientVersion(6));
}

#[test]
fn a_device_that_discards_uploads_nothing() {
    assert!(check("client-reset-discard", ResetMode::DiscardLocal).is_empty());
}
