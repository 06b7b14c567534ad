//! The writing half of a connection: one message at a time, so that a slow device holds up nobody.

use bailiwick_protocol::close_code::CloseCode;
use bailiwick_protocol::message::{DownloadEntry, DownloadHeader, ServerMessage};
use futures_util::{Sink, SinkExt};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

/// What is to be written.
#[derive(Debug)]
pub(super) enum Outgoing {
    Message(ServerMessage),
    Download(DownloadHeader, Vec<DownloadEntry>),
    Close(CloseCode),
}

/// Bytes of changesets from which a DOWNLOAD is put together on a thread of its own: compressing takes time.
const LARGE: usize = 64 * 1024;

/// Writes until there is nothing more, or the socket is gone. Says so after each DOWNLOAD.
pub(super) async fn run(
    mut sink: impl Sink<Message, Error = Error> + Unpin,
    mut queue: mpsc::Receiver<Outgoing>,
    left: mpsc::Sender<()>,
) {
    while let Some(outgoing) = queue.recv().await {
        let is_download = matches!(outgoing, Outgoing::Download(..));
        let Some(message) = print(outgoing).await else { return };
        if let Err(error) = sink.send(message).await {
            tracing::debug!(%error, "a connection was lost while it was written to");
            return;
        }
        if is_download && left.send(()).await.is_err() {
            return;
        }
    }
    // The device has had its last message; an empty close frame would look like an error to it.
}

async fn print(outgoing: Outgoing) -> Option<Message> {
    let bytes = match outgoing {
        Outgoing::Message(message) => message.print(),
        Outgoing::Download(header, entries) => {
            let len: usize = entries.iter().map(|entry| entry.changeset.len()).sum();
            if len < LARGE {
                header.print_with(&entries)
            } else {
                tokio::task::spawn_blocking(move || header.print_with(&entries)).await.ok()?
            }
        }
        Outgoing::Close(code) => {
            let frame = CloseFrame { code: code.number().into(), reason: "".into() };
            return Some(Message::Close(Some(frame)));
        }
    };
    Some(Message::Binary(bytes.into()))
}
