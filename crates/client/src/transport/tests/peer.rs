//! A server of one connection, at the level of bytes.

use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use crate::transport::{Connector, Tls};

/// How long anything may take; nothing comes near it unless something is wrong.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

/// A socket of a server, with TLS or without.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// Listens, and hands over the first connection.
pub(super) struct Peer {
    listener: TcpListener,
    tls: Option<Identity>,
}

struct Identity {
    acceptor: TlsAcceptor,
    certificate: CertificateDer<'static>,
}

impl Peer {
    pub(super) async fn plain() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap(), tls: None }
    }

    /// A server that proves to be `name`, by a certificate that only [`connector`](Self::connector) believes.
    pub(super) async fn secure(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key.into())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let tls = Some(Identity { acceptor, certificate });
        Self { tls, ..Self::plain().await }
    }

    pub(super) fn url(&self, scheme: &str, rest: &str) -> Uri {
        let port = self.listener.local_addr().unwrap().port();
        format!("{scheme}://127.0.0.1:{port}{rest}").parse().unwrap()
    }

    pub(super) fn connector(&self) -> Connector {
        let roots = self.tls.iter().map(|identity| identity.certificate.clone()).collect();
        Connector { tls: Tls::with_roots(roots), ..Connector::default() }
    }

    pub(super) async fn accept(&self) -> std::io::Result<Box<dyn Socket>> {
        let (stream, _) = self.listener.accept().await?;
        Ok(match &self.tls {
            None => Box::new(stream),
            Some(identity) => Box::new(identity.acceptor.accept(stream).await?),
        })
    }
}

/// The head of a request, and what comes after it.
pub(super) async fn read_head(socket: &mut dyn Socket) -> (String, Vec<u8>) {
    let mut received = Vec::new();
    loop {
        if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = received.split_off(end + 4);
            return (String::from_utf8(received).unwrap(), rest);
        }
        assert_ne!(socket.read_buf(&mut received).await.unwrap(), 0, "the request breaks off");
    }
}

pub(super) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

pub(super) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(DEADLINE, future).await;
    result.unwrap_or_else(|_| panic!("it takes too long until {what}"))
}
