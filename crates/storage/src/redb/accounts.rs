//! Users, sessions and secrets.

use redb::ReadableTable as _;

use super::batch::Tables;
use super::{Outcome, RedbStore, backend, key, record};
use crate::account::{Accounts, LoginSession, User};
use crate::store::StorageError;

impl Accounts for RedbStore {
    fn secret(&self, name: &str, proposal: &[u8]) -> Result<Vec<u8>, StorageError> {
        // Nearly always it is there, and then nobody needs to wait for a write transaction.
        if let Some(value) = self.snapshot()?.table(key::SECRETS)?.get(name).map_err(backend)? {
            return Ok(record::decode_bytes(value.value())?.to_vec());
        }
        self.change(|tables| {
            if let Some(value) = tables.secrets.get(name).map_err(backend)? {
                let secret = record::decode_bytes(value.value())?.to_vec();
                return Ok((secret, Outcome::Unchanged));
            }
            let value = record::encode_bytes(proposal);
            tables.secrets.insert(name, value.as_slice()).map_err(backend)?;
            Ok((proposal.to_vec(), Outcome::Changed))
        })
    }

    fn put_user(&self, user: &User) -> Result<(), StorageError> {
        self.change(|tables| Ok((tables.put_user(user)?, Outcome::Changed)))
    }

    fn user(&self, id: &str) -> Result<Option<User>, StorageError> {
        let value = self.snapshot()?.table(key::USERS)?.get(id).map_err(backend)?;
        value.map(|value| record::decode_user(id, value.value())).transpose()
    }

    fn create_user(&self, user: &User, session: &LoginSession) -> Result<(), StorageError> {
        self.change(|tables| {
            tables.put_user(user)?;
            tables.put_session(session)?;
            Ok(((), Outcome::Changed))
        })
    }

    fn put_session(&self, session: &LoginSession) -> Result<(), StorageError> {
        self.change(|tables| Ok((tables.put_session(session)?, Outcome::Changed)))
    }

    fn session(&self, id: &str) -> Result<Option<LoginSession>, StorageError> {
        let value = self.snapshot()?.table(key::SESSIONS)?.get(id).map_err(backend)?;
        value.map(|value| record::decode_session(id, value.value())).transpose()
    }

    fn revoke_session(&self, id: &str) -> Result<bool, StorageError> {
        self.change(|tables| Ok(answer(tables.remove_session(id)?)))
    }

    fn delete_user(&self, id: &str) -> Result<bool, StorageError> {
        self.change(|tables| {
            let known = tables.users.remove(id).map_err(backend)?.is_some();
            let sessions = tables.sessions_of(id)?;
            for session in &sessions {
                tables.remove_session(session)?;
            }
            let (_, outcome) = answer(known || !sessions.is_empty());
            Ok((known, outcome))
        })
    }
}

fn answer(changed: bool) -> (bool, Outcome) {
    (changed, if changed { Outcome::Changed } else { Outcome::Unchanged })
}

impl Tables<'_> {
    fn put_user(&mut self, user: &User) -> Result<(), StorageError> {
        let value = record::encode_user(user);
        self.users.insert(user.id.as_str(), value.as_slice()).map_err(backend)?;
        Ok(())
    }

    fn put_session(&mut self, session: &LoginSession) -> Result<(), StorageError> {
        let id = session.id.as_str();
        // It may have been another user's.
        self.remove_session(id)?;
        let value = record::encode_session(session);
        self.sessions.insert(id, value.as_slice()).map_err(backend)?;
        self.user_sessions.insert((session.user_id.as_str(), id), ()).map_err(backend)?;
        Ok(())
    }

    /// Whether there was one.
    fn remove_session(&mut self, id: &str) -> Result<bool, StorageError> {
        let Some(session) = self
            .sessions
            .remove(id)
            .map_err(backend)?
            .map(|value| record::decode_session(id, value.value()))
            .transpose()?
        else {
            return Ok(false);
        };
        self.user_sessions.remove((session.user_id.as_str(), id)).map_err(backend)?;
        Ok(true)
    }

    fn sessions_of(&self, user_id: &str) -> Result<Vec<String>, StorageError> {
        let mut sessions = Vec::new();
        for item in self.user_sessions.range((user_id, "")..).map_err(backend)? {
            let (key, _) = item.map_err(backend)?;
            let (of, session) = key.value();
            if of != user_id {
                break;
            }
            sessions.push(session.to_owned());
        }
        Ok(sessions)
    }
}
