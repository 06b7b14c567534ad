//! What the server says. Spec: client, sections 2.1 and 4; wire protocol, section 6.3.

use bailiwick_protocol::error_code::{ErrorCode, Level};
use bailiwick_protocol::ident::SessionIdent;
use bailiwick_protocol::message::{JsonError, Pong, ServerMessage};
use bytes::Bytes;

use super::Connection;
use super::backoff::Failure;
use super::io::{FileRole, Output, RealmKey, SessionEvent, SyncError, Time};
use super::link::Link;
use super::live::Phase;
use super::verdict::{Remedy, SessionVerdict, Told};

impl Connection {
    pub(super) fn on_received(&mut self, now: Time, payload: &Bytes, out: &mut Vec<Output>) {
        let Link::Up(up) = &self.link else { return };
        let message = match ServerMessage::parse(up.version, payload) {
            Ok(message) => message,
            Err(error) => return self.violate(now, &error.to_string(), out),
        };
        let ident = message.session();
        match (self.sessions.get(&ident).copied(), message) {
            (_, ServerMessage::Pong(pong)) => self.on_pong(now, pong, out),
            (owner, ServerMessage::LogMessage(log)) => {
                out.push(Output::Log(owner.map(|(realm, _)| realm), log.line().clone()));
            }
            (None, ServerMessage::JsonError(error)) if ident == SessionIdent::CONNECTION => {
                self.on_connection_error(now, Told::json(&error), out);
            }
            (None, ServerMessage::Error(error)) if ident == SessionIdent::CONNECTION => {
                self.on_connection_error(now, Told::text(&error), out);
            }
            (Some((key, role)), message) => {
                if let Err(reason) =
                    self.on_session_message(now, key, role, message, payload.len(), out)
                {
                    self.violate(now, &reason, out);
                }
            }
            // Of a session that has ended, as the server may not know yet.
            (None, _) if ident > up.idents_after && ident <= self.last_ident => (),
            (None, message) => {
                let reason = format!("{} names session {ident}, which never was", message.name());
                self.violate(now, &reason, out);
            }
        }
    }

    fn on_pong(&mut self, now: Time, pong: Pong, out: &mut Vec<Output>) {
        let Link::Up(up) = &mut self.link else { return };
        if up.heartbeat.pong(now, pong, &self.config, &mut self.random) {
            self.backoff.reset();
        } else {
            self.violate(now, &format!("PONG {} answers no PING", pong.timestamp_ms), out);
        }
    }

    fn on_connection_error(&mut self, now: Time, told: Told, out: &mut Vec<Output>) {
        if told.is_at(Level::Connection) {
            out.push(Output::Disconnect);
            self.fail(now, told.connection(), out);
        } else {
            self.violate(now, "an error of a session names none", out);
        }
    }

    /// Takes a message of a session that there is; an error says how it breaks the protocol.
    fn on_session_message(
        &mut self,
        now: Time,
        key: RealmKey,
        role: FileRole,
        message: ServerMessage,
        payload_len: usize,
        out: &mut Vec<Output>,
    ) -> Result<(), String> {
        let Some(file) = self.realms.get_mut(&key).and_then(|realm| realm.file(role)) else {
            return Ok(());
        };
        let newest = file.newest();
        let Some(session) = &mut file.session else { return Ok(()) };
        match (&mut session.phase, message) {
            (Phase::New, message) => Err(format!("{} before BIND", message.name())),
            (phase @ Phase::WaitingForIdent, ServerMessage::Ident(ident)) => {
                *phase = Phase::Identifying(ident.file_ident, ident.file_ident_salt);
                Ok(())
            }
            (Phase::Active, ServerMessage::Download(download)) => {
                session.receive(download, newest).map_err(|fault| format!("DOWNLOAD: {fault}"))
            }
            (Phase::Active, ServerMessage::Mark(mark)) => {
                let received = session.received.download.server_version;
                if !file.marks.answer(mark.request_ident, received) {
                    return Err(format!("MARK {} was not asked for", mark.request_ident));
                }
                self.settle(key, role, out);
                Ok(())
            }
            // What could not be integrated was not acknowledged, so that it comes again in another session.
            (Phase::Broken(_), ServerMessage::Download(_) | ServerMessage::Mark(_)) => Ok(()),
            (_, ServerMessage::JsonError(error)) => {
                if error.code() == ErrorCode::CompensatingWrite {
                    return self.on_compensating_write(key, role, &error, payload_len);
                }
                self.on_session_error(now, key, role, Told::json(&error), out)
            }
            (_, ServerMessage::Error(error)) => {
                self.on_session_error(now, key, role, Told::text(&error), out)
            }
            (_, message) => Err(format!("{} came at the wrong time", message.name())),
        }
    }

    /// The server undoes writes: the application is told once that is integrated.
    fn on_compensating_write(
        &mut self,
        key: RealmKey,
        role: FileRole,
        error: &JsonError,
        len: usize,
    ) -> Result<(), String> {
        let body = error.body();
        let Some(rejection) = &body.rejection else {
            return Err("a compensating write has no version".to_owned());
        };
        let file = self.realms.get_mut(&key).and_then(|realm| realm.file(role));
        let Some(session) = file.and_then(|file| file.session.as_mut()) else { return Ok(()) };
        let (message, writes) = (body.message.clone(), rejection.updates.clone());
        let version = rejection.compensating_write_server_version;
        if session.compensate(version, SyncError::CompensatingWrite { message, writes }, len) {
            Ok(())
        } else {
            Err("too many compensating writes are not undone".to_owned())
        }
    }

    fn on_session_error(
        &mut self,
        now: Time,
        key: RealmKey,
        role: FileRole,
        told: Told,
        out: &mut Vec<Output>,
    ) -> Result<(), String> {
        if !told.is_at(Level::Session) {
            return Err("an error of the connection names a session".to_owned());
        }
        let failure = told.failure();
        match (told.session(), role) {
            (SessionVerdict::Retry { growth, remedy, report }, _) => {
                self.end_session(key, role, out);
                let Some(realm) = self.realms.get_mut(&key) else { return Ok(()) };
                if let Some(file) = realm.file(role) {
                    let delay = file.backoff.delay(failure, growth, &mut self.random);
                    file.suspended_until = Some(now + delay);
                }
                if let Some(error) = report {
                    realm.tell(SessionEvent::Error(error), out);
                }
                self.remedy_session(now, failure, &remedy, out);
            }
            (SessionVerdict::LogOut(error), _) => {
                self.log_out(now, &error, out);
                out.push(Output::LogOut);
            }
            (SessionVerdict::End(error), FileRole::Main) => self.end(key, &error, out),
            (SessionVerdict::End(error), FileRole::Fresh) => {
                self.fail_reset(key, error.to_string(), out);
            }
            (SessionVerdict::Reset(cause), FileRole::Main) => self.demand_reset(key, cause, out),
            (SessionVerdict::Reset(cause), FileRole::Fresh) => {
                self.fail_reset(key, cause.message, out);
            }
        }
        Ok(())
    }

    /// A new token or another server shows in the next connection only.
    fn remedy_session(
        &mut self,
        now: Time,
        failure: Failure,
        remedy: &Remedy,
        out: &mut Vec<Output>,
    ) {
        match remedy {
            Remedy::Token => self.refresh_token(true, out),
            Remedy::Moved => {
                out.push(Output::Disconnect);
                self.fail(now, super::verdict::moved(failure), out);
            }
            _ => (),
        }
    }
}
