//! One connection of a device and the realms that it syncs, as a state machine without I/O.
//!
//! [`Connection::handle`] takes what happened and appends what is to be done. Sockets, files, tokens, clocks and
//! randomness are the driver's. A realm has one file, or two during a client reset; a file has at most one storage
//! request under way and at most one session. Sessions live as long as the connection at most, and each BIND has an
//! ident of its own, so that late messages are told apart. Spec: client, sections 2 to 7.
//!
//! ```
//! use std::time::Duration;
//!
//! use bailiwick_client::session::{
//!     Connection, ConnectionConfig, FileRole, Input, Output, RealmKey, ResetMode, StorageRequest,
//! };
//!
//! let mut connection = Connection::new(ConnectionConfig::default(), 7);
//! let mut out = Vec::new();
//! let (realm, path) = (RealmKey(1), "\"store42\"".to_owned());
//! let reset_mode = ResetMode::default();
//! connection.handle(Duration::ZERO, Input::Open { realm, path, reset_mode }, &mut out);
//! assert!(matches!(out[..], [Output::Store(RealmKey(1), FileRole::Main, StorageRequest::Load)]));
//! ```

mod backoff;
mod config;
mod file;
mod heartbeat;
mod io;
mod link;
mod live;
mod mark;
mod random;
mod realm;
mod received;
mod reset;
mod storage;
#[cfg(test)]
mod tests;
mod turn;
mod verdict;

use std::collections::{BTreeMap, VecDeque};

use bailiwick_protocol::ident::SessionIdent;

use backoff::Backoff;
pub use config::ConnectionConfig;
pub use io::{
    ConnectError, Disconnect, FileRole, FileStatus, Input, Output, RealmKey, ResetMode,
    SessionEvent, StorageAnswer, StorageRequest, SyncError, Time, UploadBatch, WaitKey,
};
use link::{Link, Refresh};
use random::Random;
use realm::{Activity, Realm};

/// The state of one connection: one endpoint, that is one app and one user, with any number of realms.
#[derive(Debug)]
pub struct Connection {
    config: ConnectionConfig,
    random: Random,
    link: Link,
    backoff: Backoff,
    /// When the latest connection ended.
    lost_at: Option<Time>,
    /// Whether the location of the server was confirmed: by a connection, or by asking for it.
    is_located: bool,
    /// The access token is being refreshed.
    refresh: Option<Refresh>,
    /// When that was done last.
    refreshed_at: Option<Time>,
    realms: BTreeMap<RealmKey, Realm>,
    /// The sessions of the connection.
    sessions: BTreeMap<SessionIdent, (RealmKey, FileRole)>,
    last_ident: SessionIdent,
    /// The session that had the latest turn to send.
    last_turn: SessionIdent,
    /// Sessions that have ended, of which the server is to be told.
    unbinds: VecDeque<SessionIdent>,
    /// Whether an UPLOAD may be sent.
    is_writable: bool,
    /// Whether messages may be handed in.
    is_reading: bool,
    /// What the driver was last told to wake at.
    wake_at: Option<Time>,
}

impl Connection {
    /// A connection that nobody needs yet. All randomness comes from `seed`.
    pub fn new(config: ConnectionConfig, seed: u64) -> Self {
        Self {
            config,
            random: Random::new(seed),
            link: Link::Down,
            backoff: Backoff::default(),
            lost_at: None,
            is_located: false,
            refresh: None,
            refreshed_at: None,
            realms: BTreeMap::new(),
            sessions: BTreeMap::new(),
            last_ident: SessionIdent::CONNECTION,
            last_turn: SessionIdent::CONNECTION,
            unbinds: VecDeque::new(),
            is_writable: true,
            is_reading: true,
            wake_at: None,
        }
    }

    /// Bytes of DOWNLOADs that wait to be integrated: no more than one message beyond
    /// [`max_queued_len`](ConnectionConfig::max_queued_len) as long as the driver heeds [`Output::PauseReading`].
    pub fn queued_len(&self) -> usize {
        self.realms.values().map(Realm::queued_len).sum()
    }

    /// Takes one event; appends to `out`, in order, what the driver must do. `now` never goes back.
    pub fn handle(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        match (&mut self.link, input) {
            (_, Input::Open { realm, path, reset_mode }) => self.open(realm, path, reset_mode),
            (_, Input::Close(realm)) => self.close(realm, out),
            (_, Input::Pause(realm)) => self.pause(realm, out),
            (_, Input::Resume(realm)) => self.resume(realm),
            (_, Input::Committed { realm, version, uploadable }) => {
                if let Some(realm) = self.realms.get_mut(&realm) {
                    realm.main.commit(version, uploadable);
                    realm.tell_progress(out);
                }
            }
            (_, Input::WaitForUpload(realm, wait)) => {
                self.wait(realm, wait, Realm::wait_for_upload, out);
            }
            (_, Input::WaitForDownload(realm, wait)) => {
                self.wait(realm, wait, Realm::wait_for_download, out);
            }
            (_, Input::Stored(realm, role, answer)) => {
                self.on_stored(now, realm, role, answer, out);
            }
            (_, Input::TokenRefreshed(result)) => self.on_token_refreshed(now, result, out),
            (_, Input::Timeout) => self.wake_at = None,
            (Link::Up(up), Input::Reconnect) => {
                up.heartbeat.hurry(now);
                self.forget_failures();
            }
            (Link::Waiting { .. } | Link::GivenUp(_), Input::Reconnect) => {
                self.link = Link::Down;
                self.forget_failures();
            }
            (Link::Down | Link::Connecting { .. }, Input::Reconnect) => self.forget_failures(),
            (Link::Connecting { .. }, Input::Connected(Ok(version))) => self.go_up(now, version),
            (Link::Connecting { .. }, Input::Connected(Err(error))) => {
                let verdict = verdict::connect_error(&error, self.is_located);
                self.fail(now, verdict, out);
            }
            (Link::Up(_), Input::Received(payload)) => self.on_received(now, &payload, out),
            (Link::Up(_), Input::Writable) => self.is_writable = true,
            (Link::Up(_) | Link::Connecting { .. }, Input::Disconnected(reason)) => {
                self.fail(now, verdict::disconnect(&reason), out);
            }
            // Of a connection that is gone.
            (
                Link::Down | Link::Waiting { .. } | Link::GivenUp(_) | Link::Up(_),
                Input::Connected(_),
            )
            | (
                Link::Down | Link::Waiting { .. } | Link::GivenUp(_) | Link::Connecting { .. },
                Input::Received(_) | Input::Writable,
            )
            | (Link::Down | Link::Waiting { .. } | Link::GivenUp(_), Input::Disconnected(_)) => (),
        }
        self.run(now, out);
    }

    fn open(&mut self, key: RealmKey, path: String, reset_mode: ResetMode) {
        self.realms.entry(key).or_insert_with(|| Realm::new(key, path, reset_mode));
        self.link.forgive();
    }

    fn close(&mut self, key: RealmKey, out: &mut Vec<Output>) {
        self.end_sessions(key, out);
        if let Some(realm) = self.realms.get_mut(&key) {
            realm.activity = Activity::Closed;
            realm.fail_waits(&SyncError::Ended, out);
        }
    }

    fn pause(&mut self, key: RealmKey, out: &mut Vec<Output>) {
        let Some(realm) = self.realms.get_mut(&key) else { return };
        if let Activity::Active = realm.activity {
            realm.activity = Activity::Paused;
            realm.main.may_upload = false;
            self.end_sessions(key, out);
        }
    }

    fn resume(&mut self, key: RealmKey) {
        let Some(realm) = self.realms.get_mut(&key) else { return };
        if let Activity::Ended(_) = realm.activity {
            // It may have failed, or been reset in part.
            realm.main.is_loaded = false;
        }
        if let Activity::Paused | Activity::Ended(_) = realm.activity {
            realm.activity = Activity::Active;
            realm.wake(None);
        }
        self.link.forgive();
    }

    /// Somebody waits, unless it would be in vain.
    fn wait(
        &mut self,
        realm: RealmKey,
        wait: WaitKey,
        begin: impl FnOnce(&mut Realm, WaitKey, &mut Vec<Output>),
        out: &mut Vec<Output>,
    ) {
        let Some(realm) = self.realms.get_mut(&realm) else {
            return out.push(Output::WaitDone(wait, Err(SyncError::Ended)));
        };
        begin(realm, wait, out);
        if let (Activity::Active, Link::GivenUp(error)) = (&realm.activity, &self.link) {
            realm.fail_waits(error, out);
        }
    }

    /// The application knows better: what has failed is tried again now, and the next delay is a first one.
    fn forget_failures(&mut self) {
        self.backoff.reset();
        for realm in self.realms.values_mut() {
            realm.wake(None);
        }
    }

    /// Sync of a realm ends until it is resumed.
    fn end(&mut self, key: RealmKey, error: &SyncError, out: &mut Vec<Output>) {
        self.end_sessions(key, out);
        let Some(realm) = self.realms.get_mut(&key) else { return };
        if let Activity::Active | Activity::Paused = realm.activity {
            realm.activity = Activity::Ended(error.clone());
            realm.main.may_upload = false;
            realm.tell(SessionEvent::Error(error.clone()), out);
            realm.fail_waits(error, out);
        }
    }

    /// Sync of all realms ends.
    fn end_all(&mut self, error: &SyncError, out: &mut Vec<Output>) {
        for key in self.keys() {
            self.end(key, error, out);
        }
    }

    /// Does whatever can be done now.
    fn run(&mut self, now: Time, out: &mut Vec<Output>) {
        for realm in self.realms.values_mut() {
            realm.wake(Some(now));
        }
        self.check_link(now, out);
        self.begin_sessions();
        self.request_storage(out);
        self.send(out);
        self.realms.retain(|&key, realm| {
            if realm.is_over() {
                out.push(Output::Closed(key));
            }
            !realm.is_over()
        });
        self.check_reading(now, out);
        let wake_at = self.next_deadline();
        if wake_at != self.wake_at {
            self.wake_at = wake_at;
            out.push(Output::WakeAt(wake_at));
        }
    }

    /// Stops reading when too much waits to be integrated, and goes on when half of it is.
    fn check_reading(&mut self, now: Time, out: &mut Vec<Output>) {
        let queued_len = self.queued_len();
        let Link::Up(up) = &mut self.link else { return };
        if self.is_reading && queued_len > self.config.max_queued_len {
            self.is_reading = false;
            out.push(Output::PauseReading);
        } else if !self.is_reading && queued_len <= self.config.max_queued_len / 2 {
            self.is_reading = true;
            up.heartbeat.extend(now, &self.config);
            out.push(Output::ResumeReading);
        }
    }

    /// The next instant at which something is to be done.
    fn next_deadline(&self) -> Option<Time> {
        let suspended = self.realms.values().filter_map(Realm::suspended_until);
        suspended.chain(self.link_deadline()).min()
    }

    fn keys(&self) -> Vec<RealmKey> {
        self.realms.keys().copied().collect()
    }
}
