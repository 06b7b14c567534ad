use std::sync::atomic::{AtomicBool, Ordering};

use bailiwick_protocol::handshake::{SyncMode, offer};
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::peer::{Peer, Socket, header, read_head, within};
use crate::session::{ConnectError, Disconnect};
use crate::transport::connection::SyncConfig;
use crate::transport::websocket::WebSocket;

/// Bytes of the longest message.
const MAX_LEN: usize = 1000;

const PROTOCOL: &str = "com.mongodb.realm-sync#14";

fn config(peer: &Peer) -> SyncConfig {
    SyncConfig { connector: peer.connector(), max_message_len: MAX_LEN, ..SyncConfig::default() }
}

/// What the client makes of a server that answers so; `{accept}` is the right answer to its key.
async fn answered(peer: &Peer, answer: &str) -> Result<WebSocket, ConnectError> {
    let serving = async {
        let mut socket = peer.accept().await.unwrap();
        let (head, _) = read_head(&mut socket).await;
        let accept = derive_accept_key(header(&head, "sec-websocket-key").unwrap().as_bytes());
        socket.write_all(answer.replace("{accept}", &accept).as_bytes()).await.unwrap();
        socket.shutdown().await.unwrap();
    };
    let (config, url) = (config(peer), peer.url("ws", "/realm-sync"));
    let opening = WebSocket::open(&config, &url, "abc");
    within("an upgrade is answered", async { tokio::join!(serving, opening).1 }).await
}

/// A client and a server that have understood each other.
pub(super) async fn connected(peer: &Peer, scheme: &str) -> (WebSocket, Box<dyn Socket>) {
    let serving = async {
        let mut socket = peer.accept().await.unwrap();
        let (head, rest) = read_head(&mut socket).await;
        assert!(head.starts_with("GET /api/realm-sync?baas_at=a.b-c HTTP/1.1\r\n"), "{head}");
        for (name, value) in [
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-protocol", &offer(SyncMode::Partition)),
            ("host", peer.url("ws", "").authority().unwrap().as_str()),
        ] {
            assert_eq!(header(&head, name), Some(value), "{name}");
        }
        assert_eq!(rest, b"");
        let accept = derive_accept_key(header(&head, "sec-websocket-key").unwrap().as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {PROTOCOL}\r\n\r\n"
        );
        socket.write_all(answer.as_bytes()).await.unwrap();
        socket.flush().await.unwrap();
        socket
    };
    let (config, url) = (config(peer), peer.url(scheme, "/api/realm-sync"));
    let opening = WebSocket::open(&config, &url, "a.b-c");
    let (socket, opened) =
        within("a WebSocket is open", async { tokio::join!(serving, opening) }).await;
    let opened = opened.unwrap();
    assert_eq!(opened.version.number(), 14);
    (opened, socket)
}

#[tokio::test]
async fn a_status_is_reported() {
    let peer = Peer::plain().await;
    for status in [200, 301, 400, 401, 403, 404, 500, 503] {
        let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 1000\r\n\r\n...");
        assert_eq!(answered(&peer, &answer).await.unwrap_err(), ConnectError::Status(status));
    }
}

#[tokio::test]
async fn an_upgrade_needs_a_protocol_that_was_offered() {
    let peer = Peer::plain().await;
    for protocol in [
        "",
        "Sec-WebSocket-Protocol: com.mongodb.realm-sync#15\r\n",
        "Sec-WebSocket-Protocol: com.mongodb.realm-query-sync#14\r\n",
        "Sec-WebSocket-Protocol: \u{ff}\r\n",
    ] {
        let answer = format!(
            "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {{accept}}\r\n{protocol}\r\n"
        );
        let refused = answered(&peer, &answer).await.unwrap_err();
        assert!(matches!(refused, ConnectError::Protocol(_)), "{protocol}: {refused:?}");
    }
}

#[tokio::test]
async fn what_is_no_web_socket_server_is_one_that_is_not_there() {
    let peer = Peer::plain().await;
    let other_key = format!(
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: abc\r\nSec-WebSocket-Protocol: {PROTOCOL}\r\n\r\n"
    );
    let no_key = format!("HTTP/1.1 101 x\r\nSec-WebSocket-Protocol: {PROTOCOL}\r\n\r\n");
    for answer in ["", "220 smtp.example.com ESMTP\r\n", "HTTP/1.1 101", &other_key, &no_key] {
        let failed = answered(&peer, answer).await.unwrap_err();
        assert!(matches!(failed, ConnectError::Network(_)), "{answer}: {failed:?}");
    }
}

#[tokio::test]
async fn messages_come_whole_and_only_binary_ones() {
    let peer = Peer::secure("127.0.0.1").await;
    let (mut client, mut server) = connected(&peer, "wss").await;
    let mut bytes = frame(0x81, b"text");
    bytes.extend(frame(0x89, b"ping"));
    bytes.extend(frame(0x02, b"one "));
    bytes.extend(frame(0x89, b"ping"));
    bytes.extend(frame(0x80, b"message"));
    bytes.extend(frame(0x82, b""));
    server.write_all(&bytes).await.unwrap();
    server.flush().await.unwrap();
    assert_eq!(within("a message comes", client.reader.receive()).await.unwrap(), "one message");
    assert_eq!(within("a message comes", client.reader.receive()).await.unwrap(), "");
}

#[tokio::test]
async fn the_end_of_a_connection_has_a_reason() {
    let closed = |code: u16, reason: &str| {
        let mut payload = code.to_be_bytes().to_vec();
        payload.extend_from_slice(reason.as_bytes());
        (frame(0x88, &payload), Disconnect::Closed(code, reason.to_owned()))
    };
    let peer = Peer::plain().await;
    for (bytes, expected) in [
        closed(1000, ""),
        closed(1001, "bye"),
        closed(1009, ""),
        closed(1011, "oops"),
        closed(4001, ""),
        closed(4003, "over there"),
        (frame(0x88, b""), Disconnect::Closed(1005, String::new())),
    ] {
        let (mut client, mut server) = connected(&peer, "ws").await;
        server.write_all(&bytes).await.unwrap();
        assert_eq!(within("it ends", client.reader.receive()).await.unwrap_err(), expected);
    }
    // The end of TCP, before a message and within one; a bit that stands for an extension; a frame that is masked.
    for bytes in [&b""[..], &[0x82, 10, 1], &[0xc2, 0], &[0x82, 0x81, 0, 0, 0, 0, 0]] {
        let (mut client, mut server) = connected(&peer, "ws").await;
        server.write_all(bytes).await.unwrap();
        drop(server);
        let ended = within("it ends", client.reader.receive()).await.unwrap_err();
        assert!(matches!(ended, Disconnect::Network(_)), "{bytes:?}: {ended:?}");
    }
}

#[tokio::test]
async fn a_message_that_is_too_long_is_not_waited_for() {
    let peer = Peer::plain().await;
    let claimed = [&[0x82, 127][..], &(MAX_LEN as u64 + 1).to_be_bytes()].concat();
    let endless = [&[0x82, 127][..], &(u64::MAX >> 1).to_be_bytes()].concat();
    let part = vec![0; MAX_LEN / 2 + 1];
    let summed = [frame(0x02, &part), frame(0x00, &part)].concat();
    for bytes in [claimed, endless, summed] {
        let (mut client, mut server) = connected(&peer, "ws").await;
        server.write_all(&bytes).await.unwrap();
        let refused = within("it is refused", client.reader.receive()).await.unwrap_err();
        assert!(matches!(refused, Disconnect::TooLong(_)), "{refused:?}");
    }
    let (mut client, mut server) = connected(&peer, "ws").await;
    server.write_all(&frame(0x82, &[7; MAX_LEN])).await.unwrap();
    assert_eq!(within("a message comes", client.reader.receive()).await.unwrap().len(), MAX_LEN);
}

#[tokio::test]
async fn writing_is_done_when_the_server_has_read() {
    // More than sockets keep between each other.
    const LEN: usize = 64 << 20;
    let peer = Peer::plain().await;
    let (client, mut server) = connected(&peer, "ws").await;
    let (mut writer, mut reader) = (client.writer, client.reader);
    writer.send(Bytes::from_static(b"first"));
    writer.send(Bytes::from(vec![1; LEN]));
    let is_written = AtomicBool::new(false);
    let writing = async {
        writer.drain().await.unwrap();
        is_written.store(true, Ordering::Relaxed);
    };
    let serving = async {
        // The server may be slow to read, but what it says is heard meanwhile.
        server.write_all(&frame(0x82, b"hello")).await.unwrap();
        let (mut lens, mut is_early) = (vec![0], false);
        while lens.len() < 3 {
            let (is_final, payload) = read_frame(&mut server).await;
            assert!(payload.len() <= 16 * 1024);
            *lens.last_mut().unwrap() += payload.len();
            if is_final {
                lens.push(0);
            }
            let is_half_read = lens[1..].iter().sum::<usize>() > LEN / 2;
            is_early |= !is_half_read && is_written.load(Ordering::Relaxed);
        }
        (lens, is_early)
    };
    let all = async { tokio::join!(writing, serving, reader.receive()) };
    let ((), (lens, is_early), received) = within("all is written", all).await;
    assert_eq!(lens, [5, LEN, 0]);
    assert!(!is_early, "a message was taken for written while the server had not read it");
    assert_eq!(received.unwrap(), "hello");
    assert!(!writer.is_busy());
}

#[tokio::test]
async fn last_messages_leave_after_closing() {
    let peer = Peer::plain().await;
    let (client, mut server) = connected(&peer, "ws").await;
    let mut writer = client.writer;
    writer.send(Bytes::from_static(b"good"));
    writer.send(Bytes::from_static(b"bye"));
    writer.close();
    drop(client.reader);
    assert_eq!(within("a frame comes", read_frame(&mut server)).await, (true, b"good".to_vec()));
    assert_eq!(within("a frame comes", read_frame(&mut server)).await, (true, b"bye".to_vec()));
    // No close frame, as with the other clients.
    assert_eq!(within("it ends", server.read(&mut [0])).await.unwrap(), 0);
}

/// A short frame of a server.
pub(super) fn frame(head: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).unwrap();
    let mut frame = vec![head];
    match u8::try_from(len) {
        Ok(len) if len < 126 => frame.push(len),
        _ => {
            frame.push(126);
            frame.extend(len.to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

/// A frame of a client, without its mask; whether it ends a message.
pub(super) async fn read_frame(socket: &mut dyn Socket) -> (bool, Vec<u8>) {
    let head = socket.read_u8().await.unwrap();
    let len = socket.read_u8().await.unwrap();
    assert_ne!(len & 0x80, 0, "frames of clients are masked");
    let len = match len & 0x7f {
        126 => socket.read_u16().await.unwrap().into(),
        127 => usize::try_from(socket.read_u64().await.unwrap()).unwrap(),
        len => usize::from(len),
    };
    let mask = socket.read_u32().await.unwrap().to_be_bytes();
    let mut payload = vec![0; len];
    socket.read_exact(&mut payload).await.unwrap();
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    (head & 0x80 != 0, payload)
}
