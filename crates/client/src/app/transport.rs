//! Who carries HTTP requests.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper::{Request, Response};

/// The longest answer that is read, in bytes. Answers hold tokens, profiles and lists of 20 keys.
pub const MAX_ANSWER_LEN: usize = 1 << 20;

/// Carries HTTP requests to a server. An application may have its own, for a proxy or for tests.
pub trait HttpTransport: fmt::Debug + Send + Sync + 'static {
    /// Sends a request to the server that its URL names, and brings the answer, whatever its status.
    ///
    /// Redirections are not followed. The caller bounds the time. A longer answer than [`MAX_ANSWER_LEN`] is an
    /// error, and it should not be read to its end.
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>>;
}

/// Why a request has no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub struct TransportError(Arc<dyn Error + Send + Sync>);

/// The time is over.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("there was no answer in time")]
pub(super) struct TimedOut;

/// A replaced transport brought more than it may.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the answer is longer than {MAX_ANSWER_LEN} bytes")]
pub(super) struct TooLong;

impl TransportError {
    /// For this reason.
    pub fn new(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Arc::from(reason.into()))
    }
}
