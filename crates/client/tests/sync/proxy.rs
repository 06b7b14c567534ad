//! A network that can be taken away.

use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::service::within;

/// Forwards connections to a server, as long as it is up.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    is_up: watch::Sender<bool>,
    accepted: watch::Receiver<usize>,
    _task: JoinSet<()>,
}

impl Proxy {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        Self::after(None, server).await
    }

    /// A server that accepts the first connection, closes it with this code once it has heard something, and lets
    /// another one serve the others.
    pub(crate) async fn closing_first(code: u16, server: SocketAddr) -> Self {
        Self::after(Some(code), server).await
    }

    async fn after(first: Option<u16>, server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (is_up, _) = watch::channel(true);
        let (counter, accepted) = watch::channel(0);
        let mut task = JoinSet::new();
        let up = is_up.clone();
        task.spawn(async move {
            if let Some(code) = first {
                let (device, _) = listener.accept().await.unwrap();
                counter.send_modify(|count| *count += 1);
                close(device, code).await;
            }
            serve(listener, server, up, counter).await;
        });
        Self { address, is_up, accepted, _task: task }
    }

    /// Breaks all connections. More are accepted, but broken at once.
    pub(crate) fn take_down(&self) {
        self.is_up.send_replace(false);
    }

    pub(crate) fn put_up(&self) {
        self.is_up.send_replace(true);
    }

    /// How many connections there have been.
    pub(crate) fn accepted(&self) -> usize {
        *self.accepted.borrow()
    }

    /// Waits until there have been so many connections.
    pub(crate) async fn has_accepted(&self, count: usize) {
        let mut accepted = self.accepted.clone();
        let wait = accepted.wait_for(|accepted| *accepted >= count);
        within("a device connects", wait).await.unwrap();
    }
}

async fn serve(
    listener: TcpListener,
    server: SocketAddr,
    is_up: watch::Sender<bool>,
    counter: watch::Sender<usize>,
) {
    let mut connections = JoinSet::new();
    loop {
        let (mut device, _) = listener.accept().await.unwrap();
        counter.send_modify(|count| *count += 1);
        let mut is_up = is_up.subscribe();
        connections.spawn(async move {
            if *is_up.borrow_and_update()
                && let Ok(mut server) = TcpStream::connect(server).await
            {
                tokio::select! {
                    _ = copy_bidirectional(&mut device, &mut server) => (),
                    _ = is_up.wait_for(|is_up| !is_up) => (),
                }
            }
        });
    }
}

/// Accepts a device, listens to what it says first, and sends it away.
async fn close(device: TcpStream, code: u16) {
    #[expect(clippy::result_large_err, reason = "the library asks for this answer")]
    let agree = |request: &Request, mut response: Response| {
        let offers = request.headers()["sec-websocket-protocol"].to_str().unwrap();
        let newest = offers.split(", ").next().unwrap().parse().unwrap();
        response.headers_mut().insert("sec-websocket-protocol", newest);
        Ok(response)
    };
    let mut socket = accept_hdr_async(device, agree).await.unwrap();
    assert!(socket.next().await.unwrap().unwrap().is_binary());
    let frame = CloseFrame { code: code.into(), reason: "".into() };
    socket.send(Message::Close(Some(frame))).await.unwrap();
    // Until the device closes.
    while let Some(Ok(_)) = socket.next().await {}
}
