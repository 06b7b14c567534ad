//! Code of the application that panics, and files that fail.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bailiwick_client::local::{Committed, LocalFile};
use bailiwick_client::session::{FileRole, StorageAnswer, StorageRequest, SyncError};
use bailiwick_client::transport::RealmStorage;
use bailiwick_protocol::version::OriginTimestamp;
use futures_util::StreamExt as _;
use tokio::sync::broadcast;

use crate::device::{Device, TestUser, connect, items};
use crate::service::{Service, within};

#[tokio::test]
async fn a_panicking_authenticator_is_asked_again() {
    let service = Service::start().await;
    let user = Arc::new(TestUser::new(&service, service.address).await);
    user.panics.store(2, Ordering::Relaxed);
    let device = Device::open(&connect(Arc::clone(&user)), "here").await;
    device.put(1, "one");
    device.sync().await;
    assert_eq!(user.panics.load(Ordering::Relaxed), 0);
    assert_eq!(user.routes.load(Ordering::Relaxed), 3);
}

/// Files that panic when they are asked for anything.
#[derive(Debug)]
struct Panicking(Arc<LocalFile>);

impl RealmStorage for Panicking {
    fn execute(&self, _: FileRole, _: StorageRequest, _: OriginTimestamp) -> StorageAnswer {
        panic!("the application's code")
    }

    fn news(&self) -> broadcast::Receiver<Arc<Committed>> {
        self.0.news()
    }
}

#[tokio::test]
async fn a_realm_whose_files_fail_stops_alone() {
    let service = Service::start().await;
    let connection = TestUser::new(&service, service.address).await.connect();
    let file = Arc::new(LocalFile::in_memory());
    let storage = Arc::new(Panicking(Arc::clone(&file)));
    let broken = Device::open_storage(&connection, "there", file, storage).await;
    let error = within("the application is told", broken.sync.errors().next()).await.unwrap();
    assert!(matches!(error, SyncError::File(_)) && error.is_fatal(), "{error:?}");

    let device = Device::open(&connection, "here").await;
    device.put(1, "one");
    device.sync().await;
    assert_eq!(device.items(), items(&[(1, "one")]));
    within("it is closed", broken.sync.close()).await;
}
