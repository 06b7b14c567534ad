//! What each thing that goes wrong means: when to try again, what to do before, who is told.
//!
//! All choices stand here. Spec: client, sections 6.2 and 6.4; wire protocol, sections 1.3 and 1.6.

use bailiwick_protocol::action::Action;
use bailiwick_protocol::error_code::{ErrorCode, Level};
use bailiwick_protocol::message::{ErrorBody, JsonError, TextError};

use super::backoff::{Failure, Growth};
use super::io::{ConnectError, Disconnect, SyncError};

/// What a failure of the connection means.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) failure: Failure,
    pub(super) retry: Retry,
    pub(super) remedy: Remedy,
    /// What the applications of all realms are told. If it is fatal, nobody waits any longer.
    pub(super) report: Option<SyncError>,
}

/// When to connect again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    /// After a delay.
    After(Growth),
    /// When somebody asks for it.
    Never,
}

/// What to do before connecting again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    Nothing,
    /// Get another access token.
    Token,
    /// Ask where the server is.
    Location,
    /// Both: the server says that the user belongs elsewhere.
    Moved,
    LogOut,
    /// End sync of all realms that had a session.
    End,
    /// A client reset of all realms that had a session.
    Reset(ResetCause),
}

/// Why a client reset is demanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ResetCause {
    pub(super) action: Action,
    pub(super) code: ErrorCode,
    pub(super) message: String,
}

/// What an error of a session means.
#[derive(Debug)]
pub(super) enum SessionVerdict {
    /// It is bound again after a delay.
    Retry { growth: Growth, remedy: Remedy, report: Option<SyncError> },
    /// Sync of the realm ends.
    End(SyncError),
    /// The user is logged out.
    LogOut(SyncError),
    /// A client reset.
    Reset(ResetCause),
}

/// The longest text that is kept of what a server tells or of what it makes go wrong, in bytes.
const MAX_TEXT_LEN: usize = 4096;

/// An error as a server tells it, whichever message it came in.
#[derive(Debug)]
pub(super) struct Told {
    code: ErrorCode,
    action: Action,
    try_again: bool,
    message: String,
    growth: Growth,
}

pub(super) fn connect_error(error: &ConnectError, is_located: bool) -> Verdict {
    let after = Retry::After(Growth::default());
    let told = |fatal| Some(SyncError::Connect { message: error.to_string(), fatal });
    let ask_where = if is_located { Remedy::Nothing } else { Remedy::Location };
    let (failure, retry, remedy, report) = match error {
        ConnectError::Network(_) => (Failure::Network, after, ask_where, None),
        ConnectError::Protocol(_) => {
            (Failure::Violation, Retry::Never, Remedy::Nothing, told(true))
        }
        ConnectError::LoggedOut(message) => {
            (Failure::Status(401), after, Remedy::LogOut, Some(logged_out(message.clone())))
        }
        &ConnectError::Status(status) => {
            let failure = Failure::Status(status);
            match status {
                401 => (failure, after, Remedy::Token, None),
                403 => (failure, after, Remedy::LogOut, Some(logged_out(error.to_string()))),
                301 | 308 => (failure, after, Remedy::Moved, None),
                302 | 303 | 307 | 500..=599 => (failure, after, Remedy::Nothing, told(false)),
                _ if is_located => (failure, Retry::Never, Remedy::Nothing, told(true)),
                _ => (failure, after, Remedy::Location, told(false)),
            }
        }
    };
    Verdict { failure, retry, remedy, report }
}

/// An attempt to connect, or a PONG, took too long.
pub(super) fn timeout(is_located: bool) -> Verdict {
    let remedy = if is_located { Remedy::Nothing } else { Remedy::Location };
    let retry = Retry::After(Growth::default());
    Verdict { failure: Failure::Timeout, retry, remedy, report: None }
}

pub(super) fn disconnect(disconnect: &Disconnect) -> Verdict {
    let message = disconnect.to_string();
    let (failure, remedy, report) = match *disconnect {
        // 1000 says nothing about why; the connection is gone all the same.
        Disconnect::Network(_) | Disconnect::Closed(1000, _) => {
            (Failure::Network, Remedy::Nothing, None)
        }
        Disconnect::TooLong(_) => return violation(&message),
        Disconnect::Closed(code, _) => {
            let failure = Failure::Closed(code);
            match code {
                1006 | 4001 => (failure, Remedy::Token, None),
                1009 => {
                    let (action, code) = (Action::ClientReset, ErrorCode::LimitsExceeded);
                    (failure, Remedy::Reset(ResetCause { action, code, message }), None)
                }
                4002 => (failure, Remedy::LogOut, Some(logged_out(message))),
                4003 => (failure, Remedy::Moved, None),
                _ => {
                    let report = SyncError::Connect { message, fatal: false };
                    (failure, Remedy::Nothing, Some(report))
                }
            }
        }
    };
    Verdict { failure, retry: Retry::After(Growth::default()), remedy, report }
}

/// The server broke the protocol.
pub(super) fn violation(message: &str) -> Verdict {
    let retry = Retry::After(Growth::default());
    let report = Some(SyncError::ProtocolViolation(shortened(message)));
    Verdict { failure: Failure::Violation, retry, remedy: Remedy::Nothing, report }
}

/// A session has learned that the server is elsewhere.
pub(super) fn moved(failure: Failure) -> Verdict {
    let retry = Retry::After(Growth::default());
    Verdict { failure, retry, remedy: Remedy::Moved, report: None }
}

impl Told {
    /// What a `JSON_ERROR` tells.
    pub(super) fn json(error: &JsonError) -> Self {
        let &ErrorBody { ref message, action, try_again, backoff, .. } = error.body();
        let growth = backoff.map_or_else(Growth::default, Growth::from);
        Self { code: error.code(), action, try_again, message: shortened(message), growth }
    }

    /// What an ERROR tells, which has no action.
    pub(super) fn text(error: &TextError) -> Self {
        let action = match error.code() {
            _ if error.try_again() => Action::Transient,
            ErrorCode::BadServerFileIdent
            | ErrorCode::BadClientFileIdent
            | ErrorCode::BadServerVersion
            | ErrorCode::BadClientVersion
            | ErrorCode::DivergingHistories
            | ErrorCode::BadClientFile
            | ErrorCode::ClientFileExpired => Action::ClientReset,
            _ => Action::ApplicationBug,
        };
        let (try_again, message) = (error.try_again(), shortened(error.text()));
        Self { code: error.code(), action, try_again, message, growth: Growth::default() }
    }

    /// Whether the code belongs where the error came. Codes that nobody knows may come anywhere.
    pub(super) fn is_at(&self, level: Level) -> bool {
        self.code.level().is_none_or(|own| own == level)
    }

    pub(super) fn failure(&self) -> Failure {
        Failure::Server(self.code)
    }

    /// What it means for the connection.
    pub(super) fn connection(self) -> Verdict {
        // With these a new connection is what the server wants, or what the device needs.
        let comes_back = self.try_again
            || self.action.is_client_reset()
            || matches!(self.action, Action::RefreshUser | Action::RefreshLocation);
        let retry = if comes_back { Retry::After(self.growth) } else { Retry::Never };
        let (failure, fatal) = (self.failure(), !self.try_again);
        let (remedy, report) = match self.action {
            Action::Transient if self.try_again => (Remedy::Nothing, None),
            Action::Transient | Action::Warning => (Remedy::Nothing, Some(self.report(fatal))),
            Action::RefreshUser => (Remedy::Token, None),
            Action::RefreshLocation => (Remedy::Moved, None),
            Action::LogOutUser => (Remedy::LogOut, Some(logged_out(self.message))),
            Action::ClientReset | Action::ClientResetNoRecovery => {
                (Remedy::Reset(self.into_cause()), None)
            }
            _ => (Remedy::End, Some(self.report(true))),
        };
        Verdict { failure, retry, remedy, report }
    }

    /// What it means for a session.
    pub(super) fn session(self) -> SessionVerdict {
        let growth = self.growth;
        let retry = |remedy, report| SessionVerdict::Retry { growth, remedy, report };
        match self.action {
            Action::ClientReset | Action::ClientResetNoRecovery => {
                SessionVerdict::Reset(self.into_cause())
            }
            Action::LogOutUser => SessionVerdict::LogOut(logged_out(self.message)),
            Action::RefreshUser => retry(Remedy::Token, None),
            Action::RefreshLocation => retry(Remedy::Moved, None),
            Action::Transient if self.try_again => retry(Remedy::Nothing, None),
            Action::Warning if self.try_again => retry(Remedy::Nothing, Some(self.report(false))),
            // Nothing that this crate could do about flexible sync, either.
            _ => SessionVerdict::End(self.report(true)),
        }
    }

    fn report(self, fatal: bool) -> SyncError {
        let Self { code, action, message, .. } = self;
        SyncError::Server { code, action, message, fatal }
    }

    fn into_cause(self) -> ResetCause {
        let Self { code, action, message, .. } = self;
        ResetCause { action, code, message }
    }
}

/// As much of a text for people as is kept, with others like it, until somebody reads it.
pub(super) fn shortened(text: &str) -> String {
    let is_end = |&len: &usize| text.is_char_boundary(len);
    let len = (0..=text.len().min(MAX_TEXT_LEN)).rev().find(is_end);
    text[..len.unwrap_or_default()].to_owned()
}

fn logged_out(message: String) -> SyncError {
    SyncError::LoggedOut(message)
}
