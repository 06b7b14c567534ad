//! What goes in and out of the machine.
//!
//! The driver keeps four promises: time never goes back; a storage request is answered exactly once, whatever has
//! become of the realm or the connection; the answer is that of the request; and after [`Output::Disconnect`]
//! nothing that the old connection still says is handed in.

use std::time::Duration;

use bailiwick_protocol::action::Action;
use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::message::{Body, DownloadHeader, LogLine, RejectedUpdate, UploadEntry};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bailiwick_protocol::version::{ClientVersion, ServerVersion, UploadCursor};
use bytes::Bytes;

use crate::local::{ByteCounters, FileState};

/// The time since some moment of the driver's choice; never goes back.
pub type Time = Duration;

/// One realm of a connection, as the driver numbers them; a number is not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RealmKey(pub u64);

/// Somebody who waits, as the driver numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaitKey(pub u64);

/// Which of a realm's files is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileRole {
    /// The one that the application uses.
    Main,
    /// The fresh copy that a client reset downloads.
    Fresh,
}

/// What becomes of local changes that the server has not acknowledged when the server demands a client reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResetMode {
    /// Nothing happens by itself: sync of the realm stops, and the application decides.
    Manual,
    /// They are dropped.
    DiscardLocal,
    /// They are made again on top of the server's state; if that is impossible, as [`Manual`](Self::Manual).
    Recover,
    /// As [`Recover`](Self::Recover); if that is impossible, as [`DiscardLocal`](Self::DiscardLocal).
    #[default]
    RecoverOrDiscard,
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// The application has opened a realm.
    Open {
        /// Its number, which was not used before.
        realm: RealmKey,
        /// The partition value as Extended JSON text.
        path: String,
        /// What to do about a client reset.
        reset_mode: ResetMode,
    },
    /// The application has closed it. There is no further input about it but the answers to storage requests, and
    /// those who wait are told [`SyncError::Ended`] at once: who wants to upload everything waits before.
    Close(RealmKey),
    /// Sync of the realm is to rest. Those who wait go on waiting.
    Pause(RealmKey),
    /// Sync of the realm is to go on, also after an error that ended it.
    Resume(RealmKey),
    /// The application has committed something to upload to the realm's main file. Told before what was asked for
    /// after the commit; commits without anything to upload need not be told.
    Committed {
        /// The realm.
        realm: RealmKey,
        /// The version of the file.
        version: ClientVersion,
        /// [`ByteCounters::uploadable`] of the file.
        uploadable: u64,
    },
    /// Answer [`Output::WaitDone`] once all that is committed now is acknowledged.
    WaitForUpload(RealmKey, WaitKey),
    /// Answer [`Output::WaitDone`] once all that the server has now is integrated.
    WaitForDownload(RealmKey, WaitKey),
    /// The network may be back: do not wait for the end of a delay.
    Reconnect,
    /// The answer to [`Output::Connect`].
    Connected(Result<ProtocolVersion, ConnectError>),
    /// The server sent this binary message.
    Received(Bytes),
    /// All that was to be sent has left. Said each time that nothing is left to be sent.
    Writable,
    /// The connection is gone, though it was not asked to.
    Disconnected(Disconnect),
    /// The answer to [`Output::Store`].
    Stored(RealmKey, FileRole, StorageAnswer),
    /// The answer to [`Output::RefreshToken`]; `Err` if the user has to log in again. If the refresh failed for
    /// another reason it is `Ok`, and the server decides about the old token.
    TokenRefreshed(Result<(), SyncError>),
    /// The instant of the latest [`Output::WakeAt`] has come.
    Timeout,
}

/// What the driver must do.
#[derive(Debug)]
pub enum Output {
    /// Connect with the user's access token, offering all protocol versions.
    Connect,
    /// Drop the connection or the attempt; nothing is heard of it again.
    Disconnect,
    /// Send this binary message, and say [`Input::Writable`] once it has left.
    Send(Bytes),
    /// Hand in no message until [`ResumeReading`](Self::ResumeReading), or until another connection is made: what
    /// has come is not integrated yet.
    PauseReading,
    /// Hand in messages again.
    ResumeReading,
    /// Do something with one of the realm's files. A file has one request at a time.
    Store(RealmKey, FileRole, StorageRequest),
    /// Get another access token. There is one request at a time.
    RefreshToken,
    /// Ask again where the server is, before the next [`Output::Connect`].
    RefreshLocation,
    /// The server does not know the user any more: log them out.
    LogOut,
    /// Say [`Input::Timeout`] then; replaces the instant before.
    WakeAt(Option<Time>),
    /// What somebody waited for has come, or never will. Each wait is answered exactly once.
    WaitDone(WaitKey, Result<(), SyncError>),
    /// News for the application.
    Event(RealmKey, SessionEvent),
    /// A line of the server for the log, about a realm or the connection.
    Log(Option<RealmKey>, LogLine),
    /// The realm was closed, and none of its files is in use any more. Nothing is said of it after this.
    Closed(RealmKey),
}

/// News of a realm for the application.
#[derive(Clone, Debug)]
pub enum SessionEvent {
    /// How much has travelled. Not before the first DOWNLOAD.
    Progress(ByteCounters),
    /// Whether there is a bound session.
    Connected(bool),
    /// Something went wrong; [`SyncError`] says whether sync goes on.
    Error(SyncError),
    /// Local changes are being set aside for the server's state.
    ResetStarted,
    /// The client reset has been made.
    ResetDone {
        /// Whether local changes were recovered, if there were any.
        recovered: bool,
    },
}

/// One thing to do with a file. See [`StorageAnswer`] for the answers; [`StorageAnswer::Failed`] fits all.
#[derive(Debug)]
pub enum StorageRequest {
    /// Open it if it is not, and say what it is at. Makes a fresh copy that does not exist. Answer:
    /// [`StorageAnswer::Ready`].
    Load,
    /// Keep the client file that the server has allocated. Answer: [`StorageAnswer::Ready`].
    Identify(FileIdent, Salt),
    /// Integrate a DOWNLOAD. Its header was compared with what the file is at, its entries were not looked at.
    /// Answer: [`StorageAnswer::Ready`], [`StorageAnswer::ProtocolViolation`] or
    /// [`StorageAnswer::IntegrationFailed`].
    Integrate(DownloadHeader, Body),
    /// Gather local changes after this position, up to the usual size of an UPLOAD. Answer:
    /// [`StorageAnswer::Upload`].
    CollectUpload(UploadCursor),
    /// Main file, when the fresh copy is complete: may a client reset be made, and in which mode? Keeps a record
    /// that it was tried. Answer: [`StorageAnswer::ResetBegun`] or [`StorageAnswer::ResetFailed`].
    BeginReset {
        /// What the application wants.
        mode: ResetMode,
        /// What the server demanded.
        action: Action,
        /// Why.
        code: ErrorCode,
        /// Why, for people.
        message: String,
    },
    /// Main file: take over the state of the fresh copy, which has no request under way, and remove the copy. In mode
    /// [`ResetMode::RecoverOrDiscard`], local changes are dropped if they cannot be recovered. Answer:
    /// [`StorageAnswer::ResetDone`] or [`StorageAnswer::ResetFailed`].
    Reset {
        /// The mode that [`StorageAnswer::ResetBegun`] named.
        mode: ResetMode,
    },
    /// Fresh copy: remove it, since it cannot be completed. Answer: [`StorageAnswer::Ready`], about a copy that does not
    /// exist yet.
    Discard,
    /// Main file: the client reset is through; forget the record of it. Answer: [`StorageAnswer::Ready`].
    EndReset,
}

/// What a file is at, as far as the machine needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStatus {
    /// The small things that the file keeps.
    pub state: FileState,
    /// The version of the newest entry of the history that is to be uploaded, acknowledged or not; 0 if there is none
    /// in the history.
    pub last_uploadable: ClientVersion,
    /// Whether a client reset was made whose end has not been recorded.
    pub reset_pending: bool,
}

/// What came of a request.
#[derive(Debug)]
pub enum StorageAnswer {
    /// To all that load or change the file but have no answer of their own: what it is at now.
    Ready(FileStatus),
    /// To [`StorageRequest::CollectUpload`].
    Upload(UploadBatch),
    /// To [`StorageRequest::BeginReset`]: the mode to use.
    ResetBegun(ResetMode),
    /// To [`StorageRequest::Reset`].
    ResetDone {
        /// What the main file is at now.
        status: FileStatus,
        /// Whether local changes were recovered, if there were any.
        recovered: bool,
    },
    /// To [`StorageRequest::BeginReset`] and [`StorageRequest::Reset`]: it can't be made.
    ResetFailed(String),
    /// To [`StorageRequest::Integrate`]: the server breaks the protocol, which ends the connection.
    ProtocolViolation(String),
    /// To [`StorageRequest::Integrate`]: a changeset or cursor that cannot be taken; the server is told.
    IntegrationFailed {
        /// What the server is told: 212 for a changeset, 233 for a cursor, 201 otherwise.
        code: ErrorCode,
        /// What the server and the application are told.
        message: String,
    },
    /// The file cannot be used.
    Failed(SyncError),
}

/// The next UPLOAD.
#[derive(Debug)]
pub struct UploadBatch {
    /// How far the history was scanned.
    pub progress: UploadCursor,
    /// What the device has integrated.
    pub locked_server_version: ServerVersion,
    /// The changesets; none if there is at most progress to report.
    pub entries: Vec<UploadEntry>,
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// No answer, or the connection broke off.
    #[error("{0}")]
    Network(String),
    /// HTTP answered something else than 101.
    #[error("the server answers with HTTP status {0}")]
    Status(u16),
    /// The answer names no protocol version that was offered.
    #[error("the server speaks no known version of the sync protocol: {0}")]
    Protocol(String),
    /// There is no access token to connect with: the user has to log in again.
    #[error("{0}")]
    LoggedOut(String),
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disconnect {
    /// The network.
    #[error("{0}")]
    Network(String),
    /// The server closed it with this code and reason; 1005 if it named none.
    #[error("the server closed the connection with code {0}: {1}")]
    Closed(u16, String),
    /// The server sent a message that is longer than this device takes.
    #[error("the server sent a message that is too long: {0}")]
    TooLong(String),
}

/// What the application is told when sync of a realm has a problem.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The server refused something. `fatal`: the realm does not sync until it is resumed.
    #[error("the server reports: {message}")]
    Server {
        /// What.
        code: ErrorCode,
        /// What the server wants to be done about it.
        action: Action,
        /// What, for people.
        message: String,
        /// Whether sync has ended.
        fatal: bool,
    },
    /// Writes were not allowed and are being undone.
    #[error("the server undoes writes that are not allowed: {message}")]
    CompensatingWrite {
        /// What, for people.
        message: String,
        /// The writes.
        writes: Vec<RejectedUpdate>,
    },
    /// Client reset in mode manual, or one that failed. Until the realm is resumed and the server takes it, it does not
    /// sync; [`Realm::give_up`](crate::realm::Realm::give_up) lets it begin anew.
    #[error("a client reset is needed: {message}")]
    ClientReset {
        /// Why, for people.
        message: String,
    },
    /// The realm was closed, or sync of it ended, while somebody waited.
    #[error("sync of the realm has ended")]
    Ended,
    /// The user has to log in again, with [`App::log_in`](crate::app::App::log_in); then realms that are open go on.
    #[error("the user is logged out: {0}")]
    LoggedOut(String),
    /// The server does not keep to the protocol.
    #[error("the server breaks the protocol: {0}")]
    ProtocolViolation(String),
    /// What the server sent cannot be integrated; the server was told.
    #[error("what the server sent cannot be integrated: {0}")]
    Integration(String),
    /// The realm's file.
    #[error("the realm's file cannot be used: {0}")]
    File(String),
    /// The server can't be reached, or does not want this client.
    #[error("cannot connect: {message}")]
    Connect {
        /// Why, for people.
        message: String,
        /// Whether sync has ended.
        fatal: bool,
    },
}

impl SyncError {
    /// Whether the realm does not sync any more, until it is resumed.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Server { fatal, .. } | Self::Connect { fatal, .. } => *fatal,
            Self::ClientReset { .. } | Self::Ended | Self::LoggedOut(_) | Self::File(_) => true,
            Self::CompensatingWrite { .. } | Self::ProtocolViolation(_) | Self::Integration(_) => {
                false
            }
        }
    }
}
