//! Between a socket, files, a clock and the state machine of a connection: a loop without opinions.

mod listener;
mod storage;
mod waits;

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bailiwick_protocol::message::{LogLevel, LogLine};
use futures_util::future::{BoxFuture, pending};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::Instant;

use self::listener::{Heard, Listener};
use self::storage::Storage;
use self::waits::Waits;
use super::authenticator::{AuthFailure, Authenticator};
use super::connection::{RealmStorage, SyncConfig, SyncRealm};
use super::handle::{RealmCommand, Reports, SyncNotice, SyncStatus};
use super::link::{Link, LinkEvent, at};
use super::progress::Estimator;
use super::websocket::WebSocket;
use crate::local::Committed;
use crate::session::{
    ConnectError, Connection, Input, Output, RealmKey, SessionEvent, SyncError, WaitKey,
};

/// A realm that begins to be synced.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) realm: SyncRealm,
    pub(super) news: broadcast::Receiver<Arc<Committed>>,
    pub(super) commands: mpsc::Receiver<RealmCommand>,
    pub(super) reports: Reports,
}

/// Drives one connection.
pub(super) struct Driver {
    config: SyncConfig,
    authenticator: Arc<dyn Authenticator>,
    openings: mpsc::Receiver<Opening>,
    machine: Connection,
    /// What the machine's time counts from.
    epoch: Instant,
    wake_at: Option<Instant>,
    link: Link,
    is_route_stale: bool,
    refreshing: Option<BoxFuture<'static, Result<(), SyncError>>>,
    realms: BTreeMap<RealmKey, Realm>,
    listeners: FuturesUnordered<BoxFuture<'static, Heard>>,
    storage: Storage,
    numbers: Numbers,
}

/// Keys for realms and for those who wait.
struct Numbers(u64);

struct Realm {
    files: Arc<dyn RealmStorage>,
    reports: Reports,
    estimator: Estimator,
    upload_waits: Waits,
    download_waits: Waits,
    is_closing: bool,
    /// Whoever waits for the files to be free.
    closers: Vec<oneshot::Sender<()>>,
}

impl Driver {
    pub(super) fn new(
        config: SyncConfig,
        authenticator: Arc<dyn Authenticator>,
        seed: u64,
        openings: mpsc::Receiver<Opening>,
    ) -> Self {
        let machine = Connection::new(config.connection.clone(), seed);
        Self {
            config,
            authenticator,
            openings,
            machine,
            epoch: Instant::now(),
            wake_at: None,
            link: Link::default(),
            is_route_stale: false,
            refreshing: None,
            realms: BTreeMap::new(),
            listeners: FuturesUnordered::new(),
            storage: Storage::default(),
            numbers: Numbers(0),
        }
    }

    /// Runs until nobody can open a realm any more and all are closed.
    pub(super) async fn run(mut self) {
        let mut is_wanted = true;
        while is_wanted || !self.realms.is_empty() {
            tokio::select! {
                opening = self.openings.recv(), if is_wanted => match opening {
                    Some(opening) => self.open(opening),
                    None => is_wanted = false,
                },
                Some(heard) = self.listeners.next() => self.on_heard(heard),
                Some((realm, role, answer)) = self.storage.answer() => {
                    self.handle(Input::Stored(realm, role, answer));
                }
                event = self.link.next() => self.on_link_event(event),
                refreshed = refreshed(&mut self.refreshing) => {
                    self.refreshing = None;
                    self.handle(Input::TokenRefreshed(refreshed));
                }
                () = at(self.wake_at) => {
                    self.wake_at = None;
                    self.handle(Input::Timeout);
                }
            }
        }
        self.link.close();
    }

    fn open(&mut self, opening: Opening) {
        let Opening { realm: SyncRealm { path, storage, reset_mode }, news, commands, reports } =
            opening;
        let realm = RealmKey(self.numbers.next());
        self.listeners.push(Listener { realm, commands, news }.listen().boxed());
        let opened = Realm {
            files: storage,
            reports,
            estimator: Estimator::default(),
            upload_waits: Waits::default(),
            download_waits: Waits::default(),
            is_closing: false,
            closers: Vec::new(),
        };
        self.realms.insert(realm, opened);
        self.handle(Input::Open { realm, path, reset_mode });
    }

    fn on_heard(&mut self, heard: Heard) {
        let Heard { listener, committed, command, is_abandoned } = heard;
        let key = listener.realm;
        let Some(realm) = self.realms.get(&key) else { return };
        if let Some(committed) = committed.filter(|_| !realm.is_closing)
            && let Some(uploadable) = committed.uploadable
        {
            self.handle(Input::Committed { realm: key, version: committed.version, uploadable });
        }
        if let Some(command) = command {
            self.on_command(key, command);
        }
        if is_abandoned {
            self.close(key);
        } else {
            self.listeners.push(listener.listen().boxed());
        }
    }

    fn on_command(&mut self, key: RealmKey, command: RealmCommand) {
        let Some(realm) = self.realms.get_mut(&key) else { return };
        match command {
            RealmCommand::Close(closer) => {
                realm.closers.push(closer);
                self.close(key);
            }
            // Whoever waits is told by the end of the channel.
            _ if realm.is_closing => (),
            RealmCommand::WaitForUpload(waiter) => {
                realm.upload_waits.push(waiter);
                self.ask_waits(key);
            }
            RealmCommand::WaitForDownload(waiter) => {
                realm.download_waits.push(waiter);
                self.ask_waits(key);
            }
            RealmCommand::Pause => self.handle(Input::Pause(key)),
            RealmCommand::Resume => self.handle(Input::Resume(key)),
            RealmCommand::Reconnect => self.handle(Input::Reconnect),
        }
    }

    fn close(&mut self, key: RealmKey) {
        if let Some(realm) = self.realms.get_mut(&key).filter(|realm| !realm.is_closing) {
            realm.is_closing = true;
            self.handle(Input::Close(key));
        }
    }

    fn on_link_event(&mut self, event: LinkEvent) {
        self.handle(match event {
            LinkEvent::Connected(result) => Input::Connected(result),
            LinkEvent::Received(message) => Input::Received(message),
            LinkEvent::Written => Input::Writable,
            LinkEvent::Lost(reason) => Input::Disconnected(reason),
        });
    }

    fn ask_waits(&mut self, key: RealmKey) {
        for input in self.new_waits(key) {
            self.handle(input);
        }
    }

    /// What the machine is to be asked for on behalf of those who wait for their turn.
    fn new_waits(&mut self, key: RealmKey) -> Vec<Input> {
        let Some(realm) = self.realms.get_mut(&key).filter(|realm| !realm.is_closing) else {
            return Vec::new();
        };
        let mut new_key = || WaitKey(self.numbers.next());
        let upload = realm.upload_waits.ask(&mut new_key);
        let download = realm.download_waits.ask(&mut new_key);
        let upload = upload.map(|wait| Input::WaitForUpload(key, wait));
        let download = download.map(|wait| Input::WaitForDownload(key, wait));
        upload.into_iter().chain(download).collect()
    }

    fn handle(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        let mut outputs = Vec::new();
        while let Some(input) = inputs.pop_front() {
            self.machine.handle(self.epoch.elapsed(), input, &mut outputs);
            for output in outputs.drain(..) {
                inputs.extend(self.perform(output));
            }
        }
    }

    /// Does what the machine says; returns what it has to be told at once.
    fn perform(&mut self, output: Output) -> Vec<Input> {
        match output {
            Output::Connect => self.link = Link::connecting(self.connect()),
            Output::Disconnect => self.link.close(),
            Output::Send(message) => self.link.send(message),
            Output::PauseReading => self.link.set_reads(false),
            Output::ResumeReading => self.link.set_reads(true),
            Output::Store(key, role, request) => {
                let realm = self.realms.get(&key).expect("no requests follow the closing");
                self.storage.request(Arc::clone(&realm.files), key, role, request);
            }
            Output::RefreshToken => self.refreshing = Some(self.refresh()),
            Output::RefreshLocation => self.is_route_stale = true,
            Output::LogOut => self.log_out(),
            Output::WakeAt(time) => self.wake_at = time.map(|time| self.epoch + time),
            Output::WaitDone(wait, result) => return self.on_wait_done(wait, &result),
            Output::Event(key, event) => {
                if let Some(realm) = self.realms.get_mut(&key) {
                    realm.report(event);
                }
            }
            Output::Log(key, line) => log(key, &line),
            Output::Closed(key) => {
                if let Some(realm) = self.realms.remove(&key) {
                    realm.end();
                }
            }
        }
        Vec::new()
    }

    fn on_wait_done(&mut self, wait: WaitKey, result: &Result<(), SyncError>) -> Vec<Input> {
        let mut realms = self.realms.iter_mut();
        let answered = realms.find_map(|(key, realm)| realm.answer(wait, result).then_some(*key));
        answered.map(|key| self.new_waits(key)).unwrap_or_default()
    }

    fn connect(&mut self) -> BoxFuture<'static, Result<WebSocket, ConnectError>> {
        let is_route_stale = std::mem::take(&mut self.is_route_stale);
        let authenticator = Arc::clone(&self.authenticator);
        let config = self.config.clone();
        let attempt = async move {
            if is_route_stale && let Err(error) = authenticator.refresh_route().await {
                tracing::debug!(%error, "the server does not say where it is");
            }
            let route = authenticator.route().await?;
            let token = authenticator.access_token().await?;
            let opened = WebSocket::open(&config, &route.url, &token).await;
            opened.map_err(|error| if route.is_confirmed { error } else { doubted(error) })
        };
        let attempt = AssertUnwindSafe(attempt).catch_unwind();
        attempt.map(|opened| opened.unwrap_or_else(|_| Err(panicked().into()))).boxed()
    }

    fn refresh(&self) -> BoxFuture<'static, Result<(), SyncError>> {
        let authenticator = Arc::clone(&self.authenticator);
        let refresh = async move { authenticator.refresh_access_token().await };
        let refresh = AssertUnwindSafe(refresh).catch_unwind();
        let refresh =
            refresh.map(|refreshed| match refreshed.unwrap_or_else(|_| Err(panicked())) {
                Err(AuthFailure::LoggedOut(reason)) => Err(SyncError::LoggedOut(reason)),
                Err(error @ AuthFailure::Unavailable(_)) => {
                    tracing::debug!(%error, "there is no new access token");
                    Ok(())
                }
                Ok(()) => Ok(()),
            });
        refresh.boxed()
    }

    fn log_out(&self) {
        let reason = "the server does not let the user in any more";
        let told = catch_unwind(AssertUnwindSafe(|| self.authenticator.logged_out(reason)));
        if told.is_err() {
            tracing::error!("the log-out of a user has panicked");
        }
    }
}

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

impl Realm {
    fn answer(&mut self, wait: WaitKey, result: &Result<(), SyncError>) -> bool {
        self.upload_waits.answer(wait, result) || self.download_waits.answer(wait, result)
    }

    fn report(&mut self, event: SessionEvent) {
        let notice = match event {
            SessionEvent::Progress(bytes) => {
                self.reports.progress.send_replace(Some(self.estimator.update(bytes)));
                return;
            }
            SessionEvent::Connected(true) => return self.reports.set_status(SyncStatus::Connected),
            SessionEvent::Connected(false) => {
                return self.reports.set_status(SyncStatus::Disconnected);
            }
            SessionEvent::Error(error) => SyncNotice::Error(error),
            SessionEvent::ResetStarted => SyncNotice::ResetStarted,
            SessionEvent::ResetDone { recovered } => SyncNotice::ResetDone { recovered },
        };
        // Nobody may be listening.
        let _ = self.reports.notices.send(notice);
    }

    fn end(self) {
        self.reports.set_status(SyncStatus::Disconnected);
        drop(self.files);
        for closer in self.closers {
            // Not everybody waits for it.
            let _ = closer.send(());
        }
    }
}

/// An answer that may come from another server than the app's is no reason to give up.
fn doubted(error: ConnectError) -> ConnectError {
    match error {
        ConnectError::Status(status @ (200 | 400 | 402 | 404..=499)) => {
            ConnectError::Network(format!("HTTP status {status} where the server might be"))
        }
        error => error,
    }
}

fn panicked() -> AuthFailure {
    AuthFailure::Unavailable("asking for a token has panicked".to_owned())
}

impl From<AuthFailure> for ConnectError {
    fn from(failure: AuthFailure) -> Self {
        match failure {
            AuthFailure::LoggedOut(reason) => Self::LoggedOut(reason),
            AuthFailure::Unavailable(reason) => Self::Network(reason),
        }
    }
}

/// Waits for the answer to a request for a token, if there is one.
async fn refreshed(
    request: &mut Option<BoxFuture<'static, Result<(), SyncError>>>,
) -> Result<(), SyncError> {
    match request {
        Some(request) => request.await,
        None => pending().await,
    }
}

fn log(realm: Option<RealmKey>, line: &LogLine) {
    let realm = realm.map(|realm| realm.0);
    let (text, request_id) = (line.message.as_deref(), line.request_id.as_deref());
    match line.level {
        Some(LogLevel::Fatal | LogLevel::Error) => {
            tracing::error!(realm, request_id, "the server says: {}", text.unwrap_or_default());
        }
        Some(LogLevel::Warn) => {
            tracing::warn!(realm, request_id, "the server says: {}", text.unwrap_or_default());
        }
        Some(LogLevel::Info) => {
            tracing::info!(realm, request_id, "the server says: {}", text.unwrap_or_default());
        }
        _ => tracing::debug!(realm, request_id, "the server says: {}", text.unwrap_or_default()),
    }
}
