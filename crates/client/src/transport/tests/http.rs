use bytes::Bytes;
use hyper::http::uri::Authority;
use hyper::{Request, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::peer::{Peer, header, read_head, within};
use crate::transport::{HttpError, request};

/// Posts `ping` to a server that answers with these bytes and closes; returns what both have got.
async fn exchange(
    peer: &Peer,
    scheme: &str,
    answer: &[u8],
) -> (String, Result<Response<Bytes>, HttpError>) {
    let serving = async {
        let mut socket = peer.accept().await.unwrap();
        let (head, mut body) = read_head(&mut socket).await;
        let len: usize = header(&head, "content-length").unwrap().parse().unwrap();
        while body.len() < len {
            assert_ne!(socket.read_buf(&mut body).await.unwrap(), 0, "the body breaks off");
        }
        assert_eq!(body, b"ping");
        // Whoever has read enough does not wait for the rest.
        let _ = socket.write_all(answer).await;
        let _ = socket.shutdown().await;
        head
    };
    let posting = Request::post(peer.url(scheme, "/a/b?c=d"))
        .header("Authorization", "Bearer abc")
        .body(Bytes::from_static(b"ping"))
        .unwrap();
    let connector = peer.connector();
    let both = async { tokio::join!(serving, request(&connector, posting, 100)) };
    within("a request is answered", both).await
}

#[tokio::test]
async fn a_request_names_its_server_and_path() {
    for (peer, scheme) in
        [(Peer::plain().await, "http"), (Peer::secure("127.0.0.1").await, "https")]
    {
        let answer = b"HTTP/1.1 201 Created\r\nx-a: b\r\nContent-Length: 4\r\n\r\npong";
        let (head, answer) = exchange(&peer, scheme, answer).await;
        assert!(head.starts_with("POST /a/b?c=d HTTP/1.1\r\n"), "{head}");
        assert_eq!(header(&head, "host"), peer.url(scheme, "").authority().map(Authority::as_str));
        assert_eq!(header(&head, "authorization"), Some("Bearer abc"));
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 201);
        assert_eq!(answer.headers()["x-a"], "b");
        assert_eq!(answer.body(), "pong");
    }
}

#[tokio::test]
async fn every_end_of_a_body_is_understood() {
    let peer = Peer::plain().await;
    for answer in [
        "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\npo\r\n2\r\nng\r\n0\r\n\r\n",
        "HTTP/1.0 404 Not Found\r\n\r\npong",
    ] {
        let (_, answer) = exchange(&peer, "http", answer.as_bytes()).await;
        let answer = answer.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.body()[..]), (404, &b"pong"[..]));
    }
}

#[tokio::test]
async fn an_endless_body_is_cut_off() {
    let peer = Peer::plain().await;
    let long = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(101));
    let claimed =
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n".to_owned() + &"x".repeat(101);
    for answer in [long, claimed] {
        let (_, answer) = exchange(&peer, "http", answer.as_bytes()).await;
        assert!(matches!(answer, Err(HttpError::TooLong(100))), "{answer:?}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_an_error() {
    let peer = Peer::plain().await;
    let endless = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(1 << 20));
    let cut_off = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\npong";
    for answer in ["", "SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 200", &endless, cut_off] {
        let (_, answer) = exchange(&peer, "http", answer.as_bytes()).await;
        assert!(matches!(answer, Err(HttpError::Http(_))), "{answer:?}");
    }
}
