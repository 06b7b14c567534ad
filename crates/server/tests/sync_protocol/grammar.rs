//! What cannot be read ends the connection, and only that: wire protocol, sections 2 and 6.2.

use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::message::{Body, ClientMessage};
use tokio_tungstenite::tungstenite::Message;

use crate::changesets::schema;
use crate::peer::{End, Peer, entry, upload};
use crate::service::Service;

/// A device with session 1 open, in a partition that a neighbour has open as well.
async fn pair(service: &Service) -> (Peer, Peer) {
    let mut device = service.connect(9).await;
    device.open(1, r#""here""#).await;
    let mut neighbour = service.connect(9).await;
    neighbour.open(1, r#""here""#).await;
    (device, neighbour)
}

/// The device is told `code` and nothing more; the neighbour goes on.
async fn check(service: &Service, frame: Message, code: ErrorCode) {
    let (mut device, mut neighbour) = pair(service).await;
    device.send_raw(frame.clone()).await;
    let error = device.next_error().await;
    assert_eq!((error.session().0, error.code()), (0, code), "{frame:?}: {error:?}");
    assert!(!error.body().message.is_empty());
    device.ping().await;
    device.mark(1, 2).await;
    neighbour.mark(1, 2).await;
    neighbour.expect_mark(1, 2).await;
    // The driver's closing timeout is short here: nothing was answered until it was over.
    assert_eq!(device.end().await, End::Lost);
    neighbour.expect_silence().await;
}

async fn quick() -> Service {
    Service::with(|_, config| {
        config.web_socket.closing_timeout = std::time::Duration::from_millis(20);
    })
    .await
}

#[tokio::test]
async fn what_is_no_message_is_bad_syntax() {
    let service = quick().await;
    let long = format!("mark 1 {}\n", "0".repeat(400));
    for payload in [
        "",
        "\n",
        " \n",
        "mark",
        "mark 1 1",
        "mark  1 1\n",
        "mark\t1 1\n",
        "mark 1 1 \n",
        "mark +1 1\n",
        "mark -1 1\n",
        "mark 1 1.0\n",
        "mark 01 1\n",
        "mark 1\n",
        "mark 1 1 1\n",
        "mark 1 1\nX",
        "mark 18446744073709551616 1\n",
        "Mark 1 1\n",
        "ping 1\n",
        "ping 1 2 3\n",
        "ident 1 2 3 0 0 0\n",
        "unbind 1\nx",
        "bind 2 9 0 1 0\n\"store4\"",
        "bind 2 9 0 1 0\n\"store421\"",
        "bind 2 9 0 2 0\n\"store42\"",
        "bind 2 0 0 1 0\n",
        "bind 2 3 0 1 0\n\"\u{7f}",
        "bind 2 9223372036854775807 9223372036854775807 1 0\n\"a\"",
        "upload 1 0 5 0 1 0 0\nabcd",
        "upload 1 0 4 1 1 0 0\nabcd",
        "upload 1 1 4 5 1 0 0\nabcd",
        "upload 1 2 0 0 1 0 0\n",
        "json_error 212 5 1\n{}",
        "alloc 1\n",
        "transact 1 0 0 0 0 0 0\n",
        "state_request 1 0 0\n",
        "client_version_request 1\n",
        "refresh 1 0\n",
        "query 1 1 2\n{}",
        "test_command 1 1 2\n{}",
        "download 1 0 0 0 0 0 0 0 0 0 0\n",
        "GET / HTTP/1.1\r\n\r\n",
        &long,
    ] {
        let frame = Message::Binary(payload.as_bytes().to_vec().into());
        check(&service, frame, ErrorCode::BadSyntax).await;
    }
    let not_utf8 = b"bind 2 3 0 1 0\n\"\xff\"".to_vec();
    check(&service, Message::Binary(not_utf8.into()), ErrorCode::BadSyntax).await;
    check(&service, Message::Text("mark 1 2\n".into()), ErrorCode::BadSyntax).await;
}

#[tokio::test]
async fn no_message_belongs_to_session_0() {
    let service = quick().await;
    for payload in ["mark 0 1\n", "unbind 0\n", "ident 0 2 3 0 0 0 0\n", "bind 0 3 0 1 0\n\"a\""] {
        let frame = Message::Binary(payload.as_bytes().to_vec().into());
        check(&service, frame, ErrorCode::BadSessionIdent).await;
    }
}

#[tokio::test]
async fn a_body_that_is_no_list_of_entries_is_bad_syntax() {
    let service = quick().await;
    for body in
        ["x", "2 0 1 0 9 abc", "2 0 1 0 3 abcX", "2 0 1 0", "2 0  1 0 3 abc", "2 0 1 0 -3 abc"]
    {
        let mut message = upload(1, (2, 0), 0, &[]);
        message.body = Body::Plain(body.into());
        let payload = ClientMessage::Upload(message).print();
        check(&service, Message::Binary(payload.into()), ErrorCode::BadSyntax).await;
    }
}

/// A body that is announced to inflate to `uncompressed_len` bytes.
fn compressed(uncompressed_len: u64, bytes: Vec<u8>) -> Message {
    let mut message = upload(1, (2, 0), 0, &[]);
    message.body = Body::Compressed { uncompressed_len, bytes: bytes.into() };
    Message::Binary(ClientMessage::Upload(message).print().into())
}

/// The zlib stream of a body, and the body's length.
fn stream() -> (u64, Vec<u8>) {
    let entries: Vec<_> = (2..100).map(|version| entry(version, 0, schema())).collect();
    match Body::from_entries(&entries) {
        Body::Compressed { uncompressed_len, bytes } => (uncompressed_len, bytes.to_vec()),
        Body::Plain(_) => panic!("it is long and repeats itself"),
    }
}

#[tokio::test]
async fn what_does_not_inflate_is_another_error() {
    let service = quick().await;
    let (len, bytes) = stream();
    let cut = bytes[..bytes.len() - 1].to_vec();
    let longer = [bytes.clone(), vec![0]].concat();
    let mut flipped = bytes.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for frame in [
        compressed(len, vec![]),
        compressed(
            len,
            b"no zlib stream at all, but long enough to be one of that length".to_vec(),
        ),
        compressed(len, cut),
        compressed(len, longer),
        compressed(len, flipped),
        compressed(len - 1, bytes.clone()),
        compressed(len + 1, bytes.clone()),
        compressed(0, bytes.clone()),
        // No stream of so few bytes yields so much.
        compressed(17 << 20, bytes),
    ] {
        check(&service, frame, ErrorCode::OtherError).await;
    }
}

#[tokio::test]
async fn an_announced_body_beyond_the_limit_is_never_acceptable() {
    let service = quick().await;
    for announced in [19 << 20, 1 << 40, i64::MAX as u64] {
        let (mut device, mut neighbour) = pair(&service).await;
        device.send_raw(compressed(announced, stream().1)).await;
        assert_eq!(device.end().await, End::Closed(1009), "{announced} bytes");
        neighbour.expect_silence().await;
    }
}

#[tokio::test]
async fn websocket_pings_and_fragments_are_understood() {
    use tokio_tungstenite::tungstenite::protocol::frame::Frame;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
    let service = Service::start().await;
    let (mut device, _neighbour) = pair(&service).await;
    let start = Frame::message(b"mark 1".to_vec(), OpCode::Data(Data::Binary), false);
    let end = Frame::message(b" 7\n".to_vec(), OpCode::Data(Data::Continue), true);
    device.note_mark(1, 7);
    device.send_raw(Message::Frame(start)).await;
    device.send_raw(Message::Ping("x".into())).await;
    device.send_raw(Message::Frame(end)).await;
    device.expect_pong_frame().await;
    device.expect_mark(1, 7).await;
}
