//! Judges what the machine sends and asks for, by the rules of the specification and nothing of the machine.

use std::collections::{BTreeMap, BTreeSet};

use bailiwick_protocol::ident::SessionIdent;
use bailiwick_protocol::message::{ClientMessage, ServerMessage, Upload};
use bailiwick_protocol::version::{ClientVersion, UploadCursor};

use crate::session::{FileRole, Output, RealmKey, StorageRequest, WaitKey};

/// What has happened so far.
#[derive(Debug, Default)]
pub(super) struct Referee {
    sessions: BTreeMap<SessionIdent, Session>,
    is_pinging: bool,
    requests: BTreeSet<(RealmKey, FileRole)>,
    waits: BTreeMap<WaitKey, bool>,
    closed: BTreeSet<RealmKey>,
}

/// A session of the connection, from BIND to UNBIND.
#[derive(Debug, Default)]
struct Session {
    path: String,
    has_ident: bool,
    phase: Phase,
    mark: u64,
    uploaded: UploadCursor,
}

/// How far a session is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// BIND was sent.
    #[default]
    Bound,
    /// IDENT was sent.
    Identified,
    /// It may only be unbound.
    Failed,
    /// UNBIND was sent.
    Unbound,
}

const MAX_LEN: usize = 1 << 20;

impl Referee {
    /// There is another connection.
    pub(super) fn connected(&mut self) {
        self.sessions.clear();
        self.is_pinging = false;
    }

    pub(super) fn waits(&mut self, wait: WaitKey) {
        self.waits.insert(wait, false);
    }

    /// Those who wait still.
    pub(super) fn waiting(&self) -> Vec<WaitKey> {
        self.waits.iter().filter(|(_, is_over)| !**is_over).map(|(wait, _)| *wait).collect()
    }

    pub(super) fn answered(&mut self, realm: RealmKey, role: FileRole) {
        assert!(self.requests.remove(&(realm, role)));
    }

    /// The server has sent a message that it could send.
    pub(super) fn heard(&mut self, message: &ServerMessage) {
        let session = self.sessions.get_mut(&message.session());
        match (session, message) {
            (Some(session), ServerMessage::Ident(_)) => session.has_ident = true,
            (Some(session), ServerMessage::JsonError(error)) if error.code().number() != 231 => {
                session.fail();
            }
            (Some(session), ServerMessage::Error(_)) => session.fail(),
            (_, ServerMessage::Pong(_)) => self.is_pinging = false,
            _ => (),
        }
    }

    pub(super) fn sent(&mut self, message: &ClientMessage) {
        let shown = message.print().escape_ascii().to_string();
        if let ClientMessage::Ping(_) = message {
            assert!(!self.is_pinging, "a PING before the PONG: {shown}");
            self.is_pinging = true;
            return;
        }
        let ident = message.session();
        assert_ne!(ident, SessionIdent::CONNECTION, "{shown}");
        if let ClientMessage::Bind(bind) = message {
            let rivals = self.sessions.values().filter(|other| other.path == bind.path);
            assert!(
                rivals.into_iter().all(|other| other.phase == Phase::Unbound),
                "bound twice: {shown}"
            );
            let has_ident = !bind.need_client_file_ident;
            let session = Session { path: bind.path.clone(), has_ident, ..Session::default() };
            assert!(self.sessions.insert(ident, session).is_none(), "an ident again: {shown}");
            return;
        }
        let session = self.sessions.get_mut(&ident).unwrap_or_else(|| panic!("no BIND: {shown}"));
        assert_ne!(session.phase, Phase::Unbound, "after UNBIND: {shown}");
        if let ClientMessage::Unbind(_) = message {
            session.phase = Phase::Unbound;
            return;
        }
        let expected = match message {
            ClientMessage::Ident(_) => Phase::Bound,
            _ => Phase::Identified,
        };
        assert_eq!(session.phase, expected, "{shown}");
        match message {
            ClientMessage::Ident(claim) => {
                assert!(session.has_ident, "no ident is known: {shown}");
                assert!(claim.file_ident.0 > 0 && claim.file_ident_salt.0 > 0, "{shown}");
                session.phase = Phase::Identified;
            }
            ClientMessage::Mark(mark) => {
                assert!(mark.request_ident.0 > session.mark, "{shown}");
                session.mark = mark.request_ident.0;
            }
            ClientMessage::Upload(upload) => session.check_upload(upload, &shown),
            ClientMessage::Error(_) => session.phase = Phase::Failed,
            ClientMessage::Bind(_) | ClientMessage::Unbind(_) | ClientMessage::Ping(_) => (),
        }
    }

    pub(super) fn output(&mut self, output: &Output) {
        match output {
            Output::Store(realm, role, request) => {
                assert!(!self.closed.contains(realm), "the realm is closed");
                assert!(self.requests.insert((*realm, *role)), "two requests for one file");
                if let StorageRequest::Reset { .. } = request {
                    let fresh = (*realm, FileRole::Fresh);
                    assert!(!self.requests.contains(&fresh), "the fresh copy is in use");
                }
            }
            Output::WaitDone(wait, _) => {
                assert_eq!(self.waits.insert(*wait, true), Some(false), "answered twice");
            }
            Output::Event(realm, _) => assert!(!self.closed.contains(realm), "the realm is closed"),
            Output::Closed(realm) => {
                assert!(self.closed.insert(*realm), "closed twice");
                for role in [FileRole::Main, FileRole::Fresh] {
                    assert!(!self.requests.contains(&(*realm, role)), "a file is in use");
                }
            }
            _ => (),
        }
    }

    pub(super) fn is_closed(&self, realm: RealmKey) -> bool {
        self.closed.contains(&realm)
    }
}

impl Session {
    fn fail(&mut self) {
        if self.phase != Phase::Unbound {
            self.phase = Phase::Failed;
        }
    }

    fn check_upload(&mut self, upload: &Upload, shown: &str) {
        let progress = upload.header.progress;
        let mut last = self.uploaded;
        for entry in Upload::entries(upload.body.inflate(MAX_LEN).unwrap()) {
            let entry = entry.unwrap();
            assert!(entry.client_version > last.client_version, "{shown}");
            assert!(entry.client_version > ClientVersion(0), "{shown}");
            assert!(
                entry.last_integrated_server_version >= last.last_integrated_server_version,
                "{shown}"
            );
            last = UploadCursor {
                client_version: entry.client_version,
                last_integrated_server_version: entry.last_integrated_server_version,
            };
        }
        assert!(progress.client_version >= last.client_version, "{shown}");
        assert!(
            progress.last_integrated_server_version >= last.last_integrated_server_version,
            "{shown}"
        );
        assert!(progress.client_version > self.uploaded.client_version, "{shown}");
        self.uploaded = progress;
    }
}
