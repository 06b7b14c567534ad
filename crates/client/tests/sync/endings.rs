//! How sync of a realm ends.

use std::sync::Arc;

use bailiwick_client::session::SyncError;
use bailiwick_client::transport::{SyncNotice, SyncStatus};
use futures_util::StreamExt as _;

use crate::device::{Device, TestUser, items};
use crate::service::{Service, within};

#[tokio::test]
async fn after_closing_nobody_has_the_file() {
    let service = Service::start().await;
    let device = Device::new(&service, "here").await;
    device.put(1, "one");
    device.sync.close().await;
    let file = Arc::downgrade(device.realm.file());
    let status = device.sync.status();
    let mut notices = device.sync.notices();
    assert!(within("the notices end", notices.next()).await.is_none());
    assert_eq!(*status.borrow(), SyncStatus::Disconnected);
    drop(device);
    assert_eq!(file.strong_count(), 0);
}

#[tokio::test]
async fn what_was_not_uploaded_is_uploaded_the_next_time() {
    let mut service = Service::start().await;
    let file = {
        service.stop().await;
        let connection = TestUser::offline(&service).connect();
        let device = Device::open(&connection, "here").await;
        device.put(1, "one");
        let file = Arc::clone(device.realm.file());
        device.sync.close().await;
        file
    };
    service.start_again().await;
    let connection = TestUser::new(&service, service.address).await.connect();
    let device = Device::open_file(&connection, "here", file).await;
    device.sync().await;
    let other = Device::new(&service, "here").await;
    other.sync().await;
    assert_eq!(other.items(), items(&[(1, "one")]));
}

#[tokio::test]
async fn a_partition_that_cannot_be_is_an_error_of_that_realm_alone() {
    let service = Service::start().await;
    let connection = TestUser::new(&service, service.address).await.connect();
    let good = Device::open(&connection, "here").await;
    let bad = Device::open_path(&connection, "42").await;
    let notice = within("the application is told", bad.sync.notices().next()).await.unwrap();
    let SyncNotice::Error(SyncError::Server { fatal: true, .. }) = &notice else {
        panic!("{notice:?}");
    };
    let waiting = within("waiting ends", bad.sync.wait_for_download()).await;
    assert!(waiting.is_err(), "{waiting:?}");
    good.put(1, "one");
    good.sync().await;
}
