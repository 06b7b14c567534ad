//! Looks at every message and every commit: what must always be true.

mod download;
mod excuse;
pub(crate) mod ledger;
mod older;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bailiwick_core::partition::PartitionValue;
use bailiwick_protocol::action::Action;
use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::ident::{FileIdent, Salt, SessionIdent};
use bailiwick_protocol::message::limits::DEFAULT_MAX_PLAIN_LEN;
use bailiwick_protocol::message::{
    ClientIdent, ClientMessage, JsonError, ServerMessage, TextError, Upload,
};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bailiwick_protocol::version::DownloadCursor;
use bytes::Bytes;

use super::agenda::Time;
use super::choices::Choices;
use super::partition::PARTITION_KEY;
use super::tally::{Met, SharedTally};
use super::violation::{Check, Violation};
use excuse::Past;
pub(crate) use excuse::{Circumstances, Listener};
pub(crate) use ledger::FileLog;
use ledger::Ledger;

/// What is known of everything that has happened.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    ledgers: Ledgers,
    links: HashMap<u64, Watched>,
    /// Whether the server has forgotten what devices may know.
    is_restored: bool,
    /// The latest connection that has proved to be a client file.
    holders: HashMap<(PartitionValue, FileIdent), u64>,
    tally: SharedTally,
}

/// What is known of each partition.
pub(crate) type Ledgers = BTreeMap<PartitionValue, Ledger>;

/// A connection.
#[derive(Debug)]
struct Watched {
    user: String,
    version: ProtocolVersion,
    honesty: Honesty,
    heard_at: Time,
    /// The longest time between two messages: it may be told of after the second one.
    longest_silence: Duration,
    sessions: BTreeMap<SessionIdent, Session>,
}

/// Whether whoever is at the other end keeps to the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Honesty {
    Honest,
    Rogue,
}

#[derive(Debug)]
struct Session {
    partition: PartitionValue,
    /// What the device has said of itself.
    claim: Option<Claim>,
    /// The client file that it has proved to be, and how far that was sent the history.
    bound: Option<(FileIdent, DownloadCursor)>,
    /// The device has ended it; what was on its way then may still come.
    is_ending: bool,
}

/// Who a device says that it is.
#[derive(Clone, Copy, Debug)]
struct Claim {
    ident: ClientIdent,
    /// It knew then what the server does not.
    knew_more: bool,
}

impl Watch {
    pub(crate) fn new(tally: SharedTally) -> Self {
        Self { tally, ..Self::default() }
    }

    pub(crate) fn ledger(&mut self, partition: &PartitionValue) -> &mut Ledger {
        if !self.ledgers.contains_key(partition) {
            self.ledgers.insert(partition.clone(), Ledger::default());
        }
        self.ledgers.get_mut(partition).expect("it was inserted")
    }

    pub(crate) fn ledgers(&mut self) -> &mut Ledgers {
        &mut self.ledgers
    }

    /// The server is at what was known then.
    pub(crate) fn restore(&mut self, ledgers: Ledgers) {
        let forgotten = std::mem::replace(&mut self.ledgers, ledgers);
        for (partition, ledger) in &forgotten {
            self.ledger(partition).restore_files(ledger);
        }
        self.is_restored = true;
    }

    /// The version that a connection speaks, and the client file of a session of it.
    pub(crate) fn file_of(
        &self,
        link: u64,
        session: SessionIdent,
    ) -> Option<(ProtocolVersion, FileIdent)> {
        let watched = self.links.get(&link)?;
        let (file, _) = watched.sessions.get(&session)?.bound?;
        Some((watched.version, file))
    }

    /// Some client file of an honest device's partition.
    pub(crate) fn any_file(&self, choices: &mut Choices) -> Option<(FileIdent, Salt)> {
        let files: Vec<_> = self.ledgers.values().flat_map(Ledger::files).collect();
        (!files.is_empty()).then(|| *choices.pick(&files))
    }

    pub(crate) fn connect(
        &mut self,
        link: u64,
        version: ProtocolVersion,
        user: &str,
        honesty: Honesty,
        now: Time,
    ) {
        let user = user.to_owned();
        let watched = Watched {
            user,
            version,
            honesty,
            heard_at: now,
            longest_silence: Duration::ZERO,
            sessions: BTreeMap::new(),
        };
        self.links.insert(link, watched);
    }

    /// The server has let go of a connection.
    pub(crate) fn disconnect(&mut self, link: u64) {
        self.links.remove(&link);
    }

    /// Looks at what the server is about to receive.
    pub(crate) fn see_received(
        &mut self,
        link: u64,
        message: &Bytes,
        now: Time,
    ) -> Result<(), Violation> {
        let Some(watched) = self.links.get_mut(&link) else { return Ok(()) };
        let silence = now.saturating_sub(watched.heard_at);
        watched.longest_silence = watched.longest_silence.max(silence);
        watched.heard_at = now;
        let message = match (ClientMessage::parse(watched.version, message), watched.honesty) {
            (Ok(message), _) => message,
            (Err(_), Honesty::Rogue) => return Ok(()),
            (Err(error), Honesty::Honest) => {
                let message = format!("an honest device is not understood: {error}");
                return Err(Violation::new(Check::Honest, message));
            }
        };
        match message {
            ClientMessage::Bind(bind) => {
                if let Ok(partition) = PARTITION_KEY.bind(&bind.path) {
                    let session = Session { partition, claim: None, bound: None, is_ending: false };
                    let known = watched.sessions.get(&bind.session);
                    if known.is_none_or(|known| known.is_ending) {
                        watched.sessions.insert(bind.session, session);
                    }
                }
            }
            ClientMessage::Ident(ident) => self.identify(link, &ident),
            ClientMessage::Unbind(unbind) => {
                if let Some(session) = watched.sessions.get_mut(&unbind.session) {
                    session.is_ending = true;
                }
            }
            ClientMessage::Upload(upload) => self.upload(link, &upload),
            ClientMessage::Mark(_) | ClientMessage::Ping(_) => (),
            ClientMessage::Error(error) => {
                if watched.honesty == Honesty::Honest {
                    let message = format!("a device complains: {error:?}");
                    return Err(Violation::new(Check::Honest, message));
                }
            }
        }
        Ok(())
    }

    /// A session is let in if the client file is that user's, and the salt proves it.
    fn identify(&mut self, link: u64, ident: &ClientIdent) {
        let Some(watched) = self.links.get_mut(&link) else { return };
        let Some(session) = watched.sessions.get_mut(&ident.session) else { return };
        let ledger = self.ledgers.get(&session.partition);
        let knew_more = ledger.is_none_or(|ledger| ledger.has_forgotten(ident));
        session.claim = Some(Claim { ident: *ident, knew_more });
        let file = ledger.and_then(|ledger| ledger.file(ident.file_ident));
        if file.is_some_and(|file| file.salt == ident.file_ident_salt && file.user == watched.user)
        {
            session.bound.get_or_insert((ident.file_ident, ident.download_cursor));
            self.holders.insert((session.partition.clone(), ident.file_ident), link);
        }
    }

    fn upload(&mut self, link: u64, upload: &Upload) {
        let Some(watched) = self.links.get(&link) else { return };
        let Some(session) = watched.sessions.get(&upload.header.session) else { return };
        let (Some((file, _)), Honesty::Honest) = (session.bound, watched.honesty) else { return };
        let Ok(plain) = upload.body.inflate(DEFAULT_MAX_PLAIN_LEN) else { return };
        let Some(ledger) = self.ledgers.get_mut(&session.partition) else { return };
        for entry in Upload::entries(plain).flatten() {
            if !ledger.uploaded(file, entry.client_version) {
                self.tally.meet(Met::UploadTwice);
            }
        }
    }

    /// Looks at what the server sends.
    pub(crate) fn see_sent(
        &mut self,
        link: u64,
        message: &Bytes,
        circumstances: &Circumstances,
    ) -> Result<(), Violation> {
        let Some(watched) = self.links.get_mut(&link) else { return Ok(()) };
        let message = ServerMessage::parse(watched.version, message).map_err(|error| {
            Violation::new(Check::Honest, format!("the server sends what cannot be: {error}"))
        })?;
        match message {
            ServerMessage::Ident(ident) => {
                let user = watched.user.clone();
                let Some(session) = watched.sessions.get(&ident.session) else {
                    return Err(uninvited("IDENT", link, ident.session));
                };
                let partition = session.partition.clone();
                let ledger = self.ledger(&partition);
                ledger.allocate(ident.file_ident, ident.file_ident_salt, &user)
            }
            ServerMessage::Unbound(unbound) => {
                watched.sessions.remove(&unbound.session);
                Ok(())
            }
            ServerMessage::Download(download) => {
                self.download(link, &download, circumstances.listener)
            }
            ServerMessage::JsonError(error) if error.body().action == Action::ClientReset => {
                self.demand_reset(link, error.session(), &error.body().message, circumstances)
            }
            ServerMessage::Error(error) if resets(error.code()) => {
                self.demand_reset(link, error.session(), error.text(), circumstances)
            }
            ServerMessage::JsonError(error) if watched.honesty == Honesty::Honest => {
                self.check_excuse(link, error.code(), &error.body().message, circumstances)
            }
            ServerMessage::Error(error) if watched.honesty == Honesty::Honest => {
                self.check_excuse(link, error.code(), error.text(), circumstances)
            }
            _ => Ok(()),
        }
    }

    /// A device has to reset only if it knows what a restored server does not: the server may have learnt as much again
    /// since, but not the same.
    fn demand_reset(
        &self,
        link: u64,
        session: SessionIdent,
        text: &str,
        circumstances: &Circumstances,
    ) -> Result<(), Violation> {
        let Some(watched) = self.links.get(&link) else { return Ok(()) };
        let Some(session) = watched.sessions.get(&session) else { return Ok(()) };
        // What has been on its way for long may be of a connection that the device has given up for another.
        let is_heard = !session.is_ending && circumstances.listener == Listener::There;
        if watched.honesty == Honesty::Rogue || !is_heard {
            return Ok(());
        }
        let ledger = self.ledgers.get(&session.partition);
        let has_forgotten = |ident: &_| ledger.is_none_or(|ledger| ledger.has_forgotten(ident));
        let claim = session.claim;
        if claim.is_some_and(|claim| claim.knew_more || has_forgotten(&claim.ident)) {
            return Ok(());
        }
        let message = format!("a device that is {claim:?} has to reset for no reason: {text}");
        Err(Violation::new(Check::Honest, message))
    }

    /// The server lets go of a device for a reason that is true when it says so.
    fn check_excuse(
        &self,
        link: u64,
        code: ErrorCode,
        text: &str,
        circumstances: &Circumstances,
    ) -> Result<(), Violation> {
        let Some(watched) = self.links.get(&link) else { return Ok(()) };
        let is_taken_over = watched.sessions.values().any(|session| {
            session.bound.is_some_and(|(file, _)| {
                let holder = self.holders.get(&(session.partition.clone(), file));
                holder.is_some_and(|holder| *holder != link)
            })
        });
        let silence = circumstances.now.saturating_sub(watched.heard_at);
        let longest_silence = watched.longest_silence.max(silence);
        let past = Past { longest_silence, is_taken_over };
        if excuse::is_true(code, text, past, circumstances) {
            return Ok(());
        }
        let message = format!("a device is told {text:?}, but {past:?}, {circumstances:?}");
        Err(Violation::new(Check::Honest, message))
    }

    /// Looks at what an honest device is about to receive: a connection that it has given up may be told more.
    pub(crate) fn see_told(&self, message: &Bytes) -> Result<(), Violation> {
        match ServerMessage::parse(ProtocolVersion::MAX, message) {
            Ok(ServerMessage::JsonError(error)) => self.check_error(&error),
            Ok(ServerMessage::Error(error)) => self.check_text_error(&error),
            _ => Ok(()),
        }
    }

    /// The same for a device so old that it knows the action from the code.
    fn check_text_error(&self, error: &TextError) -> Result<(), Violation> {
        match (error.session(), error.code(), error.try_again()) {
            (SessionIdent::CONNECTION, ErrorCode::ConnectionClosed, true)
            | (_, ErrorCode::OtherSessionError, true) => Ok(()),
            (_, code, false) if resets(code) && self.is_restored => Ok(()),
            _ => Err(Violation::new(Check::Honest, format!("an honest device is told {error:?}"))),
        }
    }

    /// An error that an honest device is told has its reasons.
    fn check_error(&self, error: &JsonError) -> Result<(), Violation> {
        match (error.session(), error.code(), error.body().action) {
            // Whether that is true was looked at when it was sent.
            (SessionIdent::CONNECTION, ErrorCode::ConnectionClosed, Action::Transient)
            | (_, ErrorCode::OtherSessionError, Action::Transient) => Ok(()),
            (_, _, Action::ClientReset) if self.is_restored => Ok(()),
            _ => Err(Violation::new(Check::Honest, format!("an honest device is told {error:?}"))),
        }
    }
}

/// Whether a device so old that it is told no action has to reset.
fn resets(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::BadClientVersion
            | ErrorCode::BadServerVersion
            | ErrorCode::BadClientFileIdent
            | ErrorCode::DivergingHistories
    )
}

fn uninvited(name: &str, link: u64, session: SessionIdent) -> Violation {
    let message = format!("{name} on connection {link}, whose session {session} was not let in");
    Violation::new(Check::Isolation, message)
}
