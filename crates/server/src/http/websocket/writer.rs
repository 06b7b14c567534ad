//! The writing half of a connection: one message at a time, beside what else the connection does, so that a slow
//! device holds up nobody.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{FutureExt as _, Sink, SinkExt as _};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::endpoint::Outgoing;

/// Writes messages.
pub(super) struct Writer<S> {
    sink: S,
    work: Option<Work>,
}

/// What is being written.
struct Work {
    is_download: bool,
    step: Step,
}

enum Step {
    /// The message is being put together on a thread of its own.
    Printing(JoinHandle<Vec<u8>>),
    Sending(Frames),
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Download,
    Other,
}

/// What is left of a message.
enum Frames {
    Whole(Option<Message>),
    Parts { rest: Bytes, kind: Data },
}

/// Bytes of changesets from which a DOWNLOAD is put together on a thread of its own: compressing takes time.
const LARGE: usize = 64 * 1024;

impl<S: Sink<Message, Error = Error> + Unpin> Writer<S> {
    pub(super) fn new(sink: S) -> Self {
        Self { sink, work: None }
    }

    /// Whether there is a message to be written; the next one has to wait.
    pub(super) fn is_busy(&self) -> bool {
        self.work.is_some()
    }

    /// Begins to write a message; [`written`](Self::written) has to be polled for it.
    pub(super) fn begin(&mut self, outgoing: Outgoing) {
        let is_download = matches!(outgoing, Outgoing::Download(_));
        self.work = Some(Work { is_download, step: Step::new(outgoing) });
    }

    /// Waits until the message is written. Nothing is lost if the future is dropped.
    ///
    /// # Errors
    ///
    /// The connection is lost.
    pub(super) async fn written(&mut self) -> Result<Written, Error> {
        let written = poll_fn(|cx| self.poll(cx)).await;
        self.work = None;
        written
    }

    /// Writes what was begun. Returns what it was written to, if all was written: the device has had its last message
    /// then, and an empty close frame would look like an error to it.
    pub(super) async fn finish(mut self) -> Option<S> {
        if self.is_busy() {
            self.written().await.ok()?;
        }
        Some(self.sink)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Written, Error>> {
        let Some(Work { is_download, step }) = &mut self.work else { return Poll::Pending };
        loop {
            // What was sent before leaves first: so the library's buffer does not grow beyond a frame.
            ready!(self.sink.poll_flush_unpin(cx))?;
            match step {
                Step::Printing(printing) => {
                    // Only a runtime that shuts down does not put it together.
                    let printed =
                        ready!(printing.poll_unpin(cx)).map_err(|_| Error::AlreadyClosed)?;
                    *step = Step::Sending(Frames::new(printed.into()));
                }
                Step::Sending(frames) => {
                    ready!(self.sink.poll_ready_unpin(cx))?;
                    match frames.next() {
                        Some(frame) => self.sink.start_send_unpin(frame)?,
                        None if *is_download => return Poll::Ready(Ok(Written::Download)),
                        None => return Poll::Ready(Ok(Written::Other)),
                    }
                }
            }
        }
    }
}

impl Step {
    fn new(outgoing: Outgoing) -> Self {
        let printed = match outgoing {
            Outgoing::Message(message) => message.print(),
            Outgoing::Download(download) if download.len() < LARGE => download.print(),
            Outgoing::Download(download) => {
                return Self::Printing(spawn_blocking(move || download.print()));
            }
            Outgoing::Close(code) => {
                let frame = CloseFrame { code: code.number().into(), reason: "".into() };
                return Self::Sending(Frames::Whole(Some(Message::Close(Some(frame)))));
            }
        };
        Self::Sending(Frames::new(printed.into()))
    }
}

/// Bytes of a frame. The library's buffer grows to the longest frame and never shrinks: a device that was sent a
/// long history would keep that much for as long as it is connected.
const FRAME_LEN: usize = 16 * 1024;

impl Frames {
    /// A message in several frames if it is long; devices put them together.
    fn new(message: Bytes) -> Self {
        if message.len() <= FRAME_LEN {
            Self::Whole(Some(Message::Binary(message)))
        } else {
            Self::Parts { rest: message, kind: Data::Binary }
        }
    }

    fn next(&mut self) -> Option<Message> {
        match self {
            Self::Whole(message) => message.take(),
            Self::Parts { rest, .. } if rest.is_empty() => None,
            Self::Parts { rest, kind } => {
                let part = rest.split_to(rest.len().min(FRAME_LEN));
                let frame = Frame::message(part, OpCode::Data(*kind), rest.is_empty());
                *kind = Data::Continue;
                Some(Message::Frame(frame))
            }
        }
    }
}
