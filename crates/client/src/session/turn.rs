//! Sessions, and what they send, one message each in turn. Spec: client, section 2.1.

use std::ops::Bound;

use bailiwick_protocol::ident::SessionIdent;
use bailiwick_protocol::message::{
    Bind, ClientError, ClientIdent, ClientMessage, Mark, Unbind, UploadHeader,
};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bytes::Bytes;

use super::Connection;
use super::file::File;
use super::io::{FileRole, Output, RealmKey};
use super::link::Link;
use super::live::Phase;
use super::realm::Realm;

/// What a session does with its turn.
enum Turn {
    /// It sends a message.
    Send(Bytes),
    /// It sends a message after which nothing long may be sent until it has left.
    SendUpload(Bytes),
    /// There is nothing.
    Pass,
}

impl Connection {
    /// Makes a session of each file that is to have one.
    pub(super) fn begin_sessions(&mut self) {
        let Link::Up(_) = self.link else { return };
        for (&key, realm) in &mut self.realms {
            let Some(role) = realm.syncing() else { continue };
            let Some(file) = realm.file(role) else { continue };
            if file.is_ready() && file.pending.is_none() && file.session.is_none() {
                self.last_ident.0 += 1;
                file.begin_session(self.last_ident);
                self.sessions.insert(self.last_ident, (key, role));
            }
        }
    }

    /// Ends the sessions of a realm.
    pub(super) fn end_sessions(&mut self, key: RealmKey, out: &mut Vec<Output>) {
        self.end_session(key, FileRole::Main, out);
        self.end_session(key, FileRole::Fresh, out);
    }

    /// Ends a session if there is one; whatever the server says of it later is ignored.
    pub(super) fn end_session(&mut self, key: RealmKey, role: FileRole, out: &mut Vec<Output>) {
        let file = self.realms.get_mut(&key).and_then(|realm| realm.file(role));
        let Some(session) = file.and_then(|file| file.session.as_ref()) else { return };
        self.sessions.remove(&session.ident);
        if session.phase != Phase::New {
            self.unbinds.push_back(session.ident);
        }
        self.drop_session(key, role, out);
    }

    /// Forgets a session.
    pub(super) fn drop_session(&mut self, key: RealmKey, role: FileRole, out: &mut Vec<Output>) {
        let Some(realm) = self.realms.get_mut(&key) else { return };
        if let Some(file) = realm.file(role) {
            file.session = None;
        }
        if role == FileRole::Main {
            realm.tell_connected(false, out);
        }
    }

    /// The realms that have a session of which the server knows.
    pub(super) fn bound_realms(&self) -> Vec<RealmKey> {
        let is_bound = |realm: &&Realm| {
            let files = [Some(&realm.main), realm.fresh.as_ref()];
            let mut sessions = files.into_iter().flatten().filter_map(|file| file.session.as_ref());
            sessions.any(|session| session.phase != Phase::New)
        };
        self.realms.values().filter(is_bound).map(Realm::key).collect()
    }

    /// Sends what can be sent now.
    pub(super) fn send(&mut self, out: &mut Vec<Output>) {
        let Link::Up(up) = &self.link else { return };
        let version = up.version;
        // First, so that a file is never bound twice.
        for session in self.unbinds.drain(..) {
            out.push(Output::Send(ClientMessage::Unbind(Unbind { session }).print().into()));
        }
        let mut passes = 0;
        while passes < self.sessions.len() {
            let Some(ident) = self.next_turn() else { return };
            self.last_turn = ident;
            match self.take_turn(ident, version, out) {
                Turn::Send(message) => out.push(Output::Send(message)),
                Turn::SendUpload(message) => {
                    self.is_writable = false;
                    out.push(Output::Send(message));
                }
                Turn::Pass => {
                    passes += 1;
                    continue;
                }
            }
            passes = 0;
        }
    }

    /// The session after the last one that had a turn.
    fn next_turn(&self) -> Option<SessionIdent> {
        let after = (Bound::Excluded(self.last_turn), Bound::Unbounded);
        let mut next = self.sessions.range(after).chain(&self.sessions);
        next.next().map(|(&ident, _)| ident)
    }

    fn take_turn(
        &mut self,
        ident: SessionIdent,
        version: ProtocolVersion,
        out: &mut Vec<Output>,
    ) -> Turn {
        let Some(&(key, role)) = self.sessions.get(&ident) else { return Turn::Pass };
        let Some(realm) = self.realms.get_mut(&key) else { return Turn::Pass };
        let Some((path, file)) = realm.path_and_file(role) else { return Turn::Pass };
        let turn = file.take_turn(path, version, self.is_writable);
        let is_active = matches!(&file.session, Some(session) if session.phase == Phase::Active);
        if role == FileRole::Main && is_active {
            realm.tell_connected(true, out);
        }
        turn
    }
}

impl File {
    /// The first message that applies.
    fn take_turn(&mut self, path: &str, version: ProtocolVersion, is_writable: bool) -> Turn {
        let is_idle = self.pending.is_none();
        let (Some(session), Some(status)) = (&mut self.session, &self.status) else {
            return Turn::Pass;
        };
        let ident = session.ident;
        let client_file = status.state.client_file;
        let message = match (&mut session.phase, client_file) {
            (phase @ Phase::New, _) => {
                let need_client_file_ident = client_file.is_none();
                *phase = if need_client_file_ident { Phase::WaitingForIdent } else { Phase::Bound };
                ClientMessage::Bind(Bind {
                    session: ident,
                    path: path.to_owned(),
                    token: String::new(),
                    need_client_file_ident,
                    is_subserver: false,
                })
            }
            (Phase::Bound, Some((file_ident, file_ident_salt))) if is_idle => {
                let progress = status.state.progress;
                session.activate(progress);
                ClientMessage::Ident(ClientIdent {
                    session: ident,
                    file_ident,
                    file_ident_salt,
                    download_cursor: progress.download,
                    latest_server_version: progress.latest,
                })
            }
            (Phase::Broken(report), _) => {
                let Some(report) = report.take() else { return Turn::Pass };
                if !version.has_client_errors() {
                    return Turn::Pass;
                }
                let body = serde_json::json!({ "message": report.message }).to_string();
                ClientMessage::Error(ClientError { session: ident, code: report.code, body })
            }
            (Phase::Active, _) => {
                if let Some(request_ident) = self.marks.next() {
                    ClientMessage::Mark(Mark { session: ident, request_ident })
                } else {
                    let batch = session.uploads.batch.take_if(|_| is_writable);
                    let Some(batch) = batch else { return Turn::Pass };
                    let header = UploadHeader {
                        session: ident,
                        progress: batch.progress,
                        locked_server_version: batch.locked_server_version,
                    };
                    return Turn::SendUpload(header.print_with(&batch.entries).into());
                }
            }
            (Phase::WaitingForIdent | Phase::Identifying(..) | Phase::Bound, _) => {
                return Turn::Pass;
            }
        };
        Turn::Send(message.print().into())
    }
}
