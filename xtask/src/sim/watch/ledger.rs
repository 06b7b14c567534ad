//! What has become durable in one partition, as the server said when it happened.

use std::collections::{BTreeMap, HashMap};
use std::iter::repeat;

use bailiwick_core::history::Entry;
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::message::ClientIdent;
use bailiwick_protocol::version::{
    ClientVersion, DownloadCursor, SaltedVersion, ServerVersion, UploadCursor,
};

use crate::sim::violation::{Check, Violation};
use crate::stored_realm::{Replay, StoredRealm};

/// The history of a partition, and what was said about its client files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    entries: Vec<Entry>,
    /// Where what a client file has uploaded is.
    places: HashMap<(FileIdent, ClientVersion), ServerVersion>,
    files: BTreeMap<FileIdent, FileLog>,
    /// The objects as the history gives them, up to some version.
    replay: Replay,
    /// The server has forgotten something, and may give away client files again.
    is_restored: bool,
}

/// What is known of a client file.
#[derive(Clone, Debug)]
pub(crate) struct FileLog {
    pub(crate) user: String,
    pub(crate) salt: Salt,
    /// Changesets that came, and that were not acknowledged.
    waiting: Vec<ClientVersion>,
    /// The furthest that it was told.
    acknowledged: UploadCursor,
    /// The newest version of it in the history.
    newest: ClientVersion,
    /// The server may not know it any more.
    is_forgotten: bool,
}

impl Ledger {
    pub(crate) fn head(&self) -> ServerVersion {
        ServerVersion(self.entries.len() as u64)
    }

    /// The head, as devices are told.
    pub(crate) fn salted_head(&self) -> SaltedVersion {
        self.entries.last().map(|entry| entry.version).unwrap_or_default()
    }

    pub(crate) fn file(&self, ident: FileIdent) -> Option<&FileLog> {
        self.files.get(&ident)
    }

    /// The client files, with their salts.
    pub(crate) fn files(&self) -> impl Iterator<Item = (FileIdent, Salt)> {
        self.files.iter().map(|(ident, file)| (*ident, file.salt))
    }

    /// Whether the server was restored, and has forgotten something that a device knows.
    pub(crate) fn has_forgotten(&self, ident: &ClientIdent) -> bool {
        let is_known = self.file(ident.file_ident).is_some_and(|file| {
            !file.is_forgotten
                && file.salt == ident.file_ident_salt
                && file.newest >= ident.download_cursor.last_integrated_client_version
        });
        let latest = ident.latest_server_version;
        let entry = usize::try_from(latest.version.0).expect("histories are short").checked_sub(1);
        let is_there = entry.is_none_or(|entry| {
            self.entries.get(entry).is_some_and(|entry| entry.version == latest)
        });
        let is_ahead = ident.download_cursor.server_version > self.head();
        self.is_restored && !(is_known && is_there && !is_ahead)
    }

    /// Whether this is in the history.
    pub(crate) fn has(&self, ident: FileIdent, version: ClientVersion) -> bool {
        self.places.contains_key(&(ident, version))
    }

    /// The server has given a client file away.
    pub(crate) fn allocate(
        &mut self,
        ident: FileIdent,
        salt: Salt,
        user: &str,
    ) -> Result<(), Violation> {
        let file = FileLog {
            user: user.to_owned(),
            salt,
            waiting: Vec::new(),
            acknowledged: UploadCursor::default(),
            newest: ClientVersion(0),
            is_forgotten: false,
        };
        if self.files.insert(ident, file).is_some() && !self.is_restored {
            let message = format!("client file {ident} is given away twice");
            return Err(Violation::new(Check::Isolation, message));
        }
        Ok(())
    }

    /// The server was restored. It may know client files that were given away after its copy was made, since they were
    /// allocated before.
    pub(crate) fn restore_files(&mut self, forgotten: &Self) {
        self.is_restored = true;
        for (ident, file) in &forgotten.files {
            self.files.entry(*ident).or_insert_with(|| FileLog {
                waiting: Vec::new(),
                acknowledged: UploadCursor::default(),
                newest: ClientVersion(0),
                is_forgotten: true,
                ..file.clone()
            });
        }
    }

    /// Entries have become durable.
    pub(crate) fn commit(&mut self, entries: &[Entry]) -> Result<(), Violation> {
        for entry in entries {
            let (version, ident) = (entry.version.version, entry.origin_file_ident);
            if version != self.head().next() {
                let message = format!("{version} comes after {}", self.head());
                return Err(Violation::new(Check::Cursors, message));
            }
            if let Some(place) = self.places.insert((ident, entry.client_version), version) {
                let message = format!(
                    "version {} of client file {ident} is there twice: {place} and {version}",
                    entry.client_version
                );
                return Err(Violation::new(Check::ExactlyOnce, message));
            }
            if let Some(file) = self.files.get_mut(&ident) {
                if entry.client_version <= file.newest {
                    let message = format!("client file {ident} goes back in the history");
                    return Err(Violation::new(Check::Cursors, message));
                }
                file.newest = entry.client_version;
            }
            self.entries.push(entry.clone());
        }
        Ok(())
    }

    /// A changeset has come to the server; whether it is the first time.
    pub(crate) fn uploaded(&mut self, ident: FileIdent, version: ClientVersion) -> bool {
        let Some(file) = self.files.get_mut(&ident) else { return true };
        let is_new = file.acknowledged.client_version < version && !file.waiting.contains(&version);
        if is_new {
            file.waiting.push(version);
        }
        is_new
    }

    /// A client file is told how far its uploads are integrated.
    pub(crate) fn acknowledged(
        &mut self,
        ident: FileIdent,
        cursor: UploadCursor,
    ) -> Result<(), Violation> {
        let Some(file) = self.files.get_mut(&ident) else { return Ok(()) };
        let old = std::mem::replace(&mut file.acknowledged, cursor);
        if old.client_version > cursor.client_version
            || old.last_integrated_server_version > cursor.last_integrated_server_version
        {
            let message = format!("the upload cursor of {ident} goes back: {old:?}, {cursor:?}");
            return Err(Violation::new(Check::Cursors, message));
        }
        let is_acknowledged = |version: &ClientVersion| *version <= cursor.client_version;
        let lost = file.waiting.iter().find(|version| {
            is_acknowledged(version) && !self.places.contains_key(&(ident, **version))
        });
        if let Some(version) = lost {
            let message = format!("version {version} of client file {ident} is acknowledged, lost");
            return Err(Violation::new(Check::ExactlyOnce, message));
        }
        file.waiting.retain(|version| !is_acknowledged(version));
        Ok(())
    }

    /// What one DOWNLOAD says of the history between two cursors.
    pub(crate) fn check_download(
        &self,
        ident: FileIdent,
        from: DownloadCursor,
        to: DownloadCursor,
    ) -> Result<impl Iterator<Item = &Entry> + use<'_>, Violation> {
        if to.server_version < from.server_version
            || to.last_integrated_client_version < from.last_integrated_client_version
            || to.server_version > self.head()
        {
            let message = format!("client file {ident} is sent from {from:?} to {to:?}");
            return Err(Violation::new(Check::Cursors, message));
        }
        let until = usize::try_from(to.server_version.0).expect("it is at most the head");
        let from = usize::try_from(from.server_version.0).expect("it is at most the head");
        let is_for =
            move |entry: &&Entry| entry.origin_file_ident != ident && !entry.changeset.is_empty();
        Ok(self.entries[from..until].iter().filter(is_for))
    }

    /// Compares with what a server has after a crash; it may have more, which nobody was told of yet.
    pub(crate) fn check_durable(&mut self, entries: &[Entry]) -> Result<(), Violation> {
        let same = entries.iter().zip(&self.entries).take_while(|(a, b)| a == b).count();
        if same < self.entries.len() {
            let message =
                format!("of {} entries that were durable, {same} are there", self.entries.len());
            return Err(Violation::new(Check::Durable, message));
        }
        self.commit(&entries[same..])
    }

    /// Compares with what a server has that everybody is in step with: no more and no less.
    pub(crate) fn check_stored(&mut self, stored: &StoredRealm) -> Result<(), Violation> {
        let theirs = stored.entries.iter().map(Some).chain(repeat(None));
        let differs = self.entries.iter().map(Some).chain(repeat(None)).zip(theirs);
        let len = self.entries.len().max(stored.entries.len());
        if let Some((ours, theirs)) = differs.take(len).find(|(ours, theirs)| ours != theirs) {
            let message = format!("the stored history is another: {theirs:?} instead of {ours:?}");
            return Err(Violation::new(Check::Durable, message));
        }
        let replayed = self.replay.replay(&stored.entries);
        let compared = replayed.and_then(|()| self.replay.compare(&stored.objects, &stored.schema));
        compared.map_err(|error| Violation::new(Check::Projection, format!("{error:#}")))
    }
}
