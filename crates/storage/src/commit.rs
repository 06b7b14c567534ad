//! What makes a commit a step of its realm: one check for every store.
//!
//! Spec: server history, section 11.

use std::collections::BTreeMap;

use bailiwick_core::history::{ClientFile, Entry};
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{ClientVersion, ServerVersion};
use bytes::Bytes;

use crate::store::{Commit, CommitRefused, RealmRecord, StorageError};

/// Why [`Commit::check`] has no next record.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The commit is not a step of this realm.
    #[error(transparent)]
    Refused(#[from] CommitRefused),
    /// A client file could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Commit {
    /// The realm's record after this commit; `client_file` reads the client files as they are before it.
    ///
    /// A store calls this before it writes anything of the commit.
    ///
    /// # Errors
    ///
    /// [`CommitRefused::Outdated`] if the commit was computed from another revision, and
    /// [`CommitRefused::Invalid`] unless all of these hold:
    ///
    /// - the versions of `entries` follow the head, and their salts are in 1 to 2^63-1;
    /// - their origin is 0, with client version 0, or an allocated client file, with client versions that
    ///   ascend from what is integrated of it;
    /// - new `client_files` continue the idents; none has integrated or locked more than the head, nor
    ///   acknowledged more than integrated; those replaced keep their salt, their cursors do not go back, and expiry is not undone;
    /// - `reciprocals` belong to allocated client files, and to versions up to the head that the client
    ///   file has not integrated.
    ///
    /// What `client_file` fails with, with [`StorageError::Corrupt`] as [`CommitRefused::Damaged`].
    pub fn check(
        &self,
        before: &RealmRecord,
        mut client_file: impl FnMut(FileIdent) -> Result<Option<ClientFile>, StorageError>,
    ) -> Result<RealmRecord, CheckError> {
        let mut read = |ident| match client_file(ident) {
            Ok(Some(file)) => Ok(file),
            Ok(None) => {
                Err(CheckError::Refused(CommitRefused::Damaged("a client file is missing")))
            }
            Err(StorageError::Corrupt(what)) => Err(CommitRefused::Damaged(what).into()),
            Err(error) => Err(error.into()),
        };
        if self.base_revision != before.revision {
            let (expected, actual) = (self.base_revision, before.revision);
            return Err(CommitRefused::Outdated { expected, actual }.into());
        }
        let mut after = before.clone();
        after.revision =
            before.revision.checked_add(1).ok_or(invalid("the revision is at its end"))?;
        for (entry, cumulative_len) in self.entries_with_len(before) {
            follow_entry(&mut after, entry, cumulative_len)?;
        }

        let mut old = BTreeMap::new();
        let mut new = BTreeMap::new();
        for (ident, file) in &self.client_files {
            check_client_file(file, after.head.version)?;
            if let Some(previous) = new.get(ident) {
                check_succession(previous, file)?;
            } else if is_allocated(before, *ident) {
                let previous = read(*ident)?;
                check_succession(&previous, file)?;
                old.insert(*ident, previous);
            } else if ident.0 == FileIdent::FIRST_CLIENT.0 + after.client_file_count {
                after.client_file_count += 1;
            } else {
                return Err(invalid("a new client file does not continue the idents").into());
            }
            new.insert(*ident, file.clone());
        }

        let mut integrated = BTreeMap::<FileIdent, ClientVersion>::new();
        for entry in &self.entries {
            let origin = entry.origin_file_ident;
            if origin == FileIdent::SELF {
                require(
                    entry.client_version.0 == 0,
                    "the server's own entry has a client version",
                )?;
                continue;
            }
            require(is_allocated(&after, origin), "an entry's origin was not allocated")?;
            let last = match integrated.get(&origin) {
                Some(last) => *last,
                None if !is_allocated(before, origin) => ClientVersion(0),
                None => match old.get(&origin) {
                    Some(file) => file.upload_cursor.client_version,
                    None => read(origin)?.upload_cursor.client_version,
                },
            };
            require(entry.client_version > last, "the client versions of an author do not ascend")?;
            integrated.insert(origin, entry.client_version);
        }

        for (ident, version, _) in &self.reciprocals {
            require(
                is_allocated(&after, *ident),
                "a reciprocal form's client file was not allocated",
            )?;
            require(*version <= after.head.version, "a reciprocal form is beyond the head")?;
            if !new.contains_key(ident) {
                new.insert(*ident, read(*ident)?);
            }
            require(
                *version > new[ident].upload_cursor.last_integrated_server_version,
                "a reciprocal form is of a version that its client file has integrated",
            )?;
        }

        if let Some(schema) = &self.schema {
            after.schema = schema.clone();
        }
        Ok(after)
    }

    /// How many bytes it writes, apart from what each record has besides its contents. Costs one look at each item.
    pub fn payload_len(&self) -> usize {
        let entries = self.entries.iter().map(|entry| entry.changeset.len());
        let reciprocals = self.reciprocals.iter().map(|(_, _, form)| form.len());
        let objects = self
            .objects
            .iter()
            .map(|(row, object)| row.len().saturating_add(object.as_ref().map_or(0, Bytes::len)));
        let schema = self.schema.iter().map(Bytes::len);
        entries.chain(reciprocals).chain(objects).chain(schema).fold(0, usize::saturating_add)
    }

    /// The entries, each with the bytes of all changesets up to and including it.
    ///
    /// The sum saturates; [`check`](Self::check) refuses a history that is so long.
    pub fn entries_with_len(&self, before: &RealmRecord) -> impl Iterator<Item = (&Entry, u64)> {
        self.entries.iter().scan(before.cumulative_len, |sum, entry| {
            *sum = sum.saturating_add(entry.changeset.len() as u64);
            Some((entry, *sum))
        })
    }
}

/// Puts an entry after the head.
fn follow_entry(
    record: &mut RealmRecord,
    entry: &Entry,
    cumulative_len: u64,
) -> Result<(), CommitRefused> {
    let follows = record.head.version.0.checked_add(1) == Some(entry.version.version.0);
    require(follows, "the entries do not follow the head")?;
    require(is_salt(entry.version.salt), "an entry's salt is out of range")?;
    require(cumulative_len < u64::MAX, "the history is too long")?;
    record.head = entry.version;
    record.cumulative_len = cumulative_len;
    Ok(())
}

fn check_client_file(file: &ClientFile, head: ServerVersion) -> Result<(), CommitRefused> {
    require(is_salt(file.salt), "a client file's salt is out of range")?;
    let (cursor, acknowledged) = (file.upload_cursor, file.acknowledged);
    require(
        cursor.last_integrated_server_version <= head && file.locked_server_version <= head,
        "a client file is ahead of the history",
    )?;
    require(
        acknowledged.client_version <= cursor.client_version
            && acknowledged.last_integrated_server_version <= cursor.last_integrated_server_version,
        "a client file is acknowledged more than is integrated",
    )
}

fn check_succession(old: &ClientFile, new: &ClientFile) -> Result<(), CommitRefused> {
    require(old.salt == new.salt, "a client file's salt has changed")?;
    for (was, is) in [(old.upload_cursor, new.upload_cursor), (old.acknowledged, new.acknowledged)]
    {
        require(
            was.client_version <= is.client_version
                && was.last_integrated_server_version <= is.last_integrated_server_version,
            "a client file's cursor goes back",
        )?;
    }
    require(
        old.locked_server_version <= new.locked_server_version,
        "a client file's promise is taken back",
    )?;
    require(new.is_expired() || !old.is_expired(), "a client file's expiry is undone")
}

fn is_allocated(record: &RealmRecord, ident: FileIdent) -> bool {
    ident
        .0
        .checked_sub(FileIdent::FIRST_CLIENT.0)
        .is_some_and(|index| index < record.client_file_count)
}

fn is_salt(salt: Salt) -> bool {
    (1..1 << 63).contains(&salt.0)
}

fn require(condition: bool, otherwise: &'static str) -> Result<(), CommitRefused> {
    if condition { Ok(()) } else { Err(invalid(otherwise)) }
}

fn invalid(what: &'static str) -> CommitRefused {
    CommitRefused::Invalid(what)
}
