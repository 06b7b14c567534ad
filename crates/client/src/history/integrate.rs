//! What the server has sent, merged with what it has not integrated. Spec: client, section 4; merge, section 8.

use bailiwick_core::apply::Transaction;
use bailiwick_core::merge::Concurrent;
use bailiwick_protocol::changeset::{Changeset, DecodeLimits};
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::message::{DownloadEntry, DownloadHeader, Entries};
use bailiwick_protocol::version::{ClientVersion, OriginTimestamp, ServerVersion};

use super::check::{check_entries, check_header};
use super::error::{IntegrationError, ProtocolViolation};
use super::identify::next_entry;
use super::local_side::{LocalSide, MeetingError};
use super::unintegrated::Unintegrated;
use crate::local::{
    Batch, ByteCounters, FileState, HistoryChange, LocalError, Origin, Progress, Snapshot,
};

/// The batch that integrates a DOWNLOAD; `None` if an earlier one has brought all of it.
///
/// Each changeset is merged with the local ones that the server had not integrated before it, then applied. All of
/// them take one version, and so does a DOWNLOAD without changesets, which only brings progress.
///
/// `unintegrated` is what the latest integration has left there, or nothing.
///
/// Takes memory for what the DOWNLOAD changes, for the objects that local changesets are about, and for a part of its
/// own changesets and of the local ones at a time.
///
/// # Errors
///
/// See [`IntegrationError`].
pub fn integrate(
    snapshot: &Snapshot,
    unintegrated: &mut Unintegrated,
    header: &DownloadHeader,
    entries: Entries<DownloadEntry>,
) -> Result<Option<Batch>, IntegrationError> {
    let state = snapshot.state();
    let (own, _) = state.client_file.ok_or(ProtocolViolation::NoClientFile)?;
    if is_known(state, header) {
        return Ok(None);
    }
    check_header(state, header)?;
    let received = check_entries(state.progress.download, header, own, entries.clone())?;

    let mut integration = Integration {
        objects: Transaction::new(snapshot.schema(), snapshot),
        max_len: unintegrated.bounds().received_len,
        local: LocalSide::new(snapshot, own, unintegrated),
        run: Run::default(),
    };
    for entry in entries {
        integration.add(&entry.map_err(ProtocolViolation::from)?)?;
    }
    integration.merge_run()?;
    let Integration { objects, local, .. } = integration;

    let mut state = after(snapshot, header, received.original_len)?;
    let (author, timestamp) = received.last.unwrap_or((FileIdent::SELF, OriginTimestamp(0)));
    let append = vec![next_entry(&mut state, author, timestamp)];
    let trimmed = trim(snapshot, header.download_cursor.last_integrated_client_version)?;
    Ok(Some(Batch {
        origin: Origin::Remote,
        changes: objects.finish(),
        state,
        history: trimmed.map_or(HistoryChange::Keep, HistoryChange::Trim),
        reciprocals: local.changed_after(trimmed),
        append,
        ..Batch::default()
    }))
}

/// Whether the file has all that a DOWNLOAD brings, because this or a later one was integrated.
fn is_known(state: &FileState, header: &DownloadHeader) -> bool {
    let Progress { download, upload, latest } = state.progress;
    let (new_download, new_upload) = (header.download_cursor, header.upload_cursor);
    let is_same = download == new_download && upload == new_upload;
    new_download.server_version <= download.server_version
        && new_download.last_integrated_client_version <= download.last_integrated_client_version
        && new_upload.client_version <= upload.client_version
        && header.latest_server_version.version <= latest.version
        && !(is_same && state.bytes.remaining != header.downloadable_bytes)
}

/// An integration that is under way.
struct Integration<'a> {
    objects: Transaction<'a, Snapshot>,
    local: LocalSide<'a>,
    run: Run,
    /// Of a run, in bytes: a longer one is merged piece by piece, which comes to the same.
    max_len: usize,
}

/// Changesets in a row before which the server had integrated the same of ours.
#[derive(Default)]
struct Run {
    base: ClientVersion,
    versions: Vec<ServerVersion>,
    changesets: Vec<Concurrent>,
    /// In bytes, encoded.
    len: usize,
}

impl Integration<'_> {
    fn add(&mut self, entry: &DownloadEntry) -> Result<(), IntegrationError> {
        let version = entry.server_version;
        if self.run.base != entry.last_integrated_client_version || self.run.len >= self.max_len {
            self.merge_run()?;
            self.run.base = entry.last_integrated_client_version;
        }
        let limits = DecodeLimits { max_len: usize::MAX, ..DecodeLimits::default() };
        let changeset = Changeset::decode_within(&entry.changeset, &limits)
            .map_err(|error| IntegrationError::Malformed(version, error))?;
        let (timestamp, author) = (entry.origin_timestamp, entry.origin_file_ident);
        self.run.changesets.push(Concurrent::new(changeset, timestamp, author));
        self.run.versions.push(version);
        self.run.len += entry.changeset.len();
        Ok(())
    }

    fn merge_run(&mut self) -> Result<(), IntegrationError> {
        let Run { base, versions, mut changesets, .. } = std::mem::take(&mut self.run);
        let (Some(first), Some(last)) = (versions.first(), versions.last()) else { return Ok(()) };
        self.local.meet(base, &mut changesets).map_err(|error| match error {
            MeetingError::Local(error) => IntegrationError::Local(error),
            MeetingError::Contradiction(local, source) => IntegrationError::Contradiction {
                received: *first..=*last,
                local,
                source: Box::new(source),
            },
        })?;
        for (version, changeset) in versions.into_iter().zip(changesets) {
            // The other form that there may be is for those who get it from a server.
            let _ = self
                .objects
                .apply(changeset.changeset())
                .map_err(|error| IntegrationError::of_applying(version, error))?;
            // A failure is the end of the whole integration.
            self.objects.forget_savepoints();
        }
        Ok(())
    }
}

/// The state of the file once the DOWNLOAD is integrated, but for the version.
fn after(
    snapshot: &Snapshot,
    header: &DownloadHeader,
    original_len: u64,
) -> Result<FileState, LocalError> {
    let mut state = snapshot.state().clone();
    let acknowledged = acknowledged_len(snapshot, header.upload_cursor.client_version)?;
    let ByteCounters { downloaded, remaining, uploaded, .. } = &mut state.bytes;
    *downloaded = downloaded.saturating_add(original_len);
    *remaining = header.downloadable_bytes;
    *uploaded = uploaded.saturating_add(acknowledged);
    state.progress = Progress {
        download: header.download_cursor,
        upload: header.upload_cursor,
        latest: header.latest_server_version,
    };
    Ok(state)
}

/// How many bytes of changesets a new acknowledgement is about.
fn acknowledged_len(snapshot: &Snapshot, until: ClientVersion) -> Result<u64, LocalError> {
    let before = snapshot.state().progress.upload.client_version;
    let mut len = 0;
    if until > before {
        for entry in snapshot.history(before)? {
            let entry = entry?;
            if entry.version > until {
                break;
            }
            if entry.is_uploadable() {
                len += entry.changeset.len() as u64;
            }
        }
    }
    Ok(len)
}

/// The last version that nothing will be merged with any more, nor uploaded: what the server had integrated at our
/// cursor, and the versions after it of which nothing is to be uploaded. `None` if no such version is there.
fn trim(
    snapshot: &Snapshot,
    integrated: ClientVersion,
) -> Result<Option<ClientVersion>, LocalError> {
    let mut last = None;
    let first = snapshot.history(ClientVersion(0))?.next().transpose()?;
    if first.is_some_and(|entry| entry.version <= integrated) {
        last = Some(integrated);
    }
    for entry in snapshot.history(integrated)? {
        let entry = entry?;
        if entry.is_uploadable() {
            break;
        }
        last = Some(entry.version);
    }
    Ok(last)
}
