//! One HTTP request on a connection of its own.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::connector::{Connector, Unreachable};
use super::endpoint::{Endpoint, EndpointError};

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// There is no connection.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// The connection broke, or what came is not HTTP.
    #[error("the server did not answer the request")]
    Http(#[source] hyper::Error),
    /// The body is longer than expected.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// It took more than a minute.
    #[error("the server did not answer the request in time")]
    TimedOut,
}

/// How long a request may take with all that belongs to it, as with the other clients.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of the head of an answer.
pub(super) const MAX_HEAD_LEN: usize = 64 * 1024;

/// Sends a request to the server in its URL, and reads the answer, whatever its status.
///
/// `Host`, `Connection` and `Content-Length` are added. Redirections are not followed.
///
/// # Errors
///
/// See [`HttpError`]. The body may have at most `max_len` bytes.
pub async fn request(
    connector: &Connector,
    request: Request<Bytes>,
    max_len: usize,
) -> Result<Response<Bytes>, HttpError> {
    let answer = timeout(TIMEOUT, request_in_time(connector, request, max_len)).await;
    answer.unwrap_or(Err(HttpError::TimedOut))
}

async fn request_in_time(
    connector: &Connector,
    request: Request<Bytes>,
    max_len: usize,
) -> Result<Response<Bytes>, HttpError> {
    let endpoint = Endpoint::try_from(request.uri()).map_err(Unreachable::from)?;
    let mut request = request.map(Full::new);
    address(&mut request)?;
    request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    let stream = connector.connect(&endpoint).await?;
    let handshake =
        http1::Builder::new().max_buf_size(MAX_HEAD_LEN).handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(HttpError::Http)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(HttpError::Http)?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, max_len).collect().await;
        Ok(Response::from_parts(head, body.map_err(|error| unread(error, max_len))?.to_bytes()))
    };
    // The connection does its part only as long as it is polled; a failure of it is one of the exchange, too.
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        _ = connection => exchange.await,
    }
}

/// Replaces the URL by a path, and says in `Host` what it is a path of.
pub(super) fn address<B>(request: &mut Request<B>) -> Result<(), Unreachable> {
    let url = request.uri();
    let refused = || Unreachable::Endpoint(EndpointError::Host(url.clone()));
    let host = url.authority().ok_or_else(refused)?.as_str();
    let host = HeaderValue::from_str(host).map_err(|_| refused())?;
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let path = path.parse::<Uri>().map_err(|_| refused())?;
    *request.uri_mut() = path;
    request.headers_mut().insert(HOST, host);
    Ok(())
}

fn unread(error: Box<dyn std::error::Error + Send + Sync>, max_len: usize) -> HttpError {
    match error.downcast::<hyper::Error>() {
        Ok(error) => HttpError::Http(*error),
        Err(error) => {
            debug_assert!(error.is::<LengthLimitError>(), "{error}");
            HttpError::TooLong(max_len)
        }
    }
}
