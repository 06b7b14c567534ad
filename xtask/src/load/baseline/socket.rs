//! What sockets can do: echoes, broadcasts, and the memory of connections that are idle.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::median;
use crate::load::bare::{self, LISTEN};
use crate::load::process::Usage;

/// A process that is a [bare server](bare).
#[derive(Debug)]
pub(in crate::load) struct BareServer {
    process: Child,
    address: SocketAddr,
}

impl BareServer {
    pub(in crate::load) fn start() -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["load", "--bare"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().context("cannot start this program again")?;
        let out = process.stdout.take().context("it has no output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let address = line.trim().parse().context("the bare server has ended by itself")?;
        Ok(Self { process, address })
    }

    /// Bytes that it takes for a connection, `count` of which are idle.
    pub(in crate::load) async fn idle_len(&self, count: u32) -> Result<f64> {
        let resident_len =
            || Ok::<_, anyhow::Error>(Usage::of(self.process.id())?.memory.resident_len);
        let before = resident_len()?;
        let mut sockets = Vec::new();
        for _ in 0..count {
            let mut socket = bare::connect(self.address).await?;
            // As much as an idle device says.
            socket.send(Message::Binary(vec![0; 100].into())).await?;
            socket.next().await.context("no echo")??;
            sockets.push(socket);
        }
        let grown = resident_len()?.saturating_sub(before);
        #[expect(clippy::cast_precision_loss, reason = "a few hundred MB")]
        let grown = grown as f64;
        Ok(grown / f64::from(count))
    }

    /// So many sockets that listen to broadcasts.
    pub(in crate::load) async fn listeners(&self, count: usize) -> Result<Listeners> {
        let (received, receipts) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        for _ in 0..count {
            let mut socket = bare::connect(self.address).await?;
            socket.send(Message::text(LISTEN)).await?;
            socket.next().await.context("nobody answers")??;
            let received = received.clone();
            tasks.spawn(async move {
                while let Some(Ok(_)) = socket.next().await {
                    if received.send(()).is_err() {
                        return;
                    }
                }
            });
        }
        let sender = bare::connect(self.address).await?;
        Ok(Listeners { count, sender, receipts, _tasks: tasks })
    }
}

/// Sockets that listen to what a [`BareServer`] broadcasts.
#[derive(Debug)]
pub(in crate::load) struct Listeners {
    count: usize,
    sender: WebSocketStream<TcpStream>,
    receipts: mpsc::UnboundedReceiver<()>,
    /// Ended when this is dropped.
    _tasks: JoinSet<()>,
}

impl Listeners {
    /// How long it takes to broadcast `len` bytes, from the request to the last receipt.
    pub(in crate::load) async fn broadcast(&mut self, len: usize) -> Result<Duration> {
        let start = Instant::now();
        self.sender.send(Message::Binary(bare::broadcast(len))).await?;
        for _ in 0..self.count {
            self.receipts.recv().await.context("a listener has ended")?;
        }
        Ok(start.elapsed())
    }
}

impl Drop for BareServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A socket to a server that sends back what it is sent.
pub(super) struct Echo(WebSocketStream<TcpStream>);

impl Echo {
    pub(super) async fn new(server: &BareServer) -> Result<Self> {
        Ok(Self(bare::connect(server.address).await?))
    }

    /// How long a small message takes there and back.
    pub(super) async fn send(&mut self) -> Result<Duration> {
        let before = Instant::now();
        self.0.send(Message::Binary(vec![0; 100].into())).await?;
        let answer = self.0.next().await.context("no echo")??;
        ensure!(answer.len() == 100, "an echo of another length");
        Ok(before.elapsed())
    }
}

/// How long a small message takes there and back, if nothing comes in between.
pub(super) async fn median_echo(server: &BareServer, slice: Duration) -> Result<Duration> {
    let mut echo = Echo::new(server).await?;
    let (start, mut times) = (Instant::now(), Vec::new());
    while start.elapsed() < slice {
        times.push(echo.send().await?.as_secs_f64());
    }
    Ok(Duration::from_secs_f64(median(times.into_iter())))
}
