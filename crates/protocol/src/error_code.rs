//! The numbers of sync errors: all that exist, and those that a server may send.
//!
//! Real devices abort their process on some of them. So what a server sends is a [`ConnectionCode`] or a
//! [`SessionCode`], which have no such number, and [`ErrorCode`] is for reading. Spec: wire protocol, section 7.3.

use std::fmt;

use crate::protocol_version::ProtocolVersion;

/// What an error ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// The connection: session 0 in the message.
    Connection,
    /// One session: its ident in the message.
    Session,
}

/// Defines [`ErrorCode`] from one line for each code.
macro_rules! error_codes {
    ($($(#[$doc:meta])* $number:literal $variant:ident $name:literal $aborts:literal;)*) => {
        /// Any error code, as a message names it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$doc])* $variant,)*
            /// A number without a name.
            Unknown(u32),
        }

        impl ErrorCode {
            /// All codes that have a name, by number.
            pub const NAMED: &'static [Self] = &[$(Self::$variant),*];

            /// The code with this number.
            pub const fn from_number(number: u32) -> Self {
                match number {
                    $($number => Self::$variant,)*
                    _ => Self::Unknown(number),
                }
            }

            /// The number on the wire.
            pub const fn number(self) -> u32 {
                match self {
                    $(Self::$variant => $number,)*
                    Self::Unknown(number) => number,
                }
            }

            /// The name, for people; `unknown` without one.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Unknown(_) => "unknown",
                }
            }

            /// Whether real devices abort their process when a server sends it.
            pub const fn aborts_devices(self) -> bool {
                match self {
                    $(Self::$variant => $aborts,)*
                    Self::Unknown(_) => false,
                }
            }
        }
    };
}

error_codes! {
    /// Go away and come back.
    100 ConnectionClosed "connection_closed" false;
    /// Anything without a better code.
    101 OtherError "other_error" false;
    /// No message has this name.
    102 UnknownMessage "unknown_message" false;
    /// A malformed message.
    103 BadSyntax "bad_syntax" false;
    /// Too much of something.
    104 LimitsExceeded "limits_exceeded" true;
    /// Obsolete: versions are negotiated.
    105 WrongProtocolVersion "wrong_protocol_version" false;
    /// No session has this ident.
    106 BadSessionIdent "bad_session_ident" false;
    /// The session ident is in use.
    107 ReuseOfSessionIdent "reuse_of_session_ident" false;
    /// Another session of the connection is bound to the client file.
    108 BoundInOtherSession "bound_in_other_session" false;
    /// Not now.
    109 BadMessageOrder "bad_message_order" false;
    /// The body does not inflate.
    110 BadDecompression "bad_decompression" false;
    /// The header of a changeset is malformed.
    111 BadChangesetHeaderSyntax "bad_changeset_header_syntax" false;
    /// The size of a changeset is wrong.
    112 BadChangesetSize "bad_changeset_size" false;
    /// The app is in flexible sync mode, the device is not.
    113 SwitchToFlexibleSync "switch_to_flx_sync" false;
    /// The app is in partition-based mode, the device is not.
    114 SwitchToPartitionSync "switch_to_pbs" false;
    /// The session ends; come back in a second.
    200 SessionClosed "session_closed" false;
    /// Anything without a better code.
    201 OtherSessionError "other_session_error" false;
    /// The token has expired.
    202 TokenExpired "token_expired" true;
    /// The token is not accepted.
    203 BadAuthentication "bad_authentication" true;
    /// The partition value is of the wrong type or unreadable.
    204 IllegalRealmPath "illegal_realm_path" false;
    /// The partition does not exist.
    205 NoSuchRealm "no_such_realm" true;
    /// The user may not read the partition.
    206 PermissionDenied "permission_denied" false;
    /// Obsolete.
    207 BadServerFileIdent "bad_server_file_ident" true;
    /// The client file is not known.
    208 BadClientFileIdent "bad_client_file_ident" false;
    /// A server version is not possible.
    209 BadServerVersion "bad_server_version" false;
    /// A client version is not possible.
    210 BadClientVersion "bad_client_version" false;
    /// The device's history is not the server's.
    211 DivergingHistories "diverging_histories" false;
    /// A changeset was refused.
    212 BadChangeset "bad_changeset" false;
    /// Not known to any device.
    213 DisabledSession "disabled_session" false;
    /// Obsolete.
    214 PartialSyncDisabled "partial_sync_disabled" true;
    /// Obsolete.
    215 UnsupportedSessionFeature "unsupported_session_feature" true;
    /// A changeset claims another author.
    216 BadOriginFileIdent "bad_origin_file_ident" false;
    /// The client file can never sync again.
    217 BadClientFile "bad_client_file" false;
    /// Obsolete.
    218 ServerFileDeleted "server_file_deleted" true;
    /// Obsolete.
    219 ClientFileBlacklisted "client_file_blacklisted" true;
    /// Obsolete.
    220 UserBlacklisted "user_blacklisted" true;
    /// Obsolete.
    221 TransactBeforeUpload "transact_before_upload" true;
    /// The history that the device needs has been compacted away.
    222 ClientFileExpired "client_file_expired" false;
    /// The client file belongs to another user.
    223 UserMismatch "user_mismatch" false;
    /// Too many sessions.
    224 TooManySessions "too_many_sessions" true;
    /// A destructive or conflicting change of the schema.
    225 InvalidSchemaChange "invalid_schema_change" false;
    /// Flexible sync: the query can't be answered.
    226 BadQuery "bad_query" false;
    /// Flexible sync: an object with this key exists outside of the view.
    227 ObjectAlreadyExists "object_already_exists" false;
    /// Flexible sync: the permissions of the user changed.
    228 ServerPermissionsChanged "server_permissions_changed" false;
    /// The partition is not ready yet.
    229 InitialSyncNotCompleted "initial_sync_not_completed" false;
    /// A write was refused, and the device has to give up its history.
    230 WriteNotAllowed "write_not_allowed" false;
    /// A write was refused and is being undone.
    231 CompensatingWrite "compensating_write" false;
    /// The app went over to flexible sync.
    232 MigrateToFlexibleSync "migrate_to_flx" false;
    /// Sent by devices: the server's cursors make no sense.
    233 BadProgress "bad_progress" false;
    /// The app went back to partition-based sync.
    234 RevertToPartitionSync "revert_to_pbs" false;
    /// Flexible sync: the schema version does not exist.
    235 BadSchemaVersion "bad_schema_version" false;
    /// Flexible sync: the schema version is not that of the client file.
    236 SchemaVersionChanged "schema_version_changed" false;
}

impl ErrorCode {
    /// What the error ends: 100 to 199 the connection, 200 to 299 a session.
    pub const fn level(self) -> Option<Level> {
        match self.number() {
            100..=199 => Some(Level::Connection),
            200..=299 => Some(Level::Session),
            _ => None,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number(), self.name())
    }
}

/// Defines the codes of one level that a server may send.
macro_rules! sendable_codes {
    ($(#[$doc:meta])* $type:ident { $($variant:ident)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $type {
            $(#[doc = concat!("See [`ErrorCode::", stringify!($variant), "`].")] $variant,)*
        }

        impl $type {
            /// All codes that may be sent.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
        }

        impl From<$type> for ErrorCode {
            fn from(code: $type) -> Self {
                match code {
                    $($type::$variant => Self::$variant,)*
                }
            }
        }

        impl TryFrom<ErrorCode> for $type {
            type Error = NotSendable;

            fn try_from(code: ErrorCode) -> Result<Self, NotSendable> {
                match code {
                    $(ErrorCode::$variant => Ok(Self::$variant),)*
                    code => Err(NotSendable(code)),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                ErrorCode::from(*self).fmt(f)
            }
        }
    };
}

sendable_codes! {
    /// A code that ends a connection and that every device survives.
    ConnectionCode {
        ConnectionClosed OtherError UnknownMessage BadSyntax BadSessionIdent ReuseOfSessionIdent
        BoundInOtherSession BadMessageOrder BadDecompression BadChangesetHeaderSyntax BadChangesetSize
        SwitchToFlexibleSync SwitchToPartitionSync
    }
}

sendable_codes! {
    /// A code that ends one session of partition-based sync and that every device survives.
    ///
    /// A compensating write is not here, since it ends nothing: see
    /// [`ServerError::compensating_write`](crate::message::ServerError::compensating_write). Nor are the codes that
    /// only flexible sync gives rise to.
    SessionCode {
        SessionClosed OtherSessionError IllegalRealmPath PermissionDenied BadClientFileIdent BadServerVersion
        BadClientVersion DivergingHistories BadChangeset BadOriginFileIdent BadClientFile ClientFileExpired
        UserMismatch InvalidSchemaChange InitialSyncNotCompleted WriteNotAllowed
    }
}

/// A code that must not be sent: devices abort on it or do not know it, or it is for the other direction or mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error code {0} must not be sent")]
pub struct NotSendable(pub ErrorCode);

impl ConnectionCode {
    /// The code that says the same to a device that speaks `version`.
    ///
    /// Devices of 2 and 3 know of no other sync mode.
    #[must_use]
    pub fn for_version(self, version: ProtocolVersion) -> Self {
        match self {
            Self::SwitchToFlexibleSync | Self::SwitchToPartitionSync
                if !version.has_json_errors() =>
            {
                Self::OtherError
            }
            code => code,
        }
    }
}

impl SessionCode {
    /// The code that says the same to a device that speaks `version`.
    ///
    /// Devices of 2 and 3 are older than `write_not_allowed` and `initial_sync_not_completed`.
    #[must_use]
    pub fn for_version(self, version: ProtocolVersion) -> Self {
        match self {
            code if version.has_json_errors() => code,
            Self::WriteNotAllowed => Self::PermissionDenied,
            Self::InitialSyncNotCompleted => Self::OtherSessionError,
            code => code,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_codes_correspond() {
        for &code in ErrorCode::NAMED {
            assert_eq!(ErrorCode::from_number(code.number()), code);
            assert_ne!(code.name(), "unknown");
        }
        assert!(ErrorCode::NAMED.windows(2).all(|pair| pair[0].number() < pair[1].number()));
        assert_eq!(ErrorCode::from_number(299), ErrorCode::Unknown(299));
        assert_eq!(ErrorCode::Unknown(299).number(), 299);
    }

    #[test]
    fn the_hundreds_tell_the_level() {
        let check = |number, level| assert_eq!(ErrorCode::from_number(number).level(), level);
        check(99, None);
        check(100, Some(Level::Connection));
        check(199, Some(Level::Connection));
        check(200, Some(Level::Session));
        check(299, Some(Level::Session));
        check(300, None);
    }

    #[test]
    fn no_sendable_code_makes_a_device_abort() {
        let aborting: Vec<_> =
            ErrorCode::NAMED.iter().copied().filter(|code| code.aborts_devices()).collect();
        let numbers: Vec<_> = aborting.iter().map(|code| code.number()).collect();
        assert_eq!(
            numbers,
            [104, 202, 203, 205, 207, 214, 215, 218, 219, 220, 221, 224],
            "those that devices were seen to abort on"
        );
        for code in aborting {
            assert_eq!(ConnectionCode::try_from(code), Err(NotSendable(code)));
            assert_eq!(SessionCode::try_from(code), Err(NotSendable(code)));
        }
        for &code in ConnectionCode::ALL {
            assert_eq!(ConnectionCode::try_from(ErrorCode::from(code)), Ok(code));
            assert_eq!(ErrorCode::from(code).level(), Some(Level::Connection));
        }
        for &code in SessionCode::ALL {
            assert_eq!(SessionCode::try_from(ErrorCode::from(code)), Ok(code));
            assert_eq!(ErrorCode::from(code).level(), Some(Level::Session));
        }
    }

    #[test]
    fn what_no_device_knows_is_not_sent() {
        for code in [ErrorCode::DisabledSession, ErrorCode::BadProgress, ErrorCode::Unknown(237)] {
            assert_eq!(SessionCode::try_from(code), Err(NotSendable(code)));
            assert_eq!(ConnectionCode::try_from(code), Err(NotSendable(code)));
        }
    }
}
