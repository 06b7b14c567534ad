//! What goes to the server.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::SplitSink;
use futures_util::{Sink, SinkExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::Socket;

/// The half that is written, by a task of its own: reading goes on while the server is slow to read.
#[derive(Debug)]
pub(in crate::transport) struct Writer {
    waiting: Vec<Bytes>,
    waiting_len: usize,
    batches: mpsc::Sender<Vec<Bytes>>,
    /// The one task; it ends with this.
    task: JoinSet<()>,
}

/// Nothing more can be written; the reader knows why.
#[derive(Debug)]
pub(in crate::transport) struct Broken;

/// Bytes that wait before more is a burden.
const MAX_WAITING_LEN: usize = 1024 * 1024;

/// How long the last messages may take.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(5);

impl Writer {
    pub(super) fn start(sink: SplitSink<Socket, Message>) -> Self {
        let (batches, queue) = mpsc::channel(1);
        let mut task = JoinSet::new();
        task.spawn(run(sink, queue));
        Self { waiting: Vec::new(), waiting_len: 0, batches, task }
    }

    /// Has a message sent after the others; [`flush`](Self::flush) has to be polled for it.
    pub(in crate::transport) fn send(&mut self, message: Bytes) {
        self.waiting_len += message.len();
        self.waiting.push(message);
    }

    /// Whether so much waits that nothing should be done that leads to more.
    pub(in crate::transport) fn is_congested(&self) -> bool {
        self.waiting_len > MAX_WAITING_LEN
    }

    /// Whether [`flush`](Self::flush) has something to do.
    pub(in crate::transport) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Hands over what waits as soon as what was handed over before is being written. Nothing is lost if the
    /// future is dropped.
    pub(in crate::transport) async fn flush(&mut self) -> Result<(), Broken> {
        let permit = self.batches.reserve().await.map_err(|_| Broken)?;
        permit.send(std::mem::take(&mut self.waiting));
        self.waiting_len = 0;
        Ok(())
    }

    /// Lets what was handed over be written for some seconds, then drops the connection, without a close frame as
    /// the other clients do.
    pub(in crate::transport) fn close(mut self) {
        if self.has_waiting() {
            // If the server is so slow that there is no room, it has no use for the rest either.
            let _ = self.batches.try_send(std::mem::take(&mut self.waiting));
        }
        let Self { batches, mut task, .. } = self;
        drop(batches);
        tokio::spawn(async move { timeout(CLOSING_TIMEOUT, task.join_next()).await });
    }
}

/// Writes until there is nothing more, or the socket is gone.
async fn run(mut sink: SplitSink<Socket, Message>, mut queue: mpsc::Receiver<Vec<Bytes>>) {
    while let Some(batch) = queue.recv().await {
        if let Err(error) = write(&mut sink, batch).await {
            tracing::debug!(%error, "the connection was lost while it was written to");
            return;
        }
    }
}

async fn write(
    sink: &mut (impl Sink<Message, Error = Error> + Unpin),
    batch: Vec<Bytes>,
) -> Result<(), Error> {
    for message in batch {
        for frame in frames(message) {
            sink.feed(frame).await?;
        }
    }
    sink.flush().await
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
