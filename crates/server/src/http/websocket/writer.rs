//! The writing half of a connection: one message at a time, so that a slow device holds up nobody.

use bytes::Bytes;
use futures_util::{Sink, SinkExt};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::endpoint::Outgoing;

/// Bytes of changesets from which a DOWNLOAD is put together on a thread of its own: compressing takes time.
const LARGE: usize = 64 * 1024;

/// Writes until there is nothing more, or the socket is gone. Says so after each DOWNLOAD. Returns what it wrote
/// to, if all was written.
pub(super) async fn run<S: Sink<Message, Error = Error> + Unpin>(
    mut sink: S,
    mut queue: mpsc::Receiver<Box<Outgoing>>,
    left: mpsc::Sender<()>,
) -> Option<S> {
    while let Some(outgoing) = queue.recv().await {
        let is_download = matches!(*outgoing, Outgoing::Download(..));
        let written = match print(*outgoing).await {
            Some(Message::Binary(bytes)) => write(&mut sink, bytes).await,
            Some(message) => sink.send(message).await,
            None => return None,
        };
        if let Err(error) = written {
            tracing::debug!(%error, "a connection was lost while it was written to");
            return None;
        }
        if is_download {
            // Nobody waits for it once the connection is being closed.
            let _ = left.send(()).await;
        }
    }
    // The device has had its last message; an empty close frame would look like an error to it.
    Some(sink)
}

/// Bytes of a frame. The library's buffer grows to the longest frame and never shrinks: a device that was sent a
/// long history would keep that much for as long as it is connected.
const FRAME_LEN: usize = 16 * 1024;

/// Writes a message, in several frames if it is long; devices put them together.
async fn write(
    sink: &mut (impl Sink<Message, Error = Error> + Unpin),
    mut bytes: Bytes,
) -> Result<(), Error> {
    if bytes.len() <= FRAME_LEN {
        return sink.send(Message::Binary(bytes)).await;
    }
    let mut kind = Data::Binary;
    while !bytes.is_empty() {
        let part = bytes.split_to(bytes.len().min(FRAME_LEN));
        let frame = Frame::message(part, OpCode::Data(kind), bytes.is_empty());
        sink.send(Message::Frame(frame)).await?;
        kind = Data::Continue;
    }
    Ok(())
}

async fn print(outgoing: Outgoing) -> Option<Message> {
    let bytes = match outgoing {
        Outgoing::Message(message) => message.print(),
        Outgoing::Download(download) if download.len() < LARGE => download.print(),
        Outgoing::Download(download) => {
            tokio::task::spawn_blocking(move || download.print()).await.ok()?
        }
        Outgoing::Close(code) => {
            let frame = CloseFrame { code: code.number().into(), reason: "".into() };
            return Some(Message::Close(Some(frame)));
        }
    };
    Some(Message::Binary(bytes.into()))
}
