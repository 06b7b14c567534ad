//! What a store keeps of one realm, and whether it is as it has to be after each commit.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::convert::Infallible;

use bailiwick_core::apply::Changes;
use bailiwick_core::history::{ClientFile, ConcurrentHistory, Entry, Integration};
use bailiwick_core::merge::Footprint;
use bailiwick_core::state::{ObjectRow, ObjectStore, State};
use bailiwick_protocol::changeset::Changeset;
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{ClientVersion, SaltedVersion, ServerVersion};
use bytes::Bytes;
use proptest::prelude::*;

/// So few that integrations read on.
const PAGE_COUNT: usize = 3;

/// What a store keeps.
#[derive(Clone, Default)]
pub(super) struct Record {
    pub(super) entries: Vec<Entry>,
    pub(super) state: State,
    pub(super) files: BTreeMap<FileIdent, ClientFile>,
    reciprocals: BTreeMap<(FileIdent, ServerVersion), Bytes>,
    /// Those of the entries that were uploaded.
    footprints: BTreeMap<ServerVersion, Footprint>,
}

/// A record of which only what is durable is known.
pub(super) struct Durable<'a>(pub(super) &'a Record);

impl Record {
    pub(super) fn head(&self) -> SaltedVersion {
        self.entries.last().map(|entry| entry.version).unwrap_or_default()
    }

    /// How often a changeset is in the history.
    pub(super) fn count(&self, ident: FileIdent, version: ClientVersion) -> usize {
        let is_it =
            |entry: &&Entry| entry.origin_file_ident == ident && entry.client_version == version;
        self.entries.iter().filter(is_it).count()
    }

    /// The entries from nothing give the objects, and are in the form that devices can apply.
    pub(super) fn check_projection(&self) -> Result<(), TestCaseError> {
        let mut replayed = State::default();
        for entry in &self.entries {
            let changeset = Changeset::decode(&entry.changeset).map_err(failed)?;
            let applied = replayed.apply(&changeset).map_err(failed)?;
            prop_assert!(
                applied.rewritten.is_none(),
                "{} is not for devices",
                entry.version.version
            );
        }
        prop_assert_eq!(&replayed, &self.state, "the history, and the objects");
        Ok(())
    }

    pub(super) fn salt_of(&self, version: ServerVersion) -> Option<Salt> {
        if version == ServerVersion::default() {
            return Some(Salt::default());
        }
        let entry = self.entries.iter().find(|entry| entry.version.version == version);
        entry.map(|entry| entry.version.salt)
    }

    pub(super) fn after(&self, version: ServerVersion) -> &[Entry] {
        let first = self.entries.partition_point(|entry| entry.version.version <= version);
        &self.entries[first..]
    }

    /// Takes a commit, if it leaves everything as it has to be.
    pub(super) fn commit(
        &mut self,
        integration: Integration,
        changes: Changes,
    ) -> Result<(), TestCaseError> {
        let Integration { entries, footprints, client_files, forget_reciprocals, .. } = integration;
        let reciprocals = integration.reciprocals;
        let versions = entries.iter().map(|entry| entry.version.version);
        self.footprints.extend(versions.zip(footprints));
        for entry in entries {
            self.append(entry)?;
        }
        for (ident, file) in client_files {
            let before = self.files.insert(ident, file.clone()).expect("it was allocated");
            let (old, new) = (before.upload_cursor, file.upload_cursor);
            prop_assert!(old.client_version <= new.client_version);
            prop_assert!(old.last_integrated_server_version <= new.last_integrated_server_version);
            prop_assert!(before.locked_server_version <= file.locked_server_version);
            prop_assert!(new.is_consistent() && new.is_mutually_consistent(old));
        }
        for (ident, until) in forget_reciprocals {
            self.reciprocals.retain(|(of, version), _| *of != ident || *version > until);
        }
        for (ident, version, bytes) in reciprocals {
            self.reciprocals.insert((ident, version), bytes);
        }
        self.state.commit(changes);
        self.check_files()
    }

    fn append(&mut self, entry: Entry) -> Result<(), TestCaseError> {
        prop_assert_eq!(entry.version.version, self.head().version.next());
        let len = self.entries.last().map_or(0, |last| last.cumulative_len);
        prop_assert_eq!(entry.cumulative_len, len + entry.changeset.len() as u64);
        let ident = entry.origin_file_ident;
        if ident != FileIdent::SELF {
            prop_assert!(self.files.contains_key(&ident), "client file {} wrote something", ident);
            let mut earlier = self.entries.iter().filter(|other| other.origin_file_ident == ident);
            prop_assert!(
                earlier.all(|other| other.client_version < entry.client_version),
                "client file {} goes back to {}",
                ident,
                entry.client_version
            );
        }
        self.entries.push(entry);
        Ok(())
    }

    fn check_files(&self) -> Result<(), TestCaseError> {
        let head = self.head().version;
        for file in self.files.values() {
            prop_assert!(file.upload_cursor.last_integrated_server_version <= head);
            prop_assert!(file.locked_server_version <= head);
        }
        for &(ident, version) in self.reciprocals.keys() {
            let base = self.files[&ident].upload_cursor.last_integrated_server_version;
            prop_assert!(base < version && version <= head, "{} of {} is kept", version, ident);
            let entry = self.after(ServerVersion(version.0 - 1)).first().expect("up to the head");
            prop_assert_ne!(entry.origin_file_ident, ident);
        }
        Ok(())
    }
}

impl ConcurrentHistory for Record {
    type Error = Infallible;

    fn entries(&self, after: ServerVersion) -> Result<Cow<'_, [Entry]>, Infallible> {
        let entries = self.after(after);
        Ok(entries[..entries.len().min(PAGE_COUNT)].into())
    }

    fn footprint(&self, version: ServerVersion) -> Option<&Footprint> {
        self.footprints.get(&version)
    }

    fn reciprocals(
        &self,
        ident: FileIdent,
        after: ServerVersion,
    ) -> Result<Vec<(ServerVersion, Bytes)>, Infallible> {
        let range = (ident, after.next())..=(ident, ServerVersion(u64::MAX));
        let forms = self.reciprocals.range(range);
        Ok(forms.map(|((_, version), bytes)| (*version, bytes.clone())).collect())
    }
}

impl ConcurrentHistory for Durable<'_> {
    type Error = Infallible;

    fn entries(&self, after: ServerVersion) -> Result<Cow<'_, [Entry]>, Infallible> {
        Ok(self.0.after(after).into())
    }

    fn reciprocals(
        &self,
        ident: FileIdent,
        after: ServerVersion,
    ) -> Result<Vec<(ServerVersion, Bytes)>, Infallible> {
        self.0.reciprocals(ident, after)
    }
}

impl ObjectStore for Record {
    type Error = Infallible;

    fn object(&self, row: &[u8]) -> Result<Option<Bytes>, Infallible> {
        self.state.object(row)
    }

    fn rows(&self, prefix: &[u8]) -> Result<Vec<ObjectRow>, Infallible> {
        ObjectStore::rows(&self.state, prefix)
    }
}

fn failed(error: impl std::fmt::Debug) -> TestCaseError {
    TestCaseError::fail(format!("{error:?}"))
}
