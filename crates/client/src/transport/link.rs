//! The socket of a connection, or that there is none.

use std::fmt;
use std::future::pending;
use std::time::Duration;

use bailiwick_protocol::protocol_version::ProtocolVersion;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep_until};

use super::websocket::{Reader, WebSocket, Writer};
use crate::session::{ConnectError, Disconnect};

/// The socket of a connection: what a driver of a [`session::Connection`](crate::session::Connection) reads from and
/// writes to.
///
/// It is down at first, and again after every failure.
#[derive(Default)]
pub struct Link {
    state: State,
}

#[derive(Default)]
enum State {
    #[default]
    Down,
    Connecting(BoxFuture<'static, Result<WebSocket, ConnectError>>),
    Up(Up),
}

struct Up {
    reader: Reader,
    writer: Writer,
    reads: bool,
    /// Writing has failed: by then, what the server said before should have come.
    give_up_at: Option<Instant>,
}

/// What happened to a [`Link`]; each is an input of the session machine.
#[derive(Debug)]
pub enum LinkEvent {
    /// The link is up, or it stays down.
    Connected(Result<ProtocolVersion, ConnectError>),
    /// The server sent this binary message.
    Received(Bytes),
    /// Nothing waits to be written any more.
    Written,
    /// The link is down.
    Lost(Disconnect),
}

/// How long a connection that cannot be written to is read for the reason.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl Link {
    /// A link that comes up with this attempt.
    pub fn connecting(attempt: BoxFuture<'static, Result<WebSocket, ConnectError>>) -> Self {
        Self { state: State::Connecting(attempt) }
    }

    /// Waits for what happens next. Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> LinkEvent {
        match &mut self.state {
            State::Down => pending().await,
            State::Connecting(attempt) => match attempt.await {
                Ok(WebSocket { version, reader, writer }) => {
                    self.state = State::Up(Up { reader, writer, reads: true, give_up_at: None });
                    LinkEvent::Connected(Ok(version))
                }
                Err(error) => {
                    self.state = State::Down;
                    LinkEvent::Connected(Err(error))
                }
            },
            State::Up(up) => match up.next().await {
                Ok(event) => event,
                Err(reason) => {
                    self.state = State::Down;
                    LinkEvent::Lost(reason)
                }
            },
        }
    }

    /// A message that there is no connection for is dropped: whoever connects begins anew.
    pub fn send(&mut self, message: Bytes) {
        if let State::Up(up) = &mut self.state {
            up.writer.send(message);
        }
    }

    /// Whether messages are read; what is not read is held back by the network.
    pub fn set_reads(&mut self, reads: bool) {
        if let State::Up(up) = &mut self.state {
            up.reads = reads;
        }
    }

    /// What was sent may still leave; nothing is heard any more.
    pub fn close(&mut self) {
        if let State::Up(up) = std::mem::take(&mut self.state) {
            up.writer.close();
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Down => "Link(down)",
            State::Connecting(_) => "Link(connecting)",
            State::Up(_) => "Link(up)",
        })
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
