//! The socket, or that there is none.

use std::future::pending;
use std::time::Duration;

use bailiwick_protocol::protocol_version::ProtocolVersion;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep_until};

use crate::session::{ConnectError, Disconnect};
use crate::transport::websocket::{Reader, WebSocket, Writer};

/// The socket of a connection, in one of its states.
pub(in crate::transport) enum Link {
    Down,
    Connecting(BoxFuture<'static, Result<WebSocket, ConnectError>>),
    Up(Up),
}

pub(in crate::transport) struct Up {
    reader: Reader,
    writer: Writer,
    reads: bool,
    /// Writing has failed: by then, what the server said before should have come.
    give_up_at: Option<Instant>,
}

#[derive(Debug)]
pub(in crate::transport) enum LinkEvent {
    Connected(Result<ProtocolVersion, ConnectError>),
    Received(Bytes),
    /// Nothing waits to be written any more.
    Written,
    /// The link is down.
    Lost(Disconnect),
}

/// How long a connection that cannot be written to is read for the reason.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl Link {
    /// Waits for what happens next. Nothing is lost if the future is dropped.
    pub(in crate::transport) async fn next(&mut self) -> LinkEvent {
        match self {
            Self::Down => pending().await,
            Self::Connecting(attempt) => match attempt.await {
                Ok(WebSocket { version, reader, writer }) => {
                    *self = Self::Up(Up { reader, writer, reads: true, give_up_at: None });
                    LinkEvent::Connected(Ok(version))
                }
                Err(error) => {
                    *self = Self::Down;
                    LinkEvent::Connected(Err(error))
                }
            },
            Self::Up(up) => match up.next().await {
                Ok(event) => event,
                Err(reason) => {
                    *self = Self::Down;
                    LinkEvent::Lost(reason)
                }
            },
        }
    }

    /// A message that there is no connection for is dropped: whoever connects begins anew.
    pub(in crate::transport) fn send(&mut self, message: Bytes) {
        if let Self::Up(up) = self {
            up.writer.send(message);
        }
    }

    pub(in crate::transport) fn set_reads(&mut self, reads: bool) {
        if let Self::Up(up) = self {
            up.reads = reads;
        }
    }

    /// What was sent may still leave; nothing is heard any more.
    pub(in crate::transport) fn close(&mut self) {
        if let Self::Up(up) = std::mem::replace(self, Self::Down) {
            up.writer.close();
        }
    }
}

impl Up {
    async fn next(&mut self) -> Result<LinkEvent, Disconnect> {
        loop {
            let can_write = self.give_up_at.is_none() && self.writer.is_busy();
            tokio::select! {
                received = self.reader.receive(), if self.reads => {
                    return received.map(LinkEvent::Received);
                }
                written = self.writer.drain(), if can_write => match written {
                    Ok(()) => return Ok(LinkEvent::Written),
                    Err(error) => {
                        tracing::debug!(%error, "the connection was lost while it was written to");
                        self.give_up_at = Some(Instant::now() + LAST_WORDS);
                    }
                },
                () = at(self.give_up_at) => {
                    return Err(Disconnect::Network("the connection was lost".to_owned()));
                }
            }
        }
    }
}

/// Waits until then, or for ever.
pub(super) async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}
