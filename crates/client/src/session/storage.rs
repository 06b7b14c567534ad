//! What is asked of the files, and what they answer.

use super::Connection;
use super::file::Pending;
use super::io::{
    FileRole, FileStatus, Output, RealmKey, SessionEvent, StorageAnswer, SyncError, Time,
};
use super::live::{Phase, Report};
use super::mark::Waiter;
use super::realm::{Activity, Reset};
use super::verdict::shortened;

impl Connection {
    /// Makes the requests that can be made now.
    pub(super) fn request_storage(&mut self, out: &mut Vec<Output>) {
        for (&key, realm) in &mut self.realms {
            for role in [FileRole::Main, FileRole::Fresh] {
                if let Some(request) = realm.next_request(role) {
                    out.push(Output::Store(key, role, request));
                }
            }
        }
    }

    pub(super) fn on_stored(
        &mut self,
        now: Time,
        key: RealmKey,
        role: FileRole,
        answer: StorageAnswer,
        out: &mut Vec<Output>,
    ) {
        let Some(realm) = self.realms.get_mut(&key) else { return };
        let Some(file) = realm.file(role) else { return };
        let Some(pending) = file.pending.take() else { return };
        match (pending, answer) {
            (Pending::Discard, StorageAnswer::Ready(_) | StorageAnswer::Failed(_)) => {
                self.renew_fresh(key);
            }
            (_, StorageAnswer::Failed(error)) => self.fail_file(key, role, &error, out),
            (
                Pending::Load | Pending::Identify(_) | Pending::Integrate(_) | Pending::EndReset,
                StorageAnswer::Ready(status),
            ) => self.on_ready(key, role, pending, status, out),
            (Pending::CollectUpload(session, newest), StorageAnswer::Upload(batch)) => {
                file.gathered(session, batch, newest);
            }
            (Pending::Integrate(session), StorageAnswer::ProtocolViolation(message)) => {
                if file.session(session).is_some() {
                    self.violate(now, &message, out);
                }
            }
            (Pending::Integrate(session), StorageAnswer::IntegrationFailed { code, message }) => {
                let Some(session) = file.session(session) else { return };
                let message = shortened(&message);
                if role == FileRole::Fresh {
                    return self.fail_reset(key, message, out);
                }
                session.fail(Report { code, message: message.clone() });
                realm.tell(SessionEvent::Error(SyncError::Integration(message)), out);
            }
            (Pending::BeginReset, StorageAnswer::ResetBegun(mode)) => {
                self.begin_reset(key, mode, out);
            }
            (Pending::Reset, StorageAnswer::ResetDone { status, recovered }) => {
                self.finish_reset(key, status, recovered, out);
            }
            (Pending::BeginReset | Pending::Reset, StorageAnswer::ResetFailed(message)) => {
                self.fail_reset(key, message, out);
            }
            (pending, answer) => {
                let message = format!("{pending:?} was answered with {answer:?}");
                self.fail_file(key, role, &SyncError::File(message), out);
            }
        }
    }

    fn on_ready(
        &mut self,
        key: RealmKey,
        role: FileRole,
        pending: Pending,
        status: FileStatus,
        out: &mut Vec<Output>,
    ) {
        let Some(realm) = self.realms.get_mut(&key) else { return };
        let Some(file) = realm.file(role) else { return };
        let progress = status.state.progress;
        let is_reset_pending = status.reset_pending && role == FileRole::Main;
        let before = file.status.replace(status);
        let mut compensations = Vec::new();
        match pending {
            Pending::Identify(session) => {
                if let Some(session) = file.session(session) {
                    session.phase = Phase::Bound;
                }
            }
            Pending::Integrate(session) => {
                file.backoff.reset();
                // Otherwise the same may follow on it in each connection.
                if before.is_none_or(|before| before.state.progress != progress) {
                    self.backoff.reset();
                }
                if let Some(session) = file.session(session) {
                    session.uploads.acknowledged(progress.upload);
                    let integrated = progress.download.server_version;
                    compensations = session.take_compensations(integrated);
                }
                if role == FileRole::Main {
                    realm.has_downloaded();
                }
            }
            Pending::Load => {
                file.is_loaded = true;
                if is_reset_pending && matches!(realm.reset, Reset::None) {
                    realm.complete_reset();
                }
            }
            Pending::EndReset => {
                if let Reset::Ending = realm.reset {
                    realm.reset = Reset::None;
                }
            }
            _ => (),
        }
        for error in compensations {
            realm.tell(SessionEvent::Error(error), out);
        }
        self.settle(key, role, out);
    }

    /// Tells those who wait what a file is at.
    pub(super) fn settle(&mut self, key: RealmKey, role: FileRole, out: &mut Vec<Output>) {
        let Some(realm) = self.realms.get_mut(&key) else { return };
        if let Activity::Closed = realm.activity {
            return;
        }
        if role == FileRole::Main {
            realm.tell_progress(out);
        }
        let Some(file) = realm.file(role) else { return };
        let Some(status) = &file.status else { return };
        let integrated = status.state.progress.download.server_version;
        for waiter in file.marks.integrated(integrated) {
            match waiter {
                Waiter::Caller(wait) => out.push(Output::WaitDone(wait, Ok(()))),
                Waiter::Uploads => self.allow_uploads(key),
                Waiter::FreshCopy => self.finish_fresh(key, out),
                Waiter::EndOfReset => self.note_reset_downloaded(key),
            }
        }
        let Some(realm) = self.realms.get_mut(&key) else { return };
        realm.answer_upload_waits(out);
        realm.check_end_of_reset();
    }

    fn allow_uploads(&mut self, key: RealmKey) {
        if let Some(realm) = self.realms.get_mut(&key) {
            realm.main.may_upload = true;
        }
    }

    /// A file cannot be used. The main file is loaded again when the realm is resumed.
    fn fail_file(
        &mut self,
        key: RealmKey,
        role: FileRole,
        error: &SyncError,
        out: &mut Vec<Output>,
    ) {
        let Some(realm) = self.realms.get_mut(&key) else { return };
        if let (FileRole::Main, Reset::Applying(_)) = (role, &realm.reset) {
            // Made or not, the fresh copy is gone. If it was not made, the server demands it again.
            realm.reset = Reset::None;
        }
        if let Some(file) = realm.file(role) {
            file.forget();
        }
        match role {
            FileRole::Main => self.end(key, error, out),
            FileRole::Fresh => self.fail_reset(key, error.to_string(), out),
        }
    }
}
