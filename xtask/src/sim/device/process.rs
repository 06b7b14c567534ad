//! A device's process while it runs: the session machine, and the realms that it has open.

use std::sync::Arc;

use bailiwick_client::files::RealmFiles;
use bailiwick_client::local::{Committed, Snapshot};
use bailiwick_client::realm::Realm;
use bailiwick_client::session::{
    Connection, ConnectionConfig, FileRole, FileStatus, Input, Output, RealmKey, SessionEvent,
    StorageAnswer, StorageRequest, SyncError, WaitKey,
};
use bailiwick_protocol::version::ClientVersion;
use bytes::Bytes;
use tokio::sync::broadcast;

use crate::sim::agenda::Time;
use crate::sim::limits::Limits;
use crate::sim::tally::{Met, SharedTally};
use crate::sim::violation::{Check, Violation};

/// A process.
pub(super) struct Process {
    machine: Connection,
    pub(super) realms: Vec<OpenRealm>,
    pub(super) is_reading: bool,
    pub(super) wake_at: Option<Time>,
    max_queued_len: usize,
    tally: SharedTally,
}

/// A realm that the process has open.
pub(super) struct OpenRealm {
    pub(super) files: RealmFiles,
    pub(super) realm: Realm,
    pub(super) news: broadcast::Receiver<Arc<Committed>>,
    /// What each file was asked for.
    requests: [Option<StorageRequest>; 2],
    /// What the main file is at, as the machine was told last.
    pub(super) status: Option<FileStatus>,
    /// The newest version that the app has written since the process began.
    pub(super) last_written: ClientVersion,
}

/// What the world has to do for a device.
#[derive(Debug)]
pub(crate) enum Effect {
    Connect,
    Disconnect,
    Send(Bytes),
    ResumeReading,
    Store(usize, FileRole),
    RefreshToken,
    RefreshLocation,
    WakeAt(Option<Time>),
    WaitDone(WaitKey, Result<(), SyncError>),
    /// A realm was reset, and its local changes recovered, if there were any.
    ResetDone(usize, bool),
    /// The user has to log in again.
    LoggedOut,
}

impl Process {
    pub(super) fn new(seed: u64, limits: &Limits, tally: SharedTally) -> Self {
        let config = ConnectionConfig {
            ping_period: limits.ping_period,
            pong_timeout: limits.pong_timeout,
            linger: limits.linger,
            max_queued_len: limits.max_queued_len,
            ..ConnectionConfig::default()
        };
        let max_queued_len = limits.max_queued_len;
        let machine = Connection::new(config, seed);
        let realms = Vec::new();
        Self { machine, realms, is_reading: true, wake_at: None, max_queued_len, tally }
    }

    /// Hands something to the machine; what the world has to do is added to `effects`.
    pub(super) fn input(
        &mut self,
        now: Time,
        input: Input,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Violation> {
        let mut out = Vec::new();
        let received_len = if let Input::Received(message) = &input { message.len() } else { 0 };
        let queued_len = self.machine.queued_len();
        self.machine.handle(now, input, &mut out);
        // A DOWNLOAD that comes while it reads may be as long as it is.
        if self.machine.queued_len() > queued_len && queued_len > self.max_queued_len {
            let message = format!("{received_len} bytes are queued behind {queued_len}");
            return Err(Violation::new(Check::Bounds, message));
        }
        for output in out {
            effects.extend(self.perform(output)?);
        }
        Ok(())
    }

    fn perform(&mut self, output: Output) -> Result<Option<Effect>, Violation> {
        Ok(Some(match output {
            Output::Connect => {
                // Of the connection before nothing more is heard.
                self.is_reading = true;
                Effect::Connect
            }
            Output::Disconnect => Effect::Disconnect,
            Output::Send(message) => Effect::Send(message),
            Output::PauseReading => {
                self.tally.meet(Met::DevicePausedReading);
                self.is_reading = false;
                return Ok(None);
            }
            Output::ResumeReading => {
                self.is_reading = true;
                Effect::ResumeReading
            }
            Output::Store(key, role, request) => {
                let index = index(key);
                let place = &mut self.realms[index].requests[role as usize];
                if let Some(earlier) = place.replace(request) {
                    let message = format!("a file is asked for two things: {earlier:?} first");
                    return Err(Violation::new(Check::Bounds, message));
                }
                Effect::Store(index, role)
            }
            Output::RefreshToken => Effect::RefreshToken,
            Output::RefreshLocation => Effect::RefreshLocation,
            Output::WakeAt(at) => {
                self.wake_at = at;
                Effect::WakeAt(at)
            }
            Output::WaitDone(key, result) => Effect::WaitDone(key, result),
            Output::Event(key, SessionEvent::ResetDone { recovered }) => {
                Effect::ResetDone(index(key), recovered)
            }
            Output::LogOut | Output::Event(_, SessionEvent::Error(SyncError::LoggedOut(_))) => {
                Effect::LoggedOut
            }
            Output::Event(_, event) => return check_event(&event).map(|()| None),
            Output::Log(..) => return Ok(None),
            Output::Closed(_) => {
                let message = format!("nothing has led to {output:?}");
                return Err(Violation::new(Check::Honest, message));
            }
        }))
    }
}

impl OpenRealm {
    pub(super) fn new(files: RealmFiles, realm: Realm) -> Self {
        let news = files.news();
        Self {
            files,
            realm,
            news,
            requests: [None, None],
            status: None,
            last_written: ClientVersion(0),
        }
    }

    /// Takes what a file was asked for.
    pub(super) fn take_request(&mut self, role: FileRole) -> Option<StorageRequest> {
        self.requests[role as usize].take()
    }

    /// Whether a file was asked for a client reset.
    pub(super) fn is_resetting(&self, role: FileRole) -> bool {
        matches!(self.requests[role as usize], Some(StorageRequest::Reset { .. }))
    }

    /// Whether the main file was asked for something.
    pub(super) fn has_request(&self) -> bool {
        self.requests[FileRole::Main as usize].is_some()
    }

    /// Keeps what the machine is about to be told of the main file.
    pub(super) fn note(&mut self, role: FileRole, answer: &StorageAnswer) {
        if let StorageAnswer::ResetDone { .. } = answer {
            // What was written before is dropped, or is uploaded from its versions on; the status knows which.
            self.last_written = ClientVersion(0);
        }
        if let (
            FileRole::Main,
            StorageAnswer::Ready(status) | StorageAnswer::ResetDone { status, .. },
        ) = (role, answer)
        {
            self.status = Some(status.clone());
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.realm.snapshot().expect("the disk works")
    }
}

/// The realms of a process are numbered from 1.
pub(crate) fn key(index: usize) -> RealmKey {
    RealmKey(index as u64 + 1)
}

fn index(key: RealmKey) -> usize {
    usize::try_from(key.0 - 1).expect("realms are few")
}

fn check_event(event: &SessionEvent) -> Result<(), Violation> {
    match event {
        // The server could not look up whose token it is; the world knows whether that has a reason.
        SessionEvent::Error(SyncError::Connect { fatal: false, .. })
        | SessionEvent::Progress(_)
        | SessionEvent::Connected(_)
        | SessionEvent::ResetStarted
        | SessionEvent::ResetDone { .. } => Ok(()),
        SessionEvent::Error(error) => {
            Err(Violation::new(Check::Honest, format!("a device has a problem: {error:?}")))
        }
    }
}
