//! What goes to the server.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::SplitSink;
use futures_util::{FutureExt as _, SinkExt as _};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::Socket;

type Sink = SplitSink<Socket, Message>;

/// The half that is written, in batches: what comes while one is written is the next one.
pub(in crate::transport) struct Writer {
    waiting: Vec<Bytes>,
    /// Absent while it is written to, and after a failure.
    sink: Option<Sink>,
    writing: Option<BoxFuture<'static, Result<Sink, Error>>>,
}

/// How long the last messages may take.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(5);

impl Writer {
    pub(super) fn new(sink: Sink) -> Self {
        Self { waiting: Vec::new(), sink: Some(sink), writing: None }
    }

    /// Has a message written after the others; [`drain`](Self::drain) has to be polled for it.
    pub(in crate::transport) fn send(&mut self, message: Bytes) {
        self.waiting.push(message);
    }

    /// Whether [`drain`](Self::drain) has something to do.
    pub(in crate::transport) fn is_busy(&self) -> bool {
        self.writing.is_some() || !self.waiting.is_empty()
    }

    /// Writes until nothing waits. Nothing is lost if the future is dropped.
    pub(in crate::transport) async fn drain(&mut self) -> Result<(), Error> {
        loop {
            if let Some(writing) = &mut self.writing {
                let written = writing.await;
                self.writing = None;
                self.sink = Some(written?);
            }
            if self.waiting.is_empty() {
                return Ok(());
            }
            let sink = self.sink.take().ok_or(Error::AlreadyClosed)?;
            self.writing = Some(write(sink, std::mem::take(&mut self.waiting)).boxed());
        }
    }

    /// Lets what waits be written for some seconds, then drops the connection, without a close frame as the other
    /// clients do.
    pub(in crate::transport) fn close(mut self) {
        if self.is_busy() {
            tokio::spawn(async move { timeout(CLOSING_TIMEOUT, self.drain()).await.is_ok() });
        }
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

async fn write(mut sink: Sink, batch: Vec<Bytes>) -> Result<Sink, Error> {
    for message in batch {
        for frame in frames(message) {
            sink.feed(frame).await?;
        }
    }
    sink.flush().await?;
    Ok(sink)
}

/// Bytes of a frame. The library's buffer grows to the longest frame and never shrinks.
const FRAME_LEN: usize = 16 * 1024;

/// A message in several frames if it is long; servers put them together.
fn frames(mut message: Bytes) -> impl Iterator<Item = Message> {
    let mut kind = Data::Binary;
    let mut is_done = false;
    std::iter::from_fn(move || {
        if is_done {
            return None;
        }
        let part = message.split_to(message.len().min(FRAME_LEN));
        is_done = message.is_empty();
        let frame = Frame::message(part, OpCode::Data(kind), is_done);
        kind = Data::Continue;
        Some(Message::Frame(frame))
    })
}
