//! Between a socket, a state machine and realms: a loop without opinions.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_protocol::ident::{FileIdent, SessionIdent};
use bailiwick_protocol::message::{Body, ClientMessage, Upload};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bailiwick_protocol::version::ServerVersion;
use bytes::Bytes;
use futures_util::future::{BoxFuture, poll_immediate};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, Sink, Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::SyncState;
use super::endpoint::{Endpoint, Received, Request};
use super::writer::{Writer, Written};
use crate::auth::AccessIdentity;
use crate::realm::{Command, ConnectionId, Queued, RealmError, RealmHandle, SessionEnd, Signal};
use crate::session::{GoAway, Input, SessionKey};

/// Who is at the other end.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) connection: ConnectionId,
    pub(super) version: ProtocolVersion,
    pub(super) is_flexible: bool,
    pub(super) access: AccessIdentity,
}

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
    let mut driver = Driver::new(sync, peer, Writer::new(sink));
    driver.drive(&mut stream).await;
    driver.release_all().await;
    let closing_timeout = driver.sync.config.closing_timeout;
    let was_refused = driver.endpoint.was_refused();
    // What is still being written is written, unless the device does not read it.
    let Driver { writer, .. } = driver;
    if let Ok(Some(sink)) = tokio::time::timeout(closing_timeout, writer.finish()).await
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

struct Driver<W> {
    sync: Arc<SyncState>,
    peer: Peer,
    endpoint: Endpoint,
    /// What the endpoint's times are counted from.
    start: Instant,
    sessions: HashMap<SessionIdent, Bound>,
    /// Answers and news that are to come.
    answers: FuturesUnordered<BoxFuture<'static, Event>>,
    /// An upload waits until its realm takes it; nothing is read meanwhile.
    is_uploading: bool,
    writer: Writer<W>,
}

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
}

enum Event {
    Input(Input),
    /// A client file was bound.
    Bound(SessionKey, FileIdent, watch::Receiver<Signal>, Input),
    Signal(SessionKey, watch::Receiver<Signal>),
    /// The realm has let go of the session.
    Lost(SessionKey),
    /// An upload that had to wait is queued.
    Uploaded,
}

/// What a shorter message can inflate to takes next to no time.
const MIN_COMPRESSED_LEN: usize = 1024;
/// Bytes from which on an UPLOAD is inflated elsewhere: others wait for this thread.
const MIN_PLAIN_LEN: u64 = 64 * 1024;

impl<W: Sink<Message, Error = Error> + Unpin> Driver<W> {
    fn new(sync: Arc<SyncState>, peer: Peer, writer: Writer<W>) -> Self {
        let now_ms = sync.api.clock.now_ms();
        let endpoint = Endpoint::new(
            Arc::clone(&sync.sessions),
            sync.config,
            peer.version,
            peer.access.user_id.clone(),
            Duration::from_millis(peer.access.expires_ms.saturating_sub(now_ms)),
            Duration::ZERO,
        );
        Self {
            sync,
            peer,
            endpoint,
            start: Instant::now(),
            sessions: HashMap::new(),
            answers: FuturesUnordered::new(),
            is_uploading: false,
            writer,
        }
    }

    async fn drive(&mut self, mut stream: impl Stream<Item = Result<Message, Error>> + Unpin) {
        let mut stopping = self.sync.stopping.clone();
        let mut stopped = pin!(stopping.wait_for(|stopping| *stopping));
        let mut alarm = pin!(sleep_until(self.start));
        if self.peer.is_flexible {
            self.handle(Input::GoAway(GoAway::WrongMode)).await;
        }
        loop {
            let mut out = Vec::new();
            let Some(wake_at) = self.endpoint.tick(self.start.elapsed(), &mut out) else { return };
            self.carry_out(out).await;
            // It goes off too early if something was heard meanwhile: that is cheaper than setting it each time.
            if self.start + wake_at < alarm.deadline() || alarm.is_elapsed() {
                alarm.as_mut().reset(self.start + wake_at);
            }
            if !self.writer.is_busy()
                && let Some(outgoing) = self.endpoint.next_outgoing()
            {
                self.writer.begin(outgoing);
            }
            let happened = tokio::select! {
                written = self.writer.written(), if self.writer.is_busy() => match written {
                    Ok(Written::Download) => Happened::Event(Event::Input(Input::Writable)),
                    Ok(Written::Other) => continue,
                    Err(error) => return self.lost(&error),
                },
                received = stream.next(), if self.wants_messages() => {
                    Happened::Received(received)
                }
                Some(event) = self.answers.next() => Happened::Event(event),
                () = alarm.as_mut() => continue,
                _ = stopped.as_mut(), if self.endpoint.is_open() => {
                    Happened::Event(Event::Input(Input::GoAway(GoAway::ShuttingDown)))
                }
            };
            match happened {
                Happened::Event(event) => self.on_event(event).await,
                Happened::Received(Some(Ok(Message::Close(_))) | None) => return,
                Happened::Received(Some(Ok(message))) => {
                    self.receive(match message {
                        Message::Binary(bytes) => {
                            let max_len = self.sync.sessions.max_upload_len;
                            read(self.peer.version, bytes, max_len).await
                        }
                        Message::Text(_) => Received::Text,
                        _ => Received::Control,
                    })
                    .await;
                }
                Happened::Received(Some(Err(Error::Capacity(_)))) => {
                    self.receive(Received::TooBig).await;
                    // The rest of the message cannot be read past.
                    return self.write_what_waits().await;
                }
                Happened::Received(Some(Err(error))) => return self.lost(&error),
            }
        }
    }

    fn wants_messages(&self) -> bool {
        self.endpoint.wants_messages() && !(self.is_uploading && self.endpoint.is_open())
    }

    fn lost(&self, error: &Error) {
        tracing::debug!(connection = self.peer.connection.0, %error, "a connection was lost");
    }

    async fn receive(&mut self, received: Received) {
        let mut out = Vec::new();
        let sessions = &self.sessions;
        let latest = |ident| {
            let bound = sessions.get(&ident)?;
            Some((bound.key, bound.signals.as_ref()?.borrow().clone()))
        };
        self.endpoint.receive(self.start.elapsed(), received, latest, &mut out);
        self.carry_out(out).await;
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
                let signal = Signal { head: ServerVersion::default(), end };
                self.handle(Input::Signal(key, signal)).await;
            }
            Event::Uploaded => self.is_uploading = false,
        }
    }

    async fn handle(&mut self, input: Input) {
        let mut out = Vec::new();
        self.endpoint.handle(input, &mut out);
        self.carry_out(out).await;
    }

    /// Asks realms for what the endpoint wants, until it wants nothing more.
    async fn carry_out(&mut self, mut requests: Vec<Request>) {
        while !requests.is_empty() {
            let mut next = Vec::new();
            for request in requests {
                if let Some(input) = self.request(request).await {
                    self.endpoint.handle(input, &mut next);
                }
            }
            requests = next;
        }
    }

    /// Asks for something; what can be answered at once.
    async fn request(&mut self, request: Request) -> Option<Input> {
        match request {
            Request::Open(key, partition) => {
                let realm = self.sync.realms.open(&self.sync.realm_key(&partition));
                let bound = Bound { key, realm, file_ident: None, signals: None };
                self.sessions.insert(key.ident, bound);
            }
            Request::Allocate(key) => {
                let (answer, result) = oneshot::channel();
                let user_id = self.peer.access.user_id.clone();
                self.ask(key, Command::Allocate { user_id, answer }).await;
                let event =
                    result.map(move |result| Event::Input(Input::Allocated(key, flat(result))));
                self.answers.push(event.boxed());
            }
            Request::Identify(key, ident) => {
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
            Request::Upload(key, upload) => {
                let queued = Queued { connection: self.peer.connection, upload };
                let realm = self.bound(key)?.realm.clone();
                let mut sending = async move { realm.send(Command::Upload(queued)).await }.boxed();
                if poll_immediate(&mut sending).await.is_none() {
                    self.is_uploading = true;
                    self.answers.push(sending.map(|()| Event::Uploaded).boxed());
                }
            }
            Request::Scan(key, file_ident, cursor) => {
                let (answer, mut result) = oneshot::channel();
                self.ask(key, Command::Scan { file_ident, cursor, answer }).await;
                // What is in memory is there at once.
                if let Ok(scanned) = result.try_recv() {
                    return Some(Input::Scanned(key, scanned));
                }
                let event =
                    result.map(move |result| Event::Input(Input::Scanned(key, flat(result))));
                self.answers.push(event.boxed());
            }
            Request::Release(key) => {
                if self.bound(key).is_some()
                    && let Some(bound) = self.sessions.remove(&key.ident)
                {
                    self.release(bound).await;
                }
            }
            Request::CheckAccess => return self.check_access().await,
        }
        None
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
        while !self.writer.is_busy() || self.writer.written().await.is_ok() {
            let Some(outgoing) = self.endpoint.next_outgoing() else { return };
            self.writer.begin(outgoing);
        }
    }

    /// The access token is only looked at when a device connects; afterwards it is the login that counts.
    async fn check_access(&mut self) -> Option<Input> {
        let authenticator = &self.sync.api.authenticator;
        match authenticator.is_alive(&self.peer.access, self.sync.api.clock.now_ms()).await {
            Ok(true) => None,
            Ok(false) => Some(Input::GoAway(GoAway::AccessEnded)),
            Err(error) => {
                tracing::warn!(%error, "cannot look up whether a login still exists");
                None
            }
        }
    }
}

/// Reads a message; on a thread of its own, if that takes time.
async fn read(version: ProtocolVersion, bytes: Bytes, max_len: usize) -> Received {
    if bytes.len() < MIN_COMPRESSED_LEN {
        return Received::Binary(bytes);
    }
    match ClientMessage::parse(version, &bytes) {
        Ok(ClientMessage::Upload(upload)) if upload.body.plain_len() >= MIN_PLAIN_LEN => {
            let inflated = spawn_blocking(move || inflate(upload, max_len)).await;
            inflated.map_or(Received::Binary(bytes), |upload| {
                Received::Message(ClientMessage::Upload(upload))
            })
        }
        Ok(message) => Received::Message(message),
        Err(_) => Received::Binary(bytes),
    }
}

/// The same with a plain body; as it was, if it cannot be inflated: the state machine says why.
fn inflate(upload: Upload, max_len: usize) -> Upload {
    match upload.body.inflate(max_len) {
        Ok(plain) => Upload { body: Body::Plain(plain), ..upload },
        Err(_) => upload,
    }
}

async fn next_signal(key: SessionKey, mut signals: watch::Receiver<Signal>) -> Event {
    match signals.changed().await {
        Ok(()) => Event::Signal(key, signals),
        Err(_) => Event::Lost(key),
    }
}

/// An answer; a realm that is gone cannot give one.
fn flat<T>(
    answer: Result<Result<T, RealmError>, oneshot::error::RecvError>,
) -> Result<T, RealmError> {
    answer.unwrap_or(Err(RealmError::ShuttingDown))
}
