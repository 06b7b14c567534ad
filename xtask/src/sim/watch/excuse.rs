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

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: Circumstances = Circumstances {
        now: Time::ZERO,
        idle_timeout: Duration::from_secs(10),
        is_ending: false,
        may_be_logged_out: false,
        listener: Listener::There,
        is_scarce: false,
    };
    const NOTHING: Past = Past { longest_silence: Duration::from_secs(9), is_taken_over: false };

    /// A reason is not true as a rule, nor where all the others are, but where it is.
    fn check(code: ErrorCode, text: &str, change: fn(&mut Past, &mut Circumstances)) {
        let changes: [fn(&mut Past, &mut Circumstances); 4] = [
            |past, _| past.is_taken_over = true,
            |past, _| past.longest_silence = Duration::from_secs(10),
            |_, circumstances| circumstances.may_be_logged_out = true,
            |_, circumstances| circumstances.is_scarce = true,
        ];
        let is_true = |change: fn(&mut Past, &mut Circumstances)| {
            let (mut past, mut circumstances) = (NOTHING, NEVER);
            change(&mut past, &mut circumstances);
            is_true(code, text, past, &circumstances)
        };
        assert!(!is_true(|_, _| ()), "{text}");
        assert!(is_true(change), "{text}");
        assert!(changes.into_iter().filter(|change| is_true(*change)).count() <= 1, "{text}");
    }

    #[test]
    fn each_reason_is_believed_only_where_it_is_true() {
        let closed = ErrorCode::ConnectionClosed;
        check(closed, "another connection has bound the client file", |past, _| {
            past.is_taken_over = true;
        });
        check(closed, "nothing was heard for too long", |past, _| {
            past.longest_silence = Duration::from_secs(10);
        });
        check(closed, "the login session has ended", |_, it| it.may_be_logged_out = true);
        check(closed, "too many uploads are waiting in this partition", |_, it| {
            it.is_scarce = true;
        });
        for code in [closed, ErrorCode::OtherSessionError] {
            check(code, "the server is restarting", |_, it| it.is_ending = true);
        }
    }
}
