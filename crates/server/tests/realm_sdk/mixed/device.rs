//! A device that runs the Rust client, with the face of the one that runs the SDK.

use std::cell::RefCell;
use std::future::Future;

use bailiwick_client::{
    App, AppConfig, Credentials, PartitionValue, Realm, Schema, SyncError, SyncHandle, User, View,
    WriteError, WriteTransaction,
};
use futures_util::StreamExt as _;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::dump::dump;
use crate::device::{Device, PATIENCE};
use crate::dump::Dump;
use crate::server::{APP_ID, Server};

/// A device with a folder of its own, and threads that end with it.
///
/// Every error that the client reports fails the test, unless it is asked for; a server that is away is no error.
pub(super) struct RustDevice {
    name: &'static str,
    /// The realm that was opened last, or entered.
    realm: RefCell<Option<Realm>>,
    errors: RefCell<UnboundedReceiver<SyncError>>,
    report: UnboundedSender<SyncError>,
    user: User,
    runtime: Runtime,
    _folder: TempDir,
}

impl Server {
    /// A new device that runs the Rust client, logged in as a new anonymous user.
    pub(super) fn rust_device(&self, name: &'static str) -> RustDevice {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let app = App::new(AppConfig::new(self.base_url(), APP_ID, folder.path())).unwrap();
        let user = runtime.block_on(app.log_in(Credentials::anonymous())).unwrap();
        let (report, errors) = unbounded_channel();
        RustDevice {
            name,
            realm: RefCell::new(None),
            errors: RefCell::new(errors),
            report,
            user,
            runtime,
            _folder: folder,
        }
    }
}

impl RustDevice {
    /// Opens a realm; `partition` is Extended JSON. Returns at once, whether there is a connection or not.
    pub(super) fn open(&self, schema: Schema, partition: &str) {
        let partition = PartitionValue::parse(partition).unwrap();
        self.enter(self.wait("open", self.user.open(partition, schema)).unwrap());
        self.report_errors();
    }

    /// Opens a realm as soon as everything that the server has is on the device.
    pub(super) fn open_downloaded(&self, schema: Schema, partition: &str) {
        let partition = PartitionValue::parse(partition).unwrap();
        let opened = self.wait("open", self.user.open_and_download(partition, schema));
        self.enter(opened.unwrap());
        self.report_errors();
    }

    /// What the following is about, if it is not the realm that was opened last.
    pub(super) fn enter(&self, realm: Realm) {
        self.realm.replace(Some(realm));
    }

    pub(super) fn realm(&self) -> Realm {
        self.realm.borrow().clone().expect("a realm was opened")
    }

    /// Carries out one transaction.
    #[track_caller]
    pub(super) fn write(
        &self,
        edit: impl FnOnce(&mut WriteTransaction<'_>) -> Result<(), WriteError>,
    ) {
        self.realm().write(edit).unwrap_or_else(|error| panic!("{}: {error}", self.name));
    }

    /// Goes offline; writes go on.
    pub(super) fn pause(&self) {
        self.wait("pause", self.sync().pause());
    }

    /// Goes online again.
    pub(super) fn resume(&self) {
        self.wait("resume", self.sync().resume());
    }

    /// Waits until the server has acknowledged everything that was written here.
    pub(super) fn upload(&self) {
        self.wait("upload", self.sync().wait_for_upload()).unwrap();
    }

    /// Waits until everything that the server has now is here.
    pub(super) fn download(&self) {
        self.wait("download", self.sync().wait_for_download()).unwrap();
    }

    /// Waits until a condition holds for the realm's contents.
    pub(super) fn until(&self, what: &str, holds: impl Fn(&View) -> bool) {
        let realm = self.realm();
        let mut news = realm.file().news();
        self.wait(what, async {
            while !holds(&realm.view().unwrap()) {
                let next = news.recv().await;
                assert!(!matches!(next, Err(RecvError::Closed)), "{}: closed", self.name);
            }
        });
    }

    /// The realm as it is now.
    pub(super) fn view(&self) -> View {
        self.realm().view().unwrap()
    }

    /// Everything in the realm.
    pub(super) fn dump(&self) -> Dump {
        dump(self.name, &self.view())
    }

    /// Waits for an error that the client reports.
    pub(super) fn expect_sync_error(&self) -> SyncError {
        let mut errors = self.errors.borrow_mut();
        self.wait("error", errors.recv()).expect("the device holds a sender")
    }

    /// Waits, but not for ever.
    pub(super) fn wait<T>(&self, what: &str, future: impl Future<Output = T>) -> T {
        let in_time = async { tokio::time::timeout(PATIENCE, future).await };
        let result = self.runtime.block_on(in_time);
        result.unwrap_or_else(|_| panic!("{}: still waits after {PATIENCE:?}: {what}", self.name))
    }

    /// Does something meanwhile; it ends with the device at the latest.
    pub(super) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(future);
    }

    fn sync(&self) -> SyncHandle {
        self.realm().sync().expect("it has a user").clone()
    }

    fn report_errors(&self) {
        let mut errors = self.sync().errors();
        let report = self.report.clone();
        self.runtime.spawn(async move {
            while let Some(error) = errors.next().await {
                if !matches!(error, SyncError::Connect { fatal: false, .. }) {
                    let _ = report.send(error);
                }
            }
        });
    }
}

impl Drop for RustDevice {
    fn drop(&mut self) {
        while let Ok(error) = self.errors.borrow_mut().try_recv() {
            eprintln!("{}: {error}", self.name);
            assert!(std::thread::panicking(), "{}: {error}", self.name);
        }
    }
}

/// Brings two devices to the same state: everybody's writes to the server, then the server's history to everybody.
pub(super) fn settle(sdk: &Device, rust: &RustDevice) {
    sdk.upload();
    rust.upload();
    sdk.download();
    rust.download();
}

/// As [`settle`], and asserts that they tell the same then.
pub(super) fn settle_all(sdk: &Device, rust: &[RustDevice; 2]) {
    sdk.upload();
    for device in rust {
        device.upload();
    }
    sdk.download();
    let contents = sdk.dump();
    for device in rust {
        device.download();
        contents.assert_same(&device.dump());
    }
}
