//! Users, sessions and secrets.

use redb::ReadableTable as _;

use super::batch::Tables;
use super::{RedbStore, backend, key, record};
use crate::account::{Accounts, LoginSession, User};
use crate::store::StorageError;

impl Accounts for RedbStore {
    fn secret(&self, name: &str, proposal: &[u8]) -> Result<Vec<u8>, StorageError> {
        // Nearly always it is there, and then nobody needs to wait for a write transaction.
        if let Some(value) = self.snapshot()?.table(key::SECRETS)?.get(name).map_err(backend)? {
            return Ok(record::decode_bytes(value.value())?.to_vec());
        }
        self.change(|tables| {
            if let Some(value) = tables.secrets.get(name)? {
                return Ok(record::decode_bytes(value.value())?.to_vec());
            }
            let value = record::encode_bytes(proposal);
            tables.secrets.put(&mut tables.redo, name, &value)?;
            Ok(proposal.to_vec())
        })
    }

    fn put_user(&self, user: &User) -> Result<(), StorageError> {
        self.change(|tables| tables.put_user(user))
    }

    fn user(&self, id: &str) -> Result<Option<User>, StorageError> {
        let value = self.snapshot()?.table(key::USERS)?.get(id).map_err(backend)?;
        value.map(|value| record::decode_user(id, value.value())).transpose()
    }

    fn create_user(&self, user: &User, session: &LoginSession) -> Result<(), StorageError> {
        self.change(|tables| {
            tables.put_user(user)?;
            tables.put_session(session)
        })
    }

    fn put_session(&self, session: &LoginSession) -> Result<(), StorageError> {
        self.change(|tables| tables.put_session(session))
    }

    fn session(&self, id: &str) -> Result<Option<LoginSession>, StorageError> {
        let value = self.snapshot()?.table(key::SESSIONS)?.get(id).map_err(backend)?;
        value.map(|value| record::decode_session(id, value.value())).transpose()
    }

    fn revoke_session(&self, id: &str) -> Result<bool, StorageError> {
        self.change(|tables| tables.remove_session(id))
    }

    fn delete_user(&self, id: &str) -> Result<bool, StorageError> {
        self.change(|tables| {
            let known = tables.users.remove(&mut tables.redo, id)?.is_some();
            for session in tables.sessions_of(id)? {
                tables.remove_session(&session)?;
            }
            Ok(known)
        })
    }
}

impl Tables<'_> {
    fn put_user(&mut self, user: &User) -> Result<(), StorageError> {
        let value = record::encode_user(user);
        self.users.put(&mut self.redo, &user.id, &value)
    }

    fn put_session(&mut self, session: &LoginSession) -> Result<(), StorageError> {
        let id = session.id.as_str();
        // It may have been another user's.
        self.remove_session(id)?;
        let value = record::encode_session(session);
        self.sessions.put(&mut self.redo, id, &value)?;
        self.user_sessions.put(&mut self.redo, (&session.user_id, id), ())
    }

    /// Whether there was one.
    fn remove_session(&mut self, id: &str) -> Result<bool, StorageError> {
        let Some(session) = self
            .sessions
            .remove(&mut self.redo, id)?
            .map(|value| record::decode_session(id, value.value()))
            .transpose()?
        else {
            return Ok(false);
        };
        self.user_sessions.remove(&mut self.redo, (&session.user_id, id))?;
        Ok(true)
    }

    fn sessions_of(&self, user_id: &str) -> Result<Vec<String>, StorageError> {
        let mut sessions = Vec::new();
        for item in self.user_sessions.table.range((user_id, "")..).map_err(backend)? {
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
