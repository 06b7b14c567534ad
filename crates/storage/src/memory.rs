//! A store in memory: for tests, simulations and servers that may forget.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use bailiwick_core::history::{ClientFile, Entry};
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::ServerVersion;
use bytes::Bytes;

use crate::account::{Accounts, LoginSession, User};
use crate::commit::CheckError;
use crate::store::{Commit, CommitRefused, ObjectRow, RealmKey, RealmRecord, StorageError, Store};

/// Keeps everything in memory, behind one lock, until it is dropped.
#[derive(Debug, Default)]
pub struct MemoryStore {
    contents: RwLock<Contents>,
}

#[derive(Debug, Default)]
struct Contents {
    realms: BTreeMap<RealmKey, Realm>,
    users: BTreeMap<String, User>,
    sessions: BTreeMap<String, LoginSession>,
    secrets: BTreeMap<String, Vec<u8>>,
}

#[derive(Debug, Default)]
struct Realm {
    record: RealmRecord,
    /// The entry of version `n` is at `n - 1`.
    entries: Vec<Entry>,
    /// The client file of ident `n` is at `n - 2`.
    client_files: Vec<ClientFile>,
    reciprocals: BTreeMap<(FileIdent, ServerVersion), Bytes>,
    objects: BTreeMap<ObjectRow, Bytes>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    // A lock is poisoned by a panic, after which the contents may be half of a commit.
    fn read(&self) -> Result<RwLockReadGuard<'_, Contents>, StorageError> {
        self.contents.read().map_err(|_| StorageError::Stopped)
    }

    fn write(&self) -> Result<RwLockWriteGuard<'_, Contents>, StorageError> {
        self.contents.write().map_err(|_| StorageError::Stopped)
    }
}

impl Store for MemoryStore {
    fn realm(&self, realm: &RealmKey) -> Result<RealmRecord, StorageError> {
        Ok(self.read()?.realms.get(realm).map(|realm| realm.record.clone()).unwrap_or_default())
    }

    fn realms(
        &self,
        after: Option<&RealmKey>,
        limit: usize,
    ) -> Result<Vec<RealmKey>, StorageError> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let contents = self.read()?;
        let realms = contents.realms.range::<RealmKey, _>((start, Bound::Unbounded));
        Ok(realms.take(limit).map(|(key, _)| key.clone()).collect())
    }

    fn client_file(
        &self,
        realm: &RealmKey,
        ident: FileIdent,
    ) -> Result<Option<ClientFile>, StorageError> {
        Ok(self.read()?.realms.get(realm).and_then(|realm| realm.client_file(ident).cloned()))
    }

    fn entries(
        &self,
        realm: &RealmKey,
        after: ServerVersion,
        until: ServerVersion,
        max_len: usize,
    ) -> Result<Vec<Entry>, StorageError> {
        let contents = self.read()?;
        let Some(realm) = contents.realms.get(realm) else { return Ok(Vec::new()) };
        let start = usize::try_from(after.0).unwrap_or(usize::MAX);
        let end = usize::try_from(until.0).unwrap_or(usize::MAX).min(realm.entries.len());
        let range = realm.entries.get(start..end).unwrap_or_default();
        let mut len = 0_usize;
        let mut entries = Vec::new();
        for entry in range {
            len = len.saturating_add(entry.changeset.len());
            entries.push(entry.clone());
            if len > max_len {
                break;
            }
        }
        Ok(entries)
    }

    fn reciprocals(
        &self,
        realm: &RealmKey,
        ident: FileIdent,
        after: ServerVersion,
    ) -> Result<Vec<(ServerVersion, Bytes)>, StorageError> {
        let contents = self.read()?;
        let Some(realm) = contents.realms.get(realm) else { return Ok(Vec::new()) };
        let last = (ident, ServerVersion(u64::MAX));
        if (ident, after) == last {
            return Ok(Vec::new());
        }
        let range =
            realm.reciprocals.range((Bound::Excluded((ident, after)), Bound::Included(last)));
        Ok(range.map(|((_, version), bytes)| (*version, bytes.clone())).collect())
    }

    fn objects(
        &self,
        realm: &RealmKey,
        rows: &[ObjectRow],
    ) -> Result<Vec<Option<Bytes>>, StorageError> {
        let contents = self.read()?;
        let realm = contents.realms.get(realm);
        Ok(rows.iter().map(|row| realm?.objects.get(row).cloned()).collect())
    }

    fn scan_objects(
        &self,
        realm: &RealmKey,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(ObjectRow, Bytes)>, StorageError> {
        let contents = self.read()?;
        let Some(realm) = contents.realms.get(realm) else { return Ok(Vec::new()) };
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let rows = realm.objects.range::<[u8], _>((start, Bound::Unbounded));
        Ok(rows
            .take_while(|(row, _)| row.starts_with(prefix))
            .take(limit)
            .map(|(row, bytes)| (row.clone(), bytes.clone()))
            .collect())
    }

    fn commit(
        &self,
        commits: &[(RealmKey, Commit)],
    ) -> Result<Vec<Result<(), CommitRefused>>, StorageError> {
        let mut contents = self.write()?;
        let mut answers = Vec::with_capacity(commits.len());
        for (key, commit) in commits {
            answers.push(contents.carry_out(key, commit)?);
        }
        Ok(answers)
    }
}

impl Contents {
    fn carry_out(
        &mut self,
        key: &RealmKey,
        commit: &Commit,
    ) -> Result<Result<(), CommitRefused>, StorageError> {
        let nothing = Realm::default();
        let realm = self.realms.get(key).unwrap_or(&nothing);
        let checked = commit.check(&realm.record, |ident| Ok(realm.client_file(ident).cloned()));
        match checked {
            Ok(record) => {
                self.realms.entry(key.clone()).or_default().advance(commit, record);
                Ok(Ok(()))
            }
            Err(CheckError::Refused(refused)) => Ok(Err(refused)),
            Err(CheckError::Storage(error)) => Err(error),
        }
    }
}

impl Realm {
    fn advance(&mut self, commit: &Commit, record: RealmRecord) {
        for (entry, cumulative_len) in commit.entries_with_len(&self.record) {
            self.entries.push(Entry { cumulative_len, ..entry.clone() });
        }
        for (ident, file) in &commit.client_files {
            match client_file_index(*ident).and_then(|index| self.client_files.get_mut(index)) {
                Some(old) => *old = file.clone(),
                None => self.client_files.push(file.clone()),
            }
        }
        for (ident, until) in &commit.forget_reciprocals {
            let range = (*ident, ServerVersion(0))..=(*ident, *until);
            let keys: Vec<_> = self.reciprocals.range(range).map(|(key, _)| *key).collect();
            for key in keys {
                self.reciprocals.remove(&key);
            }
        }
        for (ident, version, bytes) in &commit.reciprocals {
            self.reciprocals.insert((*ident, *version), bytes.clone());
        }
        for (row, object) in &commit.objects {
            match object {
                Some(bytes) => self.objects.insert(row.clone(), bytes.clone()),
                None => self.objects.remove(row),
            };
        }
        self.record = record;
    }

    fn client_file(&self, ident: FileIdent) -> Option<&ClientFile> {
        self.client_files.get(client_file_index(ident)?)
    }
}

fn client_file_index(ident: FileIdent) -> Option<usize> {
    usize::try_from(ident.0.checked_sub(FileIdent::FIRST_CLIENT.0)?).ok()
}

impl Accounts for MemoryStore {
    fn secret(&self, name: &str, proposal: &[u8]) -> Result<Vec<u8>, StorageError> {
        let mut contents = self.write()?;
        let secret = contents.secrets.entry(name.to_owned()).or_insert_with(|| proposal.to_vec());
        Ok(secret.clone())
    }

    fn put_user(&self, user: &User) -> Result<(), StorageError> {
        self.write()?.users.insert(user.id.clone(), user.clone());
        Ok(())
    }

    fn user(&self, id: &str) -> Result<Option<User>, StorageError> {
        Ok(self.read()?.users.get(id).cloned())
    }

    fn create_user(&self, user: &User, session: &LoginSession) -> Result<(), StorageError> {
        let mut contents = self.write()?;
        contents.users.insert(user.id.clone(), user.clone());
        contents.sessions.insert(session.id.clone(), session.clone());
        Ok(())
    }

    fn put_session(&self, session: &LoginSession) -> Result<(), StorageError> {
        self.write()?.sessions.insert(session.id.clone(), session.clone());
        Ok(())
    }

    fn session(&self, id: &str) -> Result<Option<LoginSession>, StorageError> {
        Ok(self.read()?.sessions.get(id).cloned())
    }

    fn revoke_session(&self, id: &str) -> Result<bool, StorageError> {
        Ok(self.write()?.sessions.remove(id).is_some())
    }

    fn delete_user(&self, id: &str) -> Result<bool, StorageError> {
        let mut contents = self.write()?;
        contents.sessions.retain(|_, session| session.user_id != id);
        Ok(contents.users.remove(id).is_some())
    }
}
