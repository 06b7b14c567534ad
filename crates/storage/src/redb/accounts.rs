//! Users, sessions and secrets.

use std::ops::Bound;

use super::draft::Draft;
use super::redo::Recordable as _;
use super::snapshot::Snapshot;
use super::{RedbStore, key, record};
use crate::account::{Accounts, LoginSession, User};
use crate::store::StorageError;

impl Accounts for RedbStore {
    fn secret(&self, name: &str, proposal: &[u8]) -> Result<Vec<u8>, StorageError> {
        let find = |snapshot: &Snapshot| match snapshot.get(&key::SECRETS, name)? {
            Some(value) => Ok(Some(record::decode_bytes(&value)?.to_vec())),
            None => Ok(None),
        };
        // Nearly always it is there, and then nobody needs to wait for others who write.
        if let Some(secret) = self.read(find)? {
            return Ok(secret);
        }
        self.change(|draft| {
            if let Some(secret) = find(&draft.snapshot)? {
                return Ok(secret);
            }
            draft.put(&key::SECRETS, name, &record::encode_bytes(proposal));
            Ok(proposal.to_vec())
        })
    }

    fn put_user(&self, user: &User) -> Result<(), StorageError> {
        self.change(|draft| {
            draft.put_user(user);
            Ok(())
        })
    }

    fn user(&self, id: &str) -> Result<Option<User>, StorageError> {
        let value = self.read(|snapshot| snapshot.get(&key::USERS, id))?;
        value.map(|value| record::decode_user(id, &value)).transpose()
    }

    fn create_user(&self, user: &User, session: &LoginSession) -> Result<(), StorageError> {
        self.change(|draft| {
            draft.put_user(user);
            draft.put_session(session)
        })
    }

    fn put_session(&self, session: &LoginSession) -> Result<(), StorageError> {
        self.change(|draft| draft.put_session(session))
    }

    fn session(&self, id: &str) -> Result<Option<LoginSession>, StorageError> {
        let value = self.read(|snapshot| snapshot.get(&key::SESSIONS, id))?;
        value.map(|value| record::decode_session(id, &value)).transpose()
    }

    fn revoke_session(&self, id: &str) -> Result<bool, StorageError> {
        self.change(|draft| draft.remove_session(id))
    }

    fn delete_user(&self, id: &str) -> Result<bool, StorageError> {
        self.change(|draft| {
            let known = draft.remove(&key::USERS, id)?.is_some();
            for session in draft.snapshot.sessions_of(id)? {
                draft.remove_session(&session)?;
            }
            Ok(known)
        })
    }
}

impl Draft {
    fn put_user(&mut self, user: &User) {
        self.put(&key::USERS, &user.id, &record::encode_user(user));
    }

    fn put_session(&mut self, session: &LoginSession) -> Result<(), StorageError> {
        let id = session.id.as_str();
        // It may have been another user's.
        self.remove_session(id)?;
        self.put(&key::SESSIONS, id, &record::encode_session(session));
        self.put(&key::USER_SESSIONS, (&session.user_id, id), ());
        Ok(())
    }

    /// Whether there was one.
    fn remove_session(&mut self, id: &str) -> Result<bool, StorageError> {
        let Some(value) = self.remove(&key::SESSIONS, id)? else { return Ok(false) };
        let session = record::decode_session(id, &value)?;
        self.remove(&key::USER_SESSIONS, (&session.user_id, id))?;
        Ok(true)
    }
}

impl Snapshot {
    fn sessions_of(&self, user_id: &str) -> Result<Vec<String>, StorageError> {
        // The name of the next user that there could be.
        let next = format!("{user_id}\0");
        let range = (Bound::Included((user_id, "")), Bound::Excluded((next.as_str(), "")));
        let mut sessions = Vec::new();
        for item in self.range(&key::USER_SESSIONS, range)? {
            let (key, _) = item?;
            let (of, session) = <(key::Text, key::Text)>::of_bytes(&key)
                .ok_or(StorageError::Corrupt("a session of a user"))?;
            // Of those that are in memory, others may follow, which do not lie between the two.
            if of != user_id {
                break;
            }
            sessions.push(session.to_owned());
        }
        Ok(sessions)
    }
}
