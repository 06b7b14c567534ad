//! The server: production code from the endpoint of a connection down to the database, on disks that can crash.
//!
//! A [`Server`] outlives its processes. What one of them decides is decided by the production session machines,
//! actors and integration; tasks and threads are work at times that are chosen, in any order in which they could run.

mod admission;
mod connection;
mod disks;
mod process;
mod realm;
mod work;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::history::Entry;
use bailiwick_core::partition::PartitionValue;
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bailiwick_protocol::version::ServerVersion;
use bailiwick_server::auth::AuthError;
use bailiwick_server::http::error::ApiError;
use bailiwick_server::http::websocket;
use bailiwick_server::realm::RealmsConfig;
use bailiwick_server::session::SessionConfig;
use bailiwick_storage::store::{RealmKey, Store};
use bytes::Bytes;

use super::agenda::Time;
use super::choices::Choices;
use super::limits::Limits;
use super::partition::PARTITION_KEY;
use super::tally::{Met, SharedTally};
use super::violation::{Check, Violation};
use crate::stored_realm::StoredRealm;
use admission::Admission;
pub(crate) use admission::Login;
use disks::Disks;
use process::{Config, Process};

/// The server of all partitions.
pub(crate) struct Server {
    disks: Disks,
    /// What [`back_up`](Self::back_up) has copied.
    backup: Disks,
    /// How much longer than usual a flush takes.
    sync_latency: Duration,
    /// How long the process takes to start.
    starting: Duration,
    /// Flushing only says that it is done.
    pretends: bool,
    process: Process,
    config: Config,
    admission: Admission,
    choices: Choices,
    login_count: u64,
    outputs: VecDeque<Output>,
    has_died: bool,
}

/// What comes out of the process.
#[derive(Debug)]
pub(crate) enum Output {
    /// To be sent on a connection.
    Send(u64, Bytes),
    /// A connection ends once all that was sent on it has left.
    Close(u64),
    /// These entries are durable, and nobody was told of them yet.
    Committed(PartitionValue, Vec<Entry>),
    /// The disks have failed, and the process has ended.
    Died,
    /// The process has ended as it was told.
    Stopped,
}

/// When worlds begin, in milliseconds since 1970.
const EPOCH_MS: u64 = 1_700_000_000_000;

impl Server {
    pub(crate) fn new(seed: u64, limits: &Limits, tally: SharedTally) -> Self {
        let mut choices = Choices::new(seed);
        let config = Config {
            sessions: Arc::new(SessionConfig {
                partition_key: PARTITION_KEY,
                max_upload_len: limits.max_upload_len,
                max_sessions: limits.max_sessions,
            }),
            web_socket: websocket::WebSocketConfig {
                access_check_interval: limits.access_check_interval,
                idle_timeout: limits.idle_timeout,
                ..websocket::WebSocketConfig::default()
            },
            realms: RealmsConfig {
                max_backlog_len: limits.max_backlog_len,
                download_soft_limit: *choices.pick(&[0, 100, 1000, 1 << 20]),
                ..RealmsConfig::default()
            },
            epoch_ms: EPOCH_MS,
            tally,
        };
        let disks = Disks::new(limits.log_len);
        let store = disks.open().expect("new disks work");
        Self {
            backup: Disks::default(),
            sync_latency: Duration::ZERO,
            starting: Duration::ZERO,
            pretends: false,
            process: Process::new(store, disks.clone(), config.clone(), Time::ZERO, choices.fork()),
            disks,
            config,
            admission: Admission::new(limits),
            choices,
            login_count: 0,
            outputs: VecDeque::new(),
            has_died: false,
        }
    }

    /// The process ends, unless it has, and another one begins with what the disk has kept.
    pub(crate) fn restart(&mut self, now: Time) -> Result<(), Violation> {
        loop {
            let disks = self.disks.crashed(&mut self.choices);
            // What the old process does as it is dropped reaches the old disks only, and not even those.
            self.disks.power().last_for(0);
            self.disks = disks;
            let power = self.disks.power();
            // It may also end while it begins.
            if self.choices.one_in(4) {
                power.last_for(self.choices.below(30));
            }
            if self.pretends {
                self.disks.pretend_to_flush();
            }
            let tally = &self.config.tally;
            if self.disks.take_usage().1 {
                tally.meet(Met::TornWrite);
            }
            let opened = self.disks.open();
            if self.disks.is_short_of_room() {
                tally.meet(Met::StartWithoutRoom);
            }
            match opened {
                Ok(store) if !power.is_out() => {
                    let (config, disks) = (self.config.clone(), self.disks.clone());
                    self.process = Process::new(store, disks, config, now, self.choices.fork());
                    break;
                }
                // Somebody sees why, and makes room.
                Err(_) if !power.is_out() && self.disks.is_short_of_room() => {
                    self.disks.set_room(None);
                }
                Err(error) if !power.is_out() => {
                    let message = format!("the server's store does not open: {error:?}");
                    return Err(Violation::new(Check::Durable, message));
                }
                Ok(_) | Err(_) => self.config.tally.meet(Met::StartCrash),
            }
        }
        self.starting = self.sync_latency * self.disks.take_usage().0;
        if !self.starting.is_zero() {
            self.config.tally.meet(Met::SlowStart);
        }
        self.process.set_sync_latency(self.sync_latency);
        self.outputs.clear();
        self.has_died = false;
        Ok(())
    }

    /// The process closes its store and ends; another one begins with what was flushed.
    pub(crate) fn close(&mut self, now: Time) -> Result<(), Violation> {
        let (disks, config) = (Disks::default(), self.config.clone());
        let nothing = disks.open().expect("new disks work");
        self.process = Process::new(nothing, disks, config, now, self.choices.fork());
        self.disks = self.disks.flushed();
        self.restart(now)
    }

    /// The process is told to end.
    pub(crate) fn stop(&mut self, now: Time) {
        self.process.stop(now);
        self.look();
    }

    /// Copies what the disks hold.
    pub(crate) fn back_up(&mut self) {
        self.backup = self.disks.copied();
    }

    /// The process ends, and another one begins with the copy.
    pub(crate) fn restore(&mut self, now: Time) -> Result<(), Violation> {
        self.disks.power().last_for(0);
        self.disks = self.backup.copied();
        self.restart(now)
    }

    /// From now on flushing only says that it is done.
    pub(crate) fn pretend_to_flush(&mut self) {
        self.pretends = true;
        self.disks.pretend_to_flush();
    }

    /// The power fails after so many events of the disks, or not at all.
    pub(crate) fn set_power(&self, events: Option<usize>) {
        self.disks.power().last_for(events.unwrap_or(usize::MAX));
    }

    /// Leaves so much room on the disks, or as much as anybody wants.
    pub(crate) fn set_room(&self, bytes: Option<usize>) {
        self.disks.set_room(bytes);
    }

    /// How much longer than usual flushing takes.
    pub(crate) fn set_sync_latency(&mut self, latency: Duration) {
        self.sync_latency = latency;
        self.process.set_sync_latency(latency);
    }

    /// Somebody connects; the user whose access token it is, or the HTTP status that says why not.
    pub(crate) fn connect(
        &mut self,
        now: Time,
        number: u64,
        version: ProtocolVersion,
        access_token: &str,
    ) -> Result<String, u16> {
        let result = self.admission.verify(&*self.process.store, access_token, now);
        let result = result.map(|access| {
            let user = access.user_id.clone();
            self.process.connect(now, number, version, access);
            user
        });
        self.answered(now, result)
    }

    /// A user logs in; `None` if that fails.
    pub(crate) fn log_in(&mut self, now: Time, user: &str) -> Option<Login> {
        self.login_count += 1;
        let accounts = &*self.process.store;
        let result = self.admission.log_in(accounts, user, self.login_count, now);
        self.answered(now, result).ok()
    }

    /// A login is given a new access token; if not, the HTTP status that says why.
    pub(crate) fn refresh(&mut self, now: Time, login: &mut Login) -> Result<(), u16> {
        let result = self.admission.refresh(&*self.process.store, login, now);
        self.answered(now, result)
    }

    /// A login ends; whether that is certain.
    pub(crate) fn log_out(&mut self, now: Time, login: &Login) -> bool {
        let result = self.admission.log_out(&*self.process.store, &login.refresh_token);
        self.answered(now, result).is_ok()
    }

    /// The access token of a login is from now on one that has expired.
    pub(crate) fn expire(&self, now: Time, login: &mut Login) {
        self.admission.expire(login, now);
    }

    /// A token that nobody must be let in with, made from a login that is good.
    pub(crate) fn forged(&self, now: Time, login: &Login, choices: &mut Choices) -> String {
        self.admission.forged(login, now, choices)
    }

    /// Takes a binary message.
    pub(crate) fn receive(&mut self, now: Time, number: u64, message: &Bytes) {
        self.process.receive(now, number, message);
        self.look();
    }

    /// All that was sent on a connection has left.
    pub(crate) fn written(&mut self, now: Time, number: u64) {
        self.process.written(now, number);
        self.look();
    }

    /// Notices that a connection is gone.
    pub(crate) fn disconnect(&mut self, now: Time, number: u64) {
        self.process.disconnect(now, number);
        self.look();
    }

    /// Whether it takes messages on a connection now.
    pub(crate) fn wants_messages(&self, number: u64) -> bool {
        self.process.wants_messages(number)
    }

    /// When there is something to do.
    pub(crate) fn wake_at(&self) -> Option<Time> {
        if self.has_died { None } else { self.process.wake_at() }
    }

    /// Does what is due.
    pub(crate) fn wake(&mut self, now: Time) {
        if !self.has_died {
            let power = self.disks.power();
            self.process.wake(now, || !power.is_out());
            self.process.end_if_stopped(now);
            self.look();
        }
    }

    /// What has come out, in order.
    pub(crate) fn output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether it takes connections.
    pub(crate) fn is_listening(&self) -> bool {
        !self.has_died && !self.process.is_ending()
    }

    /// Whether it is not about to end.
    pub(crate) fn is_working(&self) -> bool {
        !self.has_died && self.process.is_working()
    }

    /// When what was written so far is flushed.
    pub(crate) fn flushed_at(&self) -> Time {
        self.process.flushed_at
    }

    /// After how long without a message it takes a connection for dead.
    pub(crate) fn idle_timeout(&self) -> Duration {
        self.config.web_socket.idle_timeout
    }

    /// What is queued beyond its bound, if anything is.
    pub(crate) fn overrun(&self) -> Option<String> {
        self.process.overrun()
    }

    /// What is stored of a partition.
    pub(crate) fn stored(&self, partition: &PartitionValue) -> StoredRealm {
        StoredRealm::read(&*self.process.store, &realm_key(partition)).expect("the store works")
    }

    /// The durable entries of a partition after a version.
    pub(crate) fn entries(&self, partition: &PartitionValue, after: ServerVersion) -> Vec<Entry> {
        let (key, last) = (realm_key(partition), ServerVersion(u64::MAX));
        self.process.store.entries(&key, after, last, usize::MAX).expect("the store works")
    }

    /// How long the process takes to start, with disks as slow as they are.
    pub(crate) fn starting(&self) -> Duration {
        self.starting
    }

    /// What somebody is answered, unless the process dies over it.
    fn answered<T>(&mut self, now: Time, result: Result<T, AuthError>) -> Result<T, u16> {
        self.process.flushed(now);
        self.process.end_if_stopped(now);
        self.look();
        match result {
            _ if self.has_died => Err(503),
            Ok(answer) => Ok(answer),
            Err(error) => Err(ApiError::from(error).status.as_u16()),
        }
    }

    /// Takes what has come out of the process, unless the power has failed: then nobody hears of it.
    fn look(&mut self) {
        if self.has_died {
            return;
        }
        if self.disks.power().is_out() {
            self.process.outputs.clear();
            self.process.outputs.push_back(Output::Died);
        }
        while let Some(output) = self.process.outputs.pop_front() {
            self.has_died |= matches!(output, Output::Died | Output::Stopped);
            self.outputs.push_back(output);
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("process", &self.process).finish_non_exhaustive()
    }
}

fn realm_key(partition: &PartitionValue) -> RealmKey {
    websocket::realm_key("sim", partition)
}
