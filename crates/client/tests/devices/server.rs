//! A server in memory: the production code's sessions and integration over a record, without sockets and tasks.
//!
//! It never refuses what an honest device sends: whatever it refuses fails the test, but for devices that know more
//! than a server that was restored from a backup.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bailiwick_core::apply::Transaction;
use bailiwick_core::history::{
    Base, Claim, ClientFile, ClientType, Scan, Unseen, Upload, UploadedChangeset, check_ident,
    integrate,
};
use bailiwick_core::partition::{PartitionKey, PartitionType};
use bailiwick_protocol::action::Action;
use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::ident::{FileIdent, Salt, SessionIdent};
use bailiwick_protocol::message::{ClientIdent, ClientMessage, ServerMessage};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bailiwick_protocol::version::{DownloadCursor, ServerVersion, UploadCursor};
use bailiwick_server::realm::{IdentifyRefused, Scanned, SessionEnd, Signal};
use bailiwick_server::session::{Connection, Input, Output, SessionConfig, SessionKey};
use bytes::Bytes;

use super::choices::Choices;
use super::record::Record;

/// The server of one partition.
pub(super) struct Server {
    pub(super) record: Record,
    /// How often it was started: part of the salts of what it makes.
    runs: u64,
    config: Arc<SessionConfig>,
    last_number: u64,
    connections: BTreeMap<u64, Served>,
    holders: BTreeMap<FileIdent, (u64, SessionKey)>,
    queue: BTreeMap<FileIdent, Queued>,
    /// What the last integration has left for the next one.
    unseen: BTreeMap<FileIdent, Unseen>,
    /// Client files that may know what the server has forgotten.
    ahead: BTreeSet<FileIdent>,
    /// Sessions of such files that were not told yet.
    refused: usize,
    choices: Choices,
}

/// A connection.
struct Served {
    machine: Connection,
    version: ProtocolVersion,
    files: BTreeMap<SessionKey, FileIdent>,
    to_device: VecDeque<Bytes>,
    is_sending: bool,
}

/// What a client file has queued.
#[derive(Default)]
struct Queued {
    progress: UploadCursor,
    locked: ServerVersion,
    changesets: Vec<UploadedChangeset>,
}

const USER: &str = "user";

/// What the devices bind.
pub(super) const PATH: &str = "\"store 42\"";

/// The server's default.
const MAX_UPLOAD_LEN: usize = 18 << 20;

impl Server {
    pub(super) fn new(seed: u64) -> Self {
        let partition_key = PartitionKey { partition_type: PartitionType::String, required: true };
        let config =
            SessionConfig { partition_key, max_upload_len: MAX_UPLOAD_LEN, max_sessions: 1000 };
        Self {
            record: Record::default(),
            runs: 1,
            config: Arc::new(config),
            last_number: 0,
            connections: BTreeMap::new(),
            holders: BTreeMap::new(),
            queue: BTreeMap::new(),
            unseen: BTreeMap::new(),
            ahead: BTreeSet::new(),
            refused: 0,
            choices: Choices::new(seed),
        }
    }

    /// Makes a connection, and gives its number.
    pub(super) fn connect(&mut self, version: ProtocolVersion) -> u64 {
        self.last_number += 1;
        let served = Served {
            machine: Connection::new(Arc::clone(&self.config), version, USER.to_owned()),
            version,
            files: BTreeMap::new(),
            to_device: VecDeque::new(),
            is_sending: false,
        };
        self.connections.insert(self.last_number, served);
        self.last_number
    }

    pub(super) fn receive(&mut self, number: u64, message: &Bytes) {
        let Some(served) = self.connections.get(&number) else { return };
        let message = ClientMessage::parse(served.version, message).unwrap();
        self.handle(number, Input::Message(message));
    }

    /// Whether there is something for the device.
    pub(super) fn has_message(&self, number: u64) -> bool {
        self.connections.get(&number).is_some_and(|served| !served.to_device.is_empty())
    }

    /// Whether the connection is there.
    pub(super) fn has(&self, number: u64) -> bool {
        self.connections.contains_key(&number)
    }

    /// The next message for the device; the connection ends after the last one of it.
    pub(super) fn send(&mut self, number: u64) -> Option<Bytes> {
        let served = self.connections.get_mut(&number)?;
        let message = served.to_device.pop_front();
        if served.to_device.is_empty() && std::mem::take(&mut served.is_sending) {
            self.handle(number, Input::Writable);
        }
        let served = self.connections.get(&number)?;
        if served.machine.is_over() && served.to_device.is_empty() {
            self.disconnect(number);
        }
        message
    }

    /// Notices that a connection is gone.
    pub(super) fn disconnect(&mut self, number: u64) {
        self.connections.remove(&number);
        self.holders.retain(|_, (holder, _)| *holder != number);
    }

    /// Whether there is anything to integrate.
    pub(super) fn has_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Integrates all that is queued as one commit.
    pub(super) fn integrate(&mut self) {
        let uploads = std::mem::take(&mut self.queue).into_iter().map(|(ident, queued)| Upload {
            file_ident: ident,
            file: self.record.files[&ident].clone(),
            progress: queued.progress,
            locked: queued.locked,
            changesets: queued.changesets,
            unseen: self.unseen.remove(&ident).unwrap_or_default(),
        });
        let base = Base {
            head: self.record.head().version,
            cumulative_len: self.record.entries.last().map_or(0, |entry| entry.cumulative_len),
            salt: Salt(self.runs),
            now_ms: 1,
            max_reciprocals_len: usize::MAX,
        };
        let mut objects = Transaction::new(self.record.state.schema(), &self.record);
        let done = integrate(&base, &self.record, &mut objects, uploads.collect()).unwrap();
        assert!(done.rejections.is_empty(), "an honest upload is refused: {:?}", done.rejections);
        self.unseen.extend(done.unseen.iter().cloned());
        let changes = objects.finish();
        self.record.commit(done, changes).unwrap();
        let head = self.record.head().version;
        for (number, key) in self.holders.values().copied().collect::<Vec<_>>() {
            self.handle(number, Input::Signal(key, Signal { head, end: None }));
        }
    }

    /// Starts again with what is durable.
    pub(super) fn restart(&mut self) {
        self.runs += 1;
        self.connections.clear();
        self.holders.clear();
        self.queue.clear();
        self.unseen.clear();
    }

    /// Starts again with what was durable once.
    pub(super) fn restore(&mut self, backup: Record) {
        self.ahead.extend(self.record.files.keys());
        self.record = backup;
        self.restart();
    }

    fn handle(&mut self, number: u64, input: Input) {
        let mut inputs = VecDeque::from([(number, input)]);
        while let Some((number, input)) = inputs.pop_front() {
            let Some(served) = self.connections.get_mut(&number) else { continue };
            let mut out = Vec::new();
            served.machine.handle(input, &mut out);
            for output in out {
                self.carry_out(number, output, &mut inputs);
            }
        }
    }

    fn carry_out(&mut self, number: u64, output: Output, inputs: &mut VecDeque<(u64, Input)>) {
        match output {
            Output::Send(message) | Output::SendFirst(message) => {
                self.check(&message);
                self.push(number, message.print());
            }
            Output::SendDownload(download) => {
                self.push(number, download.print());
                self.connections.get_mut(&number).unwrap().is_sending = true;
            }
            // There is one realm; a connection ends once its last message has left.
            Output::Open(..) | Output::Finish => (),
            Output::Allocate(key) => {
                let file = self.allocate();
                inputs.push_back((number, Input::Allocated(key, Ok(file))));
            }
            Output::Identify(key, claim) => {
                let identified = self.identify(number, key, &claim, inputs);
                inputs.push_back((number, Input::Identified(key, identified)));
            }
            Output::Upload(key, upload) => {
                if self.holders.get(&upload.file_ident) == Some(&(number, key)) {
                    let queued = self.queue.entry(upload.file_ident).or_default();
                    queued.progress = upload.progress;
                    queued.locked = upload.locked;
                    queued.changesets.extend(upload.changesets);
                }
            }
            Output::Scan(key, file_ident, cursor) => {
                let scanned = self.scan(file_ident, cursor);
                inputs.push_back((number, Input::Scanned(key, Ok(scanned))));
            }
            Output::Release(key) => {
                let served = self.connections.get_mut(&number).unwrap();
                if let Some(file) = served.files.remove(&key)
                    && self.holders.get(&file) == Some(&(number, key))
                {
                    self.holders.remove(&file);
                }
            }
            Output::Close(code) => panic!("an honest device is sent away with {code:?}"),
        }
    }

    fn push(&mut self, number: u64, message: Vec<u8>) {
        self.connections.get_mut(&number).unwrap().to_device.push_back(message.into());
    }

    fn allocate(&mut self) -> (FileIdent, Salt) {
        let number = self.record.files.len() as u64;
        let ident = FileIdent(FileIdent::FIRST_CLIENT.0 + number);
        // What was allocated after a backup is allocated again, but never with the same salt.
        let salt = Salt(self.runs * 1000 + number);
        let file = ClientFile::new(salt, USER, 1);
        self.record.files.insert(ident, file);
        (ident, salt)
    }

    fn identify(
        &mut self,
        number: u64,
        key: SessionKey,
        claim: &ClientIdent,
        inputs: &mut VecDeque<(u64, Input)>,
    ) -> Result<(UploadCursor, ServerVersion, ServerVersion), IdentifyRefused> {
        let ident = claim.file_ident;
        let head = self.record.head().version;
        let file = self.record.files.get(&ident);
        let claim = Claim {
            file_ident: ident,
            salt: claim.file_ident_salt,
            user_id: USER,
            download: claim.download_cursor,
            latest: claim.latest_server_version,
            client_type: ClientType::Regular,
        };
        let salt = self.record.salt_of(claim.latest.version);
        if let Err(error) = check_ident(&claim, file, head, salt) {
            assert!(self.ahead.contains(&ident), "an honest IDENT is refused: {error}");
            self.refused += 1;
            return Err(error.into());
        }
        let file = file.unwrap();
        if let Some((holder, key)) = self.holders.insert(ident, (number, key)) {
            assert_ne!(holder, number, "two sessions of a connection are bound to {ident}");
            let end = Some(SessionEnd::TakenOver);
            inputs.push_back((holder, Input::Signal(key, Signal { head, end })));
        }
        self.connections.get_mut(&number).unwrap().files.insert(key, ident);
        let (threshold, locked) = match self.queue.get(&ident) {
            Some(queued) => (queued.progress, queued.locked),
            None => (file.upload_cursor, file.locked_server_version),
        };
        Ok((threshold, locked, head))
    }

    fn scan(&mut self, ident: FileIdent, cursor: DownloadCursor) -> Scanned {
        let soft_limit = *self.choices.pick(&[0, 100, 1000, 1 << 20]);
        let mut scan = Scan::new(ident, cursor, soft_limit);
        for entry in self.record.after(cursor.server_version) {
            if !scan.push(entry) {
                break;
            }
        }
        let download = scan.finish();
        let behind = self.record.after(download.cursor.server_version);
        Scanned {
            head: self.record.head(),
            upload_cursor: self.record.files[&ident].acknowledged,
            remaining_len: behind.iter().map(|entry| entry.changeset.len() as u64).sum(),
            schema: Arc::new(self.record.state.schema().clone()),
            download,
        }
    }

    /// An error that an honest device is told has its reasons.
    fn check(&mut self, message: &ServerMessage) {
        let ServerMessage::JsonError(error) = message else {
            assert!(!matches!(message, ServerMessage::Error(_)), "devices speak 8 at least");
            return;
        };
        match (error.session(), error.body().action) {
            // It has another connection, which the server heard of before it heard that this one is gone.
            (SessionIdent::CONNECTION, Action::Transient)
                if error.code() == ErrorCode::ConnectionClosed => {}
            (_, Action::ClientReset) if self.refused > 0 => self.refused -= 1,
            _ => panic!("an honest device is told {error:?}"),
        }
    }
}
