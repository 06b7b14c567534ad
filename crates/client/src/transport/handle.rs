//! What holds on to the sync of a realm.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::progress::SyncProgress;
use crate::session::SyncError;

/// The sync of one realm. Clones are the same.
///
/// Once the last clone is dropped, sync of the realm ends, as with [`close`](Self::close): what was not uploaded yet
/// stays in the file and is uploaded when the realm is opened the next time. To have it uploaded before, wait for
/// [`wait_for_upload`](Self::wait_for_upload). The connection stays for a while, or for as long as it has other
/// realms.
///
/// No future of a handle has to be polled to its end.
#[derive(Clone, Debug)]
pub struct SyncHandle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    commands: mpsc::Sender<RealmCommand>,
    status: watch::Receiver<SyncStatus>,
    progress: watch::Receiver<Option<SyncProgress>>,
    notices: broadcast::Receiver<SyncNotice>,
    /// Has heard everything from the beginning; for the first who asks.
    first_notices: Mutex<Option<broadcast::Receiver<SyncNotice>>>,
}

/// Whether a realm syncs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncStatus {
    /// It has no session with the server, for now or for good.
    #[default]
    Disconnected,
    /// It has one.
    Connected,
}

/// What an application may want to know of a realm's sync.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SyncNotice {
    /// Something went wrong; [`SyncError::is_fatal`] says whether sync has ended.
    Error(SyncError),
    /// Local changes are being set aside for the server's state.
    ResetStarted,
    /// A client reset has been made.
    ResetDone {
        /// Whether local changes were recovered, if there were any.
        recovered: bool,
    },
    /// There were so many more before this one, which nobody took in time.
    Missed(u64),
}

/// What a handle asks of the driver.
#[derive(Debug)]
pub(super) enum RealmCommand {
    WaitForUpload(Waiter),
    WaitForDownload(Waiter),
    Pause,
    Resume,
    Reconnect,
    /// Say so once the files are not in use any more.
    Close(oneshot::Sender<()>),
}

/// Who waits for something that may never come.
pub(super) type Waiter = oneshot::Sender<Result<(), SyncError>>;

/// The driver's side of a handle.
#[derive(Debug)]
pub(super) struct Reports {
    pub(super) status: watch::Sender<SyncStatus>,
    pub(super) progress: watch::Sender<Option<SyncProgress>>,
    pub(super) notices: broadcast::Sender<SyncNotice>,
}

impl Reports {
    pub(super) fn set_status(&self, status: SyncStatus) {
        self.status.send_if_modified(|current| std::mem::replace(current, status) != status);
    }
}

/// Commands that wait for the driver; whoever has one more waits for room.
const COMMANDS: usize = 16;
/// Notices that wait for a slow application; older ones are only counted.
const NOTICES: usize = 64;

impl SyncHandle {
    pub(super) fn new() -> (Self, mpsc::Receiver<RealmCommand>, Reports) {
        let (commands, received) = mpsc::channel(COMMANDS);
        let (status_sender, status) = watch::channel(SyncStatus::Disconnected);
        let (progress_sender, progress) = watch::channel(None);
        let (notices_sender, notices) = broadcast::channel(NOTICES);
        let first_notices = Mutex::new(Some(notices_sender.subscribe()));
        let reports =
            Reports { status: status_sender, progress: progress_sender, notices: notices_sender };
        let shared = Shared { commands, status, progress, notices, first_notices };
        (Self { shared: Arc::new(shared) }, received, reports)
    }

    /// Waits until the server has acknowledged everything that is committed now. At once if that is so already,
    /// with a connection or without; while sync is paused or there is no network, for as long as that lasts.
    ///
    /// # Errors
    ///
    /// Whatever ends sync of the realm, see [`SyncError::is_fatal`]; [`SyncError::Ended`] if it is closed.
    pub async fn wait_for_upload(&self) -> Result<(), SyncError> {
        self.wait(RealmCommand::WaitForUpload).await
    }

    /// Waits until everything that the server has now is integrated, which takes a connection.
    ///
    /// # Errors
    ///
    /// As [`wait_for_upload`](Self::wait_for_upload).
    pub async fn wait_for_download(&self) -> Result<(), SyncError> {
        self.wait(RealmCommand::WaitForDownload).await
    }

    /// Lets sync rest. Writing goes on, and so does waiting.
    pub async fn pause(&self) {
        self.tell(RealmCommand::Pause).await;
    }

    /// Lets sync go on, also after an error that ended it.
    pub async fn resume(&self) {
        self.tell(RealmCommand::Resume).await;
    }

    /// The network may be back: connects now, or looks whether the connection still works. That is about all realms
    /// of the connection.
    pub async fn reconnect(&self) {
        self.tell(RealmCommand::Reconnect).await;
    }

    /// How much has travelled; `None` until the server has said something for the first time.
    pub fn progress(&self) -> watch::Receiver<Option<SyncProgress>> {
        self.shared.progress.clone()
    }

    /// Whether the realm has a session with the server.
    pub fn status(&self) -> watch::Receiver<SyncStatus> {
        self.shared.status.clone()
    }

    /// What goes wrong. Ends when sync of the realm has ended; see [`notices`](Self::notices) for what is kept.
    pub fn errors(&self) -> BoxStream<'static, SyncError> {
        let errors = self.notices().filter_map(async |notice| match notice {
            SyncNotice::Error(error) => Some(error),
            _ => None,
        });
        errors.boxed()
    }

    /// What happens from now on; for the first who asks, from the beginning. If nobody takes them, the latest 64 are
    /// kept and the others counted.
    pub fn notices(&self) -> BoxStream<'static, SyncNotice> {
        let mut first = self.shared.first_notices.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = first.take().unwrap_or_else(|| self.shared.notices.resubscribe());
        let notices = stream::unfold(receiver, async |mut receiver| {
            let notice = match receiver.recv().await {
                Ok(notice) => notice,
                Err(RecvError::Lagged(count)) => SyncNotice::Missed(count),
                Err(RecvError::Closed) => return None,
            };
            Some((notice, receiver))
        });
        notices.boxed()
    }

    /// Ends sync of the realm, for all clones, and waits until its files are not in use any more. What was not
    /// uploaded yet stays in the file.
    pub async fn close(&self) {
        let (closed, is_closed) = oneshot::channel();
        self.tell(RealmCommand::Close(closed)).await;
        // If nobody is there to answer, it is closed already.
        let _ = is_closed.await;
    }

    async fn wait(&self, command: impl FnOnce(Waiter) -> RealmCommand) -> Result<(), SyncError> {
        let (waiter, done) = oneshot::channel();
        self.tell(command(waiter)).await;
        done.await.unwrap_or(Err(SyncError::Ended))
    }

    async fn tell(&self, command: RealmCommand) {
        // Nobody listens once sync of the realm has ended, and then there is nothing to be done.
        let _ = self.shared.commands.send(command).await;
    }
}
