//! One realm of a server: what a store keeps of it, and what is only in the memory of its nodes.
//!
//! What is integrated, checked and scanned is the production code's business. Here is what surrounds it: a
//! record that is replaced as a whole, and the queues and sessions, which a restart forgets. A node that is told
//! that its commit is outdated computes it again, so that here all commits are computed from the record as it is.

use std::collections::BTreeMap;

use bailiwick_core::apply::{Changes, Transaction, for_older_devices};
use bailiwick_core::history::{
    Base, Claim, ClientFile, ClientType, Entry, Integration, Rejection, Scan, Unseen, Upload,
    UploadProgress, UploadedChangeset, check_ident, integrate, required_protocol,
};
use bailiwick_protocol::changeset::Changeset;
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{
    ClientVersion, DownloadCursor, OriginTimestamp, SaltedVersion, ServerVersion, UploadCursor,
};
use bytes::Bytes;
use proptest::prelude::*;

use super::message::{DownloadMessage, DownloadedChangeset, UploadMessage};
use super::record::{Durable, Record};

/// One connection of a device; another one has another number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Connection {
    pub(super) number: u64,
    /// The node that it leads to.
    pub(super) node: usize,
}

/// How many nodes serve the realm.
pub(super) const NODES: usize = 2;

/// The record, and the nodes over it.
#[derive(Default)]
pub(super) struct Server {
    pub(super) record: Record,
    /// How often a node was started: the salt of its versions.
    runs: u64,
    nodes: [Node; NODES],
}

/// A process.
#[derive(Default)]
struct Node {
    salt: u64,
    sessions: BTreeMap<FileIdent, Session>,
    queue: BTreeMap<FileIdent, Queued>,
    /// What integrations have left; good as long as no other node commits.
    unseen: BTreeMap<FileIdent, Unseen>,
}

/// A bound client file.
struct Session {
    connection: Connection,
    uploads: UploadProgress,
    downloads: DownloadCursor,
}

/// What a device can cope with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Age {
    New,
    /// It speaks a protocol before [`FORGIVING_PROTOCOL`](bailiwick_core::apply::FORGIVING_PROTOCOL).
    Old,
}

/// What a client file has queued.
#[derive(Default)]
struct Queued {
    progress: UploadCursor,
    locked: ServerVersion,
    changesets: Vec<UploadedChangeset>,
}

const USER: &str = "user";

impl Server {
    pub(super) fn allocate(&mut self) -> (FileIdent, Salt) {
        let number = self.record.files.len() as u64;
        let (ident, salt) = (FileIdent(FileIdent::FIRST_CLIENT.0 + number), Salt(1000 + number));
        let file = ClientFile::new(salt, USER, 1);
        self.record.files.insert(ident, file);
        (ident, salt)
    }

    /// Binds a client file to a connection; another connection to the node loses it.
    pub(super) fn identify(
        &mut self,
        connection: Connection,
        (file_ident, salt): (FileIdent, Salt),
        download: DownloadCursor,
        latest: SaltedVersion,
    ) -> Result<(), TestCaseError> {
        let client_type = ClientType::Regular;
        let claim = Claim { file_ident, salt, user_id: USER, download, latest, client_type };
        let file = self.record.files.get(&file_ident);
        let known = self.record.salt_of(latest.version);
        check_ident(&claim, file, self.record.head().version, known)
            .map_err(|error| TestCaseError::fail(format!("IDENT is refused: {error}")))?;
        let file = file.expect("the check refuses an ident without a record");
        let node = &mut self.nodes[connection.node];
        let (threshold, locked) = match node.queue.get(&file_ident) {
            Some(queued) => (queued.progress, queued.locked),
            None => (file.upload_cursor, file.locked_server_version),
        };
        let uploads = UploadProgress::new(threshold, locked);
        node.sessions.insert(file_ident, Session { connection, uploads, downloads: download });
        Ok(())
    }

    /// Queues an UPLOAD, unless it comes from a connection that is dead without knowing it.
    pub(super) fn receive(
        &mut self,
        connection: Connection,
        file_ident: FileIdent,
        message: UploadMessage,
    ) -> Result<(), TestCaseError> {
        let node = &mut self.nodes[connection.node];
        let session = node.sessions.get_mut(&file_ident);
        let Some(session) = session.filter(|session| session.connection == connection) else {
            return Ok(());
        };
        let UploadMessage { progress, locked, changesets } = message;
        let cursors = changesets.iter().map(|changeset| changeset.cursor);
        let check = session
            .uploads
            .check(progress, locked, session.downloads.server_version, cursors)
            .map_err(|error| TestCaseError::fail(format!("UPLOAD is refused: {error}")))?;
        if let Some(progress) = check.queue {
            let queued = node.queue.entry(file_ident).or_default();
            queued.progress = progress;
            queued.locked = locked;
            queued.changesets.extend(changesets.into_iter().skip(check.ignored));
        }
        Ok(())
    }

    /// Integrates all that a node has queued as one commit, and ends the sessions whose uploads are refused.
    pub(super) fn integrate(&mut self, node: usize) -> Result<Vec<Rejection>, TestCaseError> {
        let (integration, changes) = self.compute(node)?;
        self.nodes[node].queue.clear();
        for rejection in &integration.rejections {
            self.nodes[node].sessions.remove(&rejection.file_ident);
        }
        let rejections = integration.rejections.clone();
        let unseen = integration.unseen.clone();
        for (other, node_of) in self.nodes.iter_mut().enumerate() {
            if other == node {
                node_of.unseen.extend(unseen.iter().cloned());
            } else {
                node_of.unseen.clear();
            }
        }
        self.record.commit(integration, changes)?;
        Ok(rejections)
    }

    /// As [`integrate`](Self::integrate), but the process ends before the commit.
    pub(super) fn crash_in_integration(&mut self, node: usize) -> Result<(), TestCaseError> {
        self.compute(node)?;
        self.restart(node);
        Ok(())
    }

    /// Starts a node again from the record.
    pub(super) fn restart(&mut self, node: usize) {
        self.runs += 1;
        self.nodes[node] = Node { salt: self.runs, ..Node::default() };
    }

    /// Writes something of its own, which `write` makes from the objects.
    pub(super) fn write(
        &mut self,
        timestamp: OriginTimestamp,
        changeset: &Changeset,
    ) -> Result<(), TestCaseError> {
        let mut objects = Transaction::new(self.record.state.schema(), &self.record);
        let applied = objects.apply(changeset).map_err(failed)?;
        let changes = objects.finish();
        let changeset = applied.rewritten.as_ref().unwrap_or(changeset);
        let bytes = Bytes::from(changeset.encode());
        let base = self.base(0);
        let entry = Entry {
            version: SaltedVersion { version: base.head.next(), salt: base.salt },
            origin_file_ident: FileIdent::SELF,
            client_version: ClientVersion::default(),
            origin_timestamp: timestamp,
            required_protocol: required_protocol(changeset),
            cumulative_len: base.cumulative_len + bytes.len() as u64,
            changeset: bytes,
        };
        let integration = Integration { entries: vec![entry], ..Integration::default() };
        self.record.commit(integration, changes)
    }

    /// The next DOWNLOAD of a session, if the connection has it.
    pub(super) fn download(
        &mut self,
        connection: Connection,
        file_ident: FileIdent,
        soft_limit: usize,
        age: Age,
    ) -> Option<DownloadMessage> {
        let session = self.nodes[connection.node].sessions.get_mut(&file_ident)?;
        if session.connection != connection {
            return None;
        }
        let mut scan = Scan::new(file_ident, session.downloads, soft_limit);
        for entry in self.record.after(session.downloads.server_version) {
            if !scan.push(entry) {
                break;
            }
        }
        let download = scan.finish();
        session.downloads = download.cursor;
        let changesets = download.items.iter().map(|item| DownloadedChangeset {
            server_version: item.entry.version.version,
            last_integrated_client_version: item.last_integrated_client_version,
            origin_timestamp: item.entry.origin_timestamp,
            origin_file_ident: item.origin_file_ident(),
            bytes: self.form_for(age, &item.entry),
        });
        Some(DownloadMessage {
            cursor: download.cursor,
            latest: self.record.head(),
            upload: self.record.files[&file_ident].acknowledged,
            changesets: changesets.collect(),
        })
    }

    /// Whether a client file has queued changesets in a node.
    pub(super) fn has_queued(&self, node: usize, ident: Option<FileIdent>) -> bool {
        let queued = ident.and_then(|ident| self.nodes[node].queue.get(&ident));
        queued.is_some_and(|queued| !queued.changesets.is_empty())
    }

    /// An entry as a device is sent it.
    fn form_for(&self, age: Age, entry: &Entry) -> Bytes {
        let bytes = &entry.changeset;
        let form = match age {
            Age::New => None,
            Age::Old => for_older_devices(self.record.state.schema(), bytes),
        };
        form.map_or_else(|| bytes.clone(), Bytes::from)
    }

    fn base(&self, node: usize) -> Base {
        Base {
            head: self.record.head().version,
            cumulative_len: self.record.entries.last().map_or(0, |entry| entry.cumulative_len),
            salt: Salt(1 + self.nodes[node].salt),
            now_ms: 1,
            max_reciprocals_len: usize::MAX,
        }
    }

    fn compute(&self, node: usize) -> Result<(Integration, Changes), TestCaseError> {
        let uploads = self.nodes[node].queue.iter().map(|(ident, queued)| Upload {
            file_ident: *ident,
            file: self.record.files[ident].clone(),
            progress: queued.progress,
            locked: queued.locked,
            changesets: queued.changesets.clone(),
            unseen: self.unseen(node, *ident),
        });
        let base = self.base(node);
        let uploads: Vec<_> = uploads.collect();
        let mut objects = Transaction::new(self.record.state.schema(), &self.record);
        let integration =
            integrate(&base, &self.record, &mut objects, uploads.clone()).map_err(failed)?;
        let changes = objects.finish();

        // What is remembered only saves work.
        let from_nothing =
            uploads.into_iter().map(|upload| Upload { unseen: Unseen::default(), ..upload });
        let mut objects = Transaction::new(self.record.state.schema(), &self.record);
        let again = integrate(&base, &Durable(&self.record), &mut objects, from_nothing.collect())
            .map_err(failed)?;
        prop_assert_eq!(&again.entries, &integration.entries);
        prop_assert_eq!(&again.client_files, &integration.client_files);
        prop_assert_eq!(&again.reciprocals, &integration.reciprocals);
        prop_assert_eq!(again.rejections.len(), integration.rejections.len());
        Ok((integration, changes))
    }

    /// What a node remembers for a client file; for every other one less than it could.
    fn unseen(&self, node: usize, ident: FileIdent) -> Unseen {
        let mut unseen = self.nodes[node].unseen.get(&ident).cloned().unwrap_or_default();
        if ident.0.is_multiple_of(2) {
            unseen.forget_forms();
        }
        unseen
    }
}

fn failed(error: impl std::fmt::Debug) -> TestCaseError {
    TestCaseError::fail(format!("{error:?}"))
}
