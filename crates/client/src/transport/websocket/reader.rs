//! What comes from the server.

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::SplitStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::Socket;
use crate::session::Disconnect;

/// The half that is read.
#[derive(Debug)]
pub(in crate::transport) struct Reader {
    stream: SplitStream<Socket>,
}

/// The code of a close frame that has none.
const NO_CODE: u16 = 1005;

impl Reader {
    pub(super) fn new(stream: SplitStream<Socket>) -> Self {
        Self { stream }
    }

    /// Waits for a message. Nothing is lost if the future is dropped.
    pub(in crate::transport) async fn receive(&mut self) -> Result<Bytes, Disconnect> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Binary(message))) => return Ok(message),
                Some(Ok(Message::Close(frame))) => {
                    return Err(match frame {
                        Some(frame) => {
                            Disconnect::Closed(frame.code.into(), frame.reason.to_string())
                        }
                        None => Disconnect::Closed(NO_CODE, String::new()),
                    });
                }
                // The other clients ignore text. PINGs are answered by the library.
                Some(Ok(_)) => {}
                Some(Err(Error::Capacity(error))) => {
                    return Err(Disconnect::TooLong(error.to_string()));
                }
                Some(Err(error)) => return Err(Disconnect::Network(error.to_string())),
                None => return Err(Disconnect::Network("the connection has ended".to_owned())),
            }
        }
    }
}
