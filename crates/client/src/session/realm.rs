//! One realm of a connection.

use bailiwick_protocol::version::ClientVersion;

use super::file::{File, Pending};
use super::io::{
    FileRole, Output, RealmKey, ResetMode, SessionEvent, StorageRequest, SyncError, Time, WaitKey,
};
use super::mark::Waiter;
use super::verdict::ResetCause;
use crate::local::ByteCounters;

/// A realm that the application has opened.
#[derive(Debug)]
pub(super) struct Realm {
    key: RealmKey,
    /// The partition value.
    path: String,
    pub(super) reset_mode: ResetMode,
    pub(super) activity: Activity,
    pub(super) main: File,
    /// The fresh copy of a client reset, as long as it is needed or has a request under way.
    pub(super) fresh: Option<File>,
    pub(super) reset: Reset,
    upload_waits: Vec<UploadWait>,
    /// A DOWNLOAD was integrated since the realm was opened: the numbers of bytes mean something.
    has_downloaded: bool,
    reported: Option<ByteCounters>,
    is_connected: bool,
}

/// Whether a realm is to be synced.
#[derive(Clone, Debug)]
pub(super) enum Activity {
    Active,
    Paused,
    /// It has to be resumed, because of this.
    Ended(SyncError),
    /// As soon as nothing is under way it is forgotten.
    Closed,
}

/// How far a client reset is. Spec: client, section 7.3.
#[derive(Debug)]
pub(super) enum Reset {
    /// There is none.
    None,
    /// The fresh copy is being downloaded.
    Downloading(ResetCause),
    /// It is complete; may the reset be made?
    Beginning(ResetCause),
    /// The main file is being reset.
    Applying(ResetMode),
    /// Up to this version everything has to be acknowledged, and, unless that is done, all that the server has has to
    /// be downloaded.
    Completing { upload: ClientVersion, is_downloaded: bool },
    /// All is done but to record it.
    Ending,
}

/// Somebody waits until everything up to a version is acknowledged.
#[derive(Debug)]
struct UploadWait {
    key: WaitKey,
    /// The version, once the file is loaded.
    version: Option<ClientVersion>,
}

impl Realm {
    pub(super) fn new(key: RealmKey, path: String, reset_mode: ResetMode) -> Self {
        Self {
            key,
            path,
            reset_mode,
            activity: Activity::Active,
            main: File::new(FileRole::Main),
            fresh: None,
            reset: Reset::None,
            upload_waits: Vec::new(),
            has_downloaded: false,
            reported: None,
            is_connected: false,
        }
    }

    pub(super) fn key(&self) -> RealmKey {
        self.key
    }

    /// The length of what waits to be integrated, in bytes.
    pub(super) fn queued_len(&self) -> usize {
        let files = [Some(&self.main), self.fresh.as_ref()];
        let sessions = files.into_iter().flatten().filter_map(|file| file.session.as_ref());
        sessions.map(|session| session.queued_len).sum()
    }

    pub(super) fn wait_for_upload(&mut self, key: WaitKey, out: &mut Vec<Output>) {
        if let Activity::Ended(error) = &self.activity {
            return out.push(Output::WaitDone(key, Err(error.clone())));
        }
        self.upload_waits.push(UploadWait { key, version: self.main.last_uploadable() });
        self.answer_upload_waits(out);
    }

    pub(super) fn wait_for_download(&mut self, key: WaitKey, out: &mut Vec<Output>) {
        if let Activity::Ended(error) = &self.activity {
            return out.push(Output::WaitDone(key, Err(error.clone())));
        }
        self.main.marks.request(Waiter::Caller(key));
    }

    /// Answers those who wait for what is acknowledged.
    pub(super) fn answer_upload_waits(&mut self, out: &mut Vec<Output>) {
        let Some(last) = self.main.last_uploadable() else { return };
        let Some(acknowledged) = self.main.acknowledged() else { return };
        self.upload_waits.retain_mut(|wait| {
            // A client reset may have dropped what was waited for.
            let version = (*wait.version.get_or_insert(last)).min(last);
            if acknowledged >= version {
                out.push(Output::WaitDone(wait.key, Ok(())));
            }
            acknowledged < version
        });
    }

    /// Those who wait learn that it is in vain.
    pub(super) fn fail_waits(&mut self, error: &SyncError, out: &mut Vec<Output>) {
        let uploads = self.upload_waits.drain(..).map(|wait| wait.key);
        let waits = uploads.chain(self.main.marks.drain_callers());
        out.extend(waits.map(|key| Output::WaitDone(key, Err(error.clone()))));
    }

    /// Tells the application something.
    pub(super) fn tell(&self, event: SessionEvent, out: &mut Vec<Output>) {
        if !matches!(self.activity, Activity::Closed) {
            out.push(Output::Event(self.key, event));
        }
    }

    /// Tells the application how much has travelled, if that is news.
    pub(super) fn tell_progress(&mut self, out: &mut Vec<Output>) {
        let bytes = self.main.bytes().filter(|_| self.has_downloaded);
        if bytes.is_some() && bytes != self.reported {
            self.reported = bytes;
            out.extend(bytes.map(|bytes| Output::Event(self.key, SessionEvent::Progress(bytes))));
        }
    }

    /// A DOWNLOAD is integrated.
    pub(super) fn has_downloaded(&mut self) {
        self.has_downloaded = true;
    }

    /// Tells the application whether there is a session, if that is news.
    pub(super) fn tell_connected(&mut self, is_connected: bool, out: &mut Vec<Output>) {
        if self.is_connected != is_connected {
            self.is_connected = is_connected;
            self.tell(SessionEvent::Connected(is_connected), out);
        }
    }

    /// One of the files.
    pub(super) fn file(&mut self, role: FileRole) -> Option<&mut File> {
        self.path_and_file(role).map(|(_, file)| file)
    }

    /// The partition value, and one of the files.
    pub(super) fn path_and_file(&mut self, role: FileRole) -> Option<(&str, &mut File)> {
        let file = match role {
            FileRole::Main => &mut self.main,
            FileRole::Fresh => self.fresh.as_mut()?,
        };
        Some((&self.path, file))
    }

    /// The file that is to have a session, if any.
    pub(super) fn syncing(&self) -> Option<FileRole> {
        match (&self.activity, &self.reset) {
            (Activity::Active, Reset::None | Reset::Completing { .. } | Reset::Ending) => {
                Some(FileRole::Main)
            }
            (Activity::Active, Reset::Downloading(_)) => Some(FileRole::Fresh),
            _ => None,
        }
    }

    /// Whether the realm needs the connection.
    pub(super) fn needs_connection(&self) -> bool {
        match (self.syncing(), &self.fresh) {
            (Some(FileRole::Main), _) => self.main.is_ready(),
            (Some(FileRole::Fresh), Some(fresh)) => fresh.is_ready(),
            (Some(FileRole::Fresh), None) => false,
            // Soon, at the end of a client reset.
            (None, _) => matches!(self.activity, Activity::Active),
        }
    }

    /// The end of the delay of the file that is to have a session.
    pub(super) fn suspended_until(&self) -> Option<Time> {
        match self.syncing()? {
            FileRole::Main => self.main.suspended_until,
            FileRole::Fresh => self.fresh.as_ref()?.suspended_until,
        }
    }

    /// Ends the delays that are over, or all of them.
    pub(super) fn wake(&mut self, now: Option<Time>) {
        for file in [Some(&mut self.main), self.fresh.as_mut()].into_iter().flatten() {
            file.suspended_until.take_if(|until| now.is_none_or(|now| *until <= now));
        }
    }

    /// The next storage request, if none is under way at that file.
    pub(super) fn next_request(&mut self, role: FileRole) -> Option<StorageRequest> {
        let may_load = matches!(self.activity, Activity::Active | Activity::Paused);
        let is_fresh_idle = self.fresh.as_ref().is_none_or(|fresh| fresh.pending.is_none());
        let (reset, reset_mode) = (&self.reset, self.reset_mode);
        let file = match role {
            FileRole::Main => &mut self.main,
            FileRole::Fresh => self.fresh.as_mut()?,
        };
        if file.pending.is_some() {
            return None;
        }
        let (pending, request) = match (role, reset) {
            (FileRole::Fresh, _) if file.is_useless => {
                Some((Pending::Discard, StorageRequest::Discard))
            }
            (FileRole::Main, _) | (FileRole::Fresh, Reset::Downloading(_)) if !file.is_loaded => {
                may_load.then_some((Pending::Load, StorageRequest::Load))
            }
            (FileRole::Main, Reset::Beginning(cause)) if is_fresh_idle && may_load => {
                let ResetCause { action, code, message } = cause.clone();
                let request =
                    StorageRequest::BeginReset { mode: reset_mode, action, code, message };
                Some((Pending::BeginReset, request))
            }
            (FileRole::Main, &Reset::Applying(mode)) if may_load => {
                Some((Pending::Reset, StorageRequest::Reset { mode }))
            }
            (FileRole::Main, Reset::Ending) if may_load => {
                Some((Pending::EndReset, StorageRequest::EndReset))
            }
            _ => file.next_request(),
        }?;
        file.pending = Some(pending);
        Some(request)
    }

    /// Whether it is closed and nothing is under way any more.
    pub(super) fn is_over(&self) -> bool {
        let is_idle = |file: &File| file.pending.is_none() && !file.is_useless;
        matches!(self.activity, Activity::Closed)
            && is_idle(&self.main)
            && self.fresh.as_ref().is_none_or(is_idle)
    }
}
