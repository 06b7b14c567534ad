//! Between a socket, a state machine and realms: a loop without opinions.

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::sync::Arc;

use bailiwick_protocol::close_code::CloseCode;
use bailiwick_protocol::error_code::ConnectionCode;
use bailiwick_protocol::ident::{FileIdent, SessionIdent};
use bailiwick_protocol::message::{ClientMessage, Refusal, ServerMessage};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::SyncState;
use super::writer::{self, Outgoing};
use crate::auth::AccessIdentity;
use crate::realm::{Command, ConnectionId, Queued, RealmError, RealmHandle, SessionEnd, Signal};
use crate::session::{Connection, GoAway, Input, Output, SessionKey};

/// Who is at the other end.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) connection: ConnectionId,
    pub(super) version: ProtocolVersion,
    pub(super) is_flexible: bool,
    pub(super) access: AccessIdentity,
}

/// Messages that wait to be written before nothing more is read.
const MAX_WAITING: usize = 64;

/// Serves a connection until it ends.
pub(super) async fn run<S>(sync: Arc<SyncState>, peer: Peer, socket: WebSocketStream<S>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let _alive = sync.alive.clone();
    tracing::debug!(
        connection = peer.connection.0,
        user_id = peer.access.user_id,
        "a device has connected"
    );
    let (sink, mut stream) = socket.split();
    let (writer, queue) = mpsc::channel(1);
    let (left, has_left) = mpsc::channel(1);
    let writing = tokio::spawn(writer::run(sink, queue, left));
    let mut driver = Driver::new(sync, peer, writer, has_left);
    driver.drive(&mut stream).await;
    driver.release_all().await;
    let closing_timeout = driver.sync.config.closing_timeout;
    let was_refused = driver.was_refused;
    drop(driver);
    // What is still being written is written, unless the device does not read it.
    let abort = writing.abort_handle();
    let Ok(written) = tokio::time::timeout(closing_timeout, writing).await else {
        return abort.abort();
    };
    if let Ok(Some(sink)) = written
        && was_refused
        && let Ok(socket) = stream.reunite(sink)
    {
        // A connection that is closed with bytes unread is reset, and the device may lose the close frame.
        let mut io = socket.into_inner();
        let _ = tokio::time::timeout(closing_timeout, read_away(&mut io)).await;
    }
}

/// Says that nothing more will come, and reads until the other side says so too.
async fn read_away(io: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> std::io::Result<()> {
    io.shutdown().await?;
    let mut unwanted = vec![0; 4096]; // Not an array: every connection would have room for it.
    while io.read(&mut unwanted).await? > 0 {}
    Ok(())
}

struct Driver {
    sync: Arc<SyncState>,
    peer: Peer,
    machine: Connection,
    sessions: HashMap<SessionIdent, Bound>,
    /// Answers and news that are to come.
    answers: FuturesUnordered<BoxFuture<'static, Event>>,
    waiting: VecDeque<Outgoing>,
    writer: Writer,
    has_left: mpsc::Receiver<()>,
    /// When the connection is closed from this side, once the last message was sent.
    close_at: Option<Instant>,
    /// A close frame was the last message: the device may still be sending what is not wanted.
    was_refused: bool,
}

/// Boxed, since a channel makes room for 32 of them on behalf of every idle device.
type Writer = mpsc::Sender<Box<Outgoing>>;

/// A session that has a realm.
struct Bound {
    key: SessionKey,
    realm: RealmHandle,
    file_ident: Option<FileIdent>,
    signals: Option<watch::Receiver<Signal>>,
}

/// What the loop was woken by.
enum Happened {
    Received(Option<Result<Message, Error>>),
    Event(Event),
    AccessExpired,
}

enum Event {
    Input(Input),
    /// A client file was bound.
    Bound(SessionKey, FileIdent, watch::Receiver<Signal>, Input),
    Signal(SessionKey, watch::Receiver<Signal>),
    /// The realm has let go of the session.
    Lost(SessionKey),
}

impl Driver {
    fn new(sync: Arc<SyncState>, peer: Peer, writer: Writer, has_left: mpsc::Receiver<()>) -> Self {
        let config = Arc::clone(&sync.sessions);
        let machine = Connection::new(config, peer.version, peer.access.user_id.clone());
        Self {
            sync,
            peer,
            machine,
            sessions: HashMap::new(),
            answers: FuturesUnordered::new(),
            waiting: VecDeque::new(),
            writer,
            has_left,
            close_at: None,
            was_refused: false,
        }
    }

    async fn drive(&mut self, mut stream: impl Stream<Item = Result<Message, Error>> + Unpin) {
        let config = self.sync.config;
        let mut stopping = self.sync.stopping.clone();
        let mut heard_at = Instant::now();
        let mut check_access_at = Instant::now() + self.access_time_left();
        if self.peer.is_flexible {
            self.handle(Input::GoAway(GoAway::WrongMode)).await;
        }
        loop {
            let reads = self.close_at.is_some()
                || (self.machine.wants_messages() && self.waiting.len() < MAX_WAITING);
            let is_open = self.close_at.is_none();
            let happened = tokio::select! {
                permit = self.writer.reserve(), if !self.waiting.is_empty() => match permit {
                    Ok(permit) => {
                        if let Some(outgoing) = self.waiting.pop_front() {
                            permit.send(Box::new(outgoing));
                        }
                        continue;
                    }
                    Err(_) => return,
                },
                received = stream.next(), if reads => Happened::Received(received),
                Some(event) = self.answers.next() => Happened::Event(event),
                Some(()) = self.has_left.recv() => Happened::Event(Event::Input(Input::Writable)),
                () = sleep_until(heard_at + config.idle_timeout), if is_open => {
                    Happened::Event(Event::Input(Input::GoAway(GoAway::Idle)))
                }
                () = sleep_until(check_access_at), if is_open => Happened::AccessExpired,
                _ = stopping.wait_for(|stopping| *stopping), if is_open => {
                    Happened::Event(Event::Input(Input::GoAway(GoAway::ShuttingDown)))
                }
                () = at(self.close_at) => return,
            };
            match happened {
                Happened::Event(event) => self.on_event(event).await,
                Happened::AccessExpired => {
                    check_access_at = Instant::now() + config.access_check_interval;
                    self.check_access().await;
                }
                Happened::Received(Some(Ok(Message::Close(_))) | None) => return,
                Happened::Received(Some(Ok(message))) => {
                    heard_at = Instant::now();
                    self.on_message(message).await;
                }
                Happened::Received(Some(Err(Error::Capacity(error)))) => {
                    let refusal = Refusal::Close(CloseCode::MessageTooBig);
                    self.handle(Input::Unreadable { refusal, reason: error.to_string() }).await;
                    // The rest of the message cannot be read past.
                    return self.write_what_waits().await;
                }
                Happened::Received(Some(Err(error))) => {
                    tracing::debug!(connection = self.peer.connection.0, %error, "a connection was lost");
                    return;
                }
            }
        }
    }

    async fn on_message(&mut self, message: Message) {
        if self.close_at.is_some() {
            return;
        }
        match message {
            Message::Binary(payload) => match ClientMessage::parse(self.peer.version, &payload) {
                Ok(message) => {
                    if let ClientMessage::Mark(mark) = &message {
                        self.refresh(mark.session).await;
                    }
                    self.handle(Input::Message(message)).await;
                }
                Err(error) => {
                    let (refusal, reason) = (error.refusal(), error.to_string());
                    self.handle(Input::Unreadable { refusal, reason }).await;
                }
            },
            Message::Text(_) => {
                let refusal = Refusal::Error(ConnectionCode::BadSyntax);
                let reason = "sync messages are binary, and this one is text".to_owned();
                self.handle(Input::Unreadable { refusal, reason }).await;
            }
            // The library answers pings.
            _ => (),
        }
    }

    /// Tells the machine how far the realm is now: a MARK is about everything up to this moment.
    async fn refresh(&mut self, ident: SessionIdent) {
        if let Some(Bound { key, signals: Some(signals), .. }) = self.sessions.get(&ident) {
            let input = Input::Signal(*key, signals.borrow().clone());
            self.handle(input).await;
        }
    }

    async fn on_event(&mut self, event: Event) {
        match event {
            Event::Input(input) => self.handle(input).await,
            Event::Bound(key, file_ident, signals, input) => {
                if let Some(bound) = self.bound(key) {
                    bound.file_ident = Some(file_ident);
                    bound.signals = Some(signals.clone());
                    self.answers.push(next_signal(key, signals).boxed());
                }
                self.handle(input).await;
            }
            Event::Signal(key, mut signals) => {
                let signal = signals.borrow_and_update().clone();
                if self.bound(key).is_some() {
                    self.answers.push(next_signal(key, signals).boxed());
                    self.handle(Input::Signal(key, signal)).await;
                }
            }
            Event::Lost(key) => {
                let end = Some(SessionEnd::Failed(RealmError::ShuttingDown));
                let signal =
                    Signal { head: bailiwick_protocol::version::ServerVersion::default(), end };
                self.handle(Input::Signal(key, signal)).await;
            }
        }
    }

    async fn handle(&mut self, input: Input) {
        let mut out = Vec::new();
        self.machine.handle(input, &mut out);
        for output in out {
            self.carry_out(output).await;
        }
    }

    async fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send(message) => self.waiting.push_back(Outgoing::Message(message)),
            Output::SendFirst(message) => {
                // After those that came first, too.
                let is_pong = |outgoing: &&Outgoing| {
                    matches!(outgoing, Outgoing::Message(ServerMessage::Pong(_)))
                };
                let index = self.waiting.iter().take_while(is_pong).count();
                self.waiting.insert(index, Outgoing::Message(message));
            }
            Output::SendDownload(download) => {
                self.waiting.push_back(Outgoing::Download(download));
            }
            Output::Open(key, partition) => {
                let realm = self.sync.realms.open(&self.sync.realm_key(&partition));
                let bound = Bound { key, realm, file_ident: None, signals: None };
                self.sessions.insert(key.ident, bound);
            }
            Output::Allocate(key) => {
                let (answer, result) = oneshot::channel();
                let user_id = self.peer.access.user_id.clone();
                self.ask(key, Command::Allocate { user_id, answer }).await;
                let event =
                    result.map(move |result| Event::Input(Input::Allocated(key, flat(result))));
                self.answers.push(event.boxed());
            }
            Output::Identify(key, ident) => {
                let (answer, result) = oneshot::channel();
                let command = Command::Identify {
                    connection: self.peer.connection,
                    file_ident: ident.file_ident,
                    salt: ident.file_ident_salt,
                    user_id: self.peer.access.user_id.clone(),
                    download: ident.download_cursor,
                    latest: ident.latest_server_version,
                    answer,
                };
                self.ask(key, command).await;
                let event = result.map(move |result| {
                    match result.unwrap_or(Err(RealmError::ShuttingDown.into())) {
                        Ok(identified) => {
                            let head = identified.signals.borrow().head;
                            let answer = Ok((identified.threshold, identified.locked, head));
                            Event::Bound(
                                key,
                                ident.file_ident,
                                identified.signals,
                                Input::Identified(key, answer),
                            )
                        }
                        Err(error) => Event::Input(Input::Identified(key, Err(error))),
                    }
                });
                self.answers.push(event.boxed());
            }
            Output::Upload(key, upload) => {
                let queued = Queued { connection: self.peer.connection, upload };
                self.ask(key, Command::Upload(queued)).await;
            }
            Output::Scan(key, file_ident, cursor) => {
                let (answer, result) = oneshot::channel();
                self.ask(key, Command::Scan { file_ident, cursor, answer }).await;
                let event =
                    result.map(move |result| Event::Input(Input::Scanned(key, flat(result))));
                self.answers.push(event.boxed());
            }
            Output::Release(key) => {
                if self.bound(key).is_some()
                    && let Some(bound) = self.sessions.remove(&key.ident)
                {
                    self.release(bound).await;
                }
            }
            Output::Finish => {
                self.close_at = Some(Instant::now() + self.sync.config.closing_timeout);
            }
            Output::Close(code) => {
                self.waiting.push_back(Outgoing::Close(code));
                self.was_refused = true;
                // Native devices send no close frame back.
                self.close_at = Some(Instant::now() + CLOSE_FRAME_TIMEOUT);
            }
        }
    }

    fn bound(&mut self, key: SessionKey) -> Option<&mut Bound> {
        self.sessions.get_mut(&key.ident).filter(|bound| bound.key == key)
    }

    async fn ask(&mut self, key: SessionKey, command: Command) {
        if let Some(bound) = self.bound(key) {
            let realm = bound.realm.clone();
            realm.send(command).await;
        }
    }

    async fn release(&mut self, bound: Bound) {
        if let Some(file_ident) = bound.file_ident {
            let connection = self.peer.connection;
            bound.realm.send(Command::Release { connection, file_ident }).await;
        }
    }

    async fn release_all(&mut self) {
        #[expect(
            clippy::iter_over_hash_type,
            reason = "the sessions have nothing to do with each other"
        )]
        for (_, bound) in std::mem::take(&mut self.sessions) {
            self.release(bound).await;
        }
    }

    async fn write_what_waits(&mut self) {
        while let Some(outgoing) = self.waiting.pop_front() {
            if self.writer.send(Box::new(outgoing)).await.is_err() {
                return;
            }
        }
    }

    fn access_time_left(&self) -> std::time::Duration {
        let now_ms = self.sync.api.clock.now_ms();
        std::time::Duration::from_millis(self.peer.access.expires_ms.saturating_sub(now_ms))
    }

    /// The access token is only looked at when a device connects; afterwards it is the login that counts.
    async fn check_access(&mut self) {
        let authenticator = &self.sync.api.authenticator;
        match authenticator.is_alive(&self.peer.access, self.sync.api.clock.now_ms()).await {
            Ok(true) => (),
            Ok(false) => self.handle(Input::GoAway(GoAway::AccessEnded)).await,
            Err(error) => tracing::warn!(%error, "cannot look up whether a login still exists"),
        }
    }
}

/// How long a device may take to go after a close frame.
const CLOSE_FRAME_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1);

async fn next_signal(key: SessionKey, mut signals: watch::Receiver<Signal>) -> Event {
    match signals.changed().await {
        Ok(()) => Event::Signal(key, signals),
        Err(_) => Event::Lost(key),
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}

/// An answer; a realm that is gone cannot give one.
fn flat<T>(
    answer: Result<Result<T, RealmError>, oneshot::error::RecvError>,
) -> Result<T, RealmError> {
    answer.unwrap_or(Err(RealmError::ShuttingDown))
}
