use std::future::{Ready, ready};

use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::io::AsyncWriteExt as _;

use super::peer::{Peer, Socket, within};
use super::websocket::{connected, frame, read_frame};
use crate::session::{ConnectError, Disconnect};
use crate::transport::websocket::WebSocket;
use crate::transport::{Link, LinkEvent};

/// How often to try what is decided by chance.
const ROUNDS: usize = 20;

async fn linked(peer: &Peer) -> (Link, Box<dyn Socket>) {
    let (client, server) = connected(peer, "ws").await;
    let mut link = attempt(ready(Ok(client)));
    let event = within("the link is up", link.next()).await;
    assert!(matches!(event, LinkEvent::Connected(Ok(_))), "{event:?}");
    (link, server)
}

fn attempt(result: Ready<Result<WebSocket, ConnectError>>) -> Link {
    Link::connecting(result.boxed())
}

#[tokio::test]
async fn nothing_is_heard_of_a_link_that_is_down() {
    assert!(Link::default().next().now_or_never().is_none());
    let mut link = attempt(ready(Err(ConnectError::Status(503))));
    let event = within("the attempt fails", link.next()).await;
    assert!(matches!(event, LinkEvent::Connected(Err(ConnectError::Status(503)))), "{event:?}");
    assert!(link.next().now_or_never().is_none());

    let (mut link, mut server) = linked(&Peer::plain().await).await;
    server.write_all(&frame(0x82, b"late")).await.unwrap();
    link.close();
    assert!(link.next().now_or_never().is_none());
}

#[tokio::test]
async fn nothing_is_read_during_a_pause() {
    let peer = Peer::plain().await;
    for _ in 0..ROUNDS {
        let (mut link, mut server) = linked(&peer).await;
        link.set_reads(false);
        server.write_all(&frame(0x82, b"one")).await.unwrap();
        link.send(Bytes::from_static(b"meanwhile"));
        let event = within("it is written", link.next()).await;
        assert!(matches!(event, LinkEvent::Written), "{event:?}");
        assert_eq!(read_frame(&mut server).await, (true, b"meanwhile".to_vec()));
        link.set_reads(true);
        let event = within("a message comes", link.next()).await;
        assert!(matches!(&event, LinkEvent::Received(message) if message == "one"), "{event:?}");
    }
}

#[tokio::test]
async fn the_reason_of_a_server_is_heard_while_it_is_written_to() {
    let peer = Peer::plain().await;
    for _ in 0..ROUNDS {
        let (mut link, mut server) = linked(&peer).await;
        server.write_all(&frame(0x88, &4001_u16.to_be_bytes())).await.unwrap();
        drop(server);
        // More than the sockets take.
        link.send(Bytes::from(vec![0; 16 << 20]));
        let event = within("the link is lost", link.next()).await;
        let LinkEvent::Lost(Disconnect::Closed(4001, _)) = event else { panic!("{event:?}") };
        assert!(link.next().now_or_never().is_none());
    }
}

#[tokio::test]
async fn a_link_that_cannot_be_written_to_is_lost_during_a_pause_as_well() {
    let (mut link, server) = linked(&Peer::plain().await).await;
    link.set_reads(false);
    drop(server);
    link.send(Bytes::from(vec![0; 16 << 20]));
    let event = within("the link is lost", link.next()).await;
    assert!(matches!(event, LinkEvent::Lost(Disconnect::Network(_))), "{event:?}");
}
