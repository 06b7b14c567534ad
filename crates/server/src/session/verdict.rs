//! What a device is told, and does, about each thing that can go wrong.
//!
//! All choices of codes and actions stand here. Spec: wire protocol, section 7.4.

use std::fmt::Display;

use bailiwick_core::history::{IdentError, RejectedUpload, Rejection, UploadError};
use bailiwick_protocol::action::Action;
use bailiwick_protocol::error_code::{ConnectionCode, SessionCode};
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::message::{Backoff, ErrorBody};
use bailiwick_protocol::protocol_version::ProtocolVersion;

use super::GoAway;
use crate::realm::{Chain, RealmError};

type SessionVerdict = (SessionCode, ErrorBody);
type ConnectionVerdict = (ConnectionCode, ErrorBody);

/// For what may take an operator to mend.
const SLOW: Backoff = Backoff { interval_s: 10, max_delay_s: 300, multiplier: 2 };

pub(super) fn go_away(reason: GoAway) -> ConnectionVerdict {
    let message = match reason {
        GoAway::ShuttingDown => "the server is shutting down",
        GoAway::AccessEnded => "the login session has ended",
        GoAway::Idle => "nothing was heard for too long",
        GoAway::WrongMode => {
            let message =
                "the app is in partition-based sync mode: open the realm with a partition value";
            let body = ErrorBody::new(Action::ApplicationBug, message);
            return (ConnectionCode::SwitchToPartitionSync, body);
        }
    };
    (ConnectionCode::ConnectionClosed, ErrorBody::new(Action::Transient, message))
}

/// The device has connected anew; this connection is what is left of an earlier one.
pub(super) fn taken_over() -> ConnectionVerdict {
    let message = "another connection has bound the client file";
    (ConnectionCode::ConnectionClosed, ErrorBody::new(Action::Transient, message))
}

pub(super) fn overloaded() -> ConnectionVerdict {
    let message = "too many uploads are waiting in this partition";
    (ConnectionCode::ConnectionClosed, ErrorBody::new(Action::Transient, message))
}

/// Whatever the device did wrong heals, if at all, by starting anew; any other action would keep it away
/// until the application is restarted.
pub(super) fn violation(code: ConnectionCode, reason: &str) -> ConnectionVerdict {
    (code, ErrorBody::new(Action::Transient, reason).with_backoff(SLOW))
}

pub(super) fn partition(error: &impl Display) -> SessionVerdict {
    (SessionCode::IllegalRealmPath, ErrorBody::new(Action::ApplicationBug, error.to_string()))
}

pub(super) fn too_many_sessions(limit: usize) -> SessionVerdict {
    let message = format!("the connection has {limit} sessions already");
    (SessionCode::OtherSessionError, ErrorBody::new(Action::Transient, message).with_backoff(SLOW))
}

/// A device that goes on binding sessions after it was told that there are too many.
pub(super) fn session_flood(limit: usize) -> ConnectionVerdict {
    let message = format!("the connection has bound far more than {limit} sessions");
    let body = ErrorBody::new(Action::Transient, message).with_backoff(SLOW);
    (ConnectionCode::OtherError, body)
}

pub(super) fn subserver() -> SessionVerdict {
    let message = "only devices can connect";
    (SessionCode::BadClientFileIdent, ErrorBody::new(Action::ApplicationBug, message))
}

pub(super) fn realm(error: &RealmError) -> SessionVerdict {
    let message = match error {
        RealmError::ShuttingDown => "the server is shutting down",
        RealmError::Overloaded => "too many devices are waiting for the partition",
        // The cause is in the operator's log; it is nothing to a device.
        RealmError::Storage(_) | RealmError::Damaged(_) => "the partition cannot be served now",
    };
    (SessionCode::OtherSessionError, ErrorBody::new(Action::Transient, message).with_backoff(SLOW))
}

pub(super) fn ident(error: &IdentError) -> SessionVerdict {
    let code = match error {
        IdentError::UnknownFile(_) | IdentError::ClientType(_) => SessionCode::BadClientFileIdent,
        IdentError::FileSalt(_) | IdentError::VersionSalt(_) => SessionCode::DivergingHistories,
        IdentError::User(_) => SessionCode::UserMismatch,
        IdentError::Expired(_) => SessionCode::ClientFileExpired,
        IdentError::ClientVersion => SessionCode::BadClientVersion,
        // IdentError::BelowBase, AboveHead, LatestVersion, and whatever else a cursor can be.
        _ => SessionCode::BadServerVersion,
    };
    (code, ErrorBody::new(Action::ClientReset, error.to_string()))
}

pub(super) fn upload(error: UploadError) -> SessionVerdict {
    let code = match error {
        UploadError::ClientVersion => SessionCode::BadClientVersion,
        UploadError::ServerVersion => SessionCode::BadServerVersion,
    };
    (code, ErrorBody::new(Action::ClientReset, error.to_string()))
}

pub(super) fn origin(ident: FileIdent) -> SessionVerdict {
    let message = format!("a changeset names file {ident} as its author");
    (SessionCode::BadOriginFileIdent, ErrorBody::new(Action::ProtocolViolation, message))
}

pub(super) fn rejected(rejection: &Rejection) -> SessionVerdict {
    let (code, action) = match &rejection.error {
        RejectedUpload::Expired | RejectedUpload::TooFarBehind(_) => {
            (SessionCode::ClientFileExpired, Action::ClientReset)
        }
        RejectedUpload::OriginFileIdent(_) => {
            (SessionCode::BadOriginFileIdent, Action::ProtocolViolation)
        }
        // What the application declares is wrong, and it stays wrong until its developer changes it.
        RejectedUpload::AsymmetricClass(_) => {
            (SessionCode::InvalidSchemaChange, Action::ApplicationBug)
        }
        RejectedUpload::BaseVersion(_) => (SessionCode::BadServerVersion, Action::ClientReset),
        _ => (SessionCode::BadChangeset, Action::ProtocolViolation),
    };
    (code, ErrorBody::new(action, Chain(&rejection.error).to_string()))
}

pub(super) fn too_old(version: ProtocolVersion, required: u8) -> SessionVerdict {
    let message = format!(
        "the partition holds data that needs sync protocol {required}, and this SDK speaks {}: \
         a newer SDK can open it",
        version.number(),
    );
    (SessionCode::InvalidSchemaChange, ErrorBody::new(Action::ApplicationBug, message))
}
