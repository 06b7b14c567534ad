//! The sync WebSocket: binary messages, one for each sync message. Spec: wire protocol, sections 1.1 to 1.6.

mod reader;
mod upgrade;
mod writer;

use bailiwick_protocol::protocol_version::ProtocolVersion;
use futures_util::StreamExt as _;
use hyper::Uri;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

pub(super) use reader::Reader;
pub(super) use writer::Writer;

use super::connection::SyncConfig;
use crate::session::ConnectError;

/// What both halves share.
type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// An open WebSocket, with a version of the sync protocol that both sides have agreed on. It is used through a
/// [`Link`](super::Link).
#[derive(Debug)]
pub struct WebSocket {
    pub(super) version: ProtocolVersion,
    pub(super) reader: Reader,
    pub(super) writer: Writer,
}

/// Bytes of the buffers of a connection, which it has for as long as it is open.
const BUFFER_LEN: usize = 16 * 1024;

impl WebSocket {
    /// Connects and asks for the upgrade, all in the time that the connector has. `url` may have a query already.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`].
    pub async fn open(
        config: &SyncConfig,
        url: &Uri,
        access_token: &str,
    ) -> Result<Self, ConnectError> {
        let upgraded =
            timeout(config.connector.timeout, upgrade::upgrade(config, url, access_token));
        let (upgraded, version) = upgraded
            .await
            .unwrap_or_else(|_| Err(ConnectError::Network("no answer in time".to_owned())))?;
        let limits = WebSocketConfig::default()
            .read_buffer_size(BUFFER_LEN)
            .write_buffer_size(BUFFER_LEN)
            .max_message_size(Some(config.max_message_len))
            .max_frame_size(Some(config.max_message_len));
        let socket = Socket::from_raw_socket(TokioIo::new(upgraded), Role::Client, Some(limits));
        let (sink, stream) = socket.await.split();
        Ok(Self { version, reader: Reader::new(stream), writer: Writer::new(sink) })
    }
}
