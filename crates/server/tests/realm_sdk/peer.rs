//! A device without an SDK: it speaks the protocol itself, and can write what the JavaScript SDK cannot.

use std::io::{Read as _, Write as _};
use std::net::TcpStream as HttpStream;
use std::time::{Duration, SystemTime};

use bailiwick_protocol::changeset::json::ChangesetJson;
use bailiwick_protocol::changeset::{Changeset, Instruction, ObjectKey, Path, Target};
use bailiwick_protocol::handshake::{SyncMode, offer};
use bailiwick_protocol::ident::{FileIdent, Salt, SessionIdent};
use bailiwick_protocol::message::limits::DEFAULT_MAX_PLAIN_LEN;
use bailiwick_protocol::message::{
    Bind, ClientIdent, ClientMessage, Download, Mark, RequestIdent, ServerMessage, UploadEntry,
    UploadHeader,
};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bailiwick_protocol::version::{
    ClientVersion, DownloadCursor, OriginTimestamp, SaltedVersion, ServerVersion, UploadCursor,
};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::runtime::{self, Runtime};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::server::{APP_ID, Server};

const SESSION: SessionIdent = SessionIdent(1);
const PATIENCE: Duration = Duration::from_secs(30);

/// A peer with one session, up to date with the server as of when it connected.
///
/// It integrates nothing that comes later: whatever it writes is concurrent with that.
pub(crate) struct Peer {
    runtime: Runtime,
    socket: WebSocketStream<TcpStream>,
    version: ProtocolVersion,
    integrated: ServerVersion,
    written: ClientVersion,
    downloaded: Vec<Changeset>,
}

impl Peer {
    /// Logs in, connects and downloads a partition.
    pub(crate) fn connect(server: &Server, partition: &str) -> Self {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let address = server.base_url().trim_start_matches("http://").to_owned();
        let token = log_in(&address);
        let (socket, version) = runtime.block_on(upgrade(&address, &token));
        let (integrated, written) = (ServerVersion(0), ClientVersion(1));
        let downloaded = Vec::new();
        let mut peer = Self { runtime, socket, version, integrated, written, downloaded };

        peer.send(&ClientMessage::Bind(Bind {
            session: SESSION,
            path: partition.to_owned(),
            token: String::new(),
            need_client_file_ident: true,
            is_subserver: false,
        }));
        let (file_ident, file_ident_salt) = peer.wait_for(|message| match message {
            ServerMessage::Ident(ident) => Some((ident.file_ident, ident.file_ident_salt)),
            _ => None,
        });
        peer.identify(file_ident, file_ident_salt);
        peer
    }

    /// Uploads a changeset of these instructions, in their JSON form, and waits until the server has acknowledged it.
    pub(crate) fn write(&mut self, instructions: &Value) {
        let changeset: ChangesetJson =
            serde_json::from_value(json!({"strings": [], "instructions": instructions})).unwrap();
        self.upload(&Changeset::try_from(&changeset).unwrap());
    }

    /// Adds to an integer field of an object, and waits until the server has acknowledged it.
    pub(crate) fn add_integer(&mut self, table: &str, key: i64, field: &str, value: i64) {
        let mut changeset = Changeset::default();
        let table = changeset.strings.intern(table);
        let field = changeset.strings.intern(field);
        let target = Target { table, object: ObjectKey::Int(key), field, path: Path::new() };
        changeset.instructions.push(Instruction::AddInteger { target, value });
        self.upload(&changeset);
    }

    /// What devices had written when it connected.
    pub(crate) fn downloaded(&self) -> &[Changeset] {
        &self.downloaded
    }

    fn identify(&mut self, file_ident: FileIdent, file_ident_salt: Salt) {
        self.send(&ClientMessage::Ident(ClientIdent {
            session: SESSION,
            file_ident,
            file_ident_salt,
            download_cursor: DownloadCursor::default(),
            latest_server_version: SaltedVersion::default(),
        }));
        self.send(&ClientMessage::Mark(Mark { session: SESSION, request_ident: RequestIdent(1) }));
        let (mut integrated, mut downloaded) = (ServerVersion(0), Vec::new());
        self.wait_for(|message| match message {
            ServerMessage::Download(download) => {
                integrated = download.header.download_cursor.server_version;
                let plain = download.body.clone().inflate(DEFAULT_MAX_PLAIN_LEN).unwrap();
                downloaded.extend(
                    Download::entries(plain)
                        .map(|entry| Changeset::decode(&entry.unwrap().changeset).unwrap()),
                );
                None
            }
            ServerMessage::Mark(_) => Some(()),
            _ => None,
        });
        self.integrated = integrated;
        self.downloaded = downloaded;
    }

    fn upload(&mut self, changeset: &Changeset) {
        self.written = ClientVersion(self.written.0 + 1);
        let written = self.written;
        let header = UploadHeader {
            session: SESSION,
            progress: UploadCursor {
                client_version: written,
                last_integrated_server_version: self.integrated,
            },
            locked_server_version: self.integrated,
        };
        let entry = UploadEntry {
            client_version: written,
            last_integrated_server_version: self.integrated,
            origin_timestamp: now(),
            origin_file_ident: FileIdent::SELF,
            changeset: changeset.encode().into(),
        };
        self.send_bytes(header.print_with(&[entry]));
        self.wait_for(|message| match message {
            ServerMessage::Download(download) => {
                (download.header.upload_cursor.client_version >= written).then_some(())
            }
            _ => None,
        });
    }

    fn send(&mut self, message: &ClientMessage) {
        self.send_bytes(message.print());
    }

    fn send_bytes(&mut self, bytes: Vec<u8>) {
        self.runtime.block_on(self.socket.send(Message::binary(bytes))).unwrap();
    }

    /// Reads messages up to the first for which `wanted` has an answer.
    fn wait_for<T>(&mut self, mut wanted: impl FnMut(&ServerMessage) -> Option<T>) -> T {
        loop {
            let next = async { tokio::time::timeout(PATIENCE, self.socket.next()).await };
            let message = self.runtime.block_on(next).expect("the server answers");
            let message = message.expect("the connection stays").unwrap();
            let message = ServerMessage::parse(self.version, &message.into_data()).unwrap();
            assert!(!matches!(message, ServerMessage::JsonError(_)), "{message:?}");
            if let Some(answer) = wanted(&message) {
                return answer;
            }
        }
    }
}

async fn upgrade(address: &str, token: &str) -> (WebSocketStream<TcpStream>, ProtocolVersion) {
    let url = format!("ws://{address}/api/client/v2.0/app/{APP_ID}/realm-sync?baas_at={token}");
    let mut request = url.into_client_request().unwrap();
    let offered = offer(SyncMode::Partition);
    request.headers_mut().insert("sec-websocket-protocol", offered.parse().unwrap());
    let stream = TcpStream::connect(address).await.unwrap();
    let (socket, response) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    let agreed = response.headers()["sec-websocket-protocol"].to_str().unwrap();
    let version = ProtocolVersion::newest_first()
        .find(|version| agreed == format!("com.mongodb.realm-sync#{version}"));
    (socket, version.expect("the server chose what was offered"))
}

/// The access token of a new anonymous user.
fn log_in(address: &str) -> String {
    let mut stream = HttpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let path = format!("/api/client/v2.0/app/{APP_ID}/auth/providers/anon-user/login");
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: 2\r\nConnection: close\r\n\r\n{{}}"
    )
    .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (_, body) = response.split_once("\r\n\r\n").expect("a response has a body");
    let login: Value = serde_json::from_str(body).unwrap();
    login["access_token"].as_str().expect("a login has an access token").to_owned()
}

/// What a device's clock says, in milliseconds since 2015.
fn now() -> OriginTimestamp {
    let epoch = SystemTime::UNIX_EPOCH + Duration::from_secs(1_420_070_400);
    let since_2015 = epoch.elapsed().unwrap();
    OriginTimestamp(u64::try_from(since_2015.as_millis()).unwrap())
}
