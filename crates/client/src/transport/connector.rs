//! From the name of a server to a connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::Either;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::endpoint::{Endpoint, EndpointError};
use super::stream::Stream;
use super::tls::Tls;

/// Makes connections.
#[derive(Clone, Debug)]
pub struct Connector {
    /// Whose certificates are believed.
    pub tls: Tls,
    /// How long the name, TCP and TLS may take together.
    pub timeout: Duration,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unreachable {
    /// The URL.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The name has no address, as far as is known now.
    #[error("the name {0} cannot be resolved")]
    Name(String, #[source] io::Error),
    /// No address answered.
    #[error("{0} does not answer")]
    Connect(String, #[source] io::Error),
    /// The certificates of the platform.
    #[error("the certificates to trust cannot be loaded")]
    Trust(#[source] io::Error),
    /// The server does not speak TLS, or its certificate is not believed.
    #[error("no secure connection to {0}")]
    Tls(String, #[source] io::Error),
    /// It took too long.
    #[error("{0} does not answer in time")]
    TimedOut(String),
}

impl Default for Connector {
    /// Two minutes, as the other clients. Spec: client, section 2.
    fn default() -> Self {
        Self { tls: Tls::platform(), timeout: Duration::from_secs(120) }
    }
}

impl Connector {
    /// Connects; small writes are sent at once.
    ///
    /// # Errors
    ///
    /// See [`Unreachable`].
    pub async fn connect(&self, endpoint: &Endpoint) -> Result<Stream, Unreachable> {
        let connected = timeout(self.timeout, self.connect_in_time(endpoint)).await;
        connected.unwrap_or_else(|_| Err(Unreachable::TimedOut(endpoint.to_string())))
    }

    async fn connect_in_time(&self, endpoint: &Endpoint) -> Result<Stream, Unreachable> {
        let host = &endpoint.host;
        let addresses = tokio::net::lookup_host((host.as_str(), endpoint.port)).await;
        let addresses = addresses.map_err(|error| Unreachable::Name(host.clone(), error))?;
        let stream = connect_first(addresses).await;
        let stream = stream.map_err(|error| Unreachable::Connect(endpoint.to_string(), error))?;
        let set = stream.set_nodelay(true);
        set.map_err(|error| Unreachable::Connect(endpoint.to_string(), error))?;
        if !endpoint.is_secure {
            return Ok(stream.into());
        }
        let failed = |error| Unreachable::Tls(host.clone(), error);
        let config = self.tls.config().await.map_err(Unreachable::Trust)?;
        let name =
            ServerName::try_from(host.clone()).map_err(|error| failed(io::Error::other(error)))?;
        let secure = TlsConnector::from(Arc::clone(&config)).connect(name, stream).await;
        Ok(secure.map_err(failed)?.into())
    }
}

/// How long an address has for itself before the next one is tried as well (RFC 8305).
const HEAD_START: Duration = Duration::from_millis(250);

/// Tries the addresses in order, a slow one beside its successors; the first that answers is taken.
pub(super) async fn connect_first(
    addresses: impl Iterator<Item = SocketAddr>,
) -> io::Result<TcpStream> {
    let mut addresses = addresses.fuse();
    let mut attempts = FuturesUnordered::new();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        let next = addresses.next();
        let is_last = next.is_none();
        attempts.extend(next.map(TcpStream::connect));
        let head_start = if is_last {
            Either::Left(std::future::pending())
        } else {
            Either::Right(sleep(HEAD_START))
        };
        tokio::select! {
            attempt = attempts.next() => match attempt {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => failure = error,
                None => return Err(failure),
            },
            () = head_start => (),
        }
    }
}
