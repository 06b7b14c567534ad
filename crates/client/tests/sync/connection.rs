//! Several realms, one connection.

use std::sync::Arc;

use bailiwick_client::transport::SyncStatus;

use crate::device::{Device, TestUser, connect, items};
use crate::proxy::Proxy;
use crate::service::{Service, within};

#[tokio::test]
async fn realms_of_a_user_share_a_connection() {
    let service = Service::start().await;
    let proxy = Proxy::to(service.address).await;
    let connection = TestUser::new(&service, proxy.address).await.connect();
    let mut devices = Vec::new();
    for number in 0..5 {
        devices.push(Device::open(&connection, &format!("Store {number}")).await);
    }
    for (id, device) in (0..).zip(&devices) {
        device.put(id, "here");
    }
    for (id, device) in (0..).zip(&devices) {
        device.sync().await;
        assert_eq!(device.items(), items(&[(id, "here")]));
    }
    assert_eq!(proxy.accepted(), 1);
}

#[tokio::test]
async fn one_file_can_be_synced_again_on_the_same_connection() {
    let service = Service::start().await;
    let proxy = Proxy::to(service.address).await;
    let connection = TestUser::new(&service, proxy.address).await.connect();
    let first = Device::open(&connection, "here").await;
    first.put(1, "first");
    first.sync().await;
    first.sync.close().await;
    first.put(2, "between");
    let file = Arc::clone(first.realm.file());
    let second = Device::open_file(&connection, "here", file).await;
    second.sync().await;
    assert_eq!(proxy.accepted(), 1, "the connection lingers");
    let other = Device::new(&service, "here").await;
    other.sync().await;
    assert_eq!(other.items(), items(&[(1, "first"), (2, "between")]));
}

#[tokio::test]
async fn a_paused_realm_rests_while_others_go_on() {
    let service = Service::start().await;
    let connection = TestUser::new(&service, service.address).await.connect();
    let (resting, active) =
        (Device::open(&connection, "here").await, Device::open(&connection, "there").await);
    resting.sync().await;
    resting.sync.pause().await;
    resting.has_status(SyncStatus::Disconnected).await;
    resting.put(1, "later");
    active.put(1, "now");
    active.sync().await;

    let other = Device::new(&service, "here").await;
    other.sync().await;
    assert_eq!(other.items(), items(&[]));
    resting.sync.resume().await;
    resting.sync().await;
    other.has_item(1, "later").await;
}

#[tokio::test]
async fn the_task_ends_with_the_last_handle() {
    let service = Service::start().await;
    let user = Arc::new(TestUser::new(&service, service.address).await);
    let is_dropped = user.when_dropped();
    let connection = connect(user);
    let device = Device::open(&connection, "here").await;
    device.put(1, "one");
    device.sync().await;
    let clone = device.sync.clone();
    drop(connection);
    drop(device);
    // A clone is enough for sync to go on.
    within("all is uploaded", clone.wait_for_download()).await.unwrap();
    drop(clone);
    // The task is the last that held the user.
    within("the task ends", is_dropped).await.unwrap_err();
}
