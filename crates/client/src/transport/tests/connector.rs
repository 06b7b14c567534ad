use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::peer::{Peer, within};
use crate::transport::connector::connect_first;
use crate::transport::{Connector, Endpoint, Tls, Unreachable};

/// Connects, and lets one byte go there and back.
async fn echo(peer: &Peer, connector: &Connector, scheme: &str) -> Result<(), Unreachable> {
    let endpoint = Endpoint::try_from(&peer.url(scheme, "/")).unwrap();
    let serving = async {
        // A client that does not trust the server breaks off.
        if let Ok(mut socket) = peer.accept().await {
            let byte = socket.read_u8().await.unwrap();
            socket.write_u8(byte + 1).await.unwrap();
            socket.flush().await.unwrap();
        }
    };
    let connecting = async {
        let mut stream = connector.connect(&endpoint).await?;
        stream.write_u8(41).await.unwrap();
        stream.flush().await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), 42);
        Ok(())
    };
    within("a byte comes back", async { tokio::join!(serving, connecting).1 }).await
}

#[tokio::test]
async fn bytes_go_there_and_back() {
    let peer = Peer::plain().await;
    echo(&peer, &peer.connector(), "ws").await.unwrap();
    let peer = Peer::secure("127.0.0.1").await;
    echo(&peer, &peer.connector(), "https").await.unwrap();
}

#[tokio::test]
async fn a_certificate_of_nobody_known_is_refused() {
    let peer = Peer::secure("127.0.0.1").await;
    let refused = echo(&peer, &Connector::default(), "wss").await;
    assert!(matches!(refused, Err(Unreachable::Tls(..))), "{refused:?}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let peer = Peer::secure("example.com").await;
    let refused = echo(&peer, &peer.connector(), "wss").await;
    assert!(matches!(refused, Err(Unreachable::Tls(..))), "{refused:?}");
}

#[tokio::test]
async fn a_configuration_of_the_caller_is_all_that_counts() {
    let peer = Peer::secure("127.0.0.1").await;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let connector = Connector { tls: Tls::custom(Arc::new(config)), ..Connector::default() };
    let refused = echo(&peer, &connector, "https").await;
    assert!(matches!(refused, Err(Unreachable::Tls(..))), "{refused:?}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let endpoint = Endpoint { host: "127.0.0.1".to_owned(), port, is_secure: true };
    let connector = Connector { timeout: Duration::from_millis(50), ..Connector::default() };
    let given_up = connector.connect(&endpoint).await;
    assert!(matches!(given_up, Err(Unreachable::TimedOut(_))), "{given_up:?}");
}

#[tokio::test]
async fn a_name_without_an_address_is_reported() {
    let endpoint = Endpoint { host: "nowhere.invalid".to_owned(), port: 80, is_secure: false };
    let failed = Connector::default().connect(&endpoint).await;
    assert!(matches!(failed, Err(Unreachable::Name(..))), "{failed:?}");
}

#[tokio::test]
async fn the_next_address_is_tried() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let open = listener.local_addr().unwrap();
    let closed = closed_address().await;
    let stream = connect_first([closed, closed, open].into_iter()).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), open);
    assert!(connect_first([closed].into_iter()).await.is_err());
    assert!(connect_first([].into_iter()).await.is_err());
}

async fn closed_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}
