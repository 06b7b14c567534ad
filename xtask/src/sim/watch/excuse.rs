//! Why a server may let go of an honest device, which has done nothing wrong.

use std::time::Duration;

use bailiwick_protocol::error_code::ErrorCode;

use crate::sim::agenda::Time;

/// What is known of the server and of a connection when something is sent there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    pub(crate) now: Time,
    /// After so long without a message a connection is taken for dead.
    pub(crate) idle_timeout: Duration,
    /// The server is about to end, or its store has failed.
    pub(crate) is_ending: bool,
    /// The login of the connection may have ended.
    pub(crate) may_be_logged_out: bool,
    pub(crate) listener: Listener,
    /// So little may wait in a partition that it is too much now and then.
    pub(crate) is_scarce: bool,
}

/// Whether what is sent to a device can matter to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    There,
    /// It has given up the connection.
    Gone,
}

/// What is known of a connection from its messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past {
    /// The longest time without a message: what the server decided then may leave after the next one has come.
    pub(super) longest_silence: Duration,
    /// Another connection has proved to be a client file of it since.
    pub(super) is_taken_over: bool,
}

/// Whether the reason that a device is given is true. What is not about the connection or the storage is judged elsewhere.
pub(super) fn is_true(
    code: ErrorCode,
    text: &str,
    past: Past,
    circumstances: &Circumstances,
) -> bool {
    let Circumstances { idle_timeout, is_ending, may_be_logged_out, is_scarce, .. } =
        *circumstances;
    match (code, text) {
        (ErrorCode::ConnectionClosed, "another connection has bound the client file") => {
            past.is_taken_over
        }
        (ErrorCode::ConnectionClosed, "nothing was heard for too long") => {
            past.longest_silence >= idle_timeout
        }
        (ErrorCode::ConnectionClosed, "the login session has ended") => may_be_logged_out,
        (ErrorCode::ConnectionClosed, "too many uploads are waiting in this partition") => {
            is_scarce
        }
        (ErrorCode::ConnectionClosed | ErrorCode::OtherSessionError, _) => is_ending,
        _ => true,
    }
}
