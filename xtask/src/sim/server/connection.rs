//! A connection of the server: the production endpoint, and what stands between it and the realms.

use std::collections::{BTreeMap, VecDeque};

use bailiwick_protocol::ident::{FileIdent, SessionIdent};
use bailiwick_server::auth::AccessIdentity;
use bailiwick_server::http::websocket::endpoint::{Endpoint, Request};
use bailiwick_server::realm::{RealmError, SessionEnd, Signal};
use bailiwick_server::session::SessionKey;
use tokio::sync::watch;

use super::work::RealmNumber;
use crate::sim::agenda::Time;

#[derive(Debug)]
pub(super) struct Served {
    pub(super) endpoint: Endpoint,
    pub(super) access: AccessIdentity,
    pub(super) sessions: BTreeMap<SessionIdent, Bound>,
    /// What waits until a realm takes commands again; while something does, nothing else happens here.
    pub(super) stalled: VecDeque<Request>,
    pub(super) is_writing: Option<Writing>,
    /// When the endpoint wants to be called.
    pub(super) wake_at: Time,
}

/// What is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writing {
    Message,
    Download,
}

/// A session that has a realm.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) key: SessionKey,
    pub(super) realm: RealmNumber,
    pub(super) file_ident: Option<FileIdent>,
    pub(super) signals: Option<watch::Receiver<Signal>>,
}

impl Served {
    pub(super) fn new(endpoint: Endpoint, access: AccessIdentity, now: Time) -> Self {
        Self {
            endpoint,
            access,
            sessions: BTreeMap::new(),
            stalled: VecDeque::new(),
            is_writing: None,
            wake_at: now,
        }
    }

    pub(super) fn bound(&mut self, key: SessionKey) -> Option<&mut Bound> {
        self.sessions.get_mut(&key.ident).filter(|bound| bound.key == key)
    }
}

impl Bound {
    /// What the realm says now.
    pub(super) fn latest(&self) -> Option<(SessionKey, Signal)> {
        Some((self.key, self.signals.as_ref()?.borrow().clone()))
    }

    /// What the realm has said since this was asked last.
    pub(super) fn news(&mut self) -> Option<Signal> {
        let signals = self.signals.as_mut()?;
        let has_changed = signals.has_changed();
        let mut signal = signals.borrow_and_update().clone();
        match has_changed {
            Ok(true) => (),
            Ok(false) => return None,
            Err(_) => {
                // The realm has let go of the session.
                self.signals = None;
                signal.end.get_or_insert(SessionEnd::Failed(RealmError::ShuttingDown));
            }
        }
        Some(signal)
    }
}
