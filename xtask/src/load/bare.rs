//! A server that does nothing but what whatever speaks WebSocket has to do: the other end of the baselines.
//!
//! It is a process of its own, as the real one is: this program, started with `--bare`. It ends with its standard
//! input, and so with whoever has started it.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

type Sink = SplitSink<WebSocketStream<TcpStream>, Message>;
/// Those who listen to broadcasts.
type Listeners = Arc<Mutex<Vec<Sink>>>;

/// Text, which is echoed: the sender listens to broadcasts from now on, and hears nothing else.
pub(super) const LISTEN: &str = "listen";
/// What a binary message begins with that goes to all who listen; any other is echoed.
pub(super) const BROADCAST: u8 = 0xbc;

/// Bytes of the buffers of a connection: small, as those of the real server.
const BUFFER_LEN: usize = 4096;

/// Serves until standard input ends. Says the address on standard output.
pub(super) fn serve() -> Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("no runtime")?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
        tokio::task::spawn_blocking(|| {
            // What comes does not matter, only that nothing more does.
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            std::process::exit(0);
        });
        let listeners = Listeners::default();
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(converse(stream, Arc::clone(&listeners)));
        }
    })
}

async fn converse(stream: TcpStream, listeners: Listeners) -> Result<()> {
    stream.set_nodelay(true)?;
    let socket = tokio_tungstenite::accept_async_with_config(stream, Some(config())).await?;
    let (mut sink, mut stream) = socket.split();
    while let Some(message) = stream.next().await {
        match message? {
            Message::Binary(message) if message.first() == Some(&BROADCAST) => {
                for listener in listeners.lock().await.iter_mut() {
                    listener.send(Message::Binary(message.clone())).await?;
                }
            }
            message @ Message::Binary(_) => sink.send(message).await?,
            Message::Text(text) if text == LISTEN => {
                let mut listeners = listeners.lock().await;
                // The answer is the last that this connection is told by itself.
                sink.send(Message::Text(text)).await?;
                listeners.push(sink);
                drop(listeners);
                return ignore(stream).await;
            }
            _ => (),
        }
    }
    Ok(())
}

/// Keeps a connection alive.
async fn ignore(mut stream: SplitStream<WebSocketStream<TcpStream>>) -> Result<()> {
    while let Some(message) = stream.next().await {
        message?;
    }
    Ok(())
}

/// A client of such a server.
pub(super) async fn connect(address: SocketAddr) -> Result<WebSocketStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let url = format!("ws://{address}/");
    Ok(tokio_tungstenite::client_async_with_config(url, stream, Some(config())).await?.0)
}

/// A message to all who listen, of this length.
pub(super) fn broadcast(len: usize) -> Bytes {
    let mut message = vec![0; len.max(1)];
    message[0] = BROADCAST;
    message.into()
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(BUFFER_LEN).write_buffer_size(BUFFER_LEN)
}
