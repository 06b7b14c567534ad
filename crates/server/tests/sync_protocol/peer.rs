//! A device, message by message.

use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::ident::{FileIdent, SessionIdent};
use bailiwick_protocol::message::{
    Bind, Body, ClientIdent, ClientMessage, Download, JsonError, Mark, Ping, Pong, RequestIdent,
    ServerMessage, Unbind, Unbound, Upload, UploadEntry, UploadHeader,
};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bailiwick_protocol::version::{ClientVersion, OriginTimestamp, ServerVersion, UploadCursor};
use bytes::Bytes;
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::real_client::{DeviceFile, RealClient};
use crate::service::{Answer, within};

pub(crate) struct Peer {
    pub(crate) socket: WebSocketStream<TcpStream>,
    client: RealClient,
    next_ping: u64,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With a close frame of this code.
    Closed(u16),
    /// Without one.
    Lost,
}

impl Peer {
    /// `answer` is that of a successful upgrade.
    pub(crate) fn new(answer: Answer, version: u8) -> Self {
        let version = ProtocolVersion::new(version).unwrap();
        let Answer { stream, rest, .. } = answer;
        let socket = WebSocketStream::from_partially_read(stream, rest, Role::Client, None);
        // It is ready at once, and only asynchronous for form's sake.
        let socket = socket.now_or_never().unwrap();
        Self { socket, client: RealClient::new(version), next_ping: 1000 }
    }

    pub(crate) async fn send(&mut self, message: ClientMessage) {
        self.client.sent(&message);
        self.send_raw(Message::Binary(message.print().into())).await;
    }

    /// Sends what need not be a message.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.send_raw(Message::Binary(Bytes::copy_from_slice(bytes))).await;
    }

    pub(crate) async fn send_raw(&mut self, message: Message) {
        within("a message is sent", self.socket.send(message)).await.unwrap();
    }

    /// The next message.
    pub(crate) async fn next(&mut self) -> ServerMessage {
        match within("the server says something", self.socket.next()).await {
            Some(Ok(Message::Binary(payload))) => self.client.received(&payload),
            other => panic!("not a sync message: {other:?}"),
        }
    }

    /// Waits until the connection has ended; nothing else may come.
    pub(crate) async fn end(&mut self) -> End {
        match within("the connection ends", self.socket.next()).await {
            Some(Ok(Message::Close(Some(frame)))) => End::Closed(frame.code.into()),
            None | Some(Err(_)) => End::Lost,
            Some(Ok(Message::Binary(payload))) => {
                panic!("a message instead of the end: {:?}", self.client.received(&payload))
            }
            Some(Ok(other)) => panic!("an end of another kind: {other:?}"),
        }
    }

    /// The answer to a WebSocket ping.
    pub(crate) async fn expect_pong_frame(&mut self) {
        let frame = within("a ping is answered", self.socket.next()).await.unwrap().unwrap();
        assert!(matches!(frame, Message::Pong(_)), "{frame:?}");
    }

    pub(crate) async fn next_download(&mut self) -> Download {
        match self.next().await {
            ServerMessage::Download(download) => download,
            other => panic!("not a DOWNLOAD: {other:?}"),
        }
    }

    pub(crate) async fn next_error(&mut self) -> JsonError {
        match self.next().await {
            ServerMessage::JsonError(error) => error,
            other => panic!("not an error: {other:?}"),
        }
    }

    /// The next message is an error of this session (0: of the connection) with this code.
    pub(crate) async fn expect_error(&mut self, session: u64, code: ErrorCode) -> JsonError {
        let error = self.next_error().await;
        assert_eq!((error.session().0, error.code()), (session, code), "{error:?}");
        error
    }

    /// The session ends with this error, after some DOWNLOADs perhaps.
    pub(crate) async fn refused(&mut self, session: u64, code: ErrorCode) {
        loop {
            match self.next().await {
                ServerMessage::Download(_) => (),
                ServerMessage::JsonError(error) => {
                    assert_eq!((error.session().0, error.code()), (session, code), "{error:?}");
                    return;
                }
                other => panic!("neither a DOWNLOAD nor an error: {other:?}"),
            }
        }
    }

    pub(crate) async fn bind(&mut self, session: u64, path: &str, needs_ident: bool) {
        self.send(ClientMessage::Bind(Bind {
            session: SessionIdent(session),
            path: path.to_owned(),
            token: String::new(),
            need_client_file_ident: needs_ident,
            is_subserver: false,
        }))
        .await;
    }

    /// Sends IDENT as the session's file has it.
    pub(crate) async fn identify(&mut self, session: u64) {
        let claim = self.claim(session);
        self.send(ClientMessage::Ident(claim)).await;
    }

    /// Gives a session the file that an earlier one has left.
    pub(crate) fn adopt(&mut self, session: u64, file: DeviceFile) {
        self.client.adopt(session, file);
    }

    /// What the session's file would say in IDENT.
    pub(crate) fn claim(&self, session: u64) -> ClientIdent {
        let file = self.file(session);
        ClientIdent {
            session: SessionIdent(session),
            file_ident: file.ident,
            file_ident_salt: file.salt,
            download_cursor: file.download,
            latest_server_version: file.latest,
        }
    }

    pub(crate) fn file(&self, session: u64) -> &DeviceFile {
        self.client.file(session)
    }

    /// Binds a session with a new client file.
    pub(crate) async fn allocate(&mut self, session: u64, path: &str) {
        self.bind(session, path, true).await;
        let answer = self.next().await;
        assert!(matches!(answer, ServerMessage::Ident(_)), "{answer:?}");
    }

    /// A session with a new client file, up to its first DOWNLOAD.
    pub(crate) async fn open(&mut self, session: u64, path: &str) -> Download {
        self.allocate(session, path).await;
        self.identify(session).await;
        self.next_download().await
    }

    /// A session with the file of an earlier one, up to its first DOWNLOAD.
    pub(crate) async fn open_again(
        &mut self,
        session: u64,
        path: &str,
        file: DeviceFile,
    ) -> Download {
        self.bind_again(session, path, file).await;
        self.next_download().await
    }

    /// As [`open_again`](Self::open_again), up to IDENT.
    pub(crate) async fn bind_again(&mut self, session: u64, path: &str, file: DeviceFile) {
        self.bind(session, path, false).await;
        self.adopt(session, file);
        self.identify(session).await;
    }

    /// Uploads changesets as the next versions of the session's file; the last version.
    pub(crate) async fn write(&mut self, session: u64, changesets: &[Bytes]) -> ClientVersion {
        let upload = self.upload_of(session, changesets);
        let version = upload.header.progress.client_version;
        self.send(ClientMessage::Upload(upload)).await;
        version
    }

    /// The UPLOAD that [`write`](Self::write) sends.
    pub(crate) fn upload_of(&self, session: u64, changesets: &[Bytes]) -> Upload {
        let file = self.file(session);
        let base = file.download.server_version;
        let entries: Vec<_> = (file.newest.0 + 1..)
            .zip(changesets)
            .map(|(version, changeset)| entry(version, base.0, changeset.clone()))
            .collect();
        let progress = file.newest.0 + changesets.len() as u64;
        upload(session, (progress, base.0), base.0, &entries)
    }

    /// Waits for the DOWNLOAD that acknowledges a version.
    pub(crate) async fn acknowledged(&mut self, session: u64, version: ClientVersion) {
        while self.file(session).acknowledged.client_version < version {
            self.next_download().await;
        }
    }

    /// Waits until the session has been sent the history up to a version.
    pub(crate) async fn downloaded(&mut self, session: u64, version: u64) {
        while self.file(session).download.server_version < ServerVersion(version) {
            self.next_download().await;
        }
    }

    pub(crate) async fn mark(&mut self, session: u64, request: u64) {
        let mark = Mark { session: SessionIdent(session), request_ident: RequestIdent(request) };
        self.send(ClientMessage::Mark(mark)).await;
    }

    /// Takes note of a MARK that goes out in another form.
    pub(crate) fn note_mark(&mut self, session: u64, request: u64) {
        let mark = Mark { session: SessionIdent(session), request_ident: RequestIdent(request) };
        self.client.sent(&ClientMessage::Mark(mark));
    }

    pub(crate) async fn expect_mark(&mut self, session: u64, request: u64) {
        let mark = Mark { session: SessionIdent(session), request_ident: RequestIdent(request) };
        assert_eq!(self.next().await, ServerMessage::Mark(mark));
    }

    /// Sends a PING; its timestamp.
    pub(crate) async fn ping(&mut self) -> u64 {
        self.next_ping += 1;
        let ping = Ping { timestamp_ms: self.next_ping, round_trip_time_ms: 0 };
        self.send(ClientMessage::Ping(ping)).await;
        self.next_ping
    }

    /// The connection lives, and nothing but the answer to a PING comes.
    pub(crate) async fn expect_silence(&mut self) {
        let timestamp_ms = self.ping().await;
        assert_eq!(self.next().await, ServerMessage::Pong(Pong { timestamp_ms }));
    }

    pub(crate) async fn unbind(&mut self, session: u64) {
        self.send(ClientMessage::Unbind(Unbind { session: SessionIdent(session) })).await;
    }

    pub(crate) async fn expect_unbound(&mut self, session: u64) {
        let unbound = Unbound { session: SessionIdent(session) };
        assert_eq!(self.next().await, ServerMessage::Unbound(unbound));
    }

    /// Ends a session, and keeps its file.
    pub(crate) async fn close(&mut self, session: u64) -> DeviceFile {
        let file = self.file(session).clone();
        self.unbind(session).await;
        self.expect_unbound(session).await;
        file
    }
}

/// An entry of an UPLOAD.
pub(crate) fn entry(client_version: u64, base: u64, changeset: Bytes) -> UploadEntry {
    UploadEntry {
        client_version: ClientVersion(client_version),
        last_integrated_server_version: ServerVersion(base),
        origin_timestamp: OriginTimestamp(375_249_941_155),
        origin_file_ident: FileIdent::SELF,
        changeset,
    }
}

/// An UPLOAD, with its progress as client version and server version.
pub(crate) fn upload(
    session: u64,
    (client, server): (u64, u64),
    locked: u64,
    entries: &[UploadEntry],
) -> Upload {
    let header = UploadHeader {
        session: SessionIdent(session),
        progress: UploadCursor {
            client_version: ClientVersion(client),
            last_integrated_server_version: ServerVersion(server),
        },
        locked_server_version: ServerVersion(locked),
    };
    Upload { header, body: Body::from_entries(entries) }
}
