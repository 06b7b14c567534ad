//! An official device: its objects, its history, what it checks and how it integrates a DOWNLOAD.
//!
//! Spec: client, sections 1 to 4; wire protocol, section 5.4.

use bailiwick_core::history::UploadedChangeset;
use bailiwick_core::merge::{Concurrent, merge};
use bailiwick_core::state::State;
use bailiwick_protocol::changeset::Changeset;
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{
    ClientVersion, DownloadCursor, OriginTimestamp, SaltedVersion, ServerVersion, UploadCursor,
};
use bytes::Bytes;
use proptest::prelude::*;

use super::message::{DownloadMessage, DownloadedChangeset, UploadMessage};

/// A device's file. All of it is on its disk but `sent`.
#[derive(Default)]
pub(super) struct Device {
    pub(super) file: Option<(FileIdent, Salt)>,
    pub(super) state: State,
    pub(super) download: DownloadCursor,
    pub(super) latest: SaltedVersion,
    /// What the server has acknowledged.
    upload: UploadCursor,
    history: Vec<Commit>,
    /// What the session has sent.
    sent: UploadCursor,
}

/// One version of the file.
struct Commit {
    version: ClientVersion,
    /// The server version that was integrated then.
    base: ServerVersion,
    /// `None`: a download, or nothing that is synchronised.
    change: Option<Change>,
}

/// What the device itself wrote.
struct Change {
    timestamp: OriginTimestamp,
    original: Bytes,
    reciprocal: Changeset,
}

impl Device {
    /// Commits a transaction, whose effect is in `state` already.
    pub(super) fn commit(&mut self, timestamp: OriginTimestamp, changeset: Changeset) {
        let change = (!changeset.is_empty()).then(|| Change {
            timestamp,
            original: changeset.encode().into(),
            reciprocal: changeset,
        });
        self.push(change);
    }

    pub(super) fn set_file(&mut self, file: (FileIdent, Salt)) {
        self.file = Some(file);
        self.push(None);
    }

    /// A new session starts to send where the last acknowledgement ended.
    pub(super) fn connect(&mut self) {
        self.sent = self.upload;
    }

    /// The next UPLOAD, with at most `count` changesets; `None` if there is nothing to say.
    pub(super) fn upload(&mut self, count: usize) -> Option<UploadMessage> {
        let unsent = self.history.iter().filter(|c| c.version > self.sent.client_version);
        let mut changes = unsent.clone().filter(|commit| commit.change.is_some());
        let taken: Vec<_> = changes.by_ref().take(count).collect();
        let last = match (taken.last(), changes.next()) {
            (Some(last), Some(_)) => *last,
            (None, Some(_)) => return None,
            _ => unsent.last()?,
        };
        if taken.is_empty()
            && self.sent.last_integrated_server_version >= self.download.server_version
        {
            return None;
        }
        let changesets = taken.iter().filter_map(|commit| {
            let change = commit.change.as_ref()?;
            Some(UploadedChangeset {
                cursor: commit.cursor(),
                origin_timestamp: change.timestamp,
                origin_file_ident: FileIdent::SELF,
                bytes: change.original.clone(),
            })
        });
        let (progress, changesets) = (last.cursor(), changesets.collect());
        self.sent = progress;
        Some(UploadMessage { progress, locked: self.download.server_version, changesets })
    }

    /// Integrates the first changesets of a DOWNLOAD, or all and what its head says.
    pub(super) fn integrate(
        &mut self,
        message: &DownloadMessage,
        until: Option<usize>,
    ) -> Result<(), TestCaseError> {
        self.check(message)?;
        let until = until.filter(|&until| until < message.changesets.len());
        let changesets = &message.changesets[..until.unwrap_or(message.changesets.len())];
        if until.is_some() && changesets.is_empty() {
            return Ok(());
        }
        let same = |a: &DownloadedChangeset, b: &DownloadedChangeset| {
            a.last_integrated_client_version == b.last_integrated_client_version
        };
        for run in changesets.chunk_by(same) {
            self.integrate_run(run)?;
        }
        self.download = match changesets.last() {
            Some(last) if until.is_some() => DownloadCursor {
                server_version: last.server_version,
                last_integrated_client_version: last.last_integrated_client_version,
            },
            _ => message.cursor,
        };
        self.latest = message.latest;
        self.upload = message.upload;
        if self.upload.client_version > self.sent.client_version {
            self.sent = self.upload;
        }
        self.push(None);
        Ok(())
    }

    /// Whether the server has acknowledged all that the device wrote.
    pub(super) fn is_acknowledged(&self) -> bool {
        self.changes().all(|version| version <= self.upload.client_version)
    }

    /// The versions that the server has acknowledged.
    pub(super) fn acknowledged(&self) -> impl Iterator<Item = ClientVersion> {
        self.changes().filter(|&version| version <= self.upload.client_version)
    }

    /// The versions of all that the device wrote.
    fn changes(&self) -> impl Iterator<Item = ClientVersion> {
        self.history.iter().filter(|commit| commit.change.is_some()).map(|commit| commit.version)
    }

    /// The empty file is version 1, of which nobody speaks.
    fn version(&self) -> ClientVersion {
        self.history.last().map_or(ClientVersion(1), |commit| commit.version)
    }

    fn push(&mut self, change: Option<Change>) {
        let version = ClientVersion(self.version().0 + 1);
        self.history.push(Commit { version, base: self.download.server_version, change });
    }

    fn check(&self, message: &DownloadMessage) -> Result<(), TestCaseError> {
        let (own, _) = self.file.expect("it has identified itself");
        let DownloadMessage { cursor, latest, upload, changesets } = message;
        prop_assert!(latest.version >= self.latest.version);
        prop_assert!(upload.client_version >= self.upload.client_version);
        prop_assert!(upload.client_version <= self.version());
        prop_assert!(cursor.server_version >= self.download.server_version);
        prop_assert!(cursor.server_version <= latest.version);
        prop_assert!(cursor.server_version >= upload.last_integrated_server_version);
        let integrated = cursor.last_integrated_client_version;
        prop_assert!(integrated >= self.download.last_integrated_client_version);
        prop_assert!(integrated <= upload.client_version);
        let confirmed = self.upload.last_integrated_server_version;
        prop_assert!(upload.last_integrated_server_version >= confirmed);

        let mut previous = self.download;
        for changeset in changesets {
            prop_assert!(changeset.server_version > previous.server_version);
            let integrated = changeset.last_integrated_client_version;
            prop_assert!(integrated >= previous.last_integrated_client_version);
            prop_assert!(changeset.origin_file_ident != FileIdent::SELF);
            prop_assert!(changeset.origin_file_ident != own, "its own changeset comes back");
            previous.server_version = changeset.server_version;
            previous.last_integrated_client_version = integrated;
        }
        prop_assert!(previous.server_version <= cursor.server_version);
        prop_assert!(
            previous.last_integrated_client_version <= cursor.last_integrated_client_version
        );
        Ok(())
    }

    /// Integrates changesets before which the server had integrated the same of ours.
    fn integrate_run(&mut self, run: &[DownloadedChangeset]) -> Result<(), TestCaseError> {
        let (own, _) = self.file.expect("it has identified itself");
        let integrated = run[0].last_integrated_client_version;
        let unknown = self.history.iter_mut().filter(|commit| commit.version > integrated);
        let mut changes: Vec<_> = unknown.filter_map(|commit| commit.change.as_mut()).collect();
        let local = changes
            .iter()
            .map(|change| Concurrent::new(change.reciprocal.clone(), change.timestamp, own));
        let mut local: Vec<_> = local.collect();
        let remote = run.iter().map(|changeset| {
            let decoded = Changeset::decode(&changeset.bytes).map_err(refused)?;
            let (timestamp, origin) = (changeset.origin_timestamp, changeset.origin_file_ident);
            Ok(Concurrent::new(decoded, timestamp, origin))
        });
        let mut remote = remote.collect::<Result<Vec<_>, TestCaseError>>()?;
        merge(&mut local, &mut remote).map_err(refused)?;
        for (change, merged) in changes.iter_mut().zip(local) {
            change.reciprocal = merged.into_changeset();
        }
        for changeset in remote {
            let applied = self.state.apply(changeset.changeset()).map_err(refused)?;
            prop_assert!(applied.rewritten.is_none(), "an official device could not apply it");
        }
        Ok(())
    }
}

impl Commit {
    fn cursor(&self) -> UploadCursor {
        UploadCursor { client_version: self.version, last_integrated_server_version: self.base }
    }
}

fn refused(error: impl std::fmt::Debug) -> TestCaseError {
    TestCaseError::fail(format!("the device cannot integrate: {error:?}"))
}
