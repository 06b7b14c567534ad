//! Client reset: a fresh copy, then the main file takes over its state. Spec: client, section 7.
//!
//! The storage makes the reset before the new session binds, not between its BIND and its IDENT: the server sees
//! the same messages.

use bailiwick_protocol::action::Action;
use bailiwick_protocol::version::ClientVersion;

use super::Connection;
use super::file::File;
use super::io::{FileRole, FileStatus, Output, RealmKey, ResetMode, SessionEvent, SyncError};
use super::mark::Waiter;
use super::realm::{Realm, Reset};
use super::verdict::ResetCause;

impl Connection {
    /// The server wants a realm to be reset.
    pub(super) fn demand_reset(&mut self, key: RealmKey, cause: ResetCause, out: &mut Vec<Output>) {
        let Some(realm) = self.realms.get_mut(&key) else { return };
        // The fresh copy is of no use, either; and the application, which closed it, does not care any more.
        if let Reset::Downloading(_) = realm.reset {
            return self.fail_reset(key, cause.message, out);
        }
        let is_recoverable = cause.action != Action::ClientResetNoRecovery;
        match realm.reset_mode {
            ResetMode::Manual => return self.fail_reset(key, cause.message, out),
            ResetMode::Recover if !is_recoverable => {
                let message = format!("{} (recovery is not allowed)", cause.message);
                return self.fail_reset(key, message, out);
            }
            ResetMode::Recover | ResetMode::DiscardLocal | ResetMode::RecoverOrDiscard => (),
        }
        self.end_sessions(key, out);
        let Some(realm) = self.realms.get_mut(&key) else { return };
        realm.reset = Reset::Downloading(cause);
        realm.main.marks.forget(Waiter::EndOfReset);
        let fresh = realm.fresh.get_or_insert_with(fresh_file);
        fresh.suspended_until = None;
        // The copy of an earlier reset may have been removed when that could not be made.
        fresh.forget();
        fresh.marks.request_once(Waiter::FreshCopy);
    }

    /// All of the fresh copy that the MARK asked for is there. The main file goes on from where the copy is, even if
    /// the server has got more meanwhile, as one that is written to all the time always has.
    pub(super) fn finish_fresh(&mut self, key: RealmKey, out: &mut Vec<Output>) {
        self.end_session(key, FileRole::Fresh, out);
        let Some(realm) = self.realms.get_mut(&key) else { return };
        realm.reset = match std::mem::replace(&mut realm.reset, Reset::None) {
            Reset::Downloading(cause) => Reset::Beginning(cause),
            reset => reset,
        };
    }

    /// The reset may be made.
    pub(super) fn begin_reset(&mut self, key: RealmKey, mode: ResetMode, out: &mut Vec<Output>) {
        let Some(realm) = self.realms.get_mut(&key) else { return };
        realm.reset = Reset::Applying(mode);
        realm.tell(SessionEvent::ResetStarted, out);
    }

    /// The main file has the state of the fresh copy, which is gone.
    pub(super) fn finish_reset(
        &mut self,
        key: RealmKey,
        status: FileStatus,
        recovered: bool,
        out: &mut Vec<Output>,
    ) {
        let Some(realm) = self.realms.get_mut(&key) else { return };
        realm.main.status = Some(status);
        realm.fresh = None;
        realm.complete_reset();
        // What was recovered was made again on the server's state: there is nothing to wait for.
        realm.main.may_upload = true;
        realm.main.marks.forget(Waiter::Uploads);
        realm.tell(SessionEvent::ResetDone { recovered }, out);
        self.settle(key, FileRole::Main, out);
    }

    /// The fresh copy is removed; if another reset has begun meanwhile, it has to be made from the start.
    pub(super) fn renew_fresh(&mut self, key: RealmKey) {
        let Some(realm) = self.realms.get_mut(&key) else { return };
        realm.fresh = match realm.reset {
            Reset::Downloading(_) => Some(fresh_file()),
            _ => None,
        };
    }

    /// All that the server had after the reset is there.
    pub(super) fn note_reset_downloaded(&mut self, key: RealmKey) {
        let realm = self.realms.get_mut(&key);
        if let Some(Reset::Completing { is_downloaded, .. }) = realm.map(|realm| &mut realm.reset) {
            *is_downloaded = true;
        }
    }

    /// The reset can't be made; what is to be done is up to the application.
    pub(super) fn fail_reset(&mut self, key: RealmKey, message: String, out: &mut Vec<Output>) {
        self.end(key, &SyncError::ClientReset { message }, out);
        let Some(realm) = self.realms.get_mut(&key) else { return };
        if let Reset::Downloading(_) = std::mem::replace(&mut realm.reset, Reset::None)
            && let Some(fresh) = &mut realm.fresh
        {
            fresh.is_useless = true;
            fresh.forget();
        }
    }
}

fn fresh_file() -> File {
    let mut file = File::new(FileRole::Fresh);
    file.marks.request(Waiter::FreshCopy);
    file
}

impl Realm {
    /// The reset was made, now or before the realm was opened: what remains is to sync once.
    pub(super) fn complete_reset(&mut self) {
        let upload = self.main.last_uploadable().unwrap_or(ClientVersion(0));
        self.reset = Reset::Completing { upload, is_downloaded: false };
        self.main.marks.request_once(Waiter::EndOfReset);
    }

    /// Whether the server and the device have both got what they had after the reset.
    pub(super) fn check_end_of_reset(&mut self) {
        let Reset::Completing { upload, is_downloaded: true } = self.reset else { return };
        let target = self.main.last_uploadable().map(|last| last.min(upload));
        if self.main.acknowledged() >= target {
            self.reset = Reset::Ending;
        }
    }
}
